package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

func stepBuiltin() table.Builtin {
	return table.Builtin{
		Name: "step",
		Doc: "Does one thing and returns its result. A failure ends the workflow, after the undos of the steps that were " +
			"done, newest first. The result must be JSON-able; the caller gets it frozen, as it is recorded. Steps nest; a name " +
			"is unique among the steps and checks beside it. When a step is tried again, the steps inside it that were done give " +
			"back their results.",
		Params: []table.Param{
			{Name: "name", Type: table.String(), Help: "what the step does, in a few words"},
			{Name: "run", Type: table.Function(0), Help: "does it; called without arguments"},
			{Name: "undo", Type: table.Function(1), Named: true, Optional: true, Help: "takes it back; called with the step's result"},
			{Name: "retries", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(0), Help: "how often a failure is tried again"},
			{Name: "backoff", Type: table.Duration(), Named: true, Optional: true, Default: starlark.String("200ms"), Help: "the pause before the first retry; it doubles with each"},
			{Name: "timeout", Type: table.Duration(), Named: true, Optional: true, Help: "how long one try may take"},
		},
		Result: "what run returns; in a dry run, a value known only when it runs if run asks for one",
		Errors: "What run fails with; a name used twice; a result that has no JSON form.",
		Run:    runStep,
		Example: `def greet():
    fs.write("greeting.txt", "hello")
    return "greeting.txt"

step("greet", greet, undo = lambda file: fs.remove(file))
# -> "greeting.txt"`,
	}
}

func runStep(c *table.Call) (starlark.Value, error) {
	s := stateOf(c.Thread)
	n, err := s.enter(c.Thread, event.Step, c.String("name"))
	if err != nil {
		return nil, err
	}
	if before, done := s.doneBefore(n.key); done {
		s.emitReplayed(n, before.seconds)
		return before.result, nil
	}
	if err := s.failedBefore(n.key); err != nil {
		return nil, err
	}
	if s.run.past != nil {
		before, counts, err := s.meet(n)
		switch {
		case err == nil && counts:
			return s.replay(c, n, before)
		case errors.Is(err, errNotYet):
			return s.unknown(n.name), nil
		case err != nil:
			return nil, err
		case before != nil:
			n.again = s.run.past.Why(before)
		}
	}
	if err := s.record(c.Thread); err != nil {
		return nil, err
	}
	return s.execute(c, n)
}

// execute runs a step and puts it on record.
func (s *state) execute(c *table.Call, n *node) (starlark.Value, error) {
	call := c.Callable("undo")
	n.undoable = call != nil
	start, err := s.began(n)
	if err != nil {
		return nil, err
	}
	result, err := s.inside(n, func() (starlark.Value, error) { return tries(c, s, n) })
	if err == nil {
		err = s.metAllIn(n)
	}
	end := s.ending(n, err)
	if n.status == event.Passed {
		end.Undoable = n.undoable
		end.Result = s.run.resultOf(result)
	}
	recordErr := s.run.durable(end, s.run.emitEnd(end, start))
	if n.status == event.Passed && s.node != nil {
		s.keep(n.key, doneStep{result, end.Seconds})
	}
	if n.status == event.Passed && call != nil {
		s.run.willUndo(undo{n.key, s.branch, end.Seq, call, result})
	}
	switch {
	case err == nil:
		return result, recordErr
	case errors.Is(err, world.ErrPlanned):
		return s.unknown(n.name), nil
	}
	return nil, err
}

// resultOf is a step's result as the record has it; nil where there is no record.
func (r *Run) resultOf(v starlark.Value) json.RawMessage {
	if r.journal.Load() == nil {
		return nil
	}
	return encodeResult(nil, v)
}

// tries runs a step's function until it succeeds or the retries are used up.
func tries(c *table.Call, s *state, n *node) (starlark.Value, error) {
	forks, retrying := s.forks, s.retrying
	defer func() { s.retrying = retrying }()
	what := func() string { return fmt.Sprintf("the step %q", n.name) }
	try := func() (starlark.Value, error) { return s.call(c.Thread, c.Callable("run")) }
	for tried := 0; ; tried++ {
		v, err := timed(c.Thread, c.Duration("timeout"), what, try)
		if err == nil {
			return s.run.recorded(v)
		}
		if tried >= c.Int("retries") || !catchable(s.ctx, err) {
			return nil, err
		}
		pause := c.Duration("backoff") << tried
		s.run.emit(&event.Event{Type: event.Retried, Key: n.key, Pause: pause.Seconds(), Problems: diag.Of(err, s.run.Source)})
		if e := s.world().Clock.Sleep(s.ctx, pause); e != nil {
			return nil, err
		}
		s.forks, s.last, s.retrying = forks, "", true // so that branches have the names that they had
		s.run.forgetNames(n.key)
	}
}

// doneStep is a step inside another one that was done. When that one is tried again, it
// gives back its result.
type doneStep struct {
	result  starlark.Value
	seconds float64
}

func (s *state) keep(key string, done doneStep) {
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	s.run.done[key] = done
}

// failedBefore is the failure of a step inside one that is tried again, if the script went
// on after it: what came then stands on its failure.
func (s *state) failedBefore(key string) error {
	if !s.retrying {
		return nil
	}
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	h := s.run.report.History()
	if n := h.Node(key); n != nil && h.StaysFailed(n) {
		return failureOf(n)
	}
	return nil
}

func (s *state) doneBefore(key string) (doneStep, bool) {
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	done, ok := s.run.done[key]
	return done, ok
}

// forgetNames frees the names of the steps and checks inside a step.
func (r *Run) forgetNames(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.keys, func(inside string, _ bool) bool { return strings.HasPrefix(inside, key+"/") })
}

// timed calls f with a limit of time, after which the thread is cancelled; what says
// which call that was. Zero is no limit.
func timed(t *starlark.Thread, limit time.Duration, what func() string, f func() (starlark.Value, error)) (starlark.Value, error) {
	if limit <= 0 {
		return f()
	}
	s := stateOf(t)
	outer := s.ctx
	ctx, cancel := context.WithTimeoutCause(outer, limit, &timeoutError{what(), limit})
	defer cancel()
	s.ctx = ctx
	unwatch := s.watch(ctx, t)
	v, err := f()
	unwatch()
	s.ctx = outer
	if ctx.Err() == nil || outer.Err() != nil {
		return v, err
	}
	t.Uncancel()
	if outer.Err() != nil { // meanwhile: that cancellation must stay
		t.Cancel(context.Cause(outer).Error())
	}
	if err != nil {
		err = &causedError{err, context.Cause(ctx)}
	}
	return v, err
}

// catchable tells whether a script may go on after err: not after the run itself was
// ended, nor with what a dry run can't know, nor off the way of the record.
func catchable(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, errTooLong) && !errors.Is(err, world.ErrPlanned) &&
		!errors.Is(err, errRecordEnds) && !errors.Is(err, errDiverged) && !errors.Is(err, errCutOff)
}

// enter makes a node below the one that is running.
func (s *state) enter(t *starlark.Thread, kind event.Kind, name string) (*node, error) {
	if !s.mayChange() {
		return nil, fmt.Errorf("%s: %w", kind, ErrLoading)
	}
	if s.isOver() {
		return nil, fmt.Errorf("%s %q: not in a function given to on_exit or undo: what these do is no part of the record", kind, name)
	}
	if strings.TrimSpace(name) == "" || strings.ContainsAny(name, "\n/") {
		return nil, fmt.Errorf("%s: name %q: want a few words on one line, without a slash", kind, name)
	}
	n := &node{kind: kind, name: name, key: name, status: event.Running, after: s.last, leg: s.forks + 1, at: t.CallFrame(1).Pos}
	if s.node != nil {
		n.key = s.node.key + "/" + name
	}
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	if err := s.run.checkName(kind, name); err != nil {
		return nil, err
	}
	if s.run.keys[n.key] {
		return nil, fmt.Errorf("%s: the name %q is used twice; a step's name is its key in the record", kind, n.key)
	}
	s.run.keys[n.key] = true
	s.last = n.name
	return n, nil
}

// began puts on record that a node begins, and says when that was.
func (s *state) began(n *node) (time.Time, error) {
	s.event = s.placed(event.Began, n)
	s.event.Undoable, s.event.Text = n.undoable, n.again
	if err := s.run.emit(&s.event); err != nil {
		return time.Time{}, fmt.Errorf("recording the %s %q: %w", n.kind, n.key, err)
	}
	return s.event.Time, nil
}

// placed is an event that says where in the script a node stands.
func (s *state) placed(t event.Type, n *node) event.Event {
	return event.Event{Type: t, Key: n.key, Kind: n.kind, Branch: s.branch, After: n.after, Leg: n.leg, At: n.place()}
}

// inside calls f with a node as the innermost one. Calls of parallel count anew in it: it may
// be replayed without being gone through, and those behind it must keep their numbers.
func (s *state) inside(n *node, f func() (starlark.Value, error)) (starlark.Value, error) {
	outer, last, forks, end := s.node, s.last, s.forks, s.plan.within()
	s.node, s.last, s.forks = n, "", 0
	v, err := f()
	s.node, s.last, s.forks, n.changes = outer, last, forks, end()
	return v, err
}

// ending is the event of how a node ended; it is good until the next one begins.
func (s *state) ending(n *node, err error) *event.Event {
	s.event = event.Event{Type: event.Ended, Key: n.key, Kind: n.kind}
	end := &s.event
	switch {
	case err == nil && !n.changes.isLater():
		n.status = event.Passed
	case err == nil, errors.Is(err, world.ErrPlanned):
		n.status = event.Decided
	default:
		n.status = event.Failed
		s.failed(n)
		if ended := s.ctx.Err(); ended != nil && errors.Is(err, ended) {
			err = &causedError{err, context.Cause(s.ctx)} // why it has ended, the context's own error doesn't say
		}
		end.Problems = diag.Of(err, s.run.Source)
	}
	end.Status = n.status
	end.Changes, end.MoreChanges = s.run.told(n.changes)
	s.plan.decidedLater(n.status == event.Decided)
	return end
}
