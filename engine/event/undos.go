package event

import (
	"slices"
	"strings"
)

// Undos follows, by the events of a run, what of it was undone and what is left to undo.
// The zero Undos is ready to use.
type Undos struct {
	begun   bool // an undo function was called, or was about to be
	undoing bool // the process only undoes the run
	process int  // how many have been at the run
	steps   map[string]*undoStep
}

// undoStep is a step, or a check around one.
type undoStep struct {
	process    int  // in which it began last
	completing bool // it was interrupted, and runs to its end only to be undone
	left       bool // it has an undo function that is to be called, if need be once it has come to its end
}

// Add takes note of an event. Those of a run must come in their order.
func (u *Undos) Add(e *Event) {
	if e.Replayed {
		return
	}
	switch e.Type {
	case RunBegan, Resumed:
		u.process++
		u.undoing = e.Undo
	case Began:
		u.begin(e)
	case Undoing:
		u.begun = true
	case Ended, Undid:
		if s := u.steps[e.Key]; s != nil {
			s.end(e)
		}
	}
}

func (u *Undos) begin(e *Event) {
	s := u.steps[e.Key]
	if s == nil {
		if u.steps == nil {
			u.steps = map[string]*undoStep{}
		}
		s = &undoStep{}
		u.steps[e.Key] = s
	}
	s.process = u.process
	s.completing = u.undoing && !u.beganAround(e.Key)
	s.left = s.left || e.Undoable
}

// beganAround tells whether a step around another began in this process, too.
func (u *Undos) beganAround(key string) bool {
	for at := strings.LastIndexByte(key, '/'); at >= 0; at = strings.LastIndexByte(key, '/') {
		key = key[:at]
		if s := u.steps[key]; s != nil && s.process == u.process {
			return true
		}
	}
	return false
}

func (s *undoStep) end(e *Event) {
	switch {
	case e.Type == Undid:
		s.left = s.left && e.Status != Passed
	case e.Status == Passed:
		s.left = e.Undoable
	default: // A step that fails has nothing to undo. One that was cut off may have.
		s.left = s.completing
	}
}

// Begun tells whether an undo function of the run was called, or was about to be.
func (u *Undos) Begun() bool { return u.begun }

// IsLeft tells whether a step is left to undo.
func (u *Undos) IsLeft(key string) bool {
	s := u.steps[key]
	return s != nil && s.left
}

// Left is the keys of the steps that are left to undo, sorted. A step that was
// interrupted is one of them if it has an undo function.
func (u *Undos) Left() []string {
	var keys []string
	for key, s := range u.steps {
		if s.left {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
