package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/world"
)

// Resume is a recorded run that goes on; see [NewResume].
type Resume struct {
	Events  []event.Event    // of its earlier processes
	Journal *journal.Journal // where those of this one are added
	Undo    bool             // the run is not to go on, but to be undone
	Edited  *Edited          // nil: with the scripts of the record
}

// NewResume is a run that goes on from its record or, with undo, is undone. It fails with
// the code Conflict where that can't be.
func NewResume(record *journal.Record, j *journal.Journal, undo bool) (*Resume, error) {
	var h event.History
	for i := range record.Events {
		h.Add(&record.Events[i])
	}
	err := refuseResume(record, &h)
	if undo {
		err = refuseUndo(record, &h)
	}
	if err != nil {
		return nil, err
	}
	return &Resume{Events: record.Events, Journal: j, Undo: undo}, nil
}

// refuseUndo is why a run can't be undone: nothing is left to undo. Its last event may say
// that it was undone, though something is left: earlier versions of kinfra have written such
// records. An undo that did not come to its end can be called again, whatever is left.
func refuseUndo(r *journal.Record, h *event.History) error {
	status := r.Status()
	if len(h.Left()) > 0 || h.Undoing() && status != event.Undone {
		return nil
	}
	why := "has nothing to undo: no step that it did has an undo function"
	switch {
	case status == event.Undone:
		why = "was undone: nothing is left to undo"
	case h.UndoBegun():
		why = "has nothing left to undo: it was undone when the run ended"
	}
	next := "kinfra runs show " + r.ID + " shows what it did"
	if status == event.Failed || status == event.Interrupted {
		next = "kinfra resume " + r.ID + " resumes it, " + next
	}
	return &Error{Code: Conflict, Message: fmt.Sprintf("the run %s %s", r.ID, why), Next: next}
}

// refuseResume is why a run can't go on.
func refuseResume(r *journal.Record, h *event.History) error {
	switch left := h.Left(); r.Status() {
	case event.Passed:
		return &Error{Code: Conflict, Message: fmt.Sprintf("the run %s has ended well: there is nothing to resume", r.ID),
			Next: "kinfra undo " + r.ID + " takes back what it did"}
	case event.Undone:
		again := startAgain(r.Run())
		if len(left) > 0 {
			again = fmt.Sprintf("kinfra undo %s undoes what is left (%s); then %s", r.ID, strings.Join(left, ", "), again)
		}
		return &Error{Code: Conflict, Message: fmt.Sprintf("the run %s was undone", r.ID), Next: again}
	}
	return nil
}

// startAgain says how a run is begun anew.
func startAgain(run *event.Run) string {
	words := make([]string, len(run.Args))
	for i, word := range run.Args {
		words[i] = world.ShellWord(word)
	}
	return fmt.Sprintf("start the workflow again, in %s: kinfra %s", world.ShellWord(run.Dir), strings.Join(words, " "))
}

// prepare does what has to be before a run does something: one that goes on masks what it
// has read before, is rehearsed, begins, and undoes what doesn't count any more. f is what the
// run will do.
func (r *Run) prepare(command string, f func(*starlark.Thread) error) error {
	r.command, r.script, r.loadReads = command, f, maps.Clone(r.reads)
	var undos []undo
	err := r.concealAgain()
	if err == nil {
		undos, err = r.unsettled()
	}
	scripts := ""
	if err == nil {
		scripts, err = r.keepScripts()
	}
	r.refused = err != nil
	var moves []event.Place
	if err == nil && r.past != nil {
		moves = r.past.moves()
	}
	r.begin(scripts, moves)
	if err == nil {
		err = r.settle(undos)
	}
	return err
}

// unsettled is the undos of the steps that don't count any more and are left to undo, newest
// first. Edited scripts are held against the record with that, before anything runs.
func (r *Run) unsettled() ([]undo, error) {
	if r.past == nil || r.past.undo || !r.past.edited && len(r.past.Unsettled()) == 0 {
		return nil, nil
	}
	undos, err := r.rehearse(r.ctx)
	unsettled := r.past.Unsettled()
	undos = slices.DeleteFunc(undos, func(u undo) bool { return !slices.Contains(unsettled, u.key) })
	switch {
	case r.ctx.Err() != nil:
		return nil, context.Cause(r.ctx)
	case r.past.edited && errors.Is(err, errDiverged):
		return nil, firstDifference(err)
	case r.past.edited && r.past.failsFirst(err):
		return nil, err
	case len(undos) < len(unsettled):
		return nil, r.past.unreachable(missing(unsettled, undos), err)
	}
	return undos, nil
}

// rehearse goes the way of the record once, in a world that nothing leaves. It gives the
// undos of all steps that it meets, newest first, and why it ended before the script.
func (r *Run) rehearse(ctx context.Context) ([]undo, error) {
	r.startOver()
	r.past.places = nil
	r.setRehearsing(true)
	main := r.mainState()
	main.ctx = ctx
	err := r.guarded(main, r.script)
	if err == nil && r.past.edited {
		err = r.notMet()
	}
	r.setRehearsing(false)
	undos := r.takeUndos()
	r.startOver()
	return undos, err
}

func (r *Run) setRehearsing(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rehearsing = on
}

// withUnreached is the undos of a run that goes on and has failed, and those of the steps
// that its record has as done and that it didn't come to before: a branch failed, or it was
// interrupted, while others still gave back their results.
func (r *Run) withUnreached(ctx context.Context, undos []undo) []undo {
	if r.past == nil {
		return undos
	}
	unreached := missing(r.past.undoable(), undos)
	if len(unreached) == 0 {
		return undos
	}
	found, _ := r.rehearse(ctx) // what is not found is left to undo
	for _, u := range found {
		if slices.Contains(unreached, u.key) {
			undos = append(undos, u)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newestFirst(undos)
}

// undoable is the keys of the steps that count as done and have something to undo, or may
// have: an edit can have given an undo to any.
func (p *past) undoable() []string {
	var keys []string
	for key, n := range p.All() {
		if p.CountsDone(n) && (n.IsLeft() || p.mayHaveNew()) {
			keys = append(keys, key)
		}
	}
	return keys
}

// missing is the keys of steps of which there is no undo.
func missing(keys []string, undos []undo) []string {
	return slices.DeleteFunc(keys, func(key string) bool {
		return slices.ContainsFunc(undos, func(u undo) bool { return u.key == key })
	})
}

// startOver forgets what the run has met, but for what was read while its scripts were loaded.
func (r *Run) startOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.keys)
	clear(r.done)
	r.reads = maps.Clone(r.loadReads)
	clear(r.met)
	clear(r.past.met)
	clear(r.past.newSteps)
	r.past.unsure = false
	r.exits, r.undos, r.conclusion, r.incomplete = nil, nil, nil, nil
	r.budget.reset(r.config.Limits.Steps)
}

// settle undoes the steps that don't count any more, before anything runs on top of them.
func (r *Run) settle(undos []undo) error {
	var failed []string
	for _, u := range undos {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		if !r.undo(r.ctx, u) {
			failed = append(failed, u.key)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &Error{Code: Failed, Message: fmt.Sprintf("%d step(s) could not be undone, so nothing was run on top of them: %s", len(failed), strings.Join(failed, ", ")),
		Next: "fix what keeps them from being undone, and resume the run again"}
}
