package builtins

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/fakedocker"
	"github.com/ktrdr/kinfra/internal/world"
)

// newExampleMachine is what every example sees, as docs/reference.md tells its reader:
// the small pool of testdata/layer with its slots, in a git worktree with a file, on a
// machine with Docker, git and kinfra.
func newExampleMachine(t *testing.T) *machine {
	m := newMachine(t)
	engine := fakedocker.Install(m.fake)
	m.fake.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		switch program := path.Base(cmd.Args[0]); {
		case program == "docker":
			return engine.Run(cmd)
		case program == "git" && cmd.Args[1] == "rev-parse":
			return world.Output{Stdout: []byte("4f2a9c1\n")}, nil
		case program == "kinfra":
			return world.Output{}, nil
		}
		return world.Output{Code: 1}, nil
	}
	m.fake.Write("/home/user/tree/.git", []byte("gitdir: /home/user/repo/.git\n"))
	m.fake.Write("/home/user/tree/notes.txt", []byte("first line\nsecond line\n"))
	m.fake.Dir = "/home/user/tree"
	m.script("provision.star", "load(\"pool.star\", \"pool\")\n\nslot.ensure(pool.specs())\n")
	if run, err := m.top("provision.star"); err != nil {
		t.Fatal(m.explain(run, err))
	}
	return m
}

// TestExamples runs the example of every builtin, and holds its comments to what it
// gives.
func TestExamples(t *testing.T) {
	for _, m := range append(engine.Modules(), Modules(Options{})...) {
		for _, b := range m.Builtins {
			t.Run(b.Name, func(t *testing.T) { runExample(t, m, b) })
		}
	}
}

func runExample(t *testing.T, module table.Module, b table.Builtin) {
	called := b.Name
	if !module.Type && !regexp.MustCompile(`(^|[^\w.])`+regexp.QuoteMeta(called)+`\(`).MatchString(b.Example) {
		t.Fatalf("its example does not call it:\n%s", b.Example)
	}
	m := newExampleMachine(t)
	m.script("example.star", checkedExample(t, b.Example))
	run, workflows, err := m.load("example.star", true)
	if err == nil && len(workflows) > 0 {
		_, err = m.command("example.star")
	} else {
		err = run.Finish(err)
	}
	if err != nil {
		t.Errorf("%s\n%s", m.explain(run, err), checkedExample(t, b.Example))
	}
}

// checkedExample is an example whose comments are checked: "# -> VALUE" and
// "# fails: TEXT", behind an expression or on the line below it.
func checkedExample(t *testing.T, example string) string {
	t.Helper()
	parsed, err := (&syntax.FileOptions{Set: true}).Parse("example.star", example, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := append(strings.Split(example, "\n"), "")
	for _, stmt := range parsed.Stmts {
		start, end := stmt.Span()
		_, isExpr := stmt.(*syntax.ExprStmt)
		for n := end.Line - 1; isExpr && n <= end.Line; n++ {
			code, comment, _ := strings.Cut(lines[n], "# ")
			value, gives := strings.CutPrefix(comment, "-> ")
			text, fails := strings.CutPrefix(comment, "fails: ")
			if !gives && !fails || n == end.Line && code != "" {
				continue
			}
			lines[n] = code
			if gives {
				lines[start.Line-1] = "expect.equal(" + lines[start.Line-1]
				lines[end.Line-1] += ", " + value + ")"
			} else {
				lines[start.Line-1] = "expect.fails(lambda: " + lines[start.Line-1]
				lines[end.Line-1] += fmt.Sprintf(", message = %q)", text)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestExamplesAreChecked: a comment that is wrong is seen.
func TestExamplesAreChecked(t *testing.T) {
	for example, want := range map[string]string{
		"1 + 1  # -> 2":               "expect.equal(1 + 1  , 2)\n",
		"f(\n    1,\n)\n# -> 2":       "expect.equal(f(\n    1,\n), 2)\n\n",
		"fail(1)\n# fails: \"1\"":     "expect.fails(lambda: fail(1), message = \"\\\"1\\\"\")\n\n",
		"x = 1  # -> 2\nx  # the one": "x = 1  # -> 2\nx  # the one\n",
	} {
		if got := checkedExample(t, example); got != want {
			t.Errorf("%q becomes %q, want %q", example, got, want)
		}
	}
}
