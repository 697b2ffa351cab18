package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ktrdr/kinfra/engine/event"
)

// content is what a journal says.
type content struct {
	events    []event.Event
	whole     int  // bytes of the lines that count
	unchecked int  // lines at the beginning that have no hashes
	last      link // the hash of the last line; of a journal without hashes, that of all lines
	scripts   link // that of the scripts; zero where it isn't known
}

// reading is a journal that is being read.
type reading struct {
	content
	data    []byte
	seal    *sealed         // nil where there is none
	durable int             // how many lines are known to have been on disk
	running map[string]bool // steps and checks, by their keys
	memory  []byte
	hashOf  linker // the first line tells it
}

// journalLine is an event with what the journal adds to it.
type journalLine struct {
	event.Event
	Durable int `json:"durable"`

	hash link // of the line, where it has one
}

// tornError says that a line isn't as it was written, which a loss of power may have done
// if it was not on disk by then.
type tornError struct{ error }

// parse reads a journal under its seal, nil if it has none. What comes behind the lines
// that are known to have been on disk may be a part, or what a loss of power made of it:
// it is left out from the first line on that isn't whole. The first line is always whole.
func parse(path string, data []byte, seal *sealed) (*content, error) {
	return newReading(data, seal).finish(path)
}

func newReading(data []byte, seal *sealed) *reading {
	r := &reading{data: data, seal: seal, running: map[string]bool{}}
	r.unchecked = math.MaxInt
	if seal != nil {
		r.durable = seal.last.count
	}
	return r
}

// finish reads what is left.
func (r *reading) finish(path string) (*content, error) {
	if len(r.data) == 0 {
		return nil, &DamagedError{Path: path, Err: errEmpty}
	}
	number, err := r.lines()
	if errors.Is(err, errNoSeal) {
		return nil, &DamagedError{Path: path, Err: err}
	}
	if n := len(r.events); err == nil && n < r.durable {
		number, err = n+1, fmt.Errorf("it is missing, though %d lines were on disk", r.durable)
	}
	if err != nil {
		return nil, &DamagedError{path, number, err}
	}
	if n := len(r.events); r.unchecked >= n {
		r.unchecked, r.last = n, r.hashOf(r.data[:r.whole])
	}
	return &r.content, nil
}

// lines reads line by line, and tells which one is damaged.
func (r *reading) lines() (number int, err error) {
	for r.whole < len(r.data) {
		number = len(r.events) + 1
		text, rest, ended := bytes.Cut(r.data[r.whole:], []byte("\n"))
		line, err := r.line(number, text)
		if err == nil && !ended {
			err = tornError{errors.New("the line has no end")}
		}
		if errors.As(err, new(tornError)) && r.mayBeTorn(number, text, rest) {
			break
		}
		if err == nil {
			r.whole += len(text) + 1
			err = r.add(number, line)
		}
		if err != nil {
			return number, err
		}
	}
	return 0, nil
}

// line reads a line, and holds it against its hash if it has one. It does not count before
// it is added.
func (r *reading) line(number int, text []byte) (*journalLine, error) {
	if number == 1 {
		if err := r.begin(text); err != nil {
			return nil, err
		}
	}
	var line journalLine
	if number > r.unchecked {
		before := r.last
		if number == 1 {
			before = origin
		}
		var ok bool
		if line.hash, ok = r.follows(before, text); !ok {
			return nil, tornError{errors.New("it has changed since it was written, or isn't the one that came next")}
		}
	}
	err := parseLine(text, &line)
	if _, hashed := hashIn(text); err == nil && hashed && r.seal == nil {
		err = errNoSeal
	} else if err != nil && number <= r.unchecked && !r.sealedAsItIs(number) {
		err = tornError{err}
	}
	return &line, err
}

// sealedAsItIs tells whether a line without a hash is one of those that a hash is over.
func (r *reading) sealedAsItIs(number int) bool { return r.seal != nil && number <= r.seal.first.count }

// begin looks at the version, which says which lines have a hash.
func (r *reading) begin(text []byte) error {
	var line journalLine
	if err := parseLine(text, &line); err != nil {
		return err
	}
	if line.Type != event.RunBegan {
		return errors.New("it does not begin with the run")
	}
	version := line.Run.Version
	switch {
	case version < 1 || version > Version:
		return fmt.Errorf("it is of version %d, this kinfra reads versions 1 to %d", version, Version)
	case version > 1 && r.seal == nil:
		return errNoSeal
	case version > 1:
		r.unchecked = 0
	case r.seal != nil:
		r.unchecked = r.seal.first.count
	}
	r.hashOf = linkerOf(version)
	copy(r.scripts[:], line.Scripts) // the journal's own, not the event's
	return nil
}

// mayBeTorn tells whether a line that isn't whole may be one that was not on disk when the
// power was lost, by what is known without the rest of the journal and by that.
func (r *reading) mayBeTorn(number int, torn, rest []byte) bool {
	if number == 1 || number <= r.durable {
		return false
	}
	if number <= r.unchecked {
		return len(rest) == 0
	}
	// Later lines may know better. They can be held against the hash that stands in the
	// line before, whether that one is whole or not.
	before, _ := hashIn(torn)
	for text := range bytes.Lines(rest) {
		text, ended := bytes.CutSuffix(text, []byte("\n"))
		hash, ok := r.follows(before, text)
		var line journalLine
		says := ok && ended && bytes.Contains(text, []byte(durableField))
		if says && json.Unmarshal(text, &line) == nil && line.Durable >= number {
			return false
		}
		before = hash
	}
	return true
}

// follows tells whether a line carries the right hash, where the one before has the hash
// before.
func (r *reading) follows(before link, text []byte) (hash link, ok bool) {
	if hash, ok = hashIn(text); !ok {
		return hash, false
	}
	r.memory = append(append(r.memory[:0], before[:]...), text[:len(text)-hashSize]...)
	return hash, r.hashOf(r.memory) == hash
}

// add takes a line that is whole to the others, if it can come after them.
func (r *reading) add(number int, line *journalLine) error {
	r.durable = max(r.durable, line.Durable)
	if err := r.inOrder(number, &line.Event); err != nil {
		return err
	}
	if number == 1 {
		line.Scripts = ""
	}
	r.events = append(r.events, line.Event)
	if number > r.unchecked {
		r.last = line.hash
	}
	if r.sealedAsItIs(number) && number == r.unchecked {
		if r.last = r.hashOf(r.data[:r.whole]); r.last != r.seal.first.hash {
			return fmt.Errorf("it, or one before it, has changed since the run was first resumed")
		}
	}
	if r.seal != nil && number == r.seal.last.count && number > r.unchecked && r.last != r.seal.last.hash {
		return errors.New("the seal was put on another line")
	}
	return nil
}

// inOrder fails for what no run writes after the lines before.
func (r *reading) inOrder(number int, e *event.Event) error {
	if known := statuses(e.Type); known != nil && !slices.Contains(known, e.Status) {
		return fmt.Errorf("the event %q has the status %q", e.Type, e.Status)
	}
	switch e.Type {
	case event.RunBegan:
		if number > 1 {
			return errors.New("the run begins a second time")
		}
	case event.Began:
		r.running[e.Key] = true
	case event.Ended:
		if !r.running[e.Key] {
			return fmt.Errorf("%q ends, and has not begun", e.Key)
		}
		r.running[e.Key] = false
	case event.Undoing, event.Undid:
		if _, begun := r.running[e.Key]; !begun {
			return fmt.Errorf("%q is undone, and has not begun", e.Key)
		}
	}
	return nil
}

// statuses are those with which something ends, nil for events of other types.
func statuses(t event.Type) []event.Status {
	switch t {
	case event.Ended:
		return []event.Status{event.Passed, event.Failed, event.Skipped, event.Decided}
	case event.Undid:
		return []event.Status{event.Passed, event.Failed, event.Decided}
	case event.RunEnded:
		return []event.Status{event.Passed, event.Failed, event.Undone, event.Interrupted}
	}
	return nil
}

func parseLine(text []byte, line *journalLine) error {
	if err := json.Unmarshal(text, line); err != nil {
		return err
	}
	if line.Type == "" {
		return errors.New("it is no event")
	}
	if lacking(&line.Event) {
		return fmt.Errorf("the event %q lacks what it is about", line.Type)
	}
	return nil
}

// lacking tells whether an event is without what whoever reads it relies on.
func lacking(e *event.Event) bool {
	switch e.Type {
	case event.RunBegan:
		return e.Run == nil
	case event.Resumed:
		return e.Run == nil || e.Scripts != "" && !laterScripts.MatchString(e.Scripts)
	case event.Clock:
		return e.Read == nil
	case event.Concealed:
		return e.Text == ""
	case event.FileRead:
		return e.File == ""
	case event.Ended:
		return e.Key == "" || e.Kind == event.Step && e.Status == event.Passed && e.Result == nil
	case event.Began, event.Retried, event.Noted, event.Undoing, event.Undid:
		return e.Key == ""
	}
	return false
}
