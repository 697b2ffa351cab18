package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/pflag"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/scripts"
)

// TestExamples runs the example of every builtin, on the machine of a test of scripts
// with the small pool, and holds its comments to what it gives.
func TestExamples(t *testing.T) {
	for _, m := range newAppOn(world.NewFake().World(), nil, nil, nil).allModules() {
		for _, b := range m.Builtins {
			t.Run(b.Name, func(t *testing.T) { runExample(t, m, b) })
		}
	}
}

func runExample(t *testing.T, module table.Module, b table.Builtin) {
	if !module.Type && !regexp.MustCompile(`(^|[^\w.])`+regexp.QuoteMeta(b.Name)+`\(`).MatchString(b.Example) {
		t.Fatalf("its example does not call it:\n%s", b.Example)
	}
	checked := checkedExample(t, b.Example)
	shipped := layer.Embedded("kinfra", scripts.Files)
	small := layer.Embedded("small", fstest.MapFS{
		"pool.star":      fileOf(t, "../../builtins/testdata/layer/pool.star"),
		"lib/parts.star": fileOf(t, "../../builtins/testdata/layer/lib/parts.star"),
		"fixture.star":   fileOf(t, "testdata/fixture.star"),
		"example.star":   {Data: []byte("load(\"fixture.star\", \"fixture\")\n\nfixture()\n\n" + checked)},
	})
	tests := &testRun{layers: &layer.Stack{Layers: []*layer.Layer{small, shipped}, Builtin: shipped}, timeout: time.Minute}
	var out bytes.Buffer
	run := engine.NewRun(t.Context(), tests.setup(t.Context(), &out))
	defer run.Close()
	file, err := small.Read("example.star")
	if err != nil {
		t.Fatal(err)
	}
	workflows, err := run.Load(file, true)
	if err == nil && len(workflows) > 0 {
		err = runDeclared(run, workflows[0])
	} else {
		err = run.Finish(err)
	}
	if err != nil {
		t.Errorf("%s\n%s%s", checked, diag.Of(err, run.Source)[0].Text(), out.String())
	}
}

// runDeclared runs a workflow without flags.
func runDeclared(run *engine.Run, w *engine.Workflow) error {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	w.AddFlags(flags)
	args, err := w.Arguments(flags, nil)
	if err != nil {
		return err
	}
	return run.Execute(w, args)
}

func fileOf(t *testing.T, path string) *fstest.MapFile {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: data}
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
