package engine

import (
	"fmt"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/world"
)

// Resume is a recorded run that goes on; see [NewResume].
type Resume struct {
	Events  []event.Event    // of its earlier processes
	Journal *journal.Journal // where those of this one are added
	Undo    bool             // the run is not to go on, but to be undone
}

// NewResume is a run that goes on from its record or, with undo, is undone. It fails with
// the code Conflict where that can't be.
func NewResume(record *journal.Record, j *journal.Journal, undo bool) (*Resume, error) {
	var undos event.Undos
	for i := range record.Events {
		undos.Add(&record.Events[i])
	}
	var err error
	if undo {
		err = refuseUndo(record, undos.Left())
	} else {
		err = refuseResume(record, &undos)
	}
	if err != nil {
		return nil, err
	}
	return &Resume{record.Events, j, undo}, nil
}

// refuseUndo is why a run can't be undone. Its last event may say that it was, though
// something is left: earlier versions of kinfra have written such records.
func refuseUndo(r *journal.Record, left []string) error {
	if r.Status() != event.Undone || len(left) > 0 {
		return nil
	}
	return &Error{Code: Conflict, Message: fmt.Sprintf("the run %s was undone: nothing is left to undo", r.ID),
		Next: "kinfra runs show " + r.ID + " shows what it did"}
}

// refuseResume is why a run can't go on. Once something of it was undone, the steps after
// that, which may have built on it, count as done and are not.
func refuseResume(r *journal.Record, undos *event.Undos) error {
	again := startAgain(r.Run())
	switch status := r.Status(); {
	case status == event.Passed:
		return &Error{Code: Conflict, Message: fmt.Sprintf("the run %s has ended well: there is nothing to resume", r.ID),
			Next: "kinfra undo " + r.ID + " takes back what it did"}
	case len(undos.Left()) > 0 && (undos.Begun() || status == event.Undone):
		again = fmt.Sprintf("kinfra undo %s undoes what is left (%s); then %s", r.ID, strings.Join(undos.Left(), ", "), again)
	case status == event.Undone:
		return &Error{Code: Conflict, Message: fmt.Sprintf("the run %s was undone", r.ID), Next: again}
	case !undos.Begun():
		return nil
	}
	return &Error{Code: Conflict, Next: again,
		Message: fmt.Sprintf("the run %s can't be resumed: steps of it were undone, and the steps that came after them no longer hold", r.ID)}
}

// startAgain says how a run is begun anew.
func startAgain(run *event.Run) string {
	words := make([]string, len(run.Args))
	for i, word := range run.Args {
		words[i] = world.ShellWord(word)
	}
	return fmt.Sprintf("start the workflow again, in %s: kinfra %s", world.ShellWord(run.Dir), strings.Join(words, " "))
}
