package doc

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/engine/table"
)

// width is how many columns text takes: those of a small terminal, and of a mail.
const width = 80

// indent is that of what belongs to the line above.
const indent = "    "

// Text writes entries for people. The zero value writes plain text.
type Text struct {
	Heading func(string) string // styles a heading; nil: as it is
}

func (t Text) heading(b *strings.Builder, text string) {
	if t.Heading != nil {
		text = t.Heading(text)
	}
	b.WriteString(text + "\n")
}

// Overview is a line for each module, builtin without a module, and script.
func (t Text) Overview(r *Reference) string {
	var modules, bare, testing, scripts [][2]string
	for _, m := range r.Modules {
		switch {
		case m.Testing:
			testing = append(testing, [2]string{m.Name, firstSentence(m.Doc)})
		case m.Name != "":
			modules = append(modules, [2]string{m.Name, firstSentence(m.Doc)})
		default:
			bare = append(bare, builtinLines(m.Builtins)...)
		}
	}
	for _, s := range r.Scripts {
		scripts = append(scripts, [2]string{s.Name, firstSentence(s.Doc)})
	}
	var b strings.Builder
	for _, section := range []struct {
		title string
		lines [][2]string
	}{{"Modules", modules}, {"Without a module", bare}, {"Modules for tests", testing}, {"Scripts", scripts}} {
		if len(section.lines) > 0 {
			t.heading(&b, section.title)
			list(&b, section.lines)
			b.WriteString("\n")
		}
	}
	t.heading(&b, "Examples")
	wrap(&b, r.Examples, "  ", "  ")
	return b.String()
}

func builtinLines(builtins []table.Builtin) [][2]string {
	var lines [][2]string
	for _, b := range builtins {
		lines = append(lines, [2]string{b.Name, firstSentence(b.Doc)})
	}
	return lines
}

// list writes names with a text behind each, a line each, cut where the line ends.
func list(b *strings.Builder, lines [][2]string) {
	longest := 0
	for _, line := range lines {
		longest = max(longest, utf8.RuneCountInString(line[0]))
	}
	for _, line := range lines {
		text := fmt.Sprintf("  %-*s  %s", longest, line[0], line[1])
		b.WriteString(strings.TrimRight(cut(text), " ") + "\n")
	}
}

// cut is a line as far as it fits.
func cut(line string) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return line
}

// Entry is what there is to know of a name.
func (t Text) Entry(e Entry) string {
	var b strings.Builder
	switch {
	case e.Module != nil:
		t.module(&b, e.Module)
	case e.Builtin != nil:
		t.builtin(&b, e.Builtin)
	case e.Value != nil:
		t.heading(&b, e.Value.Name)
		wrap(&b, e.Value.Doc, indent, indent)
	case e.Script != nil:
		t.script(&b, e.Script)
	}
	return b.String()
}

func (t Text) module(b *strings.Builder, m *table.Module) {
	t.heading(b, m.Name)
	wrap(b, m.Doc, indent, indent)
	if note := m.Note(); note != "" {
		wrap(b, note, indent, indent)
	}
	for i := range m.Builtins {
		b.WriteString("\n")
		head(b, m.Builtins[i].Signature())
		wrap(b, firstSentence(m.Builtins[i].Doc)+".", indent, indent)
	}
	if len(m.Values) > 0 {
		b.WriteString("\n")
	}
	for _, v := range m.Values {
		wrap(b, v.Name+": "+v.Doc, "", indent)
	}
}

func (t Text) builtin(b *strings.Builder, builtin *table.Builtin) {
	head(b, builtin.Signature())
	wrap(b, builtin.Doc, indent, indent)
	if len(builtin.Params) > 0 {
		b.WriteString("\n")
		t.heading(b, "Parameters")
	}
	for _, p := range builtin.Params {
		wrap(b, p.Name+p.Describe()+": "+p.Help, indent, indent+indent)
	}
	if builtin.Result != "" {
		b.WriteString("\n")
		t.heading(b, "Returns")
		wrap(b, builtin.Result, indent, indent)
	}
	if builtin.Errors != "" {
		b.WriteString("\n")
		t.heading(b, "Errors")
		wrap(b, builtin.Errors, indent, indent)
	}
	if builtin.Example != "" {
		b.WriteString("\n")
		t.heading(b, "Example")
		verbatim(b, builtin.Example)
	}
}

func (t Text) script(b *strings.Builder, s *Script) {
	t.heading(b, fmt.Sprintf("%s (%s)", s.Name, s.Layer))
	docstringText(b, s.Doc)
	if len(s.Commands) > 0 {
		b.WriteString("\n")
		wrap(b, "Command: kinfra "+strings.Join(s.Commands, ", kinfra "), "", indent)
	}
	if len(s.Values) > 0 {
		b.WriteString("\n")
		wrap(b, "Values: "+strings.Join(s.Values, ", "), "", indent)
	}
	for _, f := range s.Functions {
		b.WriteString("\n")
		head(b, f.Signature)
		docstringText(b, f.Doc)
	}
}

// head writes the head of a function, on several lines if it has to.
func head(b *strings.Builder, text string) {
	if utf8.RuneCountInString(text) <= width || strings.Contains(text, "\n") {
		b.WriteString(text + "\n")
		return
	}
	wrap(b, text, "", indent+indent)
}

// verbatim writes a text that has lines of its own.
func verbatim(b *strings.Builder, text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		b.WriteString(strings.TrimRight(indent+line, " \n") + "\n")
	}
}

// docstringText writes a text whose lines mean something, but may be too long: words
// that don't fit go before those of the next line where that one goes on.
func docstringText(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	carried := ""
	for i, line := range lines {
		margin := indent + marginOf(line)
		fits, over := split(strings.Fields(carried+" "+line), width-len(margin))
		b.WriteString(strings.TrimRight(margin+fits, " ") + "\n")
		carried = over
		if i == len(lines)-1 || !goesOn(line, lines[i+1]) {
			wrap(b, carried, margin, margin)
			carried = ""
		}
	}
}

func marginOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " "))] }

// goesOn tells whether a line's text goes on in the next one: not before a blank line,
// or a parameter ("slot: its number"). That of a parameter goes on deeper.
func goesOn(line, next string) bool {
	if strings.TrimSpace(next) == "" || isParameter(next) {
		return false
	}
	have, below := len(marginOf(line)), len(marginOf(next))
	return below == have || isParameter(line) && below > have
}

func isParameter(line string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return strings.HasSuffix(first, ":")
}

// split parts words in those that fit into a line and the others.
func split(words []string, columns int) (fits, over string) {
	n := len(words)
	for n > 1 && utf8.RuneCountInString(strings.Join(words[:n], " ")) > columns {
		n--
	}
	return strings.Join(words[:n], " "), strings.Join(words[n:], " ")
}

// wrap writes a text in lines that fit, the first behind one indentation, the others
// behind another.
func wrap(b *strings.Builder, text, first, others string) {
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, empty = others, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	if !empty {
		b.WriteString(line + "\n")
	}
}
