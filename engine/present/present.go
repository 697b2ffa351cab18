// Package present shows what happens in a run, as it happens: as plain lines, or as
// JSON lines for programs. Each presenter is given the run's events one after the other.
package present

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// Plain writes announcements to one stream, and how far the run is to another: a line a
// step, without escape codes.
type Plain struct{ Announcements, Progress io.Writer }

// Show writes what an event has to say, if anything.
func (p *Plain) Show(e *event.Event) {
	if e.Type == event.Said {
		io.WriteString(p.Announcements, e.Text)
		return
	}
	io.WriteString(p.Progress, Line(e))
}

// Line is what an event has to say in plain text, with the newline; "" for nothing.
func Line(e *event.Event) string {
	switch e.Type {
	case event.Told:
		return e.Text + "\n"
	case event.Warned:
		return "warning: " + e.Text + "\n" + problems(e.Problems, "")
	case event.Retried:
		return fmt.Sprintf("  retry %s in %s: %s\n", e.Key, seconds(e.Pause), firstLine(e.Problems))
	case event.Undid:
		if e.Status == event.Passed {
			return fmt.Sprintf("  undid %s\n", e.Key)
		}
		return fmt.Sprintf("  FAIL  undoing %s\n", e.Key) + problems(e.Problems, "        ")
	case event.Ended:
		return ended(e)
	}
	return ""
}

func ended(e *event.Event) string {
	switch {
	case e.Replayed:
		return fmt.Sprintf("  done  %s (before)\n", e.Key)
	case e.Status == event.Passed:
		return fmt.Sprintf("  ok    %s (%s)\n", e.Key, Short(e.Took()))
	case e.Status == event.Decided:
		return fmt.Sprintf("  later %s: known only when it runs\n", e.Key)
	case e.Status == event.Skipped:
		return fmt.Sprintf("  skip  %s: needs %s\n", e.Key, strings.Join(e.Needs, ", "))
	}
	line := fmt.Sprintf("  FAIL  %s (%s)\n", e.Key, Short(e.Took()))
	if e.Kind == event.Check { // what is wrong with a step ends the run, which says so
		line += problems(e.Problems, "        ")
	}
	return line
}

func problems(all []diag.Diagnostic, by string) string {
	var text strings.Builder
	for _, d := range all {
		for line := range strings.Lines(d.Text()) {
			text.WriteString(by + line)
		}
	}
	return text.String()
}

func firstLine(all []diag.Diagnostic) string {
	if len(all) == 0 {
		return "it failed"
	}
	line, _, _ := strings.Cut(all[0].Message, "\n")
	return line
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Short rounds a duration to what a reader wants to know.
func Short(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}

// Lines writes each event as a line of JSON.
type Lines struct{ Out io.Writer }

// Show writes an event.
func (p *Lines) Show(e *event.Event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // all fields are of types that have a JSON form
	}
	p.Out.Write(append(line, '\n'))
}
