package event

import (
	"slices"
	"strings"
)

// undos is what a history knows of the undoing of its run.
type undos struct {
	begun   bool // an undo function was called, or was about to be
	undoing bool // the process only undoes the run
	process int  // how many have been at the run
}

// undoState is that of a step, or of a check around one.
type undoState struct {
	process    int  // in which it began last
	completing bool // it was interrupted, and runs to its end only to be undone
	left       bool // it has an undo function that is to be called, if need be once it has come to its end
}

// beginUndoable takes note that a node begins that may have something to undo.
func (h *History) beginUndoable(n *Past, e *Event) {
	n.undo.process = h.undos.process
	n.undo.completing = h.undos.undoing && !h.beganAround(e.Key)
	n.undo.left = n.undo.left || e.Undoable
}

// beganAround tells whether a step around another began in this process, too.
func (h *History) beganAround(key string) bool {
	for at := strings.LastIndexByte(key, '/'); at >= 0; at = strings.LastIndexByte(key, '/') {
		key = key[:at]
		if n := h.nodes[key]; n != nil && n.undo.process == h.undos.process {
			return true
		}
	}
	return false
}

func (s *undoState) end(e *Event) {
	switch {
	case e.Type == Undid:
		s.left = s.left && e.Status != Passed
	case e.Status == Passed:
		s.left = e.Undoable
	default: // A step that fails has nothing to undo. One that was cut off may have.
		s.left = s.completing
	}
}

// UndoBegun tells whether an undo function of the run was called, or was about to be.
func (h *History) UndoBegun() bool { return h.undos.begun }

// Undoing tells whether the process that was at the run last only undoes it.
func (h *History) Undoing() bool { return h.undos.undoing }

// Left is the keys of the steps that are left to undo, sorted. A step that was
// interrupted is one of them if it has an undo function.
func (h *History) Left() []string {
	var keys []string
	for key, n := range h.nodes {
		if n.undo.left {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// IsLeft tells whether a step is left to undo.
func (n *Past) IsLeft() bool { return n.undo.left }
