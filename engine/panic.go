package engine

import (
	"fmt"
	"runtime/debug"

	"go.starlark.net/starlark"
)

// unpanicked calls f with a thread, and makes a panic of a builtin, or of the interpreter,
// its error: the run is brought to its end all the same. Where the script was, it can't
// tell: the thread has left its calls by then.
func (r *Run) unpanicked(t *starlark.Thread, f func(*starlark.Thread) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.config.Log.Debug("a panic", "panic", r.config.Masks.Text(fmt.Sprint(p)), "stack", r.config.Masks.Text(string(debug.Stack())))
			err = &Error{
				Code: Failed, Message: fmt.Sprintf("kinfra itself failed: %v", p),
				Next: "this is a fault of kinfra, not of the script: please report it with what --log-level debug shows",
			}
		}
	}()
	return f(t)
}
