package report

import (
	"bytes"
	"html"
	"strings"

	"github.com/ktrdr/kinfra/internal/visible"
)

// markup writes HTML. Every element that it opens it closes, and all text and all values
// of attributes go through escape, so what a script puts on record can't become markup.
// The names of tags and attributes are those in the code.
type markup struct{ out bytes.Buffer }

// attrs are names and values of attributes, in turn.
type attrs []string

// in writes an element around what inside writes.
func (m *markup) in(tag string, a attrs, inside func()) {
	m.open(tag, a)
	m.out.WriteByte('>')
	inside()
	m.out.WriteString("</" + tag + ">")
}

// say writes an element that holds a text.
func (m *markup) say(tag string, a attrs, text string) {
	m.in(tag, a, func() { m.text(text) })
}

// void writes an element that holds nothing.
func (m *markup) void(tag string, a attrs) {
	m.open(tag, a)
	m.out.WriteString("/>")
}

func (m *markup) open(tag string, a attrs) {
	m.out.WriteString("<" + tag)
	for i := 0; i+1 < len(a); i += 2 {
		m.out.WriteString(" " + a[i] + `="`)
		m.text(a[i+1])
		m.out.WriteByte('"')
	}
}

// text writes a text, so that it is seen as it is.
func (m *markup) text(s string) { m.out.WriteString(escape(s)) }

// line ends a line of the page's source.
func (m *markup) line() { m.out.WriteByte('\n') }

// trusted writes a file of this package as it is.
func (m *markup) trusted(file string) { m.out.WriteString(file) }

// escape makes text safe between tags and between double quotes, and shows characters
// that no one would see, or that turn the direction of writing, as what they are.
func escape(s string) string {
	return html.EscapeString(visible.Text(strings.ReplaceAll(s, "\r\n", "\n")))
}
