package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/pflag"
	"go.starlark.net/starlark"
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
	for _, m := range newAppOn(world.NewFake().World(), nil, inMemory(io.Discard), inMemory(io.Discard)).allModules() {
		for _, b := range m.Builtins {
			t.Run(b.Name, func(t *testing.T) { runExample(t, m, b) })
		}
	}
}

// TestChangesAreDeclared runs the example of every builtin on a machine that notes which
// builtin changes something, starts something, or takes the terminal: all of these say
// Changes, so that check finds them where nothing may change.
func TestChangesAreDeclared(t *testing.T) {
	for _, m := range newAppOn(world.NewFake().World(), nil, inMemory(io.Discard), inMemory(io.Discard)).allModules() {
		for _, b := range m.Builtins {
			t.Run(b.Name, func(t *testing.T) {
				n := &noting{t: t}
				runExampleWith(t, b.Example, n.follow)
			})
		}
	}
	t.Run("it is noticed", func(t *testing.T) {
		n := &noting{t: t, found: map[string]string{}}
		runExampleWith(t, "fs.write(\"x\", \"y\")\nproc.run([\"git\", \"rev-parse\", \"HEAD\"])\n", func(config *engine.Config) {
			for _, m := range config.Modules {
				for i := range m.Builtins {
					m.Builtins[i].Changes = false
				}
			}
			n.follow(config)
		})
		if n.found["fs.write"] == "" || n.found["proc.run"] == "" || n.found["slot.ensure"] == "" {
			t.Errorf("found only %v", n.found)
		}
	})
}

// noting is told of what changes, and by which builtin.
type noting struct {
	t     *testing.T
	found map[string]string // what was changed by builtins that don't say so; nil to fail with it

	mu    sync.Mutex
	calls []*table.Builtin // that are under way, the innermost last
}

// follow makes a run tell of its changes.
func (n *noting) follow(config *engine.Config) {
	for _, m := range config.Modules {
		for i := range m.Builtins {
			b := &m.Builtins[i]
			run := b.Run
			b.Run = func(c *table.Call) (starlark.Value, error) {
				n.push(b)
				defer n.pop()
				return run(c)
			}
		}
	}
	w := world.Faulty(config.World, func(op, name string) error {
		switch op {
		case "create", "append", "mkdir", "mkdirall", "symlink", "rename", "remove", "removeall", "sync", "lock":
			n.note(op + " " + name)
		}
		return nil
	})
	w.Processes = notedProcesses{w.Processes, n}
	w.Services = notedServices{w.Services, n}
	config.World = w
}

func (n *noting) push(b *table.Builtin) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, b)
}

func (n *noting) pop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = n.calls[:len(n.calls)-1]
}

func (n *noting) note(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, declared := "no builtin", false
	if len(n.calls) > 0 {
		innermost := n.calls[len(n.calls)-1] // around it are those that call functions of the script, such as step
		name, declared = innermost.Name, innermost.Changes
	}
	switch {
	case declared:
	case n.found != nil:
		n.found[name] = what
	default:
		n.t.Errorf("%s does this, and doesn't say Changes: %s", name, what)
	}
}

// notedProcesses tell of processes, but for those that only read, and of the terminal.
type notedProcesses struct {
	processes world.Processes
	noting    *noting
}

func (p notedProcesses) Run(ctx context.Context, cmd world.Command) (world.Output, error) {
	if !cmd.ReadOnly {
		p.noting.note("run " + strings.Join(cmd.Args, " "))
	}
	return p.processes.Run(ctx, cmd)
}

func (p notedProcesses) Attach(ctx context.Context, cmd world.Command) (int, error) {
	p.noting.note("attach " + strings.Join(cmd.Args, " "))
	return p.processes.Attach(ctx, cmd)
}

// notedServices tell of requests, but for those that only read.
type notedServices struct {
	services world.Services
	noting   *noting
}

func (s notedServices) Send(ctx context.Context, req world.Request) (io.ReadCloser, error) {
	if !req.ReadOnly {
		s.noting.note("send to " + req.Address)
	}
	return s.services.Send(ctx, req)
}

func (s notedServices) Listening(ctx context.Context, address string) (bool, error) {
	return s.services.Listening(ctx, address)
}

func (s notedServices) TryListen(ctx context.Context, network, address string) error {
	return s.services.TryListen(ctx, network, address)
}

func runExample(t *testing.T, module table.Module, b table.Builtin) {
	if !module.Type && !regexp.MustCompile(`(^|[^\w.])`+regexp.QuoteMeta(b.Name)+`\(`).MatchString(b.Example) {
		t.Fatalf("its example does not call it:\n%s", b.Example)
	}
	runExampleWith(t, b.Example, func(*engine.Config) {})
}

// runExampleWith runs an example under a configuration that alter has changed.
func runExampleWith(t *testing.T, example string, alter func(*engine.Config)) {
	checked := checkedExample(t, example)
	shipped := layer.Embedded("kinfra", scripts.Files)
	small := layer.Embedded("small", fstest.MapFS{
		"pool.star":      fileOf(t, "../../builtins/testdata/layer/pool.star"),
		"lib/parts.star": fileOf(t, "../../builtins/testdata/layer/lib/parts.star"),
		"fixture.star":   fileOf(t, "testdata/fixture.star"),
		"example.star":   {Data: []byte("load(\"fixture.star\", \"fixture\")\n\nfixture()\n\n" + checked)},
	})
	tests := &testRun{layers: &layer.Stack{Layers: []*layer.Layer{small, shipped}, Builtin: shipped}, timeout: time.Minute}
	var out bytes.Buffer
	config := tests.setup(t.Context(), &out)
	alter(config)
	run := engine.NewRun(t.Context(), config)
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
