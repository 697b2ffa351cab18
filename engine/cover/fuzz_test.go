package cover

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// FuzzInstrument: a script does the same with its statements counted as without: it
// gives the same values, prints the same, or fails with the same error in the same frames.
func FuzzInstrument(f *testing.F) {
	f.Add(script)
	f.Add("x = [f(y) for y in range(3) for f in [lambda z = lambda: 1: (lambda: z())()] if y]\n")
	f.Add("def f(*a, b = lambda: 2, **c):\n    'doc'\n    for i in a:\n        if i: continue\n        else: break\n    return b()\n\nprint(f(0, 1), f)\n")
	f.Add("'doc'\n'not doc'\nx, y = 1, 2; z = {1: lambda: x}[1]() if x else y\nfail_()\n")
	for _, pattern := range []string{"../../scripts/*.star", "../../scripts/*/*.star"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no scripts: %v", err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain, limited := evaluate(text, nil)
		if limited || strings.Contains(plain, "called recursively") {
			t.Skip()
		}
		counted, limited := evaluate(text, &Profile{})
		if !limited && counted != plain {
			t.Errorf("counted, the script gives\n%s\nwithout it gives\n%s", counted, plain)
		}
	})
}

// evaluate is what a script prints, defines and fails with; limited tells that it took
// too long for that to be known.
func evaluate(text string, p *Profile) (outcome string, limited bool) {
	parsed, err := (&syntax.FileOptions{Set: true}).Parse("x.star", text, 0)
	if err != nil {
		return "", true // such a file is never instrumented
	}
	names := starlark.StringDict{}
	if p != nil {
		names = p.Instrument([]byte(text), parsed, names)
	}
	program, err := starlark.FileProgram(parsed, names.Has)
	if err != nil {
		return err.Error(), false
	}
	var b strings.Builder
	thread := &starlark.Thread{Print: func(_ *starlark.Thread, line string) { b.WriteString(line + "\n") }}
	const steps = 2000
	thread.SetMaxExecutionSteps(steps)
	globals, err := program.Init(thread, names)
	if thread.ExecutionSteps() >= steps {
		return "", true
	}
	for _, name := range slices.Sorted(maps.Keys(globals)) {
		b.WriteString(name + " = " + globals[name].String() + "\n")
	}
	var evaluated *starlark.EvalError
	if errors.As(err, &evaluated) {
		b.WriteString(evaluated.Backtrace())
	} else if err != nil {
		b.WriteString(err.Error())
	}
	return b.String(), false
}
