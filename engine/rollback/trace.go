package rollback

import (
	"encoding/json"
	"slices"
	"sync"
)

// What is something that happened.
type What string

// What happens. The key is that of a step unless it says otherwise.
const (
	ProcessBegan What = "process" // Arg is what it was to do
	ProcessEnded What = "end"     // Arg is how, one of the Outcomes
	ScriptBegan  What = "script"  // the function of the workflow was called
	RunBegan     What = "run"     // the function of a step was called
	RunDone      What = "ran"     // and has done what it does; Arg is its result
	RunFailed    What = "failed"  // or fails, as it was told to
	Passed       What = "passed"  // the script goes on behind the step, which gave it Arg
	UndoBegan    What = "undo"    // the undo function of a step was called with Arg
	UndoDone     What = "undid"   // and has undone it
	UndoFailed   What = "stuck"   // or fails, as it was told to
	Interrupted  What = "signal"  // the process gets a signal to end
	Line         What = "line"    // one more line is in the journal; the rest is what it says
)

// Entry is one thing that happened in a case.
type Entry struct {
	What What   `json:"what"`
	Key  string `json:"key,omitempty"`
	Arg  string `json:"arg,omitempty"`

	// Of a line.
	Event  string `json:"event,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Status string `json:"status,omitempty"`
}

// Trace is what happened in a case, in its order.
type Trace []Entry

// wentOn tells whether a run has gone on in a process, by what happened in it.
func (t Trace) wentOn() bool {
	return slices.ContainsFunc(t, func(e Entry) bool { return e.What == Line && e.Event == "resume" })
}

// The ways in which a process ends.
const (
	EndedWell   = "well"
	EndedFailed = "failed"
	EndedChecks = "checks failed"
	EndedSignal = "interrupted"
	EndedOther  = "another way than the record" // or what the record doesn't allow
	EndedKilled = "killed"
	EndedNotRun = "refused"
)

// tracer notes what happens while the process is alive.
type tracer struct {
	stop func()            // has the process end as a signal would
	tell func(Entry) error // where else entries go; may be nil
	kill func()            // kills the process; nil where it only plays dead

	mu     sync.Mutex // guards what follows
	trace  Trace
	signal int // after so many things comes the signal; never if 0
	death  int // and death; never if 0
	count  int // of things so far
	dead   bool
}

// note adds an entry for something that do does. A process that is dead can't do it.
func (t *tracer) note(e Entry, do func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return errDead
	}
	if t.count++; t.death > 0 && t.count > t.death {
		if t.kill != nil {
			t.kill()
		}
		t.dead = true
		return errDead
	}
	if err := do(); err != nil {
		return err
	}
	err := t.add(e)
	if t.count == t.signal && err == nil {
		err = t.add(Entry{What: Interrupted})
		t.stop()
	}
	return err
}

func (t *tracer) add(e Entry) error {
	t.trace = append(t.trace, e)
	if t.tell != nil {
		return t.tell(e)
	}
	return nil
}

func (t *tracer) isDead() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dead
}

// length is how many entries there are, those of earlier processes included.
func (t *tracer) length() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.trace)
}

// lineOf is what a line of a journal says.
func lineOf(data []byte) (Entry, error) {
	var line struct {
		Event, Key, Kind, Status string
	}
	err := json.Unmarshal(data, &line)
	return Entry{What: Line, Key: line.Key, Event: line.Event, Kind: line.Kind, Status: line.Status}, err
}
