package engine

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/world"
)

// The result of a step is what a record of it would give back, the first time too.
func TestStepResult(t *testing.T) {
	for _, c := range []struct{ result, use, want, err string }{
		{result: `None`, use: `print(repr(r))`, want: "None\n"},
		{result: `[True, 1, 1 << 70, 1.5, "é"]`, use: `print(repr(r))`, want: "[True, 1, 1180591620717411303424, 1.5, \"é\"]\n"},
		{result: `(1, (2,))`, use: `print(type(r), type(r[1]), r)`, want: "list list [1, [2]]\n"},
		{result: `{"b": 1, "a": (2,)}`, use: `print(r)`, want: "{\"b\": 1, \"a\": [2]}\n"},
		{result: `struct(b = 1, a = struct(x = (1,)))`, use: `print(type(r.a), r.a.x, r.b)`, want: "struct [1] 1\n"},
		{result: `[1]`, use: `r.append(2)`, err: "frozen list"},
		{result: `{"a": []}`, use: `r["a"].append(2)`, err: "frozen list"},
		{result: `run`, err: "a step's result must be JSON-able: function run has no JSON form"},
		{result: `{1: 2}`, err: "a dict has the key 1, which is not a string"},
		{result: `set([1])`, err: "a set: set([1]) has no JSON form"},
		{result: `float("nan")`, err: "the number nan has no JSON form"},
		{result: `[float("+inf")]`, err: "has no JSON form"},
		{result: `nested(99)`, use: `print(len(r))`, want: "1\n"},
		{result: `nested(101)`, err: "it nests deeper than 100"},
		{result: `cycle()`, err: "it nests deeper than 100"},
		{result: `"x" * 1000`, use: `print(len(r))`, want: "1000\n"},
		{result: `"x" * 5000`, err: "it has more than 4096 bytes"},
		{result: `{"x" * 5000: 1}`, err: "it has more than 4096 bytes"},
		{result: `[1 << 511] * 50`, err: "it has more than 4096 bytes"},
		{result: `doubled(40)`, err: "it has more than 4096 bytes"},
	} {
		t.Run(c.result, func(t *testing.T) {
			m := newMachine(t, `
def nested(n):
    v = []
    for _ in range(n):
        v = [v]
    return v

def cycle():
    v = []
    v.append(v)
    return v

def doubled(n):
    v = []
    for _ in range(n):
        v = [v, v]
    return v

`+body("r = step(\"s\", lambda: "+c.result+")\n"+c.use))
			m.config.Limits.Result = 4096
			m.wants(m.exec(), c.err)
			m.wantsOut(c.want)
		})
	}
}

// What a step returned is its own: the value that run made stays as it is.
func TestStepResultIsACopy(t *testing.T) {
	m := newMachine(t, body(`
kept = [1]
r = step("s", lambda: kept)
kept.append(2)
print(r, kept)`))
	m.wants(m.exec(), "")
	m.wantsOut("[1] [1, 2]\n")
}

func TestStepNames(t *testing.T) {
	for _, c := range []struct{ body, err, statuses string }{
		{`step("a", lambda: step("b", lambda: 1))
step("b", lambda: 1)`, "", "a passed, a/b passed, b passed"},
		{`step("a", lambda: 1)
step("a", lambda: 1)`, `step: the name "a" is used twice`, "a passed"},
		{`step("a", lambda: 1)
check("a", lambda: 1)`, `check: the name "a" is used twice`, "a passed"},
		{`step("a", lambda: [step("b", lambda: 1), step("b", lambda: 1)])`, `the name "a/b" is used twice`, "a failed, a/b passed"},
		{`step("", lambda: 1)`, `step: name "": want a few words on one line, without a slash`, ""},
		{`step(" \t", lambda: 1)`, "want a few words", ""},
		{`step("a/b", lambda: 1)`, "want a few words", ""},
		{`check("a\nb", lambda: 1)`, "check: name \"a\\nb\": want a few words", ""},
	} {
		m := newMachine(t, body(c.body))
		m.wants(m.exec(), c.err)
		if got := m.statuses(); got != c.statuses {
			t.Errorf("%s: the report is %q, want %q", c.body, got, c.statuses)
		}
	}
}

// A failure takes back the steps that were done, newest first, each with its result.
func TestUndo(t *testing.T) {
	m := newMachine(t, body(`
def undo(r):
    print("undo", r)
step("a", lambda: "A", undo = undo)
step("none", lambda: "N")
step("b", lambda: step("c", lambda: "C", undo = undo) + "B", undo = undo)
step("d", lambda: fail("no d"), undo = undo)`))
	m.wants(m.exec(), "no d")
	m.wantsOut("undo CB\nundo C\nundo A\n")
	if got, want := m.statuses(), "a undone, none passed, b undone, b/c undone, d failed"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
}

// An undo that fails is reported, and the others run.
func TestUndoThatFails(t *testing.T) {
	m := newMachine(t, body(`
step("a", lambda: 1, undo = lambda _: print("undo a"))
step("b", lambda: 1, undo = lambda _: fail("b stays"))
step("c", lambda: 1, undo = lambda _: print("undo c"))
fail("the cause")`))
	err := m.exec()
	m.wants(err, "the cause")
	m.wantsOut("undo c\nundo a\n")
	for _, want := range []string{"undoing b", "b stays"} {
		if !strings.Contains(m.stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, &m.stderr)
		}
	}
	if got, want := m.statuses(), "a undone, b passed, c undone"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
	if b := m.run.Report().Nodes[1]; len(b.Problem) == 0 || b.Problem[0].Message != "b stays" {
		t.Errorf("the report does not say that undoing b failed: %+v", b)
	}
}

// Steps stay done when only checks failed, and when nothing did.
func TestNoUndo(t *testing.T) {
	for name, last := range map[string]string{"success": "pass", "checks failed": `check("c", lambda: fail("no"))`, "caught": `attempt(lambda: fail("no"))`} {
		m := newMachine(t, body(`step("a", lambda: 1, undo = lambda _: print("undo a"))`+"\n"+last))
		_ = m.exec()
		if m.stdout.Len() > 0 {
			t.Errorf("%s: the step was undone", name)
		}
	}
}

// A failure is tried again after pauses that double, by the clock of the world.
func TestRetries(t *testing.T) {
	m := newMachine(t, body(`
start = probe.clock()
def run():
    print(probe.clock() - start)
    fail("not yet")
step("s", run, retries = 3, backoff = "100ms")`))
	m.wants(m.exec(), "not yet")
	m.wantsOut("0\n100\n300\n700\n")
	if n := strings.Count(m.stderr.String(), "retry s in"); n != 3 {
		t.Errorf("%d retries were told of, want 3:\n%s", n, &m.stderr)
	}
}

func TestRetriesEndWithTheFirstSuccess(t *testing.T) {
	m := newMachine(t, body(`
tries = []
def run():
    tries.append(1)
    if len(tries) < 3:
        fail("not yet")
    return len(tries)
print(step("s", run, retries = 9))`))
	m.wants(m.exec(), "")
	m.wantsOut("3\n")
}

// A result that can't be recorded is the script's fault, and no reason to try again.
func TestNoRetryOfABadResult(t *testing.T) {
	m := newMachine(t, body(`
def run():
    print("run")
    return run
step("s", run, retries = 3)`))
	m.wants(m.exec(), "must be JSON-able")
	m.wantsOut("run\n")
}

// A step that takes too long is ended, whatever it does; the script can go on.
func TestStepTimeout(t *testing.T) {
	for name, run := range map[string]string{"computes": "[None for _ in range(1 << 60)]", "waits": "probe.block()"} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := newMachine(t, body(`
def run():
    `+run+`
    print("never")
r = attempt(lambda: step("slow", run, timeout = "1ms"))
print(r.ok, r.error)
total = 0
for i in range(100000):
    total += i
print(total)
print(step("after", lambda: "done"))`))
			m.wants(m.exec(), "")
			m.wantsOut("False the step \"slow\" timed out after 1ms\n4999950000\ndone\n")
			if got, want := m.statuses(), "slow failed, after passed"; got != want {
				t.Errorf("the report is %q, want %q", got, want)
			}
			m.run.Close()
			wantsGoroutines(t, before)
		})
	}
}

// A step that timed out and isn't caught ends the run with the code of a time-out.
func TestStepTimeoutEndsTheRun(t *testing.T) {
	m := newMachine(t, body(`step("outer", lambda: step("slow", probe.block, timeout = "1ms"))`))
	err := m.exec()
	m.wants(err, `the step "slow" timed out after 1ms`)
	m.wantsCode(err, TimedOut)
	if got, want := m.statuses(), "outer failed, outer/slow failed"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
}

// The time of a step around another ends both.
func TestStepTimeoutOfTheOuter(t *testing.T) {
	m := newMachine(t, body(`
r = attempt(lambda: step("outer", lambda: step("inner", probe.block, timeout = "1h"), timeout = "1ms"))
print(r.error)
print(step("after", lambda: "done"))`))
	m.wants(m.exec(), "")
	m.wantsOut("the step \"outer\" timed out after 1ms\ndone\n")
}

// Inside a step that timed out, nothing is caught: neither by attempt nor as a retry.
func TestStepTimeoutIsNotCaughtInside(t *testing.T) {
	m := newMachine(t, body(`
def run():
    r = attempt(probe.block)
    print("never", r)
step("slow", run, timeout = "1ms")`))
	m.wants(m.exec(), `the step "slow" timed out after 1ms`)
	m.wantsOut("")
}

func TestStepTimeoutIsPerTry(t *testing.T) {
	m := newMachine(t, body(`
tries = []
def run():
    tries.append(1)
    if len(tries) < 3:
        probe.block()
    return len(tries)
print(step("s", run, retries = 2, timeout = "20ms"))`))
	m.wants(m.exec(), "")
	m.wantsOut("3\n")
}

// A step takes the world's time.
func TestStepTook(t *testing.T) {
	m := newMachine(t, body(`step("s", lambda: attempt(lambda: step("inner", lambda: fail("x"), retries = 1, backoff = "3s")))`))
	m.config.Modules = nil
	_ = m.exec()
	m.run.Report().Walk(func(n *report.Node) {
		if n.Took != 3*time.Second {
			t.Errorf("%s took %s, want 3s", n.Key, n.Took)
		}
	})
}

// When a step is tried again, the steps inside it that were done are not run again, nor
// taken back twice; those that failed are.
func TestRetriesOfStepsInside(t *testing.T) {
	m := newMachine(t, body(`
tries = []
def run():
    tries.append(1)
    r = [step("a", lambda: print("a") or len(tries), undo = lambda r: print("undo a", r))]
    r += parallel([1, 2], lambda n: step("b%d" % n, lambda: print("b", n) or n))
    if len(tries) == 1:
        fail("not yet")
    attempt(lambda: step("c", lambda: print("c") or fail("never")))
    check("d", lambda: print("d"))
    if len(tries) == 2:
        fail("nor now")
    return r
print(step("s", run, retries = 3))
step("s/a", lambda: 1)`))
	m.wants(m.exec(), "without a slash")
	m.wantsOut("a\nb 1\nb 2\nc\nd\nc\nd\n[1, 1, 2]\nundo a 1\n")
	if got, want := m.statuses(), "s passed, s/a undone, s/b1 passed, s/b2 passed, s/c failed, s/d passed"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
}

// Steps in memory, without a record.
func BenchmarkStep(b *testing.B) { benchmarkSteps(b, nil) }

// With its record, on whatever disk the temporary directory is.
func BenchmarkRecordedStep(b *testing.B) {
	w := world.Real("the benchmark")
	store := journal.Open(w, b.TempDir(), 50)
	benchmarkSteps(b, func(c *Config) {
		c.World = w
		c.Record = func(_ *starlark.Thread, _ func() []layer.File, first func(string) *event.Event) (*journal.Journal, error) {
			j, _, err := store.Create([]byte("{}"), first)
			return j, err
		}
	})
}

// benchmarkSteps runs steps that do nothing, a thousand in a run.
func benchmarkSteps(b *testing.B, configure func(*Config)) {
	const steps = 1000
	b.ReportAllocs()
	for range b.N/steps + 1 {
		m := newMachine(&testing.T{}, body(fmt.Sprintf(`for i in range(%d):
    step("step %%d" %% i, lambda: None)`, steps)))
		if configure != nil {
			configure(&m.config)
		}
		if err := m.exec(); err != nil {
			b.Fatal(err)
		}
		m.run.Close()
	}
}
