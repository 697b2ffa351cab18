package format

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
)

// refusal is the message and the place of a text that isn't formatted.
func refusal(t *testing.T, text string) (message, place string) {
	t.Helper()
	out, err := Script(t.Context(), "x.star", []byte(text))
	e, ok := errors.AsType[*engine.Error](err)
	if !ok || e.Code != engine.Usage || len(e.At) != 1 {
		t.Fatalf("%.40q becomes %.40q, %v", text, out, err)
	}
	return e.Message, e.At[0].String()
}

// What would take a time that grows with the square of the size is refused, with the
// place; one level less is formatted.
func TestTooDeep(t *testing.T) {
	for name, c := range map[string]struct{ before, each, after, place string }{
		"operators":  {"y = 1\nx = 1", "+1", "\n", "x.star:2:5"},
		"attributes": {"x = a", ".b", "\n", "x.star:1:5"},
		"calls":      {"x = a", "()", "\n", "x.star:1:5"},
		"slices":     {"x = a", "[1:2]", "\n", "x.star:1:5"},
		"branches":   {"def f(x):\n    if x:\n        pass\n", "    elif x:\n        pass\n", "", "x.star:1996:10"},
	} {
		t.Run(name, func(t *testing.T) {
			message, place := refusal(t, c.before+strings.Repeat(c.each, 50_000)+c.after)
			if !strings.Contains(message, "nested deeper than 1000") || place != c.place {
				t.Errorf("%s: %s, want the place %s", place, message, c.place)
			}
			if _, err := Script(t.Context(), "x.star", []byte(c.before+strings.Repeat(c.each, mostDepth-10)+c.after)); err != nil {
				t.Errorf("what is less deep isn't formatted: %v", err)
			}
		})
	}
}

// What the library makes another program of, or can't stand, is refused.
func TestFaultsOfTheLibrary(t *testing.T) {
	for text, want := range map[string]string{
		"y = 1\nx = 1.0e0\n":                   "doesn't parse",       // it takes the zero from the exponent
		"load('a', b='c')\nload('a', b='d')\n": "load something else", // it forgets one
	} {
		if message, place := refusal(t, text); !strings.Contains(message, want) {
			t.Errorf("%q: %s: %s, want %q", text, place, message, want)
		}
	}
	for _, text := range []string{"x = \"\\\xf9\"\n", "\"\\\xf9\"", "x = '''\\\xf9'''\n"} { // it looks behind the end of its table
		out, err := Script(t.Context(), "x.star", []byte(text))
		if err == nil && string(out) == "" {
			t.Errorf("%q becomes nothing", text)
		}
	}
	defer func() {
		if recover() != nil {
			t.Error("the panic of the library is not guarded")
		}
	}()
	if _, err := formatted("x.star", []byte("\"\\\xf9\"")); err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("the library no longer panics, but gives %v: this guards against nothing", err)
	}
}

// Each of these is a change of what a script says, or none.
func TestSame(t *testing.T) {
	for _, c := range []struct {
		before, after string
		same          bool
	}{
		{"x = 1", "x = (1)  \n", true},
		{"x = 'a'", "x = \"a\"", true},
		{"x = 0x10", "x = 16", true},
		{"y = 1\nload('a', 'b')", "load('a', 'b')\ny = 1", true},
		{"load('a', 'b', 'c')", "load('a', 'c', 'b')", true},
		{"f(a = 1, *b)\n", "f(a = 1, *b)", true},
		{"f(a = x(), b)\n", "f(b, a = x())", true},
		{"def f():\n  '''a\n  b'''\n", "def f():\n    '''a\n    b'''\n", true},
		{"# keep sorted\nx = ['b', 'a', 'a']", "# keep sorted\nx = ['a', 'b']", true},
		{"x = 1 # a", "x = 1  # a ", true},
		{"x = 1", "x = 2", false},
		{"x = a - (b - c)", "x = a - b - c", false},
		{"x = (a, )", "x = (a)", false},
		{"x = not a", "x = a", false},
		{"x = a[1:]", "x = a[:1]", false},
		{"x = a[1::]", "x = a[::1]", false},
		{"x = {1: 2}", "x = {2: 1}", false},
		{"x = [a for a in b]", "x = [b for a in b]", false},
		{"x = 'a'", "x = b'a'", false},
		{"x += 1", "x -= 1", false},
		{"x = ['b', 'a']", "x = ['a', 'b']", false},
		{"f(a, b)", "f(b, a)", false},
		{"f(a = 1, b = 2)", "f(b = 2, a = 1)", false},
		{"load('a', 'b')", "load('a', 'c')", false},
		{"load('a', 'b')", "load('a', b = 'c')", false},
		{"def f():\n  pass\n", "def g():\n  pass\n", false},
		{"def f(a):\n  pass\n", "def f(a = 1):\n  pass\n", false},
		{"def f():\n  '''a b'''\n", "def f():\n  '''ab'''\n", false},
		{"if a:\n  b\nelse:\n  c\n", "if a:\n  b\nc\n", false},
		{"for a in b:\n  c\nd\n", "for a in b:\n  c\n  d\n", false},
		{"x = lambda a: b", "x = lambda: b", false},
		{"x = 1 # a", "x = 1", false},
		{"# a\n# a\nx = 1", "# a\nx = 1", false},
		{"x = 1\ny = 2", "x = 1", false},
		{"x = 1", "x = 1\ny = 2", false},
		{"x = 1", "x = 1.0", false},
	} {
		err := checkSame("x.star", parsed(t, c.before), parsed(t, c.after))
		if (err == nil) != c.same {
			t.Errorf("%q and %q: %v", c.before, c.after, err)
		}
	}
}

func parsed(t *testing.T, text string) *syntax.File {
	t.Helper()
	tree, err := parse("x.star", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// A run that is ended doesn't wait for the library.
func TestEnded(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	for range 100 { // which of two that are ready is taken, is chance
		if _, err := Script(ctx, "x.star", []byte(strings.Repeat("x = 1\n", 1000))); errors.Is(err, why) {
			return
		}
	}
	t.Error("the formatter was waited for")
}
