package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
)

// undoRecorded takes back the steps of the record that the replay has met, newest
// first, after it ended with err. Whatever that is, the record can't be followed
// further, so steps that were not met can't be taken back.
func (r *Run) undoRecorded(err error) error {
	undos, exits := r.takeUndos(), r.takeExits()
	failed := r.incomplete
	unmet := slices.DeleteFunc(missing(r.past.Left(), undos), func(key string) bool { return slices.Contains(failed, key) })
	for _, u := range undos {
		if r.ctx.Err() != nil {
			break // what is left can be taken back by another call
		}
		if !r.undo(r.ctx, u) {
			failed = append(failed, u.key)
		}
	}
	if r.past.interrupted {
		ctx, cancel := r.afterwards()
		defer cancel()
		if e := r.callExits(ctx, exits, nil); e != nil {
			return e
		}
	}
	switch {
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case len(failed) > 0:
		return &Error{Code: Failed, Message: fmt.Sprintf("%d of %d step(s) could not be undone: %s", len(failed), len(undos)+len(r.incomplete), strings.Join(failed, ", ")),
			Next: "fix what keeps them from being undone, and call undo again: what was undone stays so"}
	case len(unmet) > 0:
		return r.past.unreachable(unmet, err)
	case len(undos) == 0:
		r.emit(&event.Event{Type: event.Said, Text: "Nothing is left to undo\n"})
	}
	return nil
}

// unreachable is the error of a script that gives no undo for steps that are to be taken
// back: it ended with err before it came to them again, or they have lost it in an edit.
func (p *past) unreachable(keys []string, err error) error {
	left := &Error{Code: Conflict, Next: p.comeAgain(keys), Message: fmt.Sprintf("%d step(s) can't be undone, since the script doesn't come to them again, or has no undo for them: %s", len(keys), strings.Join(keys, ", "))}
	if err == nil || errors.Is(err, errRecordEnds) {
		return left
	}
	return &branchesError{[]error{left, err}}
}

// comeAgain is a hint at how a script may come again to steps that it didn't come to: one
// that was cut off lies behind another one if that has since run again, and failed.
func (p *past) comeAgain(keys []string) string {
	if p.undo && slices.ContainsFunc(keys, func(key string) bool { return p.Node(key).Status == event.Running }) {
		return "resume the run, which brings what was cut off to its end, and then undo it"
	}
	return ""
}
