// Package present shows what happens in a run, as it happens: live on a terminal, as
// plain lines, or as JSON lines for programs. Each presenter is given the run's events one after the other.
package present

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/visible"
)

// Plain writes announcements to one stream, and how far the run is to another: a line a
// step.
type Plain struct {
	Announcements, Progress io.Writer
	Style                   Style // of the lines of progress
}

// Show writes what an event has to say, if anything.
func (p *Plain) Show(e *event.Event) {
	if out, text := p.saying(e); text != "" {
		io.WriteString(out, text)
	}
}

// saying is what an event has to say, in whole lines, and to which stream.
func (p *Plain) saying(e *event.Event) (out io.Writer, text string) {
	switch {
	case e.Type == event.Said && e.Replayed: // an earlier process has
		return p.Announcements, ""
	case e.Type == event.Said:
		return p.Announcements, e.Text
	}
	return p.Progress, p.Style.line(e)
}

// line is what an event has to say, with the newline; "" for nothing.
func (s Style) line(e *event.Event) string {
	switch e.Type {
	case event.Told:
		return e.Text + "\n"
	case event.Printed:
		return printedLines(e)
	case event.Warned:
		return s.Status(event.Interrupted, "warning:") + " " + e.Text + "\n" + problems(e.Problems, "")
	case event.Answered:
		return s.answered(e)
	case event.Began:
		if e.Text == "" {
			return ""
		}
		return fmt.Sprintf("  %s %s: %s\n", s.mark("again", event.Interrupted), e.Key, e.Text)
	case event.Retried:
		return fmt.Sprintf("  %s %s in %s: %s\n", s.mark("retry", event.Interrupted), visible.Line(e.Key), seconds(e.Pause), firstLine(e.Problems))
	case event.Undid:
		switch e.Status {
		case event.Passed:
			return fmt.Sprintf("  %s %s\n", s.Mark(event.Undone), visible.Line(e.Key))
		case event.Decided:
			return fmt.Sprintf("  would undo %s\n", visible.Line(e.Key)) + changes(e, below)
		}
		return fmt.Sprintf("  %s undoing %s\n", s.Mark(event.Failed), e.Key) + problems(e.Problems, below)
	case event.Ended:
		return s.ended(e) + changes(e, below)
	case event.RunEnded:
		if e.DryRun {
			return changes(e, "  ") + dryRun
		}
	}
	return ""
}

// printedLines are the lines that processes have finished, behind a bar, so that they aren't
// taken for kinfra's own. Of branches of parallel, of which several may print at once, each
// line says the step.
func printedLines(e *event.Event) string {
	before := "  | "
	if e.Branch != "" {
		before = "  " + visible.Line(nameOf(e.Key)) + " | "
	}
	var text strings.Builder
	for _, p := range e.Output {
		if p.Quiet || p.Unfinished() {
			continue
		}
		for line := range strings.Lines(p.Text) {
			text.WriteString(before + line)
		}
	}
	return text.String()
}

const (
	below  = "        " // the name of a step
	dryRun = "This was a dry run: nothing was changed.\n"
)

// mostChanges is how many changes of a step are told, each on a line.
const mostChanges = 20

// changes is what a dry run would have changed.
func changes(e *event.Event, by string) string {
	if len(e.Changes) == 0 && e.MoreChanges == 0 {
		return ""
	}
	var text strings.Builder
	told := e.Changes[:min(len(e.Changes), mostChanges)]
	for i := range told {
		fmt.Fprintf(&text, "%swould %s\n", by, printed(strings.ReplaceAll(told[i].Text(), "\n", " ")))
	}
	if more := len(e.Changes) - len(told) + e.MoreChanges; more > 0 {
		fmt.Fprintf(&text, "%sand %d more\n", by, more)
	}
	return text.String()
}

// answered tells of an answer. One that the user has just typed stands there already.
func (s Style) answered(e *event.Event) string {
	if e.Answer.By == event.ByTerminal && !e.Replayed {
		return ""
	}
	line := e.Question.Line(e.Answer)
	if e.Replayed {
		line += " (before)"
	}
	return fmt.Sprintf("  %s %s\n", s.mark("asked", event.Running), visible.Line(line))
}

func (s Style) ended(e *event.Event) string {
	switch {
	case e.Replayed:
		return fmt.Sprintf("  %s %s (before)\n", s.mark("done", event.Passed), visible.Line(e.Key))
	case e.Status == event.Passed: // each step says it, so it takes no time to be put together
		return "  " + s.Mark(e.Status) + " " + visible.Line(e.Key) + " " + s.Took(e.Took()) + "\n"
	case e.Status == event.Decided:
		return fmt.Sprintf("  %s %s: known only when it runs\n", s.Mark(e.Status), visible.Line(e.Key))
	case e.Status == event.Skipped:
		return fmt.Sprintf("  %s %s: needs %s\n", s.Mark(e.Status), visible.Line(e.Key), visible.Line(strings.Join(e.Needs, ", ")))
	}
	line := fmt.Sprintf("  %s %s %s\n", s.Mark(event.Failed), visible.Line(e.Key), s.Took(e.Took()))
	if e.Kind == event.Check { // what is wrong with a step ends the run, which says so
		line += problems(e.Problems, below)
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

// Lines writes each event as a line of JSON.
type Lines struct{ Out io.Writer }

// Show writes an event.
func (p *Lines) Show(e *event.Event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // all fields are of types that have a JSON form
	}
	p.Out.Write(append(visible.JSON(line), '\n'))
}
