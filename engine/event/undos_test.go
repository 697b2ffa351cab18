package event_test

import (
	"slices"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
)

// What is left to undo, after each way in which a step and its undo can end.
func TestUndos(t *testing.T) {
	run := event.Event{Type: event.RunBegan}
	resume := event.Event{Type: event.Resumed}
	undo := event.Event{Type: event.Resumed, Undo: true}
	begin := func(key string) event.Event {
		return event.Event{Type: event.Began, Kind: event.Step, Key: key, Undoable: true}
	}
	plain := func(key string) event.Event {
		return event.Event{Type: event.Began, Kind: event.Step, Key: key}
	}
	end := func(key string, status event.Status) event.Event {
		return event.Event{Type: event.Ended, Kind: event.Step, Key: key, Status: status, Undoable: status == event.Passed}
	}
	undoing := func(key string) event.Event { return event.Event{Type: event.Undoing, Key: key} }
	undid := func(key string, status event.Status) event.Event {
		return event.Event{Type: event.Undid, Key: key, Status: status}
	}
	const passed, failed = event.Passed, event.Failed
	for _, c := range []struct {
		name   string
		events []event.Event
		left   []string
		begun  bool
	}{
		{"nothing", []event.Event{run}, nil, false},
		{"done", []event.Event{run, begin("a"), end("a", passed)}, []string{"a"}, false},
		{"without an undo", []event.Event{run, plain("a"), {Type: event.Ended, Key: "a", Status: passed}}, nil, false},
		{"failed", []event.Event{run, begin("a"), end("a", failed)}, nil, false},
		{"cut off", []event.Event{run, begin("b"), begin("a")}, []string{"a", "b"}, false},
		{"cut off without an undo", []event.Event{run, plain("a")}, nil, false},
		{"undone", []event.Event{run, begin("a"), end("a", passed), undoing("a"), undid("a", passed)}, nil, true},
		{"the undo failed", []event.Event{run, begin("a"), end("a", passed), undoing("a"), undid("a", failed)}, []string{"a"}, true},
		{"the undo was planned", []event.Event{run, begin("a"), end("a", passed), undoing("a"), undid("a", event.Decided)}, []string{"a"}, true},
		{"the undo was cut off", []event.Event{run, begin("a"), end("a", passed), undo, undoing("a")}, []string{"a"}, true},
		{"undone at the second try", []event.Event{run, begin("a"), end("a", passed), undo, undoing("a"), undid("a", failed), undo, undoing("a"), undid("a", passed)}, nil, true},
		{"done again", []event.Event{run, begin("a"), end("a", passed), undoing("a"), undid("a", passed), resume, begin("a"), end("a", passed)}, []string{"a"}, true},
		{"cut off, and not brought to its end", []event.Event{run, begin("a"), undo, begin("a"), end("a", failed)}, []string{"a"}, false},
		{"as a record without that word has it", []event.Event{run, plain("a"), undo, plain("a"), end("a", failed)}, []string{"a"}, false},
		{"brought to its end at the second try", []event.Event{run, begin("a"), undo, begin("a"), end("a", failed), undo, begin("a"), end("a", passed), undoing("a"), undid("a", passed)}, nil, true},
		{"cut off, and failed when resumed", []event.Event{run, begin("a"), resume, begin("a"), end("a", failed)}, nil, false},
		{"a step inside one that is brought to its end", []event.Event{run, begin("a"), begin("a/c/b"), undo, begin("a"), begin("a/c/b"), end("a/c/b", failed), end("a", passed)}, []string{"a"}, false},
		{"both can't be brought to their end", []event.Event{run, begin("a"), begin("a/b"), undo, begin("a"), begin("a/b"), end("a/b", failed), end("a", failed)}, []string{"a"}, false},
		{"only the inner one is", []event.Event{run, plain("a"), begin("a/b"), undo, begin("a/b"), end("a/b", failed)}, []string{"a/b"}, false},
		{"shown again", []event.Event{run, begin("a"), end("a", passed), undid("a", passed), resume, {Type: event.Began, Key: "a", Undoable: true, Replayed: true}}, nil, false},
	} {
		var h event.History
		for i := range c.events {
			h.Add(&c.events[i])
		}
		if got := h.Left(); !slices.Equal(got, c.left) || h.UndoBegun() != c.begun {
			t.Errorf("%s: left is %q, want %q; begun is %t, want %t", c.name, got, c.left, h.UndoBegun(), c.begun)
		}
		for _, key := range []string{"a", "b", "a/b"} {
			if n := h.Node(key); n != nil && n.IsLeft() != slices.Contains(c.left, key) {
				t.Errorf("%s: %q is left: %t", c.name, key, n.IsLeft())
			}
		}
	}
}

// A step that was undone and has run again is no reason why one around it, which an undo has
// brought to its end, doesn't count.
func TestBroughtToItsEndAroundWhatRanAgain(t *testing.T) {
	var h event.History
	for seq, e := range []event.Event{
		{Type: event.RunBegan},
		{Type: event.Began, Key: "o", Undoable: true}, {Type: event.Began, Key: "o/i", Undoable: true},
		{Type: event.Ended, Key: "o/i", Status: event.Passed, Undoable: true}, {Type: event.Ended, Key: "o", Status: event.Passed, Undoable: true},
		{Type: event.Undoing, Key: "o"}, {Type: event.Undid, Key: "o", Status: event.Passed}, {Type: event.Undoing, Key: "o/i"}, {Type: event.Undid, Key: "o/i", Status: event.Passed},
		{Type: event.Resumed},
		{Type: event.Began, Key: "o", Undoable: true}, {Type: event.Began, Key: "o/i", Undoable: true}, {Type: event.Ended, Key: "o/i", Status: event.Passed, Undoable: true},
		{Type: event.Resumed, Undo: true},
		{Type: event.Began, Key: "o", Undoable: true}, {Type: event.Ended, Key: "o", Status: event.Passed, Undoable: true},
	} {
		e.Seq, e.Kind, e.Leg = seq+1, event.Step, 1
		h.Add(&e)
	}
	for _, key := range []string{"o", "o/i"} {
		if !h.CountsDone(h.Node(key)) {
			t.Errorf("%s doesn't count as done: %s", key, h.Why(h.Node(key)))
		}
	}
}
