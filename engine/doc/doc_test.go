package doc

import (
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
)

const script = `"""Count things.

The whole story.
"""

load("other.star", "loaded")

LIMIT, (LEAST, _MOST) = 1, (2, 3)
LIMIT2 = [1][0]
_hidden = 4

def count(things, *, limit = {
    "größe": 1,
}, **others):
    """Counts things.

    Args:
      things: a list of things of which each has a name that is long enough to need more
        than a line.
      limit: the most.

    Returns:
      An int.
    """
    return len(things)

def bare():
    pass

def _helper():
    """Not for others."""

workflow(command = "count", run = count)
`

func scriptFile(t *testing.T, text string) layer.File {
	t.Helper()
	l := layer.Embedded("project", fstest.MapFS{"count.star": {Data: []byte(text)}})
	file, err := l.Read("count.star")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOfScript(t *testing.T) {
	s, err := OfScript(scriptFile(t, script))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "count.star" || s.Layer != "project" || s.Doc != "Count things.\n\nThe whole story." {
		t.Errorf("the file is %q of %q: %q", s.Name, s.Layer, s.Doc)
	}
	if got := strings.Join(s.Commands, " ") + ";" + strings.Join(s.Values, " "); got != "count;LIMIT LEAST LIMIT2" {
		t.Errorf("it has %s", got)
	}
	if len(s.Functions) != 2 || s.Functions[1].Signature != "bare()" || s.Functions[1].Doc != "" {
		t.Fatalf("its functions are %+v", s.Functions)
	}
	if f := s.Functions[0]; f.Signature != `count(things, *, limit = { "größe": 1, }, **others)` || !strings.HasPrefix(f.Doc, "Counts things.\n\nArgs:\n  things: ") {
		t.Errorf("the function is %s: %s", f.Signature, f.Doc)
	}
	if _, err := OfScript(scriptFile(t, "def f(")); err == nil {
		t.Error("a file that doesn't parse is no error")
	}
}

func reference(t *testing.T) *Reference {
	t.Helper()
	s, err := OfScript(scriptFile(t, script))
	if err != nil {
		t.Fatal(err)
	}
	return &Reference{Scripts: []Script{s}, Examples: "What they see.", Modules: []table.Module{
		{Builtins: []table.Builtin{{Name: "bare", Doc: "Does it. With edges."}}},
		{Name: "m", Doc: "Things.", Builtins: []table.Builtin{{
			Name: "m.f", Doc: "Does something whose description needs more than the eighty columns that a small terminal has.",
			Params: []table.Param{{Name: "a", Type: table.Int(), Help: "the first"}, {Name: "b", Type: table.String(), Named: true, Optional: true, Default: starlark.String("x"), Help: "the second"}},
			Result: "an int", Errors: "Never.", Example: "m.f(1)\nm.f(2)",
		}}, Values: []table.Value{{Name: "m.v", Doc: "A value."}}},
		{Name: "count", Type: true, Doc: "A counter."},
		{Name: "mock", Testing: true, Doc: "For tests."},
	}}
}

func TestFind(t *testing.T) {
	r := reference(t)
	for name, want := range map[string]string{
		"m": "module", "m.f": "builtin", "bare": "builtin", "m.v": "value", "count.star": "script", "count": "module", "": "", "f": "", "m.": "",
	} {
		e, found := r.Find(name)
		got := map[bool]string{e.Module != nil: "module", e.Builtin != nil: "builtin", e.Value != nil: "value", e.Script != nil: "script"}[true]
		if found != (want != "") || got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(r.Names(), " "); got != "bare count count.star m m.f m.v mock" {
		t.Errorf("the names are %s", got)
	}
}

func TestEntryText(t *testing.T) {
	r := reference(t)
	for name, want := range map[string]string{
		"m.f": `m.f(a, *, b = "x")
    Does something whose description needs more than the eighty columns that a
    small terminal has.

Parameters
    a, an int: the first
    b, a string, ` + "`\"x\"`" + ` if left out: the second

Returns
    an int

Errors
    Never.

Example
    m.f(1)
    m.f(2)
`,
		"m": `m
    Things.

m.f(a, *, b = "x")
    Does something whose description needs more than the eighty columns that a
    small terminal has.

m.v: A value.
`,
		"m.v":  "m.v\n    A value.\n",
		"mock": "mock\n    For tests.\n    It is there only in tests, which kinfra test runs.\n",
		"count.star": `count.star (project)
    Count things.

    The whole story.

Command: kinfra count

Values: LIMIT, LEAST, LIMIT2

count(things, *, limit = { "größe": 1, }, **others)
    Counts things.

    Args:
      things: a list of things of which each has a name that is long enough to
        need more than a line.
      limit: the most.

    Returns:
      An int.

bare()
`,
	} {
		e, _ := r.Find(name)
		if got := (Text{}).Entry(e); got != want {
			t.Errorf("%s is shown as\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestDocstringText: what doesn't fit goes on in the next line, in order.
func TestDocstringText(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word ", 20))
	var b strings.Builder
	docstringText(&b, long+"\ngoes on\n\n  "+long+"\n  slot: its number\n"+long)
	text := b.String()
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(strings.TrimSpace(line))+4 > width {
			t.Errorf("a line is too long: %q", line)
		}
	}
	if got := strings.Join(strings.Fields(text), " "); got != long+" goes on "+long+" slot: its number "+long {
		t.Errorf("words were lost: %s", got)
	}
	if !strings.Contains(text, " goes on\n\n") || !strings.Contains(text, "\n      slot: its number\n") {
		t.Errorf("the lines are\n%s", text)
	}
}

func TestOverview(t *testing.T) {
	want := `# Modules
  m      Things
  count  A counter

# Without a module
  bare  Does it

# Modules for tests
  mock  For tests

# Scripts
  count.star  Count things

# Examples
  What they see.
`
	text := Text{Heading: func(s string) string { return "# " + s }}
	if got := text.Overview(reference(t)); got != want {
		t.Errorf("the overview is\n%s\nwant\n%s", got, want)
	}
}

// TestWidth: nothing that is declared is wider than a small terminal.
func TestWidth(t *testing.T) {
	r := &Reference{Modules: engine.Modules()}
	texts := []string{(Text{}).Overview(r)}
	for _, name := range r.Names() {
		e, _ := r.Find(name)
		texts = append(texts, (Text{}).Entry(e))
	}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("a line of %d columns: %s", n, line)
			}
		}
	}
}
