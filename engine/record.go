package engine

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/layer"
)

// record begins the record of the run, if it is to leave one and this is its first step.
func (s *state) record(t *starlark.Thread) error {
	r := s.run
	if r.config.Record == nil || r.journal.Load() != nil || r.config.World.Planned() {
		return nil
	}
	r.recording.Lock()
	defer r.recording.Unlock()
	if r.journal.Load() != nil { // another thread was faster
		return nil
	}
	j, err := r.config.Record(t, r.loader.forRecord, r.first)
	if err != nil {
		return fmt.Errorf("beginning the record of the run: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.journal.Store(j)
	run := r.kept[0].Run
	for i := range r.kept[1:] {
		if err == nil {
			err = j.Add(&r.kept[1+i])
		}
	}
	r.kept = nil
	if err == nil {
		err = j.Sync()
	}
	if err != nil {
		return fmt.Errorf("beginning the record of the run: %w", err)
	}
	r.emitLocked(&event.Event{Type: event.Recorded, Run: run})
	return nil
}

// first is the event with which the record begins, now that it has a name.
func (r *Run) first(id string) *event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[0].Run = r.identity()
	r.kept[0].Run.ID = id
	first := r.kept[0]
	return &first
}

// isRecorded tells whether an event belongs into the record: what only shows how far a run
// is does not, nor what the record gave. What processes print gets there in larger pieces.
func isRecorded(e *event.Event) bool {
	switch e.Type {
	case event.Told, event.Printed, event.Recorded:
		return false
	}
	return !e.Replayed
}

// keepFile puts a file on record that was first asked for after the scripts were, so that a run
// that goes on later has it as it is now.
func (r *Run) keepFile(file layer.File) error {
	l := &r.loader
	l.keeping.Lock()
	defer l.keeping.Unlock()
	if l.kept == nil || l.kept[file.ID()] || !file.OnDisk() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rehearsing {
		return nil // it is asked for again
	}
	err := r.emitLocked(&event.Event{Type: event.FileRead, File: file.ID(), Data: file.Data})
	if j := r.journal.Load(); err == nil && j != nil {
		err = j.Sync()
	}
	if err != nil {
		return fmt.Errorf("recording %s: %w", file.Path(), err)
	}
	l.kept[file.ID()] = true
	return nil
}

// mostPrinted is how much of what a run prints its record keeps, in bytes.
const mostPrinted = 256 << 10

// forRecord is an event as the record has it. What is printed when the record has enough of
// that stands there without its text. r.mu must be held.
func (r *Run) forRecord(e *event.Event) *event.Event {
	if e.Type != event.Said && e.Type != event.Warned {
		return e
	}
	if r.printed += len(e.Text); r.printed <= mostPrinted {
		return e
	}
	short := *e
	short.Text, short.Omitted = "", len(e.Text)
	return &short
}

// acknowledge emits an event that must be on record before anything builds on it.
func (r *Run) acknowledge(e *event.Event) error { return r.durable(e, r.emit(e)) }

// durable waits until an event that was emitted is on record. emitErr is what came of
// emitting it.
func (r *Run) durable(e *event.Event, emitErr error) error {
	err := emitErr
	if j := r.journal.Load(); err == nil && j != nil {
		err = j.Sync()
	}
	if err != nil {
		return fmt.Errorf("recording the %s %q: %w", e.Kind, e.Key, err)
	}
	return nil
}

// now is the time as the script sees it. What it reads between steps is recorded, so
// that a replay sees the same; a step runs as a whole or not at all.
func (s *state) now() (time.Time, error) {
	r := s.run
	now := r.config.World.Clock.Now().Round(0) // without the monotonic clock, which would show
	if s.node != nil {
		return now, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.reads[s.branch]
	r.reads[s.branch]++
	if r.past != nil && i < len(r.past.clocks[s.branch]) {
		return r.past.clocks[s.branch][i], nil
	}
	if r.rehearsing {
		return now, nil
	}
	e := event.Event{Type: event.Clock, Branch: s.branch, Read: &now}
	if !r.begun {
		r.early = append(r.early, e)
		return now, nil
	}
	return now, r.emitLocked(&e)
}
