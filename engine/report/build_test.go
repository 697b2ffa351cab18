package report

import (
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// What is replayed when a run goes on stays as it was, with its evidence and times.
func TestReplayedStepsStayAsTheyWere(t *testing.T) {
	began := time.Date(2026, 2, 2, 10, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	r := Of([]event.Event{
		{Type: event.RunBegan, Time: at(0), Run: &event.Run{Command: "x"}},
		{Type: event.Began, Time: at(1), Key: "a", Kind: event.Step},
		{Type: event.Retried, Time: at(2), Key: "a"},
		{Type: event.Noted, Time: at(2), Key: "a", Name: "log", Text: "text"},
		{Type: event.Ended, Time: at(3), Key: "a", Status: event.Passed, Seconds: 2},
		{Type: event.Began, Time: at(3), Key: "b", Kind: event.Step},
		{Type: event.Resumed, Time: at(100)},
		{Type: event.Began, Time: at(101), Key: "a", Kind: event.Step, Replayed: true},
		{Type: event.Ended, Time: at(101), Key: "a", Status: event.Passed, Seconds: 2, Replayed: true},
		{Type: event.Began, Time: at(102), Key: "b", Kind: event.Step},
	})
	a, b := r.Nodes[0], r.Nodes[1]
	if a.Start != time.Second || a.Took != 2*time.Second || a.Retries != 1 || !a.Replayed || len(a.Evidence) != 1 {
		t.Errorf("what was replayed is %+v", *a)
	}
	if b.Start != 102*time.Second || b.Status != event.Running || b.Replayed {
		t.Errorf("what began anew is %+v", *b)
	}
}

// A run gets its name when its record begins.
func TestRecordedRunsHaveTheirName(t *testing.T) {
	r := Of([]event.Event{
		{Type: event.RunBegan, Run: &event.Run{Command: "x"}},
		{Type: event.Recorded, Run: &event.Run{Command: "x", ID: "20260202-101112-ab12cd"}},
	})
	if r.ID != "20260202-101112-ab12cd" || r.Command != "x" {
		t.Errorf("the run is %q %q", r.ID, r.Command)
	}
}
