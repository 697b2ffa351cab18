package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ktrdr/kinfra/engine/event"
)

// parse reads the lines of a journal. The last line may be a part of one, or what a loss
// of power made of it: that is left out, and whole is the length of the rest. The first
// line is always whole.
func parse(path string, data []byte) (events []event.Event, whole int, err error) {
	if len(data) == 0 {
		return nil, 0, &DamagedError{Path: path, Err: errEmpty}
	}
	for number := 1; whole < len(data); number++ {
		line, _, ended := bytes.Cut(data[whole:], []byte("\n"))
		var e event.Event
		err := parseLine(line, &e)
		if err == nil && !ended {
			err = errors.New("the line has no end")
		}
		if err != nil {
			if last := whole+len(line)+1 >= len(data); last && number > 1 {
				break
			}
			return nil, 0, &DamagedError{path, number, err}
		}
		events = append(events, e)
		whole += len(line) + 1
	}
	if err := checkFirst(events); err != nil {
		return nil, 0, &DamagedError{path, 1, err}
	}
	return events, whole, nil
}

func parseLine(line []byte, e *event.Event) error {
	if err := json.Unmarshal(line, e); err != nil {
		return err
	}
	if e.Type == "" {
		return errors.New("it is no event")
	}
	if lacking(e) {
		return fmt.Errorf("the event %q lacks what it is about", e.Type)
	}
	return nil
}

// lacking tells whether an event is without what whoever reads it relies on.
func lacking(e *event.Event) bool {
	switch e.Type {
	case event.RunBegan, event.Resumed:
		return e.Run == nil
	case event.Clock:
		return e.Read == nil
	case event.Ended:
		return e.Key == "" || e.Kind == event.Step && e.Status == event.Passed && e.Result == nil
	case event.Began, event.Retried, event.Noted, event.Undoing, event.Undid:
		return e.Key == ""
	}
	return false
}

func checkFirst(events []event.Event) error {
	if len(events) == 0 || events[0].Type != event.RunBegan {
		return errors.New("it does not begin with the run")
	}
	if v := events[0].Run.Version; v != event.Version {
		return fmt.Errorf("it is of version %d, this kinfra reads version %d", v, event.Version)
	}
	return nil
}
