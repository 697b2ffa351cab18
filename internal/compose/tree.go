package compose

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/internal/hint"
)

// Limits of a file, far above what people write and low enough that none takes
// longer than a second or so.
const (
	maxSize  = 1 << 20 // bytes of the file
	maxDepth = 100     // nested mappings and sequences
	maxNodes = 200_000 // values, each alias counted as what it stands for
	maxText  = 4 << 20 // bytes of the values, aliases counted likewise

	// Interpolating a line takes time in proportion to its length times its
	// variables, since a reference may end with any brace of the line. This limits the
	// sum over all lines.
	maxInterpolation = 32 << 20
)

// kind is what a YAML value is to Compose.
type kind int

const (
	null    kind = iota
	text         // a string; the only kind that is interpolated
	integer      // a Go int
	other        // a boolean, a float, a date
	sequence
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "a boolean, fraction or date", "a list", "a mapping"}[k]
}

// node is a YAML value with aliases and merge keys resolved.
type node struct {
	kind    kind
	line    int
	column  int
	literal bool    // text in a | block, which begins on the next line
	value   string  // a text, not interpolated yet, or an integer's decimal digits
	items   []*node // of a sequence
	fields  []field // of a mapping, in the file's order, merged ones last

	// cut are the keys of a mapping with !reset or !override: their values in
	// an extended service are not merged with the ones here.
	cut []string
}

type field struct {
	key   string
	line  int
	value *node
}

// get returns a mapping's value, or nil.
func (n *node) get(key string) *node {
	i := slices.IndexFunc(n.fields, func(f field) bool { return f.key == key })
	if i < 0 {
		return nil
	}
	return n.fields[i].value
}

// references is the texts in n that have variables, in the file's order.
func (n *node) references() []*node {
	if n.kind == text && strings.Contains(n.value, "$") {
		return []*node{n}
	}
	var all []*node
	for _, item := range n.items {
		all = append(all, item.references()...)
	}
	for _, f := range n.fields {
		all = append(all, f.value.references()...)
	}
	return all
}

func parseYAML(data []byte) (*node, error) {
	if len(data) > maxSize {
		return nil, errorAt(0, "%d bytes: %w (at most %d)", len(data), ErrTooLarge, maxSize)
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, errorAt(0, "%w", err)
	}
	var document, next yaml.Node
	if err := loader.Load(&document); errors.Is(err, io.EOF) {
		return nil, errorAt(0, "it is empty")
	} else if err != nil {
		return nil, syntaxError(err)
	}
	if err := loader.Load(&next); err == nil {
		return nil, errorAt(next.Line, "a second YAML document: %w: put all into one", ErrUnsupported)
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(err)
	}
	b := builder{open: map[*yaml.Node]bool{}}
	top := &document
	if top.Kind == yaml.DocumentNode {
		top = top.Content[0]
	}
	root, err := b.build(top, 0, false)
	if err != nil {
		return nil, err
	}
	if root == nil || root.kind != mapping {
		return nil, errorAt(top.Line, "the top level must be a mapping with a services section")
	}
	return root, nil
}

func syntaxError(err error) error {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		err = errorAt(cmp.Or(e.Mark.Line, e.ContextMark.Line), "not YAML: %s", e.Message)
	} else {
		err = errorAt(0, "not YAML: %w", err)
	}
	return hint.Wrap(err, "fix that line of the compose file; docker compose -f FILE config shows how Docker reads it")
}

// builder resolves a YAML document to nodes, and counts what that amounts to.
type builder struct {
	nodes, text, interpolation int
	open                       map[*yaml.Node]bool // anchored values that are being resolved
}

// build returns nil for a value with the tag !reset. Below !override, Compose
// gives the two tags no meaning, nor does build where verbatim is set.
func (b *builder) build(y *yaml.Node, depth int, verbatim bool) (*node, error) {
	if y.Kind == yaml.AliasNode {
		return b.alias(y, depth, verbatim)
	}
	b.nodes++
	if depth > maxDepth || b.nodes > maxNodes {
		return nil, errorAt(y.Line, "%w: more than %d levels or %d values, with aliases expanded", ErrTooLarge, maxDepth, maxNodes)
	}
	if !verbatim {
		switch y.Tag {
		case "!reset":
			return nil, nil
		case "!override":
			verbatim = true
		}
	}
	if y.Anchor != "" {
		b.open[y] = true
		defer delete(b.open, y)
	}
	switch y.Kind {
	case yaml.ScalarNode:
		return b.scalar(y)
	case yaml.SequenceNode:
		return b.sequence(y, depth, verbatim)
	case yaml.MappingNode:
		return b.mapping(y, depth, verbatim)
	}
	return nil, errorAt(y.Line, "not a value of YAML")
}

func (b *builder) alias(y *yaml.Node, depth int, verbatim bool) (*node, error) {
	if b.open[y.Alias] {
		return nil, errorAt(y.Line, "anchor %s contains itself", y.Value)
	}
	return b.build(y.Alias, depth, verbatim)
}

func (b *builder) scalar(y *yaml.Node) (*node, error) {
	n := &node{kind: text, line: y.Line, column: y.Column, literal: y.Style&yaml.LiteralStyle != 0, value: y.Value}
	if tag := y.ShortTag(); strings.HasPrefix(tag, "!!") && tag != "!!str" {
		var value any
		if err := y.Decode(&value); err != nil {
			return nil, syntaxError(err)
		}
		switch value := value.(type) {
		case string:
			n.value = value
		case int:
			n.kind, n.value = integer, fmt.Sprint(value)
		case nil:
			n.kind, n.value = null, ""
		default:
			n.kind = other
		}
	}
	b.text += len(n.value)
	for line := range strings.Lines(n.value) {
		b.interpolation += len(line) * strings.Count(line, "${")
	}
	if b.text > maxText || b.interpolation > maxInterpolation {
		return nil, errorAt(y.Line, "%w: too much text with aliases expanded, or too many variables on a line", ErrTooLarge)
	}
	return n, nil
}

func (b *builder) sequence(y *yaml.Node, depth int, verbatim bool) (*node, error) {
	n := &node{kind: sequence, line: y.Line}
	for _, item := range y.Content {
		value, err := b.build(item, depth+1, verbatim)
		if err != nil {
			return nil, err
		}
		if value != nil {
			n.items = append(n.items, value)
		}
	}
	return n, nil
}

// mapping resolves a mapping. Its own keys count before merged ones, and of
// several merged mappings the earlier before the later.
func (b *builder) mapping(y *yaml.Node, depth int, verbatim bool) (*node, error) {
	n := &node{kind: mapping, line: y.Line, column: y.Column}
	lines := map[string]int{} // where a key stands
	var merged []*node
	for pair := range slices.Chunk(y.Content, 2) {
		name, value := pair[0], pair[1]
		key, isMerge, err := keyOf(name)
		if err != nil {
			return nil, err
		}
		if line, ok := lines[key]; ok {
			return nil, errorAt(name.Line, "key %.100q is there already, on line %d", key, line)
		}
		lines[key] = name.Line
		if isMerge {
			if merged, err = b.merge(value, depth, verbatim); err != nil {
				return nil, err
			}
			continue
		}
		child, err := b.build(value, depth+1, verbatim)
		if err != nil {
			return nil, err
		}
		if !verbatim && isCut(value) {
			n.cut = append(n.cut, key)
		}
		if child != nil {
			n.fields = append(n.fields, field{key, name.Line, child})
		} else {
			delete(lines, key) // so that a merged one takes its place, as in Compose
		}
	}
	for _, m := range merged {
		n.cut = append(n.cut, m.cut...)
		for _, f := range m.fields {
			if _, ok := lines[f.key]; !ok {
				lines[f.key] = f.line
				n.fields = append(n.fields, f)
			}
		}
	}
	return n, nil
}

// merge returns the mappings that the value of a merge key names.
func (b *builder) merge(y *yaml.Node, depth int, verbatim bool) ([]*node, error) {
	value, err := b.build(y, depth+1, verbatim)
	if err != nil || value == nil {
		return nil, err
	}
	merged := []*node{value}
	if value.kind == sequence {
		merged = value.items
	}
	for _, m := range merged {
		if m.kind != mapping {
			return nil, errorAt(y.Line, "<< merges mappings, not %s", m.kind)
		}
	}
	return merged, nil
}

// keyOf returns a mapping's key, which Compose wants to be text.
func keyOf(y *yaml.Node) (key string, isMerge bool, err error) {
	if y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	if y.Kind != yaml.ScalarNode {
		return "", false, errorAt(y.Line, "a mapping's key must be text")
	}
	switch tag := y.ShortTag(); {
	case tag == "!!merge":
		return y.Value, true, nil
	case tag == "!!str" || !strings.HasPrefix(tag, "!!"):
		return y.Value, false, nil
	}
	return "", false, errorAt(y.Line, "a mapping's key must be text: put %s in quotes", y.Value)
}

// isCut tells whether a value has one of the tags that keep it from being merged.
func isCut(y *yaml.Node) bool {
	if y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return y.Tag == "!reset" || y.Tag == "!override"
}
