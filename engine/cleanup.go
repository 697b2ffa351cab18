package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// cleanUpTime is how long the undos and the functions given to on_exit may take
// together, also after the run was interrupted or its time was over.
const cleanUpTime = time.Minute

// exitBranch is the branch of what is called when the run is over.
const exitBranch = "exit"

// isOver tells whether the thread is one of what is called when the run is over.
func (s *state) isOver() bool {
	_, _, below := event.Fork(exitBranch, s.branch)
	return below || s.branch == exitBranch
}

func onExitBuiltin() table.Builtin {
	return table.Builtin{
		Name: "on_exit",
		Doc: "Calls a function at the end of the run, whatever happens: success, failure, Ctrl-C or time-out. The function " +
			"given last is called first. Together they have a minute.",
		Params: []table.Param{{Name: "run", Type: table.Function(0), Help: "called without arguments"}},
		Run: func(c *table.Call) (starlark.Value, error) {
			s := stateOf(c.Thread)
			if !s.mayChange() {
				return nil, fmt.Errorf("on_exit: %w", ErrLoading)
			}
			if before := s.run.config.BeforeExits; before != nil {
				before()
			}
			s.run.mu.Lock()
			defer s.run.mu.Unlock()
			s.run.exits = append(s.run.exits, c.Callable("run"))
			return starlark.None, nil
		},
		Example: `dir = fs.temp_dir("build-")
on_exit(lambda: fs.remove(dir))`,
	}
}

// undo is what takes a step back.
type undo struct {
	key    string
	branch string
	seq    int // of the event of the step's end
	call   starlark.Callable
	result starlark.Value
}

func (r *Run) willUndo(u undo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undos = append(r.undos, u)
}

// takeUndos gives what is to be taken back, newest first, and forgets it.
func (r *Run) takeUndos() []undo {
	r.mu.Lock()
	defer r.mu.Unlock()
	undos := r.undos
	r.undos = nil
	return r.newestFirst(undos)
}

// newestFirst sorts undos against the order of the script: so the order is the same each
// time, and a step that was brought to its end late is undone before what it was built on,
// and after what was built on it. Of branches of parallel the last item's counts as the
// newest. r.mu must be held.
func (r *Run) newestFirst(undos []undo) []undo {
	h := r.report.History()
	if r.past != nil && !r.begun {
		h = &r.past.History
	}
	slices.SortFunc(undos, func(a, b undo) int {
		if p, q := h.Node(a.key), h.Node(b.key); p != nil && q != nil {
			return q.Compare(p)
		}
		return cmp.Compare(b.seq, a.seq)
	})
	return undos
}

func (r *Run) takeExits() []starlark.Callable {
	r.mu.Lock()
	defer r.mu.Unlock()
	exits := r.exits
	r.exits = nil
	return exits
}

// cleanUp takes back the steps of a run that failed with err, then calls the
// functions given to on_exit. What goes wrong is added to err.
func (r *Run) cleanUp(main *state, err error) error {
	undos, exits := r.takeUndos(), r.takeExits()
	ctx, cancel := r.afterwards()
	defer cancel()
	if err == nil || errors.Is(err, ErrChecksFailed) || errors.Is(err, errDiverged) || r.config.World.Planned() {
		undos = nil
	} else {
		undos = r.withUnreached(ctx, undos)
	}
	for _, u := range undos {
		r.undo(ctx, u) // that it failed is shown, and on record
	}
	return r.callExits(ctx, exits, err)
}

// afterwards is the context of what is called when the run is over, also when it was
// ended from outside.
func (r *Run) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(r.ctx), cleanUpTime, &timeoutError{"cleaning up", cleanUpTime})
}

// undo takes a step back, shows whether that worked, and puts it on record. That it is
// about to is on record first: a run that goes on later must not take the step for done.
func (r *Run) undo(ctx context.Context, u undo) (undone bool) {
	end := r.plan.within()
	err := r.acknowledge(&event.Event{Type: event.Undoing, Key: u.key, Kind: event.Step})
	if err == nil {
		err = r.callOnExit(ctx, u.call, u.result)
	}
	planned := end()
	e := &event.Event{Type: event.Undid, Key: u.key, Kind: event.Step, Status: event.Passed}
	if r.config.World.Planned() {
		e.Status = event.Decided
		e.Changes, e.MoreChanges = r.told(planned)
	}
	if err != nil {
		e.Status, e.Problems = event.Failed, diag.Of(err, r.Source)
	}
	if recordErr := r.acknowledge(e); recordErr != nil {
		r.emit(&event.Event{Type: event.Warned, Text: recordErr.Error()})
	}
	return err == nil
}

func (r *Run) callExits(ctx context.Context, exits []starlark.Callable, err error) error {
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
	r.budget.reset(r.config.Limits.Steps) // also a run that used up its steps is cleaned up after
	s := &state{run: r, ctx: ctx, lane: &lane{live: true}, branch: exitBranch, plan: r.plan}
	err := r.guarded(s, func(t *starlark.Thread) error {
		_, err := starlark.Call(t, call, args, nil)
		return err
	})
	if errors.Is(err, world.ErrPlanned) {
		return nil
	}
	return err
}

// alsoFailed keeps the first error as that of the run; a later one is shown at once.
func (r *Run) alsoFailed(first, later error) error {
	if first == nil {
		return later
	}
	r.emit(&event.Event{Type: event.Warned, Text: "cleaning up failed, too", Problems: diag.Of(later, r.Source)})
	return first
}
