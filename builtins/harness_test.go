package builtins

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/scripts"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata/")

// machine is what a test's scripts run on: a fake world, and two layers: files in
// memory, with the small pool of testdata/layer, before the shipped scripts.
type machine struct {
	testing.TB
	fake           *world.Fake
	files          fstest.MapFS
	options        Options
	config         engine.Config
	stdout, stderr bytes.Buffer
	programs       map[string]world.Output // what programs do, by name
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{TB: t, fake: world.NewFake(), files: fstest.MapFS{}, programs: map[string]world.Output{}}
	m.options = Options{Version: "1.2.3", PoolsDir: "/state/pools", Globals: []string{"--scripts", "/scripts"}}
	m.options.Project = Project{Dir: "/src/shop", Read: func(name string) ([]byte, error) { return m.fake.Root("/src/shop").ReadFile(name, layer.MaxFile) }}
	m.fake.Handle = m.play
	m.addFiles("testdata/layer")
	m.config = engine.Config{
		World: m.fake.World(), Checks: Checks(), Classify: Classify, Version: "1.2.3", Limits: engine.DefaultLimits(),
		Yes:    true,
		Output: engine.Output{Format: engine.Text, Stdout: &m.stdout, Present: &present.Plain{Announcements: &m.stdout, Progress: &m.stderr}}, Log: hclog.NewNullLogger(),
	}
	return m
}

// newShippedMachine has the shipped scripts and nothing else.
func newShippedMachine(t testing.TB) *machine {
	t.Helper()
	m := newMachine(t)
	clear(m.files)
	return m
}

// planned makes the runs dry runs.
func (m *machine) planned() *machine {
	m.config.World = world.Planned(m.fake.World())
	return m
}

// addFiles puts the files of a directory into the layer.
func (m *machine) addFiles(dir string) {
	m.Helper()
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		name, _ := filepath.Rel(dir, file)
		m.files[filepath.ToSlash(name)] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) script(name, text string) { m.files[name] = &fstest.MapFile{Data: []byte(text)} }

// play does what the test has said of a program.
func (m *machine) play(_ context.Context, cmd world.Command) (world.Output, error) {
	out, ok := m.programs[path.Base(cmd.Args[0])]
	if !ok {
		return out, exec.ErrNotFound
	}
	if out.Code < 0 {
		return out, world.ErrTimeout
	}
	return out, nil
}

func (m *machine) newRun() *engine.Run { return m.newRunUnder(context.Background()) }

func (m *machine) newRunUnder(ctx context.Context) *engine.Run {
	shipped := layer.Embedded("kinfra", scripts.Files)
	m.config.Layers = &layer.Stack{Layers: []*layer.Layer{layer.Embedded("test", m.files), shipped}, Builtin: shipped}
	m.config.Modules = append(checkResults(m, Modules(m.options)), m.module())
	run := engine.NewRun(ctx, &m.config)
	m.Cleanup(run.Close)
	return run
}

// load evaluates a file of the layers.
func (m *machine) load(name string, effects bool) (*engine.Run, []*engine.Workflow, error) {
	m.Helper()
	run := m.newRun()
	file, err := m.config.Layers.Find(name)
	if err != nil {
		m.Fatal(err)
	}
	workflows, err := run.Load(file, effects)
	return run, workflows, err
}

// top runs the top level of a file.
func (m *machine) top(name string) (*engine.Run, error) {
	m.Helper()
	run, _, err := m.load(name, true)
	return run, run.Finish(err)
}

// command runs the workflow that a file declares, with the words of a command line.
func (m *machine) command(name string, words ...string) (*engine.Run, error) {
	m.Helper()
	run, workflows, err := m.load(name, false)
	if err != nil {
		return run, err
	}
	if len(workflows) != 1 {
		m.Fatalf("%s declares %d workflows, want one", name, len(workflows))
	}
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	workflows[0].AddFlags(flags)
	if err := flags.Parse(words); err != nil {
		return run, err
	}
	args, err := workflows[0].Arguments(flags, flags.Args())
	if err != nil {
		return run, err
	}
	return run, run.Execute(workflows[0], args)
}

// mustCommand is command where it must not fail; it gives what was printed.
func (m *machine) mustCommand(name string, words ...string) string {
	m.Helper()
	m.stdout.Reset()
	if run, err := m.command(name, words...); err != nil {
		m.Fatalf("%s %s:\n%s", name, strings.Join(words, " "), m.explain(run, err))
	}
	return m.stdout.String()
}

// explain is an error as a user sees it, after the code with which the command ends.
func (m *machine) explain(run *engine.Run, err error) string {
	if err == nil {
		return "no error\n"
	}
	text := fmt.Sprintf("exit code %d\n", m.config.CodeOf(err))
	for _, d := range diag.Of(err, run.Source) {
		text += d.Text()
	}
	return text
}

func equal(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// TestScripts calls the functions test_* of the files in testdata, each as a test on a
// machine of its own. Those that begin with test_dry_run are called in a dry run.
func TestScripts(t *testing.T) {
	for _, file := range testFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".star"), func(t *testing.T) {
			names := testsOf(t, file)
			if len(names) == 0 {
				t.Fatalf("%s has no function test_*", file)
			}
			for _, name := range names {
				t.Run(strings.TrimPrefix(name, "test_"), func(t *testing.T) { runScriptTest(t, file, name) })
			}
		})
	}
}

func runScriptTest(t *testing.T, file, name string) {
	m := newMachine(t)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	suite := "tests/" + filepath.Base(file)
	m.script(suite, string(data))
	m.script("main.star", fmt.Sprintf("load(%q, %q)\n\n%s()\n", suite, name, name))
	if strings.HasPrefix(name, "test_dry_run") {
		m.planned()
	}
	if run, err := m.top("main.star"); err != nil {
		t.Error(m.explain(run, err))
	}
}

func testFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	return files
}

func parse(t testing.TB, file string) *syntax.File {
	t.Helper()
	parsed, err := (&syntax.FileOptions{Set: true}).Parse(file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func testsOf(t testing.TB, file string) []string {
	t.Helper()
	var names []string
	for _, stmt := range parse(t, file).Stmts {
		def, ok := stmt.(*syntax.DefStmt)
		if !ok || !strings.HasPrefix(def.Name.Name, "test_") {
			continue
		}
		if slices.Contains(names, def.Name.Name) {
			t.Errorf("%s has two functions %s", file, def.Name.Name)
		}
		names = append(names, def.Name.Name)
	}
	return names
}

// checkResults makes every call of a builtin hold its result against what its table
// says: structs have the attributes that are documented, and no others.
func checkResults(t testing.TB, modules []table.Module) []table.Module {
	for _, m := range modules {
		for i := range m.Builtins {
			b := &m.Builtins[i]
			want := documentedAttributes(b.Result)
			if want == nil {
				continue
			}
			run := b.Run
			b.Run = func(c *table.Call) (starlark.Value, error) {
				v, err := run(c)
				for _, s := range structsOf(v) {
					if got := s.AttrNames(); err == nil && !slices.Equal(got, want) {
						t.Errorf("%s returns a struct of %q, its table documents %q", b.Name, got, want)
					}
				}
				return v, err
			}
		}
	}
	return modules
}

// documentedAttributes is the attributes of the first struct that a table's text about
// a result has, sorted.
func documentedAttributes(result string) []string {
	found := regexp.MustCompile("`struct\\(([^)]*)\\)").FindStringSubmatch(result)
	if found == nil {
		return nil
	}
	names := strings.Split(found[1], ", ")
	slices.Sort(names)
	return names
}

// structsOf is a value that is a struct, or those in a list.
func structsOf(v starlark.Value) []*starlarkstruct.Struct {
	switch v := v.(type) {
	case *starlarkstruct.Struct:
		return []*starlarkstruct.Struct{v}
	case *starlark.List:
		var all []*starlarkstruct.Struct
		for e := range v.Elements() {
			if s, ok := e.(*starlarkstruct.Struct); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}
