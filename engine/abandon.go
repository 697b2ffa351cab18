package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/event"
)

// A thread that is cancelled ends at its next instruction. But a single call of the
// language can take for ever, such as str of a deeply nested list, and nothing can
// interrupt it. A run that is to end, and has a thread in such a call, is given up: what
// it did is on record, what can't be called any more is said, and the process ends.

const (
	// grace is how long a thread may go on after it was cancelled. It leaves some time
	// for the rest within the two seconds in which a run ends.
	grace = 1200 * time.Millisecond

	// lookAgain is the pause until a thread is looked at again that works on the outside,
	// or waits for others.
	lookAgain = 100 * time.Millisecond

	// leaving is how long the run may take to say what can't be done any more. What hangs
	// may hold what that needs.
	leaving = 500 * time.Millisecond
)

// watch cancels a thread when ctx ends, and gives the run up if the thread then does not
// end. The function that it returns ends that, and returns when no cancellation can come
// any more. If the run is being given up, it does not return before that is done.
func (s *state) watch(ctx context.Context, t *starlark.Thread) (unwatch func()) {
	w := &watched{returned: make(chan struct{})}
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		t.Cancel(context.Cause(ctx).Error())
		close(over)
		s.run.await(ctx, t, w)
	})
	return func() {
		if stop() {
			return
		}
		<-over
		if w.decide() {
			close(w.returned)
			return
		}
		<-w.returned
	}
}

// watched is a call that either returns or is given up, whichever comes first.
type watched struct {
	mu       sync.Mutex
	decided  bool
	returned chan struct{} // closed when it has returned, or the run was given up
}

// decide tells whether it is the first to be asked.
func (w *watched) decide() (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first = !w.decided
	w.decided = true
	return first
}

// await waits until a cancelled thread has ended, or gives the run up.
func (r *Run) await(ctx context.Context, t *starlark.Thread, w *watched) {
	if r.config.Abandon == nil {
		return
	}
	urgent := r.config.Urgent
	for pause := grace; ; pause = lookAgain {
		select {
		case <-w.returned:
			return
		case <-urgent:
			urgent = nil
		case <-time.After(pause):
		}
		if call, stuck := stuckIn(t); stuck && w.decide() {
			r.abandon(context.Cause(ctx), call)
			close(w.returned)
			return
		}
	}
}

// abandon ends a run that can't be brought to its end, and with it the process.
func (r *Run) abandon(cause error, in *stuckCall) {
	r.abandoned.Do(func() {
		err := &Error{Code: r.config.CodeOf(cause), Message: cause.Error(), Err: cause, At: in.at(), Next: in.hint()}
		if hinted, ok := errors.AsType[*Error](cause); ok && hinted.Next != "" {
			err.Next = hinted.Next
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.leave(err)
		}()
		select {
		case <-done:
		case <-time.After(leaving):
		}
		r.config.Abandon(err)
	})
}

// leave says what is not called any more, and puts on record how the run ends. A step that
// has not ended stays one that was interrupted.
func (r *Run) leave(err error) {
	if text := r.notCalled(); text != "" {
		r.emit(&event.Event{Type: event.Warned, Text: text})
	}
	r.finish(nil, err) // what can't be recorded doesn't change how it ends
}

// notCalled says which undos and functions given to on_exit a run that is given up leaves
// out; "" if there are none.
func (r *Run) notCalled() string {
	var parts []string
	undos, exits := r.takeUndos(), r.takeExits()
	if len(undos) > 0 {
		names := make([]string, len(undos))
		for i, u := range undos {
			names[i] = u.key
		}
		parts = append(parts, "the undo of "+strings.Join(names, ", "))
	}
	if len(exits) > 0 {
		parts = append(parts, fmt.Sprintf("%d function(s) given to on_exit", len(exits)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "the run had to be given up; not called: " + strings.Join(parts, "; ")
}

// stuckCall is a call of the language that doesn't end.
type stuckCall struct {
	name string // of the function, "" for an operator
	pos  syntax.Position
}

func (c *stuckCall) at() []syntax.Position {
	if !c.pos.IsValid() {
		return nil
	}
	return []syntax.Position{c.pos}
}

func (c *stuckCall) hint() string {
	what := "an operation"
	if c.name != "" {
		what = "a call of " + c.name
	}
	return "it was inside " + what + ", which nothing can interrupt: see that the values are of a reasonable size and depth"
}

// stuckIn tells whether a thread is in a call of the language that takes long, and in
// which; not whether it is in one that reaches the outside, or waits for other threads:
// these end by themselves once they were cancelled, and must be brought to their end.
//
// It looks at a thread that runs. That can't be done safely in general, but a thread that
// makes no steps does not change its calls; and the process is about to end.
func stuckIn(t *starlark.Thread) (call *stuckCall, stuck bool) {
	defer func() {
		if recover() != nil { // its calls did change: it is in one of the language that calls others
			call, stuck = &stuckCall{}, true
		}
	}()
	steps := t.Steps
	time.Sleep(5 * time.Millisecond)
	if t.Steps != steps || t.CallStackDepth() == 0 {
		return nil, false
	}
	call = &stuckCall{}
	inner := t.CallFrame(0)
	if inner.Pos.Line == 0 { // a builtin
		if !isOfLanguage(inner.Name) {
			return nil, false
		}
		call.name = inner.Name
	}
	for i := range t.CallStackDepth() {
		if pos := t.CallFrame(i).Pos; pos.Line > 0 {
			call.pos = pos
			break
		}
	}
	return call, true
}

// isOfLanguage tells whether a builtin computes, and does nothing else.
func isOfLanguage(name string) bool {
	if module, _, found := strings.Cut(name, "."); found {
		return slices.Contains([]string{"json", "yaml", "math", "time", "expect"}, module)
	}
	switch {
	case name == "print": // it waits for whoever reads
		return false
	case starlark.Universe.Has(name), name == "struct", name == "fail":
		return true
	}
	for _, v := range []starlark.HasAttrs{starlark.String(""), starlark.Bytes(""), new(starlark.List), new(starlark.Dict), new(starlark.Set)} {
		if slices.Contains(v.AttrNames(), name) {
			return true
		}
	}
	return false
}
