package present

import (
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/visible"
)

// Style is how steps and checks are written: with colours, or without if its ink is blank. The words are the
// same, so that nothing is said by a colour alone.
type Style struct{ Ink visible.Ink }

// Mark is the word for how a step or check ended, padded to the width of all marks.
func (s Style) Mark(status event.Status) string { return s.mark(word(status), status) }

func word(status event.Status) string {
	switch status {
	case event.Passed:
		return "ok"
	case event.Failed:
		return "FAIL"
	case event.Skipped:
		return "skip"
	case event.Undone:
		return "undid"
	case event.Running:
		return "open"
	case event.Decided:
		return "later"
	}
	return ""
}

// Status is a text in the colour of a status.
func (s Style) Status(status event.Status, text string) string { return s.paint(colorOf(status), text) }

// Took is how long something took, in brackets.
func (s Style) Took(d time.Duration) string {
	return s.paint(text.Faint, "("+Short(d).String()+")")
}

// mark is a word in the colour of a status, padded.
func (s Style) mark(word string, status event.Status) string {
	return s.Status(status, word) + padding[min(len(word), len(padding)):]
}

// padding is as wide as the longest mark.
const padding = "     "

// noColor is that of a text as the terminal shows it by itself.
const noColor = text.Reset

func (s Style) paint(color text.Color, t string) string {
	if color == noColor {
		return t
	}
	return s.Ink.Paint(int(color), t)
}

func colorOf(status event.Status) text.Color {
	switch status {
	case event.Passed:
		return text.FgGreen
	case event.Failed:
		return text.FgRed
	case event.Skipped, event.Undone, event.Interrupted:
		return text.FgYellow
	case event.Running:
		return text.FgCyan
	case event.Decided:
		return text.Faint
	}
	return noColor
}

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
