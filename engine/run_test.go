package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// A file is evaluated once per run, from however many places it is loaded.
func TestLoadedOnce(t *testing.T) {
	m := newMachine(t,
		"load(\"a.star\", \"a\")\nload(\"b.star\", \"b\")\nload(\"./c.star\", \"c\")\nload(\"@kinfra//c.star\", again = \"c\")\n"+body(`print(a, b, c, again)`),
		"a.star: load(\"c.star\", \"c\")\na = c", "b.star: load(\"c.star\", \"c\")\nb = c", "c.star: print(\"once\")\nc = []")
	m.wants(m.exec(), "")
	m.wantsOut("once\n[] [] [] []\n")
}

// What a file defines is frozen once it has run, its own functions included.
func TestModulesAreFrozen(t *testing.T) {
	for _, do := range []string{"a.append(1)", "b[1] = 1", "add()", "s.x.append(1)"} {
		m := newMachine(t, "load(\"lib.star\", \"a\", \"b\", \"add\", \"s\")\n"+body(do),
			"lib.star: a = []\nb = {}\ns = struct(x = [])\ndef add():\n    a.append(1)\n")
		m.wants(m.exec(), "frozen")
	}
}

func TestLoadRefused(t *testing.T) {
	for label, want := range map[string]string{
		"nowhere.star":           "nowhere.star is in no layer: file does not exist",
		"./nowhere.star":         "nowhere.star: file does not exist",
		"@kinfra//nowhere.star":  "nowhere.star: ",
		"@other//x.star":         `"@other//x.star": the only repository is "@kinfra//"`,
		"../x.star":              `"../x.star" is not a name within a layer`,
		"./../x.star":            `"../x.star" is not a name within a layer`,
		"/etc/passwd":            `"/etc/passwd" is not a name within a layer`,
		"@kinfra///etc/passwd":   `"/etc/passwd" is not a name within a layer`,
		"a/../x.star":            `"a/../x.star" is not a name within a layer`,
		"":                       `"" is not a name within a layer`,
		".":                      `"." is not a name within a layer`,
		"./":                     `"" is not a name within a layer`,
		"lib\\\\x.star":          `is not a name within a layer`,
		"x.star\\x00":            `is not a name within a layer`,
		"main.star":              "load cycle: main.star -> main.star",
		"one.star":               "load cycle: main.star -> one.star -> two.star -> one.star",
		"private.star\", \"_x":   "names with leading underscores are not exported: _x",
		"private.star\", \"none": "load: name none not found in module private.star",
	} {
		m := newMachine(t, "load(\""+label+"\", x = \"x\")\n",
			"one.star: load(\"two.star\", \"y\")\nx = 1", "two.star: load(\"one.star\", \"x\")\ny = 1", "private.star: _x = 1\nx = 1")
		_, err := m.load()
		if err == nil {
			t.Errorf("load(%q) works", label)
			continue
		}
		m.wants(err, want)
		if !strings.Contains(label, "none") {
			m.wantsCode(err, Usage)
		}
	}
}

// While a file is loading nothing is changed, started or recorded: help and completion
// load files, too.
func TestLoadingOnlyReads(t *testing.T) {
	for _, do := range []string{
		`probe.write("x")`, `probe.exec("ls")`, `step("a", lambda: 1)`, `check("a", lambda: 1)`, `on_exit(print)`, `conclude("x", code = "conflict")`,
	} {
		t.Run(do, func(t *testing.T) {
			for where, files := range map[string][]string{
				"the top level": {do + "\n" + body("pass")},
				"a function":    {"def f():\n    " + do + "\nf()\n" + body("pass")},
				"a file loaded": {"load(\"lib.star\", \"x\")\n" + body("pass"), "lib.star: x = 1\n" + do},
			} {
				m := newMachine(t, files...)
				_, err := m.load()
				if !errors.Is(err, ErrLoading) {
					t.Errorf("in %s: the error is %v", where, err)
				}
				if m.exists("/tmp/x") || len(m.fake.Commands()) > 0 || len(m.run.Report().Nodes) > 0 {
					t.Errorf("in %s: something was done", where)
				}
			}
			m := newMachine(t, "load(\"lib.star\", \"x\")\n", "lib.star: x = 1\n"+do)
			if _, err := m.loadUnder(context.Background(), true); !errors.Is(err, ErrLoading) {
				t.Errorf("in a file loaded by one that may: the error is %v", err)
			}
			m = newMachine(t, body("probe.evaluate(\"lib.star\")"), "lib.star: x = 1\n"+do)
			if err := m.exec(); !errors.Is(err, ErrLoading) {
				t.Errorf("in a file that a builtin loads: the error is %v", err)
			}
		})
	}
}

// A file without a workflow does what it does at its top level.
func TestTopLevelWithEffects(t *testing.T) {
	m := newMachine(t, `
on_exit(lambda: print("at the end"))
print(step("s", lambda: probe.write("x") or "written"))
check("c", lambda: 1)
`)
	_, err := m.loadUnder(context.Background(), true)
	m.wants(m.run.Finish(err), "")
	m.wantsOut("written\nat the end\n")
	if !m.exists("/tmp/x") {
		t.Error("nothing was written")
	}
	if got, want := m.statuses(), "s passed, c passed"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
}

func TestTopLevelThatFails(t *testing.T) {
	m := newMachine(t, `
step("s", lambda: 1, undo = lambda _: print("undone"))
on_exit(lambda: print("at the end"))
fail("no", code = "missing")
`)
	_, err := m.loadUnder(context.Background(), true)
	err = m.run.Finish(err)
	m.wants(err, "no")
	m.wantsCode(err, Missing)
	m.wantsOut("undone\nat the end\n")
}

// The ways in which a run ends: its code, and what is called at its end.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name, body, out, err string
		code                 Code
	}{
		{"success", `pass`, "exit\n", "", OK},
		{"fail", `fail("no", "good:", 1, [2], code = "conflict", hint = "try again")`, "exit\n", "no good: 1 [2]", Conflict},
		{"fail without a code", `fail("no")`, "exit\n", "no", Failed},
		{"fail with an unknown code", `fail("no", code = "bad")`, "exit\n", `fail: code "bad" is not one of ["failed" "usage" "unavailable" "conflict" "damaged" "missing"]`, Failed},
		{"conclude", `conclude("drift", code = "conflict")`, "exit\nshown None\n", "drift", Conflict},
		{"conclude twice", "conclude(\"first\", code = \"missing\")\nconclude(\"second\", code = \"conflict\")", "exit\nshown None\n", "first", Missing},
		{"conclude, then fail", "conclude(\"first\", code = \"missing\")\nfail(\"second\", code = \"damaged\")", "exit\n", "second", Damaged},
		{"conclude, and a check failed", "conclude(\"first\", code = \"missing\")\ncheck(\"c\", lambda: fail(\"no\"))", "exit\nshown None\n", "1 of 1 checks failed: c", Failed},
		{"an error of Starlark's", `1 // 0`, "exit\n", "floored division by zero", Failed},
		{"a fault of a module's", `probe.exec("ls")`, "exit\n", "ls: executable file not found", Failed},
		{"interrupted", `probe.stop() or probe.block()`, "exit\n", "interrupted", Interrupted},
		{"interrupted while computing", `probe.stop() or [None for _ in range(1 << 60)]`, "exit\n", "interrupted", Interrupted},
		{"too long", `[None for _ in range(1 << 60)]`, "exit\n", "over the limit of execution steps", TimedOut},
		{"too long in a step", `step("s", lambda: [None for _ in range(1 << 60)], retries = 3, timeout = "1h")`, "exit\n", "over the limit of execution steps", TimedOut},
		{"attempt can't catch an interruption", "attempt(lambda: probe.stop() or probe.block())\nprint(\"never\")", "exit\n", "interrupted", Interrupted},
		{"attempt can't catch a limit", "attempt(lambda: [None for _ in range(1 << 60)])\nprint(\"never\")", "exit\n", "over the limit", TimedOut},
		{"expect.fails can't catch an interruption", "expect.fails(lambda: probe.stop() or probe.block())\nprint(\"never\")", "exit\n", "interrupted", Interrupted},
		{"on_exit fails", `on_exit(lambda: fail("at the end", code = "damaged"))`, "exit\n", "at the end", Damaged},
		{"on_exit fails after a failure", "on_exit(lambda: fail(\"at the end\", code = \"damaged\"))\nfail(\"first\", code = \"missing\")", "exit\n", "first", Missing},
		{"on_exit computes for ever", `on_exit(lambda: [None for _ in range(1 << 60)])`, "exit\n", "over the limit of execution steps", TimedOut},
		{"on_exit, last first", "on_exit(lambda: print(1))\non_exit(lambda: print(2))", "2\n1\nexit\nshown None\n", "", OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := newMachine(t, strings.Replace(body("on_exit(lambda: print(\"exit\"))\n"+c.body), "run = run", "run = run, show = lambda r: print(\"shown\", r)", 1))
			m.config.Limits.Steps = 100_000
			err := m.exec()
			m.wants(err, c.err)
			m.wantsCode(err, c.code)
			if c.name == "success" {
				c.out += "shown None\n"
			}
			// A workflow that returns nothing has nothing to show.
			m.wantsOut(strings.ReplaceAll(c.out, "shown None\n", ""))
			if m.run.Report().Passed() != (err == nil) {
				t.Errorf("the report says passed = %v, the error is %v", m.run.Report().Passed(), err)
			}
			m.run.Close()
			wantsGoroutines(t, before)
		})
	}
}

// The limit of execution steps is the run's: loading and running share it.
func TestStepsAreShared(t *testing.T) {
	m := newMachine(t, "x = [None for _ in range(300)]\n"+body("y = [None for _ in range(300)]"))
	m.config.Limits.Steps = 100_000
	m.wants(m.exec(), "")
	used := m.config.Limits.Steps - uint64(m.run.budget.left.Load())
	if used < 600 {
		t.Fatalf("%d steps were counted", used)
	}
	m.config.Limits.Steps = used * 3 / 4
	m.wants(m.exec(), "over the limit of execution steps")
}

func TestTimeout(t *testing.T) {
	for name, do := range map[string]string{"computes": "[None for _ in range(1 << 60)]", "waits": "probe.block()", "catches": "attempt(probe.block)\nprint(\"never\")"} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := newMachine(t, body("on_exit(lambda: print(\"exit\"))\nstep(\"s\", lambda: 1, undo = lambda _: print(\"undone\"))\n"+do))
			m.config.Timeout = 50 * time.Millisecond
			err := m.exec()
			m.wants(err, "the run timed out after 50ms")
			m.wantsCode(err, TimedOut)
			m.wantsOut("undone\nexit\n")
			m.run.Close()
			wantsGoroutines(t, before)
		})
	}
}

// What is said of a check in whose midst the run has timed out is that.
func TestTimeoutInACheck(t *testing.T) {
	for _, do := range []string{"[None for _ in range(1 << 60)]", "probe.block()"} {
		m := newMachine(t, "def within():\n    "+do+"\n\n"+body("check(\"c\", within)"))
		m.config.Timeout = 50 * time.Millisecond
		m.wantsCode(m.exec(), TimedOut)
		problem := m.run.Report().Nodes[0].Problem
		if len(problem) != 1 || problem[0].Message != "the run timed out after 50ms" || problem[0].Place == nil || problem[0].Place.Line != 2 {
			t.Errorf("%s: said of the check: %+v", do, problem)
		}
	}
}

// A run that is cancelled from outside ends with the cause of that.
func TestCancelledFromOutside(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	m := newMachine(t, body("print(\"started\")\nprobe.block()"))
	m.config.Output.Present = &present.Plain{Announcements: writerFunc(func() { cancel(ErrInterrupted) }), Progress: io.Discard}
	err := m.execUnder(ctx)
	m.wants(err, "interrupted")
	m.wantsCode(err, Interrupted)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error %v does not wrap the builtin's", err)
	}
}

// Who has interrupted a run that takes long to end is told what is going on, and what to do.
func TestInterruptedRunThatTakesLong(t *testing.T) {
	told := make(chan bool)
	m := newMachine(t, body("on_exit(wait.told)\nprobe.stop()\nprobe.block()"))
	m.config.Modules = append(m.config.Modules, table.Module{Name: "wait", Builtins: []table.Builtin{{
		Name: "wait.told", Run: func(*table.Call) (starlark.Value, error) { <-told; return nil, nil },
	}}})
	m.config.Patience = time.Millisecond
	m.config.Output.Present = presenterFunc(func(e *event.Event) {
		if e.Type == event.Warned && strings.Contains(e.Text, "interrupt once more to end kinfra at once") {
			close(told)
		}
	})
	m.wants(m.exec(), "interrupted")
}

type presenterFunc func(*event.Event)

func (f presenterFunc) Show(e *event.Event) { f(e) }

type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) { f(); return len(p), nil }

// Before a run begins it may be over.
func TestCancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrInterrupted)
	m := newMachine(t, body("pass"))
	_, err := m.loadUnder(ctx, false)
	m.wants(err, "interrupted")
	m.wantsCode(err, Interrupted)
}

func TestAttempt(t *testing.T) {
	m := newMachine(t, body(`
print(attempt(lambda: [1]))
print(attempt(lambda: fail("no", code = "conflict")))
print(attempt(lambda: [][1]))
print(attempt(lambda: attempt(lambda: fail("inner")).error))
r = attempt(lambda: step("s", lambda: fail("in a step"), undo = lambda _: print("never")))
print(r.ok, r.error)`))
	m.wants(m.exec(), "")
	m.wantsOut(`struct(error = "", ok = True, value = [1])
struct(error = "no", ok = False, value = None)
struct(error = "index 1 out of range: empty list", ok = False, value = None)
struct(error = "", ok = True, value = "inner")
False in a step
`)
}

func TestPlanned(t *testing.T) {
	const rest = "The rest is known only when it runs.\n"
	for _, c := range []struct{ name, body, out, statuses, err string }{
		{"planned", `print(planned())`, "True\n", "", ""},
		{
			"a step that starts a process is decided later, the next goes on", `
r = step("a", lambda: probe.exec("make"))
print(r)
step("b", lambda: probe.write("x"))`,
			"<known only when it runs>\n", "a decided, b passed", "",
		},
		{
			"what needs its result is decided later, too", `
r = step("a", lambda: probe.exec("make"))
step("b", lambda: r.stdout)
step("c", lambda: r["x"])
step("d", lambda: r + "x")
step("e", lambda: "x" + r)
step("f", lambda: [r])
step("g", lambda: struct(x = r))
step("h", lambda: r)
step("i", lambda: r())
step("j", lambda: -r)
step("k", lambda: {r: 1})`, "",
			"a decided, b decided, c decided, d decided, e decided, f decided, g decided, h decided, i decided, j decided, k decided", "",
		},
		{"nothing is retried", `step("a", lambda: probe.exec("make"), retries = 3)`, "", "a decided", ""},
		{"attempt doesn't catch it", "attempt(lambda: probe.exec(\"make\"))\nprint(\"never\")", rest, "", ""},
		{"nor does expect.fails", "expect.fails(lambda: probe.exec(\"make\"))\nprint(\"never\")", rest, "", ""},
		{
			"the rest", "r = step(\"a\", lambda: probe.exec(\"make\"))\nprint(r.stdout)\nprint(\"never\")", rest, "a decided", "",
		},
		{
			"a check", `
a = check("a", lambda: probe.exec("make"))
b = check("b", lambda: print("b"), needs = [a])
c = check("c", lambda: print("c"))
d = check("d", lambda: print("d"), needs = [b, c])`,
			"c\n", "a decided, b decided, c passed, d decided", "",
		},
		{"at the end", "on_exit(lambda: probe.exec(\"rm\"))\non_exit(lambda: print(\"exit\"))", "exit\n", "", ""},
		{"nothing was done, so nothing is undone", "step(\"a\", lambda: 1, undo = lambda _: print(\"never\"))\nfail(\"no\")", "", "a passed", "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, body(c.body)).planned()
			m.wants(m.exec(), c.err)
			m.wantsOut(c.out)
			if got := m.statuses(); got != c.statuses {
				t.Errorf("the report is %q, want %q", got, c.statuses)
			}
			if m.exists("/tmp/x") || len(m.fake.Commands()) > 0 {
				t.Error("something was done")
			}
			if strings.Contains(m.stderr.String(), "retry") {
				t.Errorf("something was tried again:\n%s", &m.stderr)
			}
		})
	}
}

// A result that only the real run knows is shown as far as that goes.
func TestPlannedShow(t *testing.T) {
	m := newMachine(t, `
def show(result):
    print("result:")
    print(result.stdout)
workflow(command = "test", run = lambda args: step("a", lambda: probe.exec("make")), show = show)`).planned()
	m.wants(m.exec(), "")
	m.wantsOut("result:\nThe rest is known only when it runs.\n")
}

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		name, body string
		dry        bool
		want       string // the object, as Go prints a map
	}{
		{"result", `return struct(b = [1, None], a = {"z": 1.5, "<&>": True})`, false,
			`map[command:test result:map[a:map[<&>:true z:1.5] b:[1 <nil>]] version:1]`},
		{"nothing", `pass`, false, `map[command:test result:<nil> version:1]`},
		{"time and duration", `return [time.now(), time.second, check("c", lambda: 1)]`, false,
			`map[command:test result:[2026-02-02T10:11:12.131415Z 1s map[name:c ok:true]] version:1]`},
		{"failure", `fail("no", code = "conflict", hint = "h")`, false,
			`map[command:test error:map[code:conflict exit:4 hint:h message:no position:map[column:9 file:main.star line:2 source:    fail("no", code = "conflict", hint = "h")]] version:1]`},
		{"conclusion", "conclude(\"no\", code = \"conflict\")\nreturn 1", false,
			`map[command:test error:map[code:conflict exit:4 message:no] result:1 version:1]`},
		{"checks", "check(\"c\", lambda: fail(\"x\"))\nreturn 1", false,
			`map[command:test error:map[code:failed exit:1 message:1 of 1 checks failed: c] result:1 version:1]`},
		{"dry run", `return step("s", lambda: probe.exec("make"))`, true,
			`map[changes:[map[change:run cwd:/tmp run:make step:s]] command:test dry_run:true result:<known only when it runs> version:1]`},
		{"no JSON form", `return run`, false,
			`map[command:test error:map[code:failed exit:1 message:the result of test can't be printed as JSON: function run has no JSON form] version:1]`},
		{"not UTF-8", `return "é"[:1]`, false, `map[command:test result:� version:1]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, body("print(\"on stderr\")\n"+c.body))
			if c.dry {
				m.planned()
			}
			m.printsJSON()
			err := m.exec()
			o := m.object()
			if failed := o["error"] != nil; failed != (err != nil) {
				t.Errorf("the object has an error: %v; the run's is %v", failed, err)
			}
			if e, ok := o["error"].(map[string]any); ok {
				if p, ok := e["position"].(map[string]any); ok {
					p["line"] = p["line"].(float64) - 1 // print's
				}
			}
			if got := fmt.Sprint(o); got != c.want {
				t.Errorf("the object is\n%s\nwant\n%s", got, c.want)
			}
			if !strings.HasPrefix(m.stderr.String(), "on stderr\n") {
				t.Errorf("stderr is %q", &m.stderr)
			}
		})
	}
}

// The same run announces and reports the same.
func TestDeterministic(t *testing.T) {
	outcome := func() []any {
		m := newMachine(t, body(`
for name in ["b", "a", "c"]:
    step(name, lambda: print(name, time.now()) or {"z": 1, "y": struct(q = 1, p = 2)})
check("x", lambda: evidence("e", {"b": 1, "a": 2}))
print(dir(struct(z = 1, a = 2)), {"k": 1, "j": 2})
return struct(z = 1, a = {"y": 1, "x": 2})`))
		m.printsJSON()
		m.wants(m.exec(), "")
		return []any{m.stdout.String(), m.stderr.String(), *m.run.Report()}
	}
	first := outcome()
	for range 20 {
		if again := outcome(); !reflect.DeepEqual(first, again) {
			t.Fatalf("one run gave\n%v\nanother\n%v", first, again)
		}
	}
}

// The codes of errors that come from below the engine.
func TestCodeOf(t *testing.T) {
	classified := errors.New("classified")
	c := &Config{Classify: func(err error) Code {
		if errors.Is(err, classified) {
			return Unavailable
		}
		return Failed
	}}
	for _, x := range []struct {
		err  error
		want Code
	}{
		{nil, OK},
		{errProbe, Failed},
		{fmt.Errorf("x: %w", classified), Unavailable},
		{errors.Join(errProbe, classified), Unavailable},
		{UsageError("", "x"), Usage},
		{fmt.Errorf("x: %w", &Error{Code: Damaged, Err: classified}), Damaged},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), TimedOut},
		{fmt.Errorf("x: %w", world.ErrTimeout), TimedOut},
		{&timeoutError{"x", time.Second}, TimedOut},
		{errors.Join(classified, ErrInterrupted), Interrupted},
		{&causedError{&Error{Code: Conflict}, &timeoutError{"x", time.Second}}, TimedOut},
		{&causedError{&Error{Code: Conflict}, ErrInterrupted}, Interrupted},
		{&starlark.EvalError{Msg: "x"}, Failed},
	} {
		if got := c.CodeOf(x.err); got != x.want {
			t.Errorf("the code of %v is %s, want %s", x.err, got, x.want)
		}
	}
}
