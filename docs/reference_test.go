// Package docs_test holds the documentation to the code that it describes.
package docs_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
)

var update = flag.Bool("update", false, "rewrite reference.md")

const head = `# Reference

What scripts can call, made from the tables in which the builtins are declared: ` + "`go test ./docs -update`" + `
writes this page, so change the tables, not the page. How a script is put together,
[writing-workflows.md](writing-workflows.md) tells.

Beside these there is Starlark itself, with ` + "`print`, `len`, `sorted`, `set`" + ` and the others of its
[specification](https://github.com/google/starlark-go/blob/master/doc/spec.md#built-in-constants-and-functions).
What a script prints is announced: on stdout, or on stderr where stdout is for ` + "`--output json`" + `.

In a signature, what stands behind a ` + "`*`" + ` is given by name. A parameter with ` + "`= None`" + ` can be left out. A result
is ` + "`None`" + ` where nothing is said of one. Every call fails when it gets a value of a type that it doesn't take,
and every call that reaches the outside fails as that fails.

` + builtins.ExampleMachine + `
In them, ` + "`# -> `" + ` says what a line gives, and ` + "`# fails: `" + ` that it fails and with what. All of them are run as tests.

`

func modules() []table.Module {
	return slices.Concat(engine.Modules(), builtins.Modules(builtins.Options{}), builtins.TestModules(builtins.Options{}, nil))
}

// TestReference: the page is what the tables say.
func TestReference(t *testing.T) {
	want := head + table.Markdown(modules())
	if *update {
		if err := os.WriteFile("reference.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if changes := diff.Diff("reference.md", have, "the tables", []byte(want)); changes != nil {
		t.Errorf("the page has drifted from the tables; go test ./docs -update writes it:\n%s", changes)
	}
}

// TestTables: nothing is declared without a word of help, and all in one form, so
// that the reference reads as one page.
func TestTables(t *testing.T) {
	sentence := func(what, text string) {
		if text == "" || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: want sentences, got %q", what, text)
		}
	}
	phrase := func(what, text string) {
		if text == "" || strings.HasSuffix(text, ".") || strings.Contains(text, "\n") {
			t.Errorf("%s: want a line without a full stop, got %q", what, text)
		}
	}
	seen := map[string]bool{}
	for _, m := range modules() {
		prefix := ""
		if m.Name != "" {
			sentence("module "+m.Name, m.Doc)
			prefix = m.Name + "."
		}
		if len(m.Builtins) == 0 {
			t.Errorf("module %q has no builtins", m.Name)
		}
		for _, v := range m.Values {
			sentence(v.Name, v.Doc)
			if !strings.HasPrefix(v.Name, prefix) || seen[v.Name] {
				t.Errorf("%s: want a name of its own that begins with %q", v.Name, prefix)
			}
			seen[v.Name] = true
		}
		for _, b := range m.Builtins {
			sentence(b.Name, b.Doc)
			if !strings.HasPrefix(b.Name, prefix) || seen[b.Name] {
				t.Errorf("%s: want a name of its own that begins with %q", b.Name, prefix)
			}
			seen[b.Name] = true
			if b.Example == "" {
				t.Errorf("%s: want an example", b.Name)
			}
			for line := range strings.Lines(b.Example) {
				if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 76 {
					t.Errorf("the example of %s has a line that kinfra doc can't show in 80 columns: %s", b.Name, line)
				}
			}
			if b.Result != "" {
				phrase("the result of "+b.Name, b.Result)
			}
			if b.Errors != "" {
				sentence("the errors of "+b.Name, b.Errors)
			}
			for _, p := range b.Params {
				phrase("the help of "+p.Name+" of "+b.Name, p.Help)
				phrase("the type of "+p.Name+" of "+b.Name, p.Type.Name)
			}
		}
	}
}
