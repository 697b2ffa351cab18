package present

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/visible"
)

// What is drawn has an empty row on top, on which the cursor rests. Drawing begins
// there, so no rows are ever counted: whatever a terminal makes of them when its size
// changes (many break long rows in two), they are below the cursor and can be erased.
// What somebody else writes, and the prompt of the shell if the process is killed,
// comes out on the empty row.
//
// The cursor is never hidden, so that it can't be left so.
const (
	erasing = "\r\x1b[J" // from the cursor to the end of the screen

	eraseRest = "\x1b[K" // of the row
	noWrap    = "\x1b[?7l"
	wrap      = "\x1b[?7h"
)

// drawing is what draws rows from where the cursor is, and brings it back. Rows that
// the terminal takes for wider than they are counted end at its edge. Of the rows, only
// what the ink has painted becomes an escape code.
func drawing(rows []string, ink visible.Ink) string {
	var b strings.Builder
	b.WriteString(noWrap + "\r" + eraseRest)
	for _, row := range rows {
		b.WriteString("\r\n" + ink.Text(row, true) + eraseRest)
	}
	fmt.Fprintf(&b, "\x1b[J\x1b[%dA\r%s", len(rows), wrap)
	return b.String()
}

// Rows of the terminal that are not drawn on: the empty one, and some of what has ended.
const rowsLeft = 4

// rows is what is to be drawn on a terminal of a size, without the empty row.
func (l *Live) rows(width, height int) []string {
	width-- // a character in the last column may stand in the next row for a terminal
	if width < 1 || height < 2 {
		return nil
	}
	most := max(0, height-rowsLeft)
	rows := make([]string, 0, most+1)
	lines := l.linesEach(most - len(l.running.nodes))
	walk(l.running.top, 0, func(n *running, depth int) {
		if len(rows) < most {
			rows = append(rows, l.row(n, depth, width))
		}
		for _, line := range lines(n) {
			indent := strings.Repeat(" ", min(4+2*depth, width/4))
			rows = append(rows, l.Style.fit(width, span{text: indent}, span{"| " + line, text.Faint}))
		}
	})
	if more := len(l.running.nodes) - most; more > 0 && most > 0 {
		rows[most-1] = l.Style.fit(width, span{fmt.Sprintf("  … and %d more", more+1), text.Faint})
	}
	return append(rows, l.summary(width))
}

// linesEach parts the rows for which there is room among the steps in which processes print:
// what it returns gives the lines of each, in the order in which the steps are drawn.
func (l *Live) linesEach(room int) func(*running) []string {
	printing := 0
	for _, n := range l.running.nodes {
		if len(n.lines(1)) > 0 {
			printing++
		}
	}
	each := 0
	if printing > 0 {
		each = min(max(room/printing, 1), mostLines)
	}
	return func(n *running) []string {
		lines := n.lines(min(each, max(room, 0)))
		room -= len(lines)
		return lines
	}
}

// narrow is the width below which names need the room of the marks.
const narrow = 40

// row is a line about what is running.
func (l *Live) row(n *running, depth, width int) string {
	before := []span{{text: strings.Repeat(" ", min(2+2*depth, width/4))}}
	if width >= narrow {
		before = append(before, span{"run", colorOf(event.Running)}, span{text: padding[len("run"):] + " "})
	}
	after := []span{{" (" + clock(l.now.Sub(n.began)) + ")", text.Faint}}
	if n.try > 1 {
		after = append(after, span{fmt.Sprintf(" try %d", n.try), colorOf(event.Interrupted)})
	}
	name := cut(n.name, max(width-widthOf(before)-widthOf(after), 4))
	spans := append(append(before, span{text: name}), after...)
	if n.told != "" {
		spans = append(spans, span{"  " + n.told, text.Faint})
	}
	return l.Style.fit(width, spans...)
}

// summary is the line about the whole run.
func (l *Live) summary(width int) string {
	passed := l.now.Sub(l.began)
	spans := []span{
		{spinner(passed), colorOf(event.Running)},
		{text: fmt.Sprintf(" %d done", l.counts.done)},
	}
	if n := l.counts.failed; n > 0 {
		spans = append(spans, span{text: ", "}, span{fmt.Sprintf("%d failed", n), colorOf(event.Failed)})
	}
	if n := l.counts.skipped; n > 0 {
		spans = append(spans, span{text: fmt.Sprintf(", %d skipped", n)})
	}
	spans = append(spans, span{text: fmt.Sprintf(", %d running", len(l.running.nodes))}, span{" (" + clock(passed) + ")", text.Faint})
	return l.Style.fit(width, spans...)
}

// spinner turns once a second.
func spinner(passed time.Duration) string {
	turns := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	i := int(passed/(100*time.Millisecond)) % len(turns)
	return string(turns[max(i, 0)])
}

// clock is how long something has been running.
func clock(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// span is a part of a line in one colour.
type span struct {
	text  string
	color text.Color
}

func widthOf(spans []span) int {
	width := 0
	for _, s := range spans {
		width += text.StringWidthWithoutEscSequences(s.text)
	}
	return width
}

// fit is a line of at most a width.
func (s Style) fit(width int, spans ...span) string {
	var b strings.Builder
	whole := widthOf(spans) <= width
	for _, part := range spans {
		t := part.text
		if !whole {
			t = head(t, width-1)
			width -= text.StringWidthWithoutEscSequences(t)
		}
		b.WriteString(s.paint(part.color, t))
		if len(t) < len(part.text) {
			break
		}
	}
	if !whole {
		b.WriteString("…")
	}
	return b.String()
}

// cut is a text of at most a width, which says by its end if it was longer.
func cut(t string, width int) string {
	if text.StringWidthWithoutEscSequences(t) <= width {
		return t
	}
	return head(t, width-1) + "…"
}

// head is as much of the beginning of a text as a width holds.
func head(t string, width int) string {
	for i, r := range t {
		if width -= text.RuneWidth(r); width < 0 {
			return t[:i]
		}
	}
	return t
}

// longest is how many characters of a text are looked at: no terminal is wider.
const longest = 1000

// printed is a text as it can stand within a line, and as wide as it is drawn.
func printed(t string) string {
	if len(t) > longest {
		t = strings.ToValidUTF8(t[:longest], "")
	}
	return visible.Line(strings.ReplaceAll(t, "\t", " "))
}
