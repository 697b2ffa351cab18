package engine

import (
	"testing"

	"github.com/ktrdr/kinfra/engine/report"
)

// What is called when the run is over is no part of its record, so it has no steps.
func TestNoStepsWhenTheRunIsOver(t *testing.T) {
	const want = "not in a function given to on_exit or undo"
	m := newMachine(t, body(`on_exit(lambda: step("tidy", lambda: 1))`))
	m.wants(m.exec(), want)
	m = newMachine(t, body(`on_exit(lambda: parallel([1], lambda _: [step("tidy", lambda: 1)]))`))
	m.wants(m.exec(), want)
	m = newMachine(t, body("step(\"a\", lambda: 1, undo = lambda _: check(\"b\", lambda: 1))\nfail(\"no\")"))
	m.wants(m.exec(), "no")
	m.run.Report().Walk(func(n *report.Node) {
		if n.Key != "a" {
			t.Errorf("the report has %q", n.Key)
		}
		if len(n.Problem) == 0 {
			t.Error("the report doesn't say that undoing failed")
		}
	})
}

// A name is a name, also one that a path would make something else of.
func TestNamesOfDots(t *testing.T) {
	m := newMachine(t, body("check(\".\", lambda: None)\nstep(\"..\", lambda: check(\".\", lambda: fail(\"bad\")).name)\ncheck(\"broken\", lambda: fail(\"bad\"))"))
	m.wants(m.exec(), "2 of 3 checks failed: ., broken")
	if got, want := m.statuses(), ". passed, .. passed, ../. failed, broken failed"; got != want {
		t.Errorf("the report has %s, want %s", got, want)
	}
}
