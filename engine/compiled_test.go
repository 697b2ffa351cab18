package engine

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
)

const failing = `def inner(x):
    return [1, 2][x]

inner(
    7,
)
`

// withCompiled gives main.star, the only file, a compiled form.
func (m *machine) withCompiled(text string, sealed []byte) {
	builtin := layer.EmbeddedCompiled("kinfra",
		fstest.MapFS{"main.star": {Data: []byte(text)}},
		fstest.MapFS{layer.CompiledName("main.star"): {Data: sealed}})
	m.config.Layers = &layer.Stack{Layers: []*layer.Layer{builtin}, Builtin: builtin}
}

// compiled is the compiled form of a text as that of main.star.
func compiled(t *testing.T, text string) []byte {
	t.Helper()
	file, err := stackOf(text).Find("main.star")
	if err != nil {
		t.Fatal(err)
	}
	program, err := Compile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// TestCompiledForm: which of a text and its compiled form is run. The two differ here so
// that it shows.
func TestCompiledForm(t *testing.T) {
	const text, other = `print("text")`, `print("compiled")`
	program := compiled(t, other)
	older := append([]byte(nil), program...)
	older[8]++ // the version of the encoding
	for name, c := range map[string]struct {
		sealed []byte
		want   string
	}{
		"of this text":         {layer.Seal([]byte(text), program), "compiled\n"},
		"of another text":      {layer.Seal([]byte(other), program), "text\n"},
		"by another Starlark":  {layer.Seal([]byte(text), older), "text\n"},
		"of some other format": {layer.Seal([]byte(text), []byte("something else")), "text\n"},
		"empty":                {nil, "text\n"},
	} {
		m := newMachine(t)
		m.withCompiled(text, c.sealed)
		if _, err := m.load(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := m.stdout.String(); got != c.want {
			t.Errorf("%s: prints %q, want %q", name, got, c.want)
		}
	}
}

// TestCompiledErrors: what is said of an error in a compiled script, with its lines and
// carets, is what is said of one in its text.
func TestCompiledErrors(t *testing.T) {
	say := func(m *machine) string {
		_, err := m.load()
		if err == nil {
			t.Fatal("the script does not fail")
		}
		text := ""
		for _, d := range diag.Of(err, m.run.Source) {
			text += d.Text()
		}
		return text
	}
	want := say(newMachine(t, failing))
	m := newMachine(t)
	m.withCompiled(failing, layer.Seal([]byte(failing), compiled(t, failing)))
	if got := say(m); got != want {
		t.Errorf("the compiled form says\n%s\nthe text\n%s", got, want)
	}
}

// TestCompileRefused: a script that can't be compiled is named.
func TestCompileRefused(t *testing.T) {
	file, err := stackOf("x = unknown").Find("main.star")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(file, nil)
	if err == nil || errors.Unwrap(err) == nil || err.Error() != "compiling main.star: main.star:1:5: undefined: unknown" {
		t.Errorf("got %v", err)
	}
}
