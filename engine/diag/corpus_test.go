package diag_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/go-hclog"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

var update = flag.Bool("update", false, "rewrite the errors in testdata/")

// TestErrors runs testdata/*.txtar: scripts, then under "-- error --" what running
// main.star must tell its user, to the letter, and the exit code. A workflow in it is
// run; without one, the top level is all.
func TestErrors(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts in testdata", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			for _, f := range archive.Files {
				files[f.Name] = f.Data
			}
			got := errorOf(t, files)
			if bytes.Equal(got, files["error"]) {
				return
			}
			if !*update {
				t.Fatalf("%s", diff.Diff("want", files["error"], "got", got))
			}
			archive.Files = append(withoutError(archive.Files), txtar.File{Name: "error", Data: got})
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func withoutError(files []txtar.File) []txtar.File {
	var scripts []txtar.File
	for _, f := range files {
		if f.Name != "error" {
			scripts = append(scripts, f)
		}
	}
	return scripts
}

// errorOf is what running main.star prints of its error, and the code.
func errorOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: data}
	}
	builtin := layer.Embedded("kinfra", fsys)
	config := &engine.Config{
		World: world.NewFake().World(), Layers: &layer.Stack{Layers: []*layer.Layer{builtin}, Builtin: builtin},
		Modules: []table.Module{ruleModule()}, Limits: engine.DefaultLimits(),
		Output: engine.Output{Format: engine.Text}, Log: hclog.NewNullLogger(),
	}
	config.Limits.Steps = 10_000
	run := engine.NewRun(context.Background(), config)
	defer run.Close()
	err := execute(t, run, config.Layers)
	if err == nil {
		t.Fatal("main.star has no error")
	}
	var out bytes.Buffer
	for _, d := range diag.Of(err, run.Source) {
		out.WriteString(visible.Text(d.Text()))
	}
	fmt.Fprintf(&out, "exit code %d\n", config.CodeOf(err))
	return out.Bytes()
}

func execute(t *testing.T, run *engine.Run, layers *layer.Stack) error {
	t.Helper()
	file, err := layers.Find("main.star")
	if err != nil {
		t.Fatal(err)
	}
	declared := engine.Declared(file)
	workflows, err := run.Load(file, len(declared) == 0)
	if err != nil || len(workflows) == 0 {
		return run.Finish(err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	workflows[0].AddFlags(flags)
	args, err := workflows[0].Arguments(flags, nil)
	if err != nil {
		return err
	}
	return run.Execute(workflows[0], args)
}

// ruleModule has values that remember where they were made: `rule.make(1)` notes the
// place of its call, `rule.clash([…])` fails with those places.
func ruleModule() table.Module {
	return table.Module{Name: "rule", Builtins: []table.Builtin{
		{
			Name: "rule.make", Run: func(c *table.Call) (starlark.Value, error) {
				return &rule{place: c.Thread.CallFrame(1)}, nil
			},
		},
		{
			Name: "rule.clash", Params: []table.Param{{Name: "rules", Type: table.List()}},
			Run: func(c *table.Call) (starlark.Value, error) {
				err := engine.At(fmt.Errorf("%d rules clash", len(c.List("rules"))))
				if all := c.List("rules"); len(all) > 0 {
					e := &engine.Error{Code: engine.Conflict, Message: err.Error(), Next: "keep one"}
					for _, v := range all {
						e.At = append(e.At, v.(*rule).place.Pos)
					}
					return nil, e
				}
				return nil, err
			},
		},
	}}
}

type rule struct {
	starlark.NoneType
	place starlark.CallFrame
}

func TestExcerpts(t *testing.T) {
	long := strings.Repeat("0123456789", 50)
	for _, c := range []struct {
		name, source string
		column       int
		line, caret  string
	}{
		{"at the start", "abc", 1, "abc", "^"},
		{"after the end", "abc", 4, "abc", "   ^"},
		{"far after the end", "abc", 40, "abc", "   ^"},
		{"no column", "abc", 0, "abc", "^"},
		{"tabs", "\tx\ty", 4, "\tx\ty", "\t \t^"},
		{"wide characters", "日本 = x", 6, "日本 = x", "       ^"},
		{"an emoji", "\"🚀\" + 1", 5, "\"🚀\" + 1", "     ^"},
		{"combining characters", "e\u0301x", 3, "e\u0301x", " ^"},
		{"control characters", "a\x1b[31mb", 7, `a\x1b[31mb`, "         ^"},
		{"directions", "a\u202eb", 3, `a\u202eb`, "       ^"},
		{"long before", long, 400, "…" + long[299:500], strings.Repeat(" ", 101) + "^"},
		{"long after", long, 11, long[:110] + "…", strings.Repeat(" ", 10) + "^"},
		{"long both", long, 251, "…" + long[150:350] + "…", strings.Repeat(" ", 101) + "^"},
	} {
		d := diag.Diagnostic{Message: "m", Place: &diag.Place{File: "f", Line: 7, Column: c.column, Source: c.source}}
		lines := strings.Split(d.Text(), "\n")
		if c.name == "long before" {
			c.line = "…" + long[299:499] + "…"
		}
		if lines[2] != "7 | "+c.line || lines[3] != "  | "+c.caret {
			t.Errorf("%s:\n%s\n%s\nwant\n7 | %s\n  | %s", c.name, lines[2], lines[3], c.line, c.caret)
		}
	}
}

// A name makes no line of its own. What is around it is left to what prints it.
func TestTextOfHostileNames(t *testing.T) {
	bad := "x\x1b[2J.star\n"
	d := diag.Diagnostic{
		Message: "m\x07\u009b", Hint: "h\x1b",
		Place: &diag.Place{File: bad, Line: 1, Column: 1}, Also: []diag.Place{{File: bad, Line: 2, Column: 2}},
		Calls: []diag.Call{{Place: diag.Place{File: bad, Line: 3, Column: 3}, Function: "f"}},
	}
	want := "error: m\x07\u009b\n  --> x\\x1b[2J.star\\n:1:1\n  and x\\x1b[2J.star\\n:2:2\n  called from x\\x1b[2J.star\\n:3:3, in f\nhint: h\x1b\n"
	if got := d.Text(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// Line ends of other systems don't shift or spoil the line that is shown.
func TestLineEnds(t *testing.T) {
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		got := string(errorOf(t, map[string][]byte{"main.star": []byte(strings.Join([]string{"x = 1", "y = x + \"a\"", "z = 2"}, end))}))
		want := "error: unknown binary op: int + string\n  --> main.star:2:7\n2 | y = x + \"a\"\n  |       ^\nexit code 1\n"
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// The hint is the outermost that says something.
func TestHint(t *testing.T) {
	inner := &engine.Error{Message: "inner", Next: "the hint"}
	for name, err := range map[string]error{
		"alone":                  inner,
		"wrapped":                fmt.Errorf("x: %w", inner),
		"in an error without":    &engine.Error{Message: "outer", Err: inner},
		"in one of several":      fmt.Errorf("%w, %w", io.EOF, inner),
		"inside the outer, too":  &engine.Error{Message: "outer", Next: "the hint", Err: &engine.Error{Next: "another"}},
		"with positions, no one": engine.At(inner),
	} {
		if got := diag.Of(err, func(string) []byte { return nil })[0].Hint; got != "the hint" {
			t.Errorf("%s: the hint is %q", name, got)
		}
	}
}

// Of several problems each has its own hint.
func TestHintOfEach(t *testing.T) {
	err := errors.Join(&engine.Error{Message: "one", Next: "first"}, &engine.Error{Message: "two", Next: "second"})
	all := diag.Of(err, func(string) []byte { return nil })
	if len(all) != 2 || all[0].Hint != "first" || all[1].Hint != "second" {
		t.Errorf("got %+v", all)
	}
}
