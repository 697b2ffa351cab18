package engine

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// meet is a builtin that lets n branches through once all of them have come.
func meet(n int) table.Module {
	come, all := make(chan bool), make(chan bool)
	go func() {
		for range n {
			<-come
		}
		close(all)
	}()
	return table.Module{Name: "crowd", Builtins: []table.Builtin{{
		Name: "crowd.meet", Run: func(c *table.Call) (starlark.Value, error) {
			select {
			case come <- true:
			case <-Context(c.Thread).Done():
				return nil, Context(c.Thread).Err()
			}
			select {
			case <-all:
				return nil, nil
			case <-Context(c.Thread).Done():
				return nil, Context(c.Thread).Err()
			}
		},
	}}}
}

// As many branches run at the same time as the limit says: with one less they would wait
// for each other for good.
func TestParallelRunsAtTheSameTime(t *testing.T) {
	m := newMachine(t, body(`print(parallel(range(20), lambda n: crowd.meet() or n, limit = 20))`))
	m.config.Modules = append(m.config.Modules, meet(20))
	m.wants(m.exec(), "")
	m.wantsOut("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]\n")
}

// No more branches run at the same time than the limit says.
func TestParallelLimit(t *testing.T) {
	inside, most := make(chan int, 1), 0
	inside <- 0
	module := table.Module{Name: "crowd", Builtins: []table.Builtin{
		{Name: "crowd.enter", Run: func(*table.Call) (starlark.Value, error) {
			n := <-inside + 1
			most = max(most, n)
			inside <- n
			runtime.Gosched()
			return nil, nil
		}},
		{Name: "crowd.leave", Run: func(*table.Call) (starlark.Value, error) {
			inside <- <-inside - 1
			return nil, nil
		}},
	}}
	m := newMachine(t, body(`parallel(range(200), lambda n: [crowd.enter(), crowd.leave()], limit = 3)`))
	m.config.Modules = append(m.config.Modules, module)
	m.wants(m.exec(), "")
	if most < 1 || most > 3 {
		t.Errorf("%d branches ran at the same time, want at most 3", most)
	}
}

func TestParallelResults(t *testing.T) {
	for _, c := range []struct{ name, body, want, err string }{
		{"none", `print(parallel([], fail))`, "[]\n", ""},
		{"a tuple", `print(parallel((3, 1), lambda n: n * 2))`, "[6, 2]\n", ""},
		{"a dict's keys", `print(parallel({"a": 1}, lambda k: k + "!"))`, "[\"a!\"]\n", ""},
		{"frozen", `parallel([1], lambda n: [n])[0].append(2)`, "", "append: cannot append to frozen list"},
		{"frozen items", `parallel([[1]], lambda l: l.append(2))`, "", "append: cannot append to frozen list"},
		{"frozen around", "seen = []\nparallel([1], lambda n: seen.append(n))", "", "append: cannot append to frozen list"},
		{"frozen after", "seen = []\nparallel([1], lambda n: len(seen))\nseen.append(1)", "", "append: cannot append to frozen list"},
		{"limit 0", `parallel([1], len, limit = 0)`, "", `parallel: "limit" wants at least 1, got 0`},
		{"announced in order", `parallel(range(3), lambda n: [print(n, "a"), parallel("xy".elems(), lambda s: print(n, s)), print(n, "z")])`,
			"0 a\n0 x\n0 y\n0 z\n1 a\n1 x\n1 y\n1 z\n2 a\n2 x\n2 y\n2 z\n", ""},
		{"names are shared", `parallel([1, 2], lambda n: step("same", lambda: n))`, "", `the name "same" is used twice`},
		{"nested to the limit", nestedParallel(16), "deep\n", ""},
		{"nested too deep", nestedParallel(17), "", "parallel: calls are nested deeper than 16"},
		{"evidence and checks", `parallel([1, 2], lambda n: check("c%d" % n, lambda: evidence("n", n) or expect.equal(n, 1)))`, "", "1 of 2 checks failed: c2"},
		{"caught", `print(attempt(lambda: parallel([1], lambda n: fail("no", n))).error)`, "no 1\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := newMachine(t, body(c.body))
			m.wants(m.exec(), c.err)
			m.wantsOut(c.want)
			m.run.Close()
			wantsGoroutines(t, before)
		})
	}
}

// nestedParallel is calls of parallel inside each other, each by a function of its own,
// since none may call itself.
func nestedParallel(depth int) string {
	call := `print("deep")`
	for range depth {
		call = `parallel([1], lambda _: ` + call + `)`
	}
	return call
}

func TestParallelWhileLoading(t *testing.T) {
	m := newMachine(t, "parallel([1], len)")
	_, err := m.load()
	m.wants(err, "parallel: ")
	if !errors.Is(err, ErrLoading) {
		t.Errorf("the error is %v", err)
	}
}

// The first failure ends the other branches, whether they wait or compute.
func TestParallelFailureEndsTheOthers(t *testing.T) {
	for name, other := range map[string]string{
		"waits":    `probe.block()`,
		"computes": `[None for _ in range(1 << 60)]`,
		"sleeps":   `wait_until(lambda: False, timeout = "1h", every = "1ms")`,
		"nested":   `parallel([1, 2], lambda _: probe.block())`,
		"in steps": `step("s%d" % n, lambda: step("in", probe.block))`,
		"caught":   `[attempt(probe.block), print("never")]`,
		"retried":  `step("s%d" % n, probe.block, retries = 9)`,
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := newMachine(t, body(`
def branch(n):
    crowd.meet()
    if n == 1:
        fail("the first")
    `+other+`
on_exit(lambda: print("bye"))
parallel([0, 1, 2], branch)`))
			m.config.Modules = append(m.config.Modules, meet(3))
			err := m.exec()
			m.wants(err, "the first")
			m.wantsCode(err, Failed)
			if n := len(diag.Of(err, m.run.Source)); n != 1 {
				t.Errorf("%d errors are shown, want the one that is genuine:\n%s", n, m.message(err))
			}
			m.wantsOut("bye\n")
			m.run.Close()
			wantsGoroutines(t, before)
		})
	}
}

// All that fails by itself is shown, each with the calls that led there.
func TestParallelShowsAllErrors(t *testing.T) {
	m := newMachine(t, body(`
def inner(n):
    crowd.meet()
    fail("no", n)
def outer(n):
    parallel([n, n + 1], inner)
parallel([1, 3], outer)`))
	m.config.Modules = append(m.config.Modules, meet(4))
	all := diag.Of(m.exec(), m.run.Source)
	seen := map[string]bool{}
	for _, d := range all {
		var names []string
		for _, call := range d.Calls {
			names = append(names, call.Function)
		}
		if got := strings.Join(names, " "); got != "outer run" && got != "inner outer run" {
			t.Errorf("%s: the calls are %q", d.Message, got)
		}
		seen[d.Message] = true
	}
	// A branch that is cancelled before it has failed itself doesn't say so.
	if len(seen) == 0 || len(seen) != len(all) {
		t.Errorf("shown are %v", all)
	}
}

// Branches share what is left of the limit of execution steps.
func TestParallelSharesTheLimit(t *testing.T) {
	m := newMachine(t, body(`parallel(range(8), lambda n: [None for _ in range(1000000)])`))
	m.config.Limits.Steps = 4_000_000
	err := m.exec()
	m.wants(err, "over the limit of execution steps")
	m.wantsCode(err, TimedOut)
	m = newMachine(t, body(`parallel(range(32), lambda n: [crowd.meet()] + [None for _ in range(1000)], limit = 32)`))
	m.config.Modules = append(m.config.Modules, meet(32)) // each has begun before one goes on
	m.config.Limits.Steps = 4_000_000
	m.wants(m.exec(), "")
}

// What a branch can't know in a dry run doesn't end the others.
func TestParallelInADryRun(t *testing.T) {
	m := newMachine(t, body(`
r = parallel([1, 2], lambda n: [print("branch", n), probe.unknown("x").stdout if n == 1 else n])
print(r[1])
print(r[0].name)
print("never")`)).planned()
	m.wants(m.exec(), "")
	m.wantsOut("branch 1\nbranch 2\n[None, 2]\nThe rest is known only when it runs.\n")
}

// A run that is interrupted ends all branches, and its undos are called in the order of
// the branches.
func TestParallelInterrupted(t *testing.T) {
	before := runtime.NumGoroutine()
	m := newMachine(t, body(`
def undo(n):
    print("undo", n)
def branch(n):
    step("s%d" % n, lambda: n, undo = undo)
    crowd.meet()
    if n == 2:
        probe.stop()
    probe.block()
parallel([1, 2, 3], branch)`))
	m.config.Modules = append(m.config.Modules, meet(3))
	if err := m.exec(); !errors.Is(err, ErrInterrupted) {
		t.Errorf("the error is %v", err)
	}
	m.wantsOut("undo 3\nundo 2\nundo 1\n")
	m.run.Close()
	wantsGoroutines(t, before)
}

// The time of a step ends the branches inside it.
func TestParallelInATimedStep(t *testing.T) {
	before := runtime.NumGoroutine()
	m := newMachine(t, body(`print(attempt(lambda: step("s", lambda: parallel([1, 2], lambda _: probe.block()), timeout = "1ms")).error)`))
	m.wants(m.exec(), "")
	m.wantsOut("the step \"s\" timed out after 1ms\n")
	m.run.Close()
	wantsGoroutines(t, before)
}

// clock is a presenter that takes down when things happened.
type clock struct{ times []time.Time }

func (c *clock) Show(e *event.Event) { c.times = append(c.times, e.Time) }

// Of two events the one with the higher number is the later one, on whichever branches.
func TestParallelGoesForwardInTime(t *testing.T) {
	m := newMachine(t, body(`parallel(range(8), lambda n: [check("%d of %d" % (i, n), lambda: None) for i in range(1000)])`))
	c := &clock{}
	m.config.World, m.config.Output.Present = world.Real("a test"), c
	m.wants(m.exec(), "")
	if len(c.times) < 2*8*1000 {
		t.Fatalf("there are %d events", len(c.times))
	}
	for i := range c.times[1:] {
		if back := c.times[i].Sub(c.times[i+1]); back > 0 {
			t.Fatalf("event %d happened %s before the one before it", i+2, back)
		}
	}
}
