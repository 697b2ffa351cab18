package diag

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ktrdr/kinfra/internal/visible"
)

// Text is a diagnostic as a terminal shows it once what isn't seen in it has been made
// visible, lines ending in a newline:
//
//	error: port 4318 is used twice: slot 1 "otlp_http" and slot 2 "otlp_grpc"
//	  --> pool.star:24:22
//	24 |     "otlp_http": port(base = 4317),
//	   |                      ^ and pool.star:23:22
//	  called from provision.star:11:17, in provision
//	hint: kinfra ports shows the whole table
//
// Where the script differs from one on record, the line there follows in the same form,
// below "on record is pool.star:23:22".
func (d Diagnostic) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n", d.Message)
	b.WriteString(d.Where())
	if d.Hint != "" {
		fmt.Fprintf(&b, "hint: %s\n", d.Hint)
	}
	return b.String()
}

// Where is the part of Text between the message and the hint.
func (d Diagnostic) Where() string {
	var b strings.Builder
	if d.Place != nil {
		fmt.Fprintf(&b, "  --> %s\n", visible.Line(d.Place.String()))
		d.excerpt(&b)
	}
	for _, c := range d.Calls {
		fmt.Fprintf(&b, "  called from %s", visible.Line(c.Place.String()))
		if c.Function != "" {
			fmt.Fprintf(&b, ", in %s", c.Function)
		}
		b.WriteByte('\n')
	}
	if p := d.Recorded; p != nil {
		fmt.Fprintf(&b, "  on record is %s\n", visible.Line(p.String()))
		if p.Source != "" {
			p.lines(&b)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// excerpt writes the line of the main place with a caret under the column.
func (d Diagnostic) excerpt(b *strings.Builder) {
	p := d.Place
	if p.Source == "" {
		for _, also := range d.Also {
			fmt.Fprintf(b, "  and %s\n", visible.Line(also.String()))
		}
		return
	}
	p.lines(b)
	for _, also := range d.Also {
		fmt.Fprintf(b, " and %s", visible.Line(also.String()))
	}
	b.WriteByte('\n')
}

// lines writes the line of a place with a caret under the column.
func (p Place) lines(b *strings.Builder) {
	number := fmt.Sprint(p.Line)
	line, caret := p.Excerpt()
	fmt.Fprintf(b, "%s | %s\n%*s | %s", number, line, len(number), "", caret)
}

// Excerpt is the line of a place, cut where it is long, and what stands below it to
// point to the column with a caret.
func (p Place) Excerpt() (line, caret string) {
	before, after := cutAt(p.Source, p.Column-max(p.From, 1))
	before, after = visible.Text(before), visible.Text(after)
	return before + after, blank(before) + "^"
}

// shownSide is how many characters of a line are shown on each side of a column.
const shownSide = 100

// cutAt is what of a line stands before and after its first n characters, cut where
// it is long.
func cutAt(line string, n int) (before, after string) {
	const most = shownSide
	starts := make([]int, 0, len(line)+1)
	for i := range line {
		starts = append(starts, i)
	}
	all := len(starts)
	starts = append(starts, len(line))
	n = min(max(n, 0), all)
	before, after = line[:starts[n]], line[starts[n]:]
	if n > most {
		before = "…" + line[starts[n-most]:starts[n]]
	}
	if all-n > most {
		after = line[starts[n]:starts[n+most]] + "…"
	}
	return before, after
}

// blank is space as wide as a text: a tab stays a tab.
func blank(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteString(strings.Repeat(" ", text.RuneWidth(r)))
		}
	}
	return b.String()
}
