package diag

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Text is a diagnostic as a terminal shows it, lines ending in a newline:
//
//	error: port 4318 is used twice: slot 1 "otlp_http" and slot 2 "otlp_grpc"
//	  --> pool.star:24:22
//	24 |     "otlp_http": port(base = 4317),
//	   |                      ^ and pool.star:23:22
//	  called from provision.star:11:17, in provision
//	hint: kinfra ports shows the whole table
func (d Diagnostic) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n", Printable(d.Message))
	b.WriteString(d.Where())
	if d.Hint != "" {
		fmt.Fprintf(&b, "hint: %s\n", Printable(d.Hint))
	}
	return b.String()
}

// Where is the part of Text between the message and the hint.
func (d Diagnostic) Where() string {
	var b strings.Builder
	if d.Place != nil {
		fmt.Fprintf(&b, "  --> %s\n", Printable(d.Place.String()))
		d.excerpt(&b)
	}
	for _, c := range d.Calls {
		fmt.Fprintf(&b, "  called from %s", Printable(c.Place.String()))
		if c.Function != "" {
			fmt.Fprintf(&b, ", in %s", c.Function)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// excerpt writes the line of the main place with a caret under the column.
func (d Diagnostic) excerpt(b *strings.Builder) {
	p := d.Place
	if p.Source == "" {
		for _, also := range d.Also {
			fmt.Fprintf(b, "  and %s\n", Printable(also.String()))
		}
		return
	}
	number := fmt.Sprint(p.Line)
	line, caret := p.Excerpt()
	fmt.Fprintf(b, "%s | %s\n%*s | %s", number, line, len(number), "", caret)
	for _, also := range d.Also {
		fmt.Fprintf(b, " and %s", Printable(also.String()))
	}
	b.WriteByte('\n')
}

// Excerpt is the line of a place, cut where it is long, and what stands below it to
// point to the column with a caret.
func (p Place) Excerpt() (line, caret string) {
	before, after := cut(Printable(p.Source), p.Column-max(p.From, 1))
	return before + after, blank(before) + "^"
}

// shownSide is how many characters of a line are shown on each side of a column.
const shownSide = 100

// cut is what of a line stands before and after its first n characters, cut where it is
// long.
func cut(line string, n int) (before, after string) {
	const most = shownSide
	all := []rune(line)
	n = min(max(n, 0), len(all))
	before, after = string(all[:n]), string(all[n:])
	if n > most {
		before = "…" + string(all[n-most:n])
	}
	if len(all)-n > most {
		after = string(all[n:n+most]) + "…"
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

// Printable replaces characters that rewrite or hide what a terminal shows, but for
// newlines and tabs: control characters, and those that format without being seen,
// such as what turns the direction of writing.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Cf, r) {
			return utf8.RuneError
		}
		return r
	}, s)
}
