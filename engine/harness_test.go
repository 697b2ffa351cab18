package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// machine is what a test's scripts run on: a fake world, and files in memory.
type machine struct {
	*testing.T
	fake           *world.Fake
	config         Config
	stdout, stderr bytes.Buffer
	run            *Run
}

// newMachine has the files "main.star: text" and so on in its one layer. Text without
// a file name is that of main.star.
func newMachine(t *testing.T, files ...string) *machine {
	t.Helper()
	m := &machine{T: t, fake: world.NewFake()}
	m.config = Config{
		World: m.fake.World(), Layers: stackOf(files...), Modules: []table.Module{probeModule()},
		Reserved: []string{"help", "h", "dry-run", "n"}, Version: "test", Limits: DefaultLimits(),
		Output: Output{Format: Text, Stdout: &m.stdout, Present: &present.Plain{Announcements: &m.stdout, Progress: &m.stderr}}, Log: hclog.NewNullLogger(),
	}
	return m
}

func stackOf(files ...string) *layer.Stack {
	fsys := fstest.MapFS{}
	for _, file := range files {
		name, text, named := strings.Cut(file, ".star: ")
		if !named {
			name, text = "main", file
		}
		fsys[name+".star"] = &fstest.MapFile{Data: []byte(text)}
	}
	builtin := layer.Embedded("kinfra", fsys)
	return &layer.Stack{Layers: []*layer.Layer{builtin}, Builtin: builtin}
}

// probeModule is what scripts of the tests do to the outside.
func probeModule() table.Module {
	text := table.Param{Name: "text", Type: table.String(), Optional: true, Help: "a text"}
	return table.Module{Name: "probe", Builtins: []table.Builtin{
		{Name: "probe.write", Changes: true, Params: []table.Param{text}, Run: func(c *table.Call) (starlark.Value, error) {
			return nil, World(c.Thread).Disk.Host().CreateFile("/tmp/"+c.String("text"), nil, 0o600)
		}},
		{Name: "probe.read", Reads: true, Result: "a text, None for an empty one", Params: []table.Param{text}, Run: func(c *table.Call) (starlark.Value, error) {
			data, err := World(c.Thread).Disk.Host().ReadFile("/tmp/"+c.String("text"), 1<<20)
			if err != nil || len(data) == 0 {
				return nil, err
			}
			return starlark.String(data), nil
		}},
		{Name: "probe.remove", Changes: true, Params: []table.Param{text}, Run: func(c *table.Call) (starlark.Value, error) {
			return nil, World(c.Thread).Disk.Host().Remove("/tmp/" + c.String("text"))
		}},
		{Name: "probe.exec", Changes: true, Params: []table.Param{text}, Run: func(c *table.Call) (starlark.Value, error) {
			out, err := World(c.Thread).Processes.Run(Context(c.Thread), world.Command{Args: []string{c.String("text")}, Dir: "/tmp", Timeout: 1})
			if err != nil {
				return nil, err
			}
			return starlark.String(out.Stdout), nil
		}},
		{Name: "probe.unknown", Params: []table.Param{text}, Run: func(c *table.Call) (starlark.Value, error) {
			return Unknown(c.Thread, c.String("text")), nil
		}},
		// blocks until its context ends, as a process or a lock would
		{Name: "probe.block", Run: func(c *table.Call) (starlark.Value, error) {
			<-Context(c.Thread).Done()
			return nil, Context(c.Thread).Err()
		}},
		{Name: "probe.stop", Run: func(c *table.Call) (starlark.Value, error) {
			stateOf(c.Thread).run.stop(ErrInterrupted)
			return nil, nil
		}},
		{Name: "probe.clock", Run: func(c *table.Call) (starlark.Value, error) {
			return starlark.MakeInt64(World(c.Thread).Clock.Now().UnixMilli()), nil
		}},
		{Name: "probe.evaluate", Params: []table.Param{text}, Run: func(c *table.Call) (starlark.Value, error) {
			_, err := Load(c.Thread, c.String("text"))
			return nil, err
		}},
	}}
}

// load evaluates main.star.
func (m *machine) load() ([]*Workflow, error) {
	m.Helper()
	return m.loadUnder(context.Background(), false)
}

func (m *machine) loadUnder(ctx context.Context, effects bool) ([]*Workflow, error) {
	m.Helper()
	if m.run != nil {
		m.run.Close()
	}
	m.run = NewRun(ctx, &m.config)
	m.Cleanup(m.run.Close)
	file, err := m.config.Layers.Find("main.star")
	if err != nil {
		m.Fatal(err)
	}
	return m.run.Load(file, effects)
}

// exec loads main.star and runs the one workflow that it declares with the words of a
// command line.
func (m *machine) exec(words ...string) error {
	m.Helper()
	return m.execUnder(context.Background(), words...)
}

func (m *machine) execUnder(ctx context.Context, words ...string) error {
	m.Helper()
	workflows, err := m.loadUnder(ctx, false)
	if err != nil {
		return err
	}
	if len(workflows) != 1 {
		m.Fatalf("main.star declares %d workflows, want one", len(workflows))
	}
	w := workflows[0]
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	w.AddFlags(flags)
	if err := flags.Parse(words); err != nil {
		return err
	}
	args, err := w.Arguments(flags, flags.Args())
	if err != nil {
		return err
	}
	return m.run.Execute(w, args)
}

// body is a file whose workflow does what the lines say.
func body(lines string) string {
	return "def run(args):\n    " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n    ") +
		"\n\nworkflow(command = \"test\", run = run)\n"
}

// wants fails unless err is an error with that text, or nil where want is "".
func (m *machine) wants(err error, want string) {
	m.Helper()
	switch {
	case err == nil && want != "":
		m.Fatalf("no error, want %q", want)
	case err != nil && want == "":
		m.Fatalf("unexpected error: %v", err)
	case err != nil && !strings.Contains(m.message(err), want):
		m.Fatalf("the error is\n%s\nwant %q in it", m.message(err), want)
	}
}

// message is what a user reads first of an error.
func (m *machine) message(err error) string {
	var all []string
	for _, d := range diag.Of(err, m.run.Source) {
		all = append(all, d.Message)
	}
	return strings.Join(all, "\n")
}

func (m *machine) wantsCode(err error, want Code) {
	m.Helper()
	if got := m.config.CodeOf(err); got != want {
		m.Errorf("the code of %v is %d (%s), want %d (%s)", err, got, got, want, want)
	}
}

func (m *machine) wantsOut(want string) {
	m.Helper()
	if got := m.stdout.String(); got != want {
		m.Errorf("stdout:\n%s\nwant:\n%s", got, want)
	}
}

// object is the one JSON object on stdout.
func (m *machine) object() map[string]any {
	m.Helper()
	decoder := json.NewDecoder(&m.stdout)
	var o map[string]any
	if err := decoder.Decode(&o); err != nil {
		m.Fatalf("stdout is not JSON: %v", err)
	}
	if decoder.More() {
		m.Fatal("stdout has more than one object")
	}
	return o
}

// statuses is the report in short: "a passed, a/b failed".
func (m *machine) statuses() string {
	var all []string
	m.run.Report().Walk(func(n *report.Node) { all = append(all, n.Key+" "+string(n.Status)) })
	return strings.Join(all, ", ")
}

func (m *machine) exists(path string) bool {
	_, err := m.fake.Host().Lstat(path)
	return err == nil
}

// printsJSON makes the run print one object, and announce on stderr.
func (m *machine) printsJSON() {
	m.config.Output.Format = JSON
	m.config.Output.Present = &present.Plain{Announcements: &m.stderr, Progress: &m.stderr}
}

// planned makes the run a dry run.
func (m *machine) planned() *machine {
	m.config.World = world.Planned(m.fake.World())
	return m
}

// wantsGoroutines fails unless the number of goroutines comes back to before. Those
// that have been told to end need a moment for it, so the test yields to them.
func wantsGoroutines(t *testing.T, before int) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 10*time.Second; runtime.Gosched() {
		if runtime.NumGoroutine() <= before {
			return
		}
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

var errProbe = errors.New("a fault of the test's own")
