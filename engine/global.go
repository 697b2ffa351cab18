package engine

import (
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/layer"
)

// Global evaluates a file, which can only read meanwhile, and gives what it defines
// under a name; nil if it defines nothing of that name.
func (r *Run) Global(file layer.File, name string) (v starlark.Value, err error) {
	err = r.guarded(r.mainState(), func(t *starlark.Thread) error {
		globals, err := r.loader.evaluate(t, file)
		v = globals[name]
		return err
	})
	return v, err
}
