package builtins

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/suite"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/fakedocker"
	"github.com/ktrdr/kinfra/internal/lastwords"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// TestModules is the tables of what tests see beside what all scripts do. Without a
// machine they can only be read.
func TestModules(o Options, m *TestMachine) []table.Module {
	return []table.Module{suite.Module(), (&fake{&domain{options: o}, m}).module()}
}

// fake is the module by which a test says what its machine has.
type fake struct {
	*domain
	machine *TestMachine
}

func (f *fake) module() table.Module {
	path := table.Param{Name: "path", Type: table.String(), Help: "its path; a relative one is below the working directory"}
	id := table.Param{Name: "slot", Type: table.Int(), Help: "the slot's number"}
	service := table.Param{Name: "service", Type: table.String(), Help: "the service's name"}
	state := table.Param{Name: "state", Type: table.String(), Optional: true, Default: starlark.String(fakedocker.Healthy), Help: "healthy, running (it has no health check), starting, unhealthy, restarting or exited"}
	code := table.Param{Name: "code", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(0), Help: "the exit code with which it ends"}
	text := func(name, help string) table.Param {
		return table.Param{Name: name, Type: table.String(), Named: true, Optional: true, Default: starlark.String(""), Help: help}
	}
	m := table.Module{
		Name: "fake", Testing: true,
		Doc: "The machine in memory on which a test runs: an ordinary user in the empty home directory /home/user, with a clock that stands still, and Docker, where nothing runs yet. Files are read and written as by any script (fs.read), slots made by slot.ensure or fake.kinfra.",
		Builtins: []table.Builtin{
			{
				Name: "fake.kinfra", Doc: "Runs a command line of kinfra on the test's machine, as a user would, with the layers of this test: flags, `--dry-run` and `--output json` included. Fails unless it ends with the code that is expected.",
				Params: []table.Param{
					{Name: "args", Type: table.Strings(), Help: "the words: `[\"sandbox\", \"provision\", \"--slot\", \"1\"]`"},
					{Name: "code", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(0), Help: "the exit code that is expected"},
				},
				Result: "`struct(code, result, stdout, stderr, error)`: `result` is what the workflow returned, frozen, and None if it failed; `error` is the message, and None without one",
				Errors: "Another exit code, with what the command printed last.",
				Run:    f.kinfra,
				Example: `out = fake.kinfra(["sandbox", "claim", "--profile", "big"])
out.result.slot  # -> 3
fake.kinfra(["sandbox", "claim", "--profile", "huge"], code = 2)`,
			},
			{
				Name: "fake.file", Doc: "Writes a file, with the directories above it.",
				Params: []table.Param{path, {Name: "content", Type: table.String(), Help: "what is in it"}},
				Run:    f.file,
				Example: `fake.file("src/main.c", "int main;\n")
fs.read("src/main.c")  # -> "int main;\n"`,
			},
			{
				Name: "fake.cd", Doc: "Makes a directory, and has it be the working directory.",
				Params: []table.Param{path},
				Run:    f.changeDir,
				Example: `fake.cd("/home/user/genome")
claim.worktree()  # -> "/home/user/genome"`,
			},
			{
				Name: "fake.env", Doc: "Sets a variable of the caller's environment.",
				Params: []table.Param{
					{Name: "name", Type: table.String(), Help: "its name"},
					{Name: "value", Type: table.String(), Optional: true, Help: "its value; it is unset if left out"},
				},
				Run: f.env,
				Example: `fake.env("EDITOR", "vi")
env.get("EDITOR")  # -> "vi"
fake.env("EDITOR")
env.get("EDITOR")  # -> None`,
			},
			{
				Name: "fake.pass_time", Doc: "Lets time pass, on all clocks. It passes in no other way but by waiting, which takes no time.",
				Params: []table.Param{{Name: "duration", Type: table.Duration(), Help: "how much"}},
				Run:    f.passTime,
				Example: `began = time.now()
fake.pass_time("8h")
time.now() - began == 8 * time.hour  # -> True`,
			},
			{
				Name: "fake.set_clock", Doc: "Sets the wall clock, forwards or back, as a user may. Leases don't go by it.",
				Params: []table.Param{{Name: "time", Type: table.String(), Help: "the time in the form of RFC 3339"}},
				Errors: "A text that isn't a time.",
				Run:    f.setClock,
				Example: `fake.set_clock("2030-01-02T03:04:05Z")
time.now().year  # -> 2030`,
			},
			{
				Name: "fake.process", Doc: "Says what a command does. Of several that fit, the one said last counts. One of which nothing is said isn't there, except kinfra and docker.",
				Params: []table.Param{
					{Name: "args", Type: table.Strings(), Help: "the program and the first of its arguments: all commands that begin so"},
					code, text("stdout", "what it prints"), text("stderr", "what it prints on stderr"),
					{Name: "hangs", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "it never ends, so that its time runs out"},
				},
				Errors: "No program.",
				Run:    f.process,
				Example: `fake.process(["make"], code = 2, stderr = "no rule\n")
fake.process(["make", "test"], stdout = "ok\n")
proc.run(["make", "test", "-j2"]).stdout  # -> "ok\n"
proc.run(["make", "all"])  # fails: ended with code 2`,
			},
			{
				Name: "fake.processes", Doc: "Lists the commands that were started so far, those of docker and kinfra included.",
				Result: "a list of `struct(args, dir, env, stdin)`, env a dict",
				Run:    f.processes,
				Example: `proc.run(["git", "rev-parse", "HEAD"])
[p.args for p in fake.processes() if p.args[0] == "git"]
# -> [["git", "rev-parse", "HEAD"]]`,
			},
			{
				Name: "fake.answers", Doc: "Says how the user answers the questions that come, one after the other, in place of what was said before. A question that no answer is left for fails the test. Until it is called, there is nobody to ask.",
				Params: []table.Param{{Name: "answers", Type: table.ListOf("a list of bools and strings", table.OneOf(table.Bool(), table.String())), Help: "a bool for ask.confirm, a string for the others; what is no answer to its question is told, and the next one counts"}},
				Run:    f.answers,
				Example: `fake.answers([True, "big"])
ask.confirm("Go on?")  # -> True
ask.choose("Which?", ["small", "big"])  # -> "big"
ask.text("Name?")  # fails: no answer is left for: Name?`,
			},
			{
				Name: "fake.questions", Doc: "Lists the questions that fake.answers has answered so far.",
				Result: "a list of `struct(kind, message, choices, default)`: kind is confirm, choose or text; default is None where there is none",
				Run:    f.questions,
				Example: `fake.answers([False])
ask.confirm("Go on?", default = True)  # -> False
[q.message for q in fake.questions()]  # -> ["Go on?"]`,
			},
			{
				Name: "fake.listen", Doc: "Has something else listen on a port of this machine.",
				Params: []table.Param{
					{Name: "number", Type: table.Int(), Help: "the port"},
					{Name: "taken", Type: table.Bool(), Named: true, Optional: true, Default: starlark.True, Help: "whether it does; the port is free if not"},
				},
				Run: f.listen,
				Example: `fake.listen(7001)
ports.listening(7001)  # -> True`,
			},
			{
				Name: "fake.docker", Doc: "Starts the Docker Engine, or ends it. It runs at first.",
				Params: []table.Param{{Name: "running", Type: table.Bool(), Named: true, Help: "whether it can be reached"}},
				Run:    f.dockerRuns,
				Example: `fake.docker(running = False)
stack.survey().slots[0].status  # -> None`,
			},
			{
				Name: "fake.service", Doc: "Says what becomes of a service when a stack is started. All get healthy of which nothing is said.",
				Params: []table.Param{service, state, code, text("logs", "what it prints")},
				Errors: "An unknown state.",
				Run:    f.service,
				Example: `fake.service("web", "exited", code = 3, logs = "no database\n")
held = claim.take(claim.worktree())
stack.up(held)  # fails: no database`,
			},
			{
				Name: "fake.container", Doc: "Puts a container of a slot's stack on the Engine, in the place of the one of that service if there is one.",
				Params: []table.Param{id, service, state, code, text("dir", "the directory of its project, if that only has the name of the slot's")},
				Errors: "An unknown state.",
				Run:    f.container,
				Example: `fake.container(1, "web", "unhealthy")
stack.survey().slots[0].status  # -> "unhealthy"`,
			},
			{
				Name: "fake.claim", Doc: "Enters a claim into the registry as another tool does, without a lock or a lease.",
				Params: []table.Param{id, {Name: "worktree", Type: table.String(), Help: "the path of the worktree; empty for none"}},
				Errors: "A slot that isn't there.",
				Run:    f.claim,
				Example: `fake.claim(1, "/home/user/other")
registry.slot(1).claimed_by  # -> "/home/user/other"
claim.take(claim.worktree()).slot  # -> 2`,
			},
		},
	}
	for i := range m.Builtins {
		m.Builtins[i].Run = unlessLoading(m.Builtins[i].Run)
		name := m.Builtins[i].Name
		m.Builtins[i].Changes = name != "fake.processes" && name != "fake.questions" // the machine, which is outside of the run
	}
	return m
}

// unlessLoading refuses a call while a file is loading: each test is to say itself what
// its machine has.
func unlessLoading(run func(*table.Call) (starlark.Value, error)) func(*table.Call) (starlark.Value, error) {
	return func(c *table.Call) (starlark.Value, error) {
		if engine.Loading(c.Thread) {
			return nil, fmt.Errorf("%s: %w", c.Builtin.Name, engine.ErrLoading)
		}
		return run(c)
	}
}

func (f *fake) kinfra(c *table.Call) (starlark.Value, error) {
	ran := f.machine.command(engine.Context(c.Thread), f.machine.Fake.World(), f.machine, c.Strings("args"))
	if err := engine.Context(c.Thread).Err(); err != nil {
		return nil, err
	}
	if ran.Err != nil {
		return nil, fmt.Errorf("kinfra %s: the result: %w", lastwords.Command(c.Strings("args")), ran.Err)
	}
	if want := c.Int("code"); ran.Code != want {
		return nil, fmt.Errorf("kinfra %s: expected exit code %d\ngot %d, and:\n%s", lastwords.Command(c.Strings("args")), want, ran.Code, ran.lastWords())
	}
	return engine.Struct("code", ran.Code, "result", ran.Result, "error", orNone(ran.Message),
		"stdout", utf8Text(ran.Stdout), "stderr", utf8Text(ran.Stderr)), nil
}

// path is an absolute path of the machine.
func (f *fake) path(c *table.Call) string {
	path := c.String("path")
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.machine.Fake.Dir, path)
	}
	return filepath.Clean(path)
}

func (f *fake) file(c *table.Call) (starlark.Value, error) {
	path, files := f.path(c), f.machine.Fake.Host()
	if err := files.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, named(c, err)
	}
	return nil, named(c, world.Replace(files, f.machine.Fake.World(), path, []byte(c.String("content")), 0o644))
}

func (f *fake) changeDir(c *table.Call) (starlark.Value, error) {
	path := f.path(c)
	if err := f.machine.Fake.Host().MkdirAll(path, 0o755); err != nil {
		return nil, named(c, err)
	}
	f.machine.Fake.Dir = path
	return nil, nil
}

func (f *fake) env(c *table.Call) (starlark.Value, error) {
	if c.Has("value") {
		f.machine.Fake.Env[c.String("name")] = c.String("value")
	} else {
		delete(f.machine.Fake.Env, c.String("name"))
	}
	return nil, nil
}

func (f *fake) passTime(c *table.Call) (starlark.Value, error) {
	f.machine.Fake.Pass(c.Duration("duration"))
	return nil, nil
}

func (f *fake) setClock(c *table.Call) (starlark.Value, error) {
	t, err := time.Parse(time.RFC3339, c.String("time"))
	if err != nil {
		return nil, fmt.Errorf(`fake.set_clock: %q: want a time such as "2026-02-03T04:05:06Z"`, c.String("time"))
	}
	f.machine.Fake.Advance(t.Sub(f.machine.Fake.Now()))
	return nil, nil
}

func (f *fake) process(c *table.Call) (starlark.Value, error) {
	p := program{args: c.Strings("args"), hangs: c.Bool("hangs")}
	p.out = world.Output{Code: c.Int("code"), Stdout: []byte(c.String("stdout")), Stderr: []byte(c.String("stderr"))}
	if len(p.args) == 0 {
		return nil, fmt.Errorf("fake.process: args is empty: want a program, and the first of its arguments")
	}
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	f.machine.programs = append(f.machine.programs, p)
	return nil, nil
}

func (f *fake) processes(*table.Call) (starlark.Value, error) {
	return engine.List(f.machine.Fake.Commands(), func(cmd world.Command) starlark.Value {
		return engine.Struct("args", engine.List(cmd.Args, stringValue), "dir", cmd.Dir, "env", environDict(cmd.Env), "stdin", utf8Text(cmd.Stdin))
	}), nil
}

func environDict(environ []string) *starlark.Dict {
	all := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return stringDict(all)
}

func (f *fake) listen(c *table.Call) (starlark.Value, error) {
	f.machine.Fake.Listen(fmt.Sprintf("127.0.0.1:%d", c.Int("number")), c.Bool("taken"))
	return nil, nil
}

func (f *fake) dockerRuns(c *table.Call) (starlark.Value, error) {
	f.machine.docker.Stop(!c.Bool("running"))
	return nil, nil
}

// outcome is how a container is, of the arguments of a call.
func outcome(c *table.Call) (fakedocker.Outcome, error) {
	o := fakedocker.Outcome{State: fakedocker.State(c.String("state")), Code: c.Int("code")}
	if !slices.Contains(fakedocker.States(), o.State) {
		return o, fmt.Errorf("%s: state is %q, want one of %q", c.Builtin.Name, o.State, fakedocker.States())
	}
	return o, nil
}

func (f *fake) service(c *table.Call) (starlark.Value, error) {
	o, err := outcome(c)
	if err != nil {
		return nil, err
	}
	o.Logs = c.String("logs")
	f.machine.docker.Expect(c.String("service"), o)
	return nil, nil
}

func (f *fake) container(c *table.Call) (starlark.Value, error) {
	o, err := outcome(c)
	if err != nil {
		return nil, err
	}
	m, err := f.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	project := m.Project(c.Int("slot"))
	f.machine.docker.Put(fakedocker.Container{
		Name: fmt.Sprintf("%s-%s-1", project, c.String("service")), Project: project, Service: c.String("service"),
		Dir: cmp.Or(c.String("dir"), m.Dir(c.Int("slot"))), Outcome: o,
	})
	return nil, nil
}

func (f *fake) claim(c *table.Call) (starlark.Value, error) {
	store, err := f.store(c.Thread)
	if err != nil {
		return nil, err
	}
	return nil, store.Update(engine.Context(c.Thread), func(r *registry.Registry) error {
		s, ok := r.Slot(c.Int("slot"))
		if !ok {
			return fmt.Errorf("fake.claim: there is no slot %d in %s", c.Int("slot"), store.Path())
		}
		s.ClaimedBy, s.ClaimedAt = c.String("worktree"), ""
		if s.ClaimedBy != "" {
			s.ClaimedAt = f.machine.Fake.Now().Format("2006-01-02T15:04:05.000000-07:00")
		}
		return r.PutSlot(s)
	})
}
