package cover

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

const script = `"""A docstring."""

def used(x):
    """Another one."""
    if x > 1:
        return "many"
    elif x == 1:
        return "one"
    else:
        for i in range(3):
            pass
    return "none"

def unused():
    return 1

f, g = lambda: used(0), lambda y = (lambda: 3): y()
result = [used(2), f()]
`

// run evaluates a script with its statements counted.
func run(t *testing.T, p *Profile, text string) (starlark.StringDict, error) {
	t.Helper()
	options := &syntax.FileOptions{Set: true}
	parsed, err := options.Parse("x.star", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := p.Instrument([]byte(text), parsed, starlark.StringDict{})
	program, err := starlark.FileProgram(parsed, names.Has)
	if err != nil {
		t.Fatal(err)
	}
	return program.Init(&starlark.Thread{}, names)
}

// counts is the statements of the one file as "line:column=count".
func counts(p *Profile) (all []string) {
	for _, s := range p.Files()[0].Statements {
		all = append(all, fmt.Sprintf("%d:%d=%d", s.Line, s.Column, s.Count))
	}
	return all
}

func TestCounts(t *testing.T) {
	p := &Profile{}
	globals, err := run(t, p, script)
	if err != nil {
		t.Fatal(err)
	}
	if got := globals["result"].String(); got != `["many", "none"]` {
		t.Errorf("the script gives %s", got)
	}
	if doc := globals["used"].(*starlark.Function).Doc(); doc != "Another one." {
		t.Errorf("the function's docstring is %q", doc)
	}
	want := []string{
		"3:1=1", "5:5=2", "6:9=1", "7:5=1", "8:9=0", "10:9=1", "11:13=3", "12:5=1",
		"14:1=1", "15:5=0", "17:1=1", "17:16=1", "17:45=0", "17:49=0", "18:1=1",
	}
	if got := counts(p); !slices.Equal(got, want) {
		t.Errorf("the counts are %q, want %q", got, want)
	}
	if _, err := run(t, p, script); err != nil {
		t.Fatal(err)
	}
	if got := counts(p)[1]; got != "5:5=4" {
		t.Errorf("after a second run the count is %s", got)
	}
	file := p.Files()[0]
	if got := Figure(file.Covered(), len(file.Statements)); got != "73.3% (11 of 15)" {
		t.Errorf("the figure is %s", got)
	}
}

// TestErrorsStay: an error has the same message and frames with and without counting.
func TestErrorsStay(t *testing.T) {
	for _, text := range []string{
		"def f(x):\n    y = 1\n    return g(x) + y\n\ndef g(x): return x.none\n\nf(1)\n",
		"f = lambda x: [1 // y for y in x]\n\nf([1, 0])\n",
		"def f():\n    if fail_(): pass\n\ndef fail_():\n    return {}[1]\n\n(lambda: (lambda: f())())()\n",
		"x = [\n    1,\n    'a' + 1,\n]\n",
	} {
		_, counted := run(t, &Profile{}, text)
		_, plain := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, &starlark.Thread{}, "x.star", text, nil)
		var c, w *starlark.EvalError
		if !errors.As(counted, &c) || !errors.As(plain, &w) || c.Backtrace() != w.Backtrace() {
			t.Errorf("%s\nfails with\n%v\nwithout counting with\n%v", text, counted, plain)
		}
	}
}

func TestListing(t *testing.T) {
	p := &Profile{}
	if _, err := run(t, p, "def f(x):\n    return x\n\ndef g():\n    return f(1)\n\n# called\nf(2); f(3)\nh = lambda: 1\n"); err != nil {
		t.Fatal(err)
	}
	want := `x.star: 75.0% (6 of 8)
     1   | def f(x):
     2   |     return x
         |
     1   | def g():
     0 ! |     return f(1)
         |
         | # called
     1   | f(2); f(3)
     1 ! | h = lambda: 1
`
	if got := p.Files()[0].Listing(); got != want {
		t.Errorf("the listing is\n%s\nwant\n%s", got, want)
	}
}

// TestAdd: a file that was never run counts with nothing, one that was keeps its counts.
func TestAdd(t *testing.T) {
	p := &Profile{}
	text := "x = 1\ny = lambda: x\n"
	add := func(path string) {
		parsed, err := (&syntax.FileOptions{}).Parse(path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.Add([]byte(text), parsed)
	}
	if _, err := run(t, p, text); err != nil {
		t.Fatal(err)
	}
	add("x.star")
	add("a.star")
	var got []string
	for _, f := range p.Files() {
		got = append(got, f.Path+" "+Figure(f.Covered(), len(f.Statements)))
	}
	if want := "a.star 0.0% (0 of 3), x.star 66.7% (2 of 3)"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if Figure(0, 0) != "100.0% (0 of 0)" {
		t.Errorf("a file without statements is %s", Figure(0, 0))
	}
}
