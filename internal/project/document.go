package project

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// document is a compose file as it is written: its text, and the YAML in it with the
// places where that stands. Package compose says what the file means; this says where
// to change it, so that comments and layout stay as they are.
type document struct {
	text  []byte
	lines []int // where each line begins, in bytes
	root  *yaml.Node
	items map[place]*yaml.Node // elements of sequences
	other map[place]*yaml.Node // scalars that are none
	flow  map[*yaml.Node]bool  // elements of sequences in brackets

	edits []edit
}

// place is a line and a column, as YAML counts them: from 1, in characters.
type place struct{ line, column int }

// edit replaces a part of the text.
type edit struct {
	start, end int // in bytes
	text       string
}

// newDocument parses a text that package compose has parsed already.
func newDocument(text []byte) (*document, error) {
	var top yaml.Node
	if err := yaml.Unmarshal(text, &top); err != nil {
		return nil, err
	}
	d := &document{
		text: text, lines: []int{0}, root: top.Content[0],
		items: map[place]*yaml.Node{}, other: map[place]*yaml.Node{}, flow: map[*yaml.Node]bool{},
	}
	for i, b := range text {
		if b == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	d.index(d.root)
	return d, nil
}

func (d *document) index(n *yaml.Node) {
	for _, child := range n.Content {
		at := place{child.Line, child.Column}
		switch {
		case child.Kind == yaml.AliasNode:
		case n.Kind == yaml.SequenceNode:
			d.items[at] = child
			d.flow[child] = n.Style&yaml.FlowStyle != 0
		case child.Kind == yaml.ScalarNode:
			d.other[at] = child
		}
		d.index(child)
	}
}

// nodeAt is the value at a place: an element of a sequence, or another scalar.
func (d *document) nodeAt(at place) *yaml.Node {
	if n := d.items[at]; n != nil {
		return n
	}
	return d.other[at]
}

// offset is a place in bytes, -1 if there is none.
func (d *document) offset(at place) int {
	if at.line < 1 || at.line > len(d.lines) {
		return -1
	}
	i := d.lines[at.line-1]
	if i == 0 && bytes.HasPrefix(d.text, []byte("\ufeff")) {
		i = len("\ufeff")
	}
	for range at.column - 1 {
		if i >= len(d.text) {
			return -1
		}
		_, size := utf8.DecodeRune(d.text[i:])
		i += size
	}
	return i
}

// token is where a scalar stands in the text, on one line; ok is false for one of
// several lines, or with a tag or an anchor.
func (d *document) token(n *yaml.Node) (start, end int, ok bool) {
	start = d.offset(place{n.Line, n.Column})
	if start < 0 || n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return 0, 0, false
	}
	line, _, _ := strings.Cut(string(d.text[start:]), "\n")
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		end = quoted(line, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		end = quoted(line, '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Value != "" && strings.HasPrefix(line, n.Value):
		end = len(n.Value)
	}
	return start, start + end, end > 0
}

// quoted is the length of the quoted text at the beginning of a line, 0 if it doesn't
// end there.
func quoted(line string, quote byte) int {
	for i := 1; i < len(line); i++ {
		switch {
		case quote == '"' && line[i] == '\\':
			i++
		case quote == '\'' && line[i] == quote && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			return i + 1
		}
	}
	return 0
}

// replace puts other scalars in a scalar's place: one, or several as neighbours of a
// sequence. It tells whether it can.
func (d *document) replace(n *yaml.Node, values ...string) bool {
	start, end, ok := d.token(n)
	if !ok {
		return false
	}
	separator := ", "
	if len(values) > 1 && !d.flow[n] {
		lead := string(d.text[d.lines[n.Line-1]:start])
		if strings.TrimRight(strings.TrimLeft(lead, " "), " ") != "-" {
			return false
		}
		separator = d.newline() + lead
	}
	for i, v := range values {
		values[i] = quote(v, n.Style&yaml.SingleQuotedStyle != 0)
	}
	d.edit(edit{start, end, strings.Join(values, separator)})
	return true
}

// removeField takes a key with its value out of a mapping, with their whole line.
func (d *document) removeField(key, value *yaml.Node) bool {
	_, end, ok := d.token(value)
	if !ok || key.Line != value.Line {
		return false
	}
	start := d.lines[key.Line-1]
	if strings.TrimSpace(string(d.text[start:d.offset(place{key.Line, key.Column})])) != "" {
		return false // in braces, or the first of an element
	}
	rest, _, _ := strings.Cut(string(d.text[end:]), "\n")
	if rest = strings.TrimSpace(rest); rest != "" && !strings.HasPrefix(rest, "#") {
		return false
	}
	next := len(d.text)
	if key.Line < len(d.lines) {
		next = d.lines[key.Line]
	}
	d.edit(edit{start, next, ""})
	return true
}

// edit adds an edit; what several services share is edited once.
func (d *document) edit(e edit) {
	if !slices.Contains(d.edits, e) {
		d.edits = append(d.edits, e)
	}
}

// edited is the text with all edits made.
func (d *document) edited() []byte {
	slices.SortFunc(d.edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	at := 0
	for _, e := range d.edits {
		out.Write(d.text[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(d.text[at:])
	return out.Bytes()
}

func (d *document) newline() string {
	if bytes.Contains(d.text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// quote writes a text of one line as a YAML scalar.
func quote(s string, single bool) string {
	if single {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// fields is the keys of a mapping with their values, aliases resolved, its own before
// merged ones.
func fields(n *yaml.Node) []pair { return fieldsWithin(n, 0) }

func fieldsWithin(n *yaml.Node, depth int) []pair {
	const deepest = 50 // package compose has refused what goes round in circles
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || depth > deepest {
		return nil
	}
	var own, merged []pair
	for kv := range slices.Chunk(n.Content, 2) {
		key, value := kv[0], resolve(kv[1])
		if key.ShortTag() != "!!merge" {
			own = append(own, pair{key, value})
			continue
		}
		from := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			from = value.Content
		}
		for _, m := range from {
			merged = append(merged, fieldsWithin(m, depth+1)...)
		}
	}
	for _, m := range merged {
		if !slices.ContainsFunc(own, func(p pair) bool { return p.key.Value == m.key.Value }) {
			own = append(own, m)
		}
	}
	return own
}

// field is one key of a mapping; ok is false where it isn't there.
func field(n *yaml.Node, name string) (p pair, ok bool) {
	for _, f := range fields(n) {
		if f.key.Value == name {
			return f, true
		}
	}
	return pair{}, false
}

func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
