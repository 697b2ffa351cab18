package engine

import (
	"errors"
	"strings"
	"testing"
)

func TestChecks(t *testing.T) {
	for _, c := range []struct{ name, body, statuses, out, err string }{
		{
			"all hold", `print([check("a", lambda: 1).ok, check("b", lambda: 2).name])`,
			"a passed, b passed", "[True, \"b\"]\n", "",
		},
		{
			"one fails, the others run", "check(\"a\", lambda: fail(\"no\"))\ncheck(\"b\", lambda: 2)",
			"a failed, b passed", "", "1 of 2 checks failed: a",
		},
		{
			"what needs a failure is skipped, along the chain", `
a = check("a", lambda: fail("no"))
b = check("b", lambda: print("never"), needs = [a])
c = check("c", lambda: print("never"), needs = (b,))
check("d", lambda: print("d"), needs = [])
print(a.ok, b.ok, c.ok, bool(a), type(a), a)`,
			"a failed, b skipped, c skipped, d passed", "d\nFalse False False False check <check \"a\">\n", "1 of 4 checks failed: a",
		},
		{
			"nested", `check("a", lambda: check("b", lambda: fail("no")))`,
			"a passed, a/b failed", "", "1 of 2 checks failed: b",
		},
		{
			"in a step", `step("s", lambda: [check("b", lambda: fail("no"))] and None)`,
			"s passed, s/b failed", "", "1 of 1 checks failed: b",
		},
		{
			"needs wants handles", `check("a", lambda: 1, needs = ["b"])`,
			"", "", `"needs" wants a list of checks`,
		},
		{
			"an error ends the workflow, checks that failed or not", "check(\"a\", lambda: fail(\"no\"))\nfail(\"over\")",
			"a failed", "", "over",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, body(c.body))
			err := m.exec()
			m.wants(err, c.err)
			m.wantsOut(c.out)
			if got := m.statuses(); got != c.statuses {
				t.Errorf("the report is %q, want %q", got, c.statuses)
			}
			if m.run.Report().Passed() != (c.err == "") {
				t.Errorf("passed = %v", m.run.Report().Passed())
			}
		})
	}
}

// A failed check ends the workflow with code 1, whatever the check's own error was; its
// result is shown all the same.
func TestChecksFailedShowsTheResult(t *testing.T) {
	m := newMachine(t, `
def run(args):
    check("a", lambda: fail("no", code = "conflict"))
    return "the result"
workflow(command = "test", run = run, show = print)`)
	err := m.exec()
	if !errors.Is(err, ErrChecksFailed) {
		t.Errorf("the error is %v", err)
	}
	m.wantsCode(err, Failed)
	m.wantsOut("the result\n")
	if !strings.Contains(m.stderr.String(), "FAIL  a") || !strings.Contains(m.stderr.String(), "error: no") {
		t.Errorf("stderr does not tell of the failure:\n%s", &m.stderr)
	}
}

// The end of the run itself is no failure of a check: the workflow doesn't go on.
func TestCheckDoesNotCatchTheEndOfTheRun(t *testing.T) {
	for name, run := range map[string]string{"interrupted": "probe.stop() or probe.block()", "too long": "[None for _ in range(1 << 60)]"} {
		m := newMachine(t, body(`check("a", lambda: `+run+")\nprint(\"never\")"))
		m.config.Limits.Steps = 10_000
		if err := m.exec(); err == nil || errors.Is(err, ErrChecksFailed) {
			t.Errorf("%s: the error is %v", name, err)
		}
		m.wantsOut("")
	}
}

func TestEvidence(t *testing.T) {
	m := newMachine(t, body(`
def run():
    evidence("text", "as it is")
    evidence("value", {"b": (1, None), "a": struct(x = "<&>")})
    evidence("long", "é" * 20)
check("a", run)
step("b", lambda: evidence("in b", 1))`))
	m.config.Limits.Value = 35
	m.wants(m.exec(), "")
	var got []string
	for _, n := range m.run.Report().Nodes {
		for _, e := range n.Evidence {
			got = append(got, n.Key+": "+e.Name+" = "+e.Value)
		}
	}
	want := strings.Join([]string{
		`a: text = as it is`,
		`a: value = {"b":[1,null],"a":{"x":"<&>"}}`,
		"a: long = " + strings.Repeat("é", 17) + "\n[cut after 35 of 40 bytes]",
		"b: in b = 1",
	}, "\n")
	if strings.Join(got, "\n") != want {
		t.Errorf("the evidence is\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestEvidenceRefused(t *testing.T) {
	for body_, want := range map[string]string{
		`evidence("a", 1)`:                                  "evidence belongs to a step or check, and none is running",
		`step("s", lambda: evidence("a", run))`:             `evidence "a": function run has no JSON form`,
		`step("s", lambda: evidence("a", doubled(60)))`:     `evidence "a": `,
		`step("s", lambda: evidence("a", [float("+inf")]))`: `evidence "a": the number +inf has no JSON form`,
	} {
		m := newMachine(t, `
def doubled(n):
    v = []
    for _ in range(n):
        v = [v, v]
    return v

`+body(body_))
		m.wants(m.exec(), want)
	}
}
