package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// cleanUpTime is how long the undos and the functions given to on_exit may take
// together, also after the run was interrupted or its time was over.
const cleanUpTime = time.Minute

func onExitBuiltin() table.Builtin {
	return table.Builtin{
		Name: "on_exit",
		Doc: "Calls a function at the end of the run, whatever happens: success, failure, Ctrl-C or time-out. The function " +
			"given last is called first. Together they have a minute.",
		Params: []table.Param{{Name: "run", Type: table.Function(), Help: "called without arguments"}},
		Run: func(c *table.Call) (starlark.Value, error) {
			s := stateOf(c.Thread)
			if !s.mayChange() {
				return nil, fmt.Errorf("on_exit: %w", ErrLoading)
			}
			s.run.mu.Lock()
			defer s.run.mu.Unlock()
			s.run.exits = append(s.run.exits, c.Callable("run"))
			return starlark.None, nil
		},
	}
}

// cleanUp takes back the steps of a run that failed with err, then calls the
// functions given to on_exit. What goes wrong is added to err.
func (r *Run) cleanUp(err error) error {
	r.mu.Lock()
	undos, exits := r.undos, r.exits
	r.undos, r.exits = nil, nil
	r.mu.Unlock()
	if err == nil || errors.Is(err, ErrChecksFailed) || r.report.DryRun {
		undos = nil
	}
	if len(undos) == 0 && len(exits) == 0 {
		return err
	}

	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(r.ctx), cleanUpTime, &timeoutError{"cleaning up", cleanUpTime})
	defer cancel()
	for _, u := range slices.Backward(undos) {
		if e := r.callOnExit(ctx, u.call, u.result); e != nil {
			u.node.Problem = diag.Of(e, r.Source)
			r.progress("  FAIL  undoing %q\n", u.node.Key)
			err = r.alsoFailed(err, e)
			continue
		}
		u.node.Status = report.Undone
		r.progress("%s", progressLine(u.node))
	}
	for _, call := range slices.Backward(exits) {
		if e := r.callOnExit(ctx, call); e != nil {
			err = r.alsoFailed(err, e)
		}
	}
	return err
}

// callOnExit calls a function of the script when its run is over. What a dry run
// can't know is left to the real one.
func (r *Run) callOnExit(ctx context.Context, call starlark.Callable, args ...starlark.Value) error {
	r.steps = 0 // also a run that used up its steps is cleaned up after
	err := r.guarded(ctx, func(t *starlark.Thread) error {
		_, err := starlark.Call(t, call, args, nil)
		return err
	})
	if errors.Is(err, world.ErrPlanned) {
		return nil
	}
	return err
}

// alsoFailed keeps the first error as that of the run; a later one is printed at once.
func (r *Run) alsoFailed(first, later error) error {
	if first == nil {
		return later
	}
	for _, d := range diag.Of(later, r.Source) {
		r.progress("%s", d.Text())
	}
	return first
}
