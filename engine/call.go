package engine

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/layer"
)

// Parse reads a file without running it, in the dialect in which it would be run.
func Parse(file layer.File) (*syntax.File, error) {
	return dialect().Parse(file.Path(), file.Data, 0)
}

// Globals is the names that the file that is run defines, once it is loaded.
func (r *Run) Globals() starlark.StringDict {
	r.loader.mu.Lock()
	defer r.loader.mu.Unlock()
	return r.loader.modules[r.loader.main].globals
}

// Call calls a function of the file that is run, as the whole of what the run does: its
// steps are undone if it fails, and the functions given to on_exit are called.
func (r *Run) Call(f starlark.Callable, args ...starlark.Value) error {
	r.command = f.Name()
	r.begin("", nil)
	err := r.guarded(r.mainState(), func(t *starlark.Thread) error {
		_, err := starlark.Call(t, f, args, nil)
		return err
	})
	return r.Finish(err)
}

// Result is what the workflow that was executed returned, frozen; None if none was, or
// if it failed. The error says why it can't be frozen.
func (r *Run) Result() (starlark.Value, error) {
	if r.result == nil {
		return starlark.None, nil
	}
	return r.result, freeze(r.result)
}

// Loading tells whether a file is being loaded on a thread, so that nothing may change.
func Loading(t *starlark.Thread) bool { return !stateOf(t).mayChange() }
