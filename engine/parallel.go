package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// mostParallels is how deep calls of parallel may nest: functions can't recurse, but a
// function can be called by the parallel that it calls.
const mostParallels = 16

func parallelBuiltin() table.Builtin {
	return table.Builtin{
		Name: "parallel",
		Doc: "Calls a function for all items at once and returns the results in the order of the items. A failure cancels the " +
			"other calls, and all errors are reported. The function and the items are frozen: a list that the function uses from " +
			"outside can't be changed any more. What the calls announce is shown in the order of the items.",
		Params: []table.Param{
			{Name: "items", Type: table.Of[starlark.Iterable]("a list or another sequence"), Help: "what to call the function for"},
			{Name: "run", Type: table.Function(), Help: "called with one item"},
			{Name: "limit", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(8), Help: "how many calls run at the same time"},
		},
		Result: "a list of what the calls returned, frozen",
		Errors: "What the calls fail with, all of it; a file that is still loading; calls nested deeper than 16.",
		Run:    runParallel,
		Example: `parallel(["a", "b"], lambda name: name.upper())  # -> ["A", "B"]
parallel([1, 2], lambda n: fail("no %d" % n), limit = 1)  # fails: no 1`,
	}
}

// errSibling is why a branch is cancelled: another one failed.
var errSibling = errors.New("another branch failed")

func runParallel(c *table.Call) (starlark.Value, error) {
	if err := checkLength("parallel", c.Value("items")); err != nil {
		return nil, err
	}
	s, items := stateOf(c.Thread), c.List("items")
	switch limit := c.Int("limit"); {
	case !s.mayChange():
		return nil, fmt.Errorf("parallel: %w", ErrLoading)
	case limit < 1:
		return nil, fmt.Errorf("parallel: %q wants at least 1, got %d", "limit", limit)
	case s.depth >= mostParallels:
		return nil, fmt.Errorf("parallel: calls are nested deeper than %d", mostParallels)
	}
	call := c.Callable("run")
	if err := freeze(append([]starlark.Value{call}, items...)...); err != nil {
		return nil, err
	}
	b := s.branches(len(items))
	defer b.stop(nil)
	b.each(c.Int("limit"), func(branch *state, i int) (starlark.Value, error) {
		var v starlark.Value
		err := s.run.guarded(branch, func(t *starlark.Thread) (err error) {
			v, err = starlark.Call(t, call, starlark.Tuple{items[i]}, nil)
			return err
		})
		return v, err
	})
	return b.outcome(s.ctx)
}

// branches is the threads of one call of parallel.
type branches struct {
	parent  *state
	ctx     context.Context
	stop    context.CancelCauseFunc
	lanes   []*lane
	fork    int
	live    bool // one of them is; guarded by the mutex of the run
	joined  bool // a run that goes on has already gone on after it
	closed  bool // or after one around it
	results []starlark.Value
	errs    []error

	turns turns   // in a dry run
	plans []*plan // of the branches
}

func (s *state) branches(n int) *branches {
	b := &branches{parent: s, fork: s.forks, results: make([]starlark.Value, n), errs: make([]error, n)}
	b.joined = !s.live && s.wentOn(b.fork)
	b.closed = s.closed || b.joined
	s.forks++
	b.ctx, b.stop = context.WithCancelCause(s.ctx)
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	b.lanes = s.run.fork(s.lane, n)
	return b
}

// state is that of the thread of a branch.
func (b *branches) state(i int) *state {
	p := b.parent
	return &state{
		run: p.run, ctx: b.ctx, node: p.node, lane: b.lanes[i], recalling: p.recalling,
		branch: event.InBranch(p.branch, b.fork, i), depth: p.depth + 1, plan: b.plan(i),
		live: p.live, closed: b.closed, cutOff: p.cutOff || b.closed && p.failedIn(b.fork), retrying: p.retrying,
	}
}

// each calls f for all branches, at most limit at the same time, and waits for them. In a
// dry run they take turns.
func (b *branches) each(limit int, f func(*state, int) (starlark.Value, error)) {
	if b.parent.plan != nil {
		b.turns.each(len(b.results), func(i int) {
			s := b.state(i)
			b.results[i], b.errs[i] = f(s, i)
			b.ended(i, s)
		})
		for _, p := range b.plans {
			b.parent.plan.join(p)
		}
		b.join()
		return
	}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range min(limit, len(b.results)) {
		wg.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(b.results); i = int(taken.Add(1)) - 1 {
				s := b.state(i)
				b.results[i], b.errs[i] = f(s, i)
				b.ended(i, s)
			}
		})
	}
	wg.Wait()
	b.join()
}

// plan is that of the thread of a branch; nil unless this is a dry run.
func (b *branches) plan(i int) *plan {
	if b.parent.plan == nil {
		return nil
	}
	p := b.parent.run.newPlan(&changes{}, b.parent.plan, &b.turns)
	b.plans = append(b.plans, p)
	return p
}

func (b *branches) join() {
	r := b.parent.run
	r.mu.Lock()
	defer r.mu.Unlock()
	r.join(b.parent.lane)
	b.parent.live = b.parent.live || b.live
}

// ended takes note of how a branch ended.
func (b *branches) ended(i int, s *state) {
	if b.errs[i] == nil {
		b.errs[i] = freeze(b.results[i])
	}
	err := b.errs[i]
	switch {
	case err == nil:
	case errors.Is(err, world.ErrPlanned):
		b.parent.run.past.isUnsure(err)
		b.results[i], b.errs[i] = b.parent.unknown("a branch of parallel"), nil
	case errors.Is(err, errSibling):
		b.errs[i] = errSibling
	case b.parent.plan != nil: // each says what it would do
	case b.parent.collecting(), b.closed && !s.live: // each branch goes as far as its record does
	default:
		b.stop(errSibling)
	}
	r := b.parent.run
	r.mu.Lock()
	defer r.mu.Unlock()
	b.live = b.live || s.live
	r.ended(b.parent.lane, b.lanes[i])
}

// outcome is what parallel returns.
func (b *branches) outcome(outer context.Context) (starlark.Value, error) {
	if outer.Err() != nil {
		return nil, context.Cause(outer)
	}
	var failed, cut []error
	for _, err := range b.errs {
		switch {
		case errors.Is(err, errCutOff):
			cut = append(cut, err)
		case err != nil && err != errSibling:
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		b.parent.failedFork(b.fork)
	}
	switch {
	case len(failed) > 0:
		return nil, &branchesError{failed}
	case len(cut) > 0 && !b.joined: // by a failure in a branch of one around it
		return nil, cut[0]
	case len(cut) > 0: // and yet none has failed, as one did then
		return nil, &divergedError{message: cut[0].Error(), hint: hintAtSteps}
	}
	if err := b.parent.metAllOf(b.fork); err != nil {
		return nil, err
	}
	return starlark.NewList(b.results), nil
}

// branchesError is the errors of branches, each with a backtrace of its own.
type branchesError struct{ errs []error }

func (e *branchesError) Error() string     { return errors.Join(e.errs...).Error() }
func (e *branchesError) Unwrap() []error   { return e.errs }
func (e *branchesError) Branches() []error { return e.errs }
