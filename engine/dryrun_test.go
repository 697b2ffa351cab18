package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/report"
)

// TestLater: after a process that isn't started, what fails because of what it read or
// expected is decided later; a fault of the script is a failure all the same.
func TestLater(t *testing.T) {
	const made = `step("make", lambda: probe.exec("make"))` + "\n"
	for _, c := range []struct{ name, body, statuses, err string }{
		{"before it, what isn't there is a failure", `check("a", lambda: probe.read("x"))` + "\n" + made, "a failed, make decided", "1 of 1 checks failed"},
		{"what isn't there", made + `step("a", lambda: probe.read("x"))`, "make decided, a decided", ""},
		{"what isn't there to be removed", made + `step("a", lambda: probe.remove("x"))`, "make decided, a decided", ""},
		{"what nothing is known of", made + `step("a", lambda: probe.read("empty").size)`, "make decided, a decided", ""},
		{"what is there is known", made + `step("a", lambda: expect.equal(probe.read("full"), "full"))`, "make decided, a passed", ""},
		{"an expectation", made + `check("a", lambda: expect.equal(1, 2))`, "make decided, a decided", ""},
		{"fail", made + `step("a", lambda: fail("no", code = "conflict"))`, "make decided, a decided", ""},
		{"a text that doesn't parse", made + `step("a", lambda: json.decode("x"))` + "\n" + `step("b", lambda: yaml.decode("{"))`, "make decided, a decided, b decided", ""},
		{"conclude", made + `conclude("no", code = "conflict")`, "make decided", ""},
		{"conclude before it", `conclude("no", code = "conflict")` + "\n" + made, "make decided", "no"},
		{"attempt", made + `step("a", lambda: attempt(lambda: probe.read("x")).ok)`, "make decided, a decided", ""},
		{"a failure that is expected", made + `step("a", lambda: expect.fails(lambda: probe.read("x")))`, "make decided, a decided", ""},
		{"retries", made + `step("a", lambda: probe.read("x"), retries = 3, backoff = "1h")`, "make decided, a decided", ""},
		{"outside of steps", made + `probe.read("x")` + "\n" + `step("never", lambda: 1)`, "make decided", ""},
		{"at the end", made + `on_exit(lambda: probe.read("x"))`, "make decided", ""},
		{"the step around", `step("a", lambda: step("b", lambda: probe.exec("make")) == None)` + "\n" + `step("c", lambda: probe.read("x"))`,
			"a decided, a/b decided, c decided", ""},
		{"a step that doesn't look at what it starts", "def a():\n    attempt(lambda: probe.exec(\"make\"))\nstep(\"a\", a)", "a decided", ""},

		{"a wrong type", made + `step("a", lambda: "x" + 1)`, "make decided, a failed", "unknown binary op"},
		{"an unknown attribute", made + `step("a", lambda: struct(x = 1).y)`, "make decided, a failed", "no .y attribute"},
		{"an unknown attribute of a module", made + `step("a", lambda: probe.reed("x"))`, "make decided, a failed", `has no "reed"`},
		{"an unknown parameter", made + `step("a", lambda: probe.read(file = "x"))`, "make decided, a failed", "no parameter"},
		{"an argument of a wrong type", made + `step("a", lambda: probe.read(1))`, "make decided, a failed", "wants a string"},
		{"a name used twice", made + `step("make", lambda: 1)`, "make decided", "used twice"},
		{"a pattern", made + `step("a", lambda: expect.matches("x", "("))`, "make decided, a failed", "the pattern"},
		{"a code", made + `step("a", lambda: fail("x", code = "bad"))`, "make decided, a failed", "is not one of"},
		{"a result without a JSON form", made + `step("a", lambda: print)`, "make decided, a failed", "JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, body(c.body)).planned()
			m.fake.Write("/tmp/empty", nil)
			m.fake.Write("/tmp/full", []byte("full"))
			m.wants(m.exec(), c.err)
			if got := m.statuses(); got != c.statuses {
				t.Errorf("the report is %q, want %q", got, c.statuses)
			}
		})
	}
}

// TestUnknownInScripts: whatever a script does with a value that only the real run knows,
// and can't do, is decided later.
func TestUnknownInScripts(t *testing.T) {
	for _, use := range []string{
		"[x for x in u]", "len(u)", "sorted(u)", "list(u)", "max(u)", "int(u)", `"%d" % u`, `", ".join(u)`, `"x".startswith(u)`, "[1, 2][u]", "u[1:]",
		"range(u)", "u < 1", "print(*u)", "dict(u)", "probe.read(u)", "expect.equal(u, 1)", `expect.contains("x", u)`, "expect.true(u)", "fail(u)",
		`step("inner", u)`, "parallel(u, lambda x: x)", "zip(u, u)", "bool(u.x)",
	} {
		t.Run(use, func(t *testing.T) {
			m := newMachine(t, body("u = probe.unknown(\"it\")\ndef pair():\n    a, b = u\nstep(\"a\", lambda: "+use+")\nstep(\"pair\", pair)\nstep(\"fault\", lambda: [][1])")).planned()
			m.wants(m.exec(), "index 1 out of range")
			if got := strings.Replace(m.statuses(), "a/inner decided, ", "", 1); got != "a decided, pair decided, fault failed" {
				t.Errorf("the report is %q", got)
			}
		})
	}
}

// TestLaterBeside: of branches that run side by side, what one plans counts for the others,
// whichever comes first, and for what follows once they are joined.
func TestLaterBeside(t *testing.T) {
	for _, c := range []struct{ name, body, statuses, err string }{
		{"one before the other", `
def one(i):
    step("s%d" % i, lambda: probe.exec("make") if i == 0 else probe.read("x"))
parallel([0, 1], one)
step("after", lambda: probe.read("x"))`, "s0 decided, s1 decided, after decided", ""},
		{"one behind the other", `
def one(i):
    step("s%d" % i, lambda: probe.exec("make") if i == 2 else probe.read("x"))
parallel([0, 1, 2], one, limit = 1)`, "s0 decided, s1 decided, s2 decided", ""},
		{"none", `
def one(i):
    step("s%d" % i, lambda: probe.read("x") if i == 1 else i)
parallel([0, 1, 2], one)`, "s0 passed, s1 failed, s2 passed", "no such file"},
		{"a branch of a branch", `
def inner(i):
    check("c%d" % i, lambda: probe.read("x"))
def one(i):
    if i == 0:
        parallel([0, 1], inner)
    else:
        parallel([2], lambda i: probe.exec("make"))
parallel([0, 1], one)`, "c0 decided, c1 decided", ""},
		{"several that wait, and fail", `
def one(i):
    check("c%d" % i, lambda: probe.read("x"))
    check("d%d" % i, lambda: probe.read("y"))
parallel([0, 1], one)`, "c0 failed, d0 failed, c1 failed, d1 failed", "4 of 4 checks failed"},
		{"before the call", `
check("a", lambda: probe.read("x"))
parallel([0], lambda i: probe.exec("make"))`, "a failed", "1 of 1 checks failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, body(c.body)).planned()
			m.wants(m.exec(), c.err)
			if got := m.statuses(); got != c.statuses {
				t.Errorf("the report is %q, want %q", got, c.statuses)
			}
		})
	}
}

// TestChangesAreTold under the step that makes them, also side by side, and outside of all.
func TestChangesAreTold(t *testing.T) {
	m := newMachine(t, body(`
probe.write("first")
def outer():
    probe.write("own")
    step("inner", lambda: probe.write("inner"))
    parallel([0, 1], lambda i: probe.write("branch%d" % i))
    probe.remove("own")
step("outer", outer, undo = lambda _: probe.remove("inner"))
parallel([0, 1, 2], lambda i: step("s%d" % i, lambda: probe.write("x%d" % i)))
def check_it():
    probe.remove("full")
    probe.exec("make it")
check("check", check_it)
on_exit(lambda: probe.write("last"))
`)).planned()
	m.fake.Write("/tmp/full", []byte("full"))
	m.wants(m.exec(), "")
	var lines []string
	m.run.Report().Walk(func(n *report.Node) { lines = append(lines, m.changesOf(n.Key, n.Changes.Told)...) })
	lines = append(lines, m.changesOf("", m.run.Report().Changes.Told)...)
	want := `outer: write /tmp/branch0 (0 bytes, mode 0600)
outer: write /tmp/branch1 (0 bytes, mode 0600)
outer/inner: write /tmp/inner (0 bytes, mode 0600)
s0: write /tmp/x0 (0 bytes, mode 0600)
s1: write /tmp/x1 (0 bytes, mode 0600)
s2: write /tmp/x2 (0 bytes, mode 0600)
check: remove /tmp/full
check: run 'make it' in /tmp
: write /tmp/first (0 bytes, mode 0600)
: write /tmp/last (0 bytes, mode 0600)`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("the changes are\n%s\nwant\n%s", got, want)
	}
	if got := m.stderr.String(); !strings.HasSuffix(got, "  would write /tmp/first (0 bytes, mode 0600)\n  would write /tmp/last (0 bytes, mode 0600)\nThis was a dry run: nothing was changed.\n") {
		t.Errorf("it shows\n%s", got)
	}
}

func (m *machine) changesOf(key string, all []event.Change) []string {
	var lines []string
	for i := range all {
		lines = append(lines, fmt.Sprintf("%s: %s", key, all[i].Text()))
	}
	return lines
}

// TestManyChanges: a step's list is bounded, and says how many there are beside it.
func TestManyChanges(t *testing.T) {
	m := newMachine(t, body(`step("many", lambda: [probe.write("x%d" % i) for i in range(1500)] and None)`)).planned()
	m.wants(m.exec(), "")
	if n := len(m.run.Report().Nodes[0].Changes.Told); n != mostChanges {
		t.Errorf("%d changes are told", n)
	}
	if got := m.stderr.String(); strings.Count(got, "would write") != 20 || !strings.Contains(got, "        and 1480 more\n") {
		t.Errorf("it shows\n%s", got)
	}
}
