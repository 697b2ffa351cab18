package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// A dry run shows what would change: the planned world's own record of that, kept for each
// step. And it knows what it can't know. Once a process that may change things was planned
// and not started, nobody knows what the outside will be: what a builtin then fails with
// because of what it read or expected, the real run may not fail with. It is an errLater,
// which everything above takes as any other error of the kind world.ErrPlanned: the step is
// decided when it runs, and the dry run goes on. That counts for what comes later on the
// same branch of the script, for the branches beside it, and for all that follows once they
// are joined.

// plan is what a thread of a dry run knows. nil in a run that does what it says.
type plan struct {
	world   world.World // the run's, which notes changes here
	changes *changes    // of the innermost node, as far as this thread made them

	unsure atomic.Bool // a process was planned: the outside isn't known any more
	outer  *plan       // of the thread that has called parallel; nil on the run's own
	turns  *turns      // of the branches beside this one
}

// changes is what was planned in a node, or outside of all.
type changes struct {
	mu    sync.Mutex
	ops   []world.Operation
	later bool // part of it is decided when it runs
}

// dryRun prepares a run in which nothing changes.
func (r *Run) dryRun(modules []table.Module) []table.Module {
	r.plan = r.newPlan(&changes{}, nil, nil)
	foreseen := make([]table.Module, len(modules))
	for i, m := range modules {
		builtins := make([]table.Builtin, len(m.Builtins))
		for j, b := range m.Builtins {
			builtins[j] = foresee(b)
		}
		m.Builtins = builtins
		foreseen[i] = m
	}
	return foreseen
}

func (r *Run) newPlan(c *changes, outer *plan, t *turns) *plan {
	p := &plan{changes: c, outer: outer, turns: t}
	p.unsure.Store(outer != nil && outer.unsure.Load())
	p.world = world.Noted(r.config.World, p.note)
	return p
}

func (p *plan) note(op world.Operation) {
	c := p.changes
	c.mu.Lock()
	c.ops = append(c.ops, op)
	c.later = c.later || op.Planned
	c.mu.Unlock()
	if !op.Planned {
		return
	}
	p.unsure.Store(true)
	for ; p != nil && p.turns != nil; p = p.outer {
		p.turns.unsure.Store(true)
	}
}

// isUnsure tells whether the outside is unknown. Where that depends on what the branches
// beside this one do, it waits for them: they can't be ordered, so what any of them plans
// counts.
func (p *plan) isUnsure() bool {
	for ; p != nil; p = p.outer {
		switch {
		case p.unsure.Load():
			return true
		case p.turns == nil:
		case p.turns.unsure.Load() || p.turns.await():
			return true
		}
	}
	return false
}

// within begins the changes of a node, which end gives.
func (p *plan) within() (end func() *changes) {
	if p == nil {
		return func() *changes { return nil }
	}
	outer := p.changes
	p.changes = &changes{}
	return func() *changes {
		own := p.changes
		p.changes = outer
		return own
	}
}

// decidedLater notes that a part of the node is decided when it runs, if it is.
func (p *plan) decidedLater(is bool) {
	if p != nil && is {
		p.changes.later = true
	}
}

// isLater tells whether a part of a node is decided when it runs.
func (c *changes) isLater() bool { return c != nil && c.later }

// join adds what a branch has planned.
func (p *plan) join(branch *plan) {
	p.changes.ops = append(p.changes.ops, branch.changes.ops...)
	p.changes.later = p.changes.later || branch.changes.later
	if branch.unsure.Load() {
		p.unsure.Store(true)
	}
}

// turns has the branches of a call of parallel run one after the other, so that a dry run
// tells the same each time. One that must know what the others do waits until all of them
// have ended, or wait as well.
type turns struct {
	unsure  atomic.Bool   // a branch has planned a process
	over    chan struct{} // the branch whose turn it is has ended, or waits
	waiting []chan struct{}
}

// each runs n branches.
func (t *turns) each(n int, run func(i int)) {
	t.over = make(chan struct{})
	for i := range n {
		go func() {
			run(i)
			t.over <- struct{}{}
		}()
		<-t.over
	}
	for len(t.waiting) > 0 {
		next := t.waiting[0]
		t.waiting = t.waiting[1:]
		close(next)
		<-t.over
	}
}

// await tells whether a branch has planned a process, once the others can't do so any more
// before this one goes on.
func (t *turns) await() bool {
	turn := make(chan struct{})
	t.waiting = append(t.waiting, turn)
	t.over <- struct{}{}
	<-turn
	return t.unsure.Load()
}

// errLater is the error of what a dry run can't foresee.
type errLater struct{ err error }

func (e *errLater) Error() string   { return fmt.Sprintf("%s: %s", world.ErrPlanned, e.err) }
func (e *errLater) Unwrap() []error { return []error{world.ErrPlanned, e.err} }

// foresee makes a builtin, in a dry run, fail as what can't be known where what it reads or
// expects isn't known any more. So does one that finds nothing.
func foresee(b table.Builtin) table.Builtin {
	if !b.Reads && !b.Changes && !b.Expects {
		return b
	}
	run := b.Run
	b.Run = func(c *table.Call) (starlark.Value, error) {
		s := stateOf(c.Thread)
		if s.plan == nil || !s.mayChange() {
			return run(c)
		}
		if err := c.Unknown(); b.Expects && err != nil {
			return nil, err
		}
		v, err := run(c)
		switch {
		case err != nil && s.mayBeOtherwise(err) && s.plan.isUnsure():
			return nil, &errLater{err}
		case err == nil && (v == nil || v == starlark.None) && b.Reads && b.Result != "" && s.plan.isUnsure():
			return s.unknown(b.Name), nil
		}
		return v, err
	}
	return b
}

// mayBeOtherwise tells whether an error may be another one, or none, where the outside is
// another: not that of a wrong argument, of a function that the builtin has called, nor the
// end of the run.
func (s *state) mayBeOtherwise(err error) bool {
	_, argument := errors.AsType[*table.ArgumentError](err)
	_, inScript := errors.AsType[*starlark.EvalError](err)
	return !argument && !inScript && catchable(s.ctx, err)
}

// call calls a function of the script. In a dry run, an error about a value that only the
// real run knows (a loop over it, its length, an index that it is) is one of what can't be
// known: such a value notes that it was asked for its type, which is done to say what is
// wrong with it.
func (s *state) call(t *starlark.Thread, f starlark.Callable, args ...starlark.Value) (starlark.Value, error) {
	if s.plan == nil {
		return starlark.Call(t, f, args, nil)
	}
	s.run.asked.Store(false)
	v, err := starlark.Call(t, f, args, nil)
	return v, s.foreseen(err)
}

// foreseen is an error of the script, as one of what can't be known if it is about such a
// value.
func (s *state) foreseen(err error) error {
	if err == nil || s.plan == nil || !s.run.asked.Swap(false) || !catchable(s.ctx, err) {
		return err
	}
	return &errLater{err}
}

// mostChanges is how many changes of a step an event has at most.
const mostChanges = 1000

// told is what was planned, as events have it, and how much there is beside that.
func (r *Run) told(c *changes) (told []event.Change, more int) {
	if c == nil {
		return nil, 0
	}
	dir, err := r.config.World.Env.WorkDir()
	if err != nil {
		dir = "/"
	}
	effects := world.Effects(c.ops)
	for i := range effects[:min(len(effects), mostChanges)] {
		told = append(told, toldOf(&effects[i], dir))
	}
	return told, len(effects) - len(told)
}

func toldOf(e *world.Effect, dir string) event.Change {
	c := event.Change{
		Kind: string(e.Kind), Path: shownIn(dir, e.Path), From: shownIn(dir, e.From), Target: e.Target,
		New: e.New, IsDir: e.IsDir, Files: e.Files, To: e.Address,
	}
	switch e.Kind {
	case world.EffectWrite, world.EffectAppend:
		c.Size = &e.Size
	case world.EffectMkdir:
		if e.Files > 0 {
			c.Size = &e.Size
		}
	case world.EffectRun:
		c.Run = world.ShellLine(e.Args)
		if e.Dir != dir {
			c.Cwd = shownIn(dir, e.Dir)
		}
	}
	switch e.Kind {
	case world.EffectWrite, world.EffectMkdir, world.EffectMode:
		c.Mode = fmt.Sprintf("%04o", e.Mode.Perm())
	}
	return c
}

// shownIn is a path as it is told to somebody in a directory.
func shownIn(dir, path string) string {
	if path == dir && path != "" {
		return "."
	}
	if below, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/"); ok {
		return filepath.Clean(below)
	}
	return path
}

// allChanges is what the run would change, each with its step, and how much there is beside
// that.
func (r *Run) allChanges() (all []event.Change, more int) {
	if r.plan == nil {
		return nil, 0
	}
	add := func(step string, told []event.Change, beside int) {
		for _, c := range told {
			c.Step = step
			all = append(all, c)
		}
		more += beside
	}
	r.Report().Walk(func(n *report.Node) { add(n.Key, n.Changes.Told, n.Changes.More) })
	outside, beside := r.told(r.plan.changes)
	add("", outside, beside)
	return all, more
}
