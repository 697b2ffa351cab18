package event_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
)

// The page about runs has a row for each type of event, and these name each field.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/runs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## Events\n")
	if !found {
		t.Fatal("docs/runs.md has no section about events")
	}
	events, answers, found := strings.Cut(section, "\n### Answers to questions\n")
	if !found {
		t.Fatal("docs/runs.md has no section about answers")
	}
	var documented []string
	rows := ""
	for line := range strings.Lines(events) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			documented = append(documented, quoted(cells[1])...)
			rows += cells[1] + cells[3]
		}
	}
	types := typesInSource(t)
	if len(types) < 15 {
		t.Fatalf("found are the types %q", types)
	}
	for _, name := range types {
		if !slices.Contains(documented, name) {
			t.Errorf("the event %q has no row", name)
		}
	}
	for _, name := range documented {
		if name != "event" && !slices.Contains(types, name) {
			t.Errorf("there is a row for the event %q, which there isn't", name)
		}
	}
	for _, of := range []struct {
		value any
		text  string
	}{{event.Event{}, rows}, {event.Run{}, rows}, {event.Piece{}, rows}, {event.Place{}, rows}, {event.Question{}, answers}, {event.Answer{}, answers}} {
		names := quoted(of.text)
		for _, field := range fields(reflect.TypeOf(of.value)) {
			if !slices.Contains(names, field) {
				t.Errorf("the field %q of %T is not documented", field, of.value)
			}
		}
	}
}

// quoted is what stands between backquotes.
func quoted(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// fields is the names that the fields of a struct have in JSON.
func fields(t reflect.Type) []string {
	var all []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, name)
	}
	return all
}

// typesInSource is the values of the constants of type Type.
func typesInSource(t *testing.T) []string {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Type" {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, text)
			}
		}
		return true
	})
	return all
}
