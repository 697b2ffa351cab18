package engine

import (
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
)

// A run is undone only once nothing is left to undo, whatever went wrong before. Each of
// these runs leaves something that can't be undone until there is a file "mended".
func TestUndoneOnlyWhenNothingIsLeft(t *testing.T) {
	const helpers = `
mended = lambda: effect.has("../mended")
def put(name, then = lambda: None):
    effect.put(name)
    then()
    return name
def stuck(name):
    mended() or fail("stuck")
    effect.remove(name)
def stops(name):
    mended() or [probe.stop(), probe.block()]
    effect.remove(name)
def dies(name):
    effect.die("undoing")
    stuck(name)
dead = lambda: effect.die("a") or mended() or fail("not yet")
blocked = lambda: effect.die("a") or mended() or [probe.stop(), probe.block()]
`
	for _, c := range []struct {
		name, text string
		status     event.Status // after each try
	}{
		{"the undo fails", `step("a", lambda: put("a"), undo = stuck)`, event.Failed},
		{"the undo is interrupted", `step("a", lambda: put("a"), undo = stops)`, event.Interrupted},
		{"the undo is killed", `step("a", lambda: put("a"), undo = dies)`, ""},
		{"the undo of a rollback fails", `
step("a", lambda: put("a"), undo = stuck)
step("b", lambda: fail("no"))`, event.Failed},
		{"the undo of a rollback is killed", `
step("a", lambda: put("a"), undo = dies)
step("b", lambda: fail("no"))`, ""},
		{"inside a step that is undone", `step("o", lambda: step("a", lambda: put("a"), undo = stuck), undo = lambda _: None)`, event.Failed},
		{"in parallel", `parallel(["a", "b"], lambda n: step(n, lambda: put(n), undo = stuck if n == "a" else effect.remove))`, event.Failed},
		{"a step that was cut off can't be brought to its end", `
step("z", lambda: put("z"), undo = effect.remove)
step("a", lambda: put("a", dead), undo = effect.remove)`, event.Failed},
		{"bringing it to its end is interrupted", `step("a", lambda: put("a", blocked), undo = effect.remove)`, event.Interrupted},
		{"it is inside another one", `step("o", lambda: step("a", lambda: put("a", dead), undo = effect.remove))`, event.Failed},
		{"it is around another one", `step("o", lambda: step("a", lambda: put("a", dead), undo = effect.remove), undo = lambda _: None)`, event.Failed},
		{"it is inside one that is brought to its end, and caught", `
step("o", lambda: put("o", lambda: attempt(lambda: step("a", lambda: put("a", dead), undo = effect.remove))), undo = stuck)
step("x", lambda: mended() and effect.remove("a"), undo = lambda _: None)`, event.Failed},
		{"it is in parallel", `parallel(["a", "b"], lambda n: step(n, lambda: put(n, lambda: n == "a" and dead()), undo = effect.remove), limit = 1)`, event.Failed},
		{"it is in a check", `check("c", lambda: step("a", lambda: put("a", dead), undo = effect.remove))`, event.Failed},
		{"the script doesn't come to it", `
step("z", lambda: put("z"), undo = effect.remove)
if mended() or not effect.has("a"):
    step("a", lambda: put("a", dead), undo = effect.remove)`, event.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(helpers+c.text))
			_ = r.starts() // it passes, fails or dies
			for range 3 {
				err := r.resumes(true)
				r.comesBack()
				if err == nil || r.left() == "" {
					t.Fatalf("it was undone: %v; left are %q\n%s", err, r.left(), r.journal())
				}
				if got := r.recorded().Status(); got != c.status && (c.status != "" || got == event.Undone) {
					t.Errorf("the run is %s, want %s", got, c.status)
				}
				if r.state() == "" {
					t.Fatal("nothing is left; the test is none")
				}
			}
			r.mend()
			r.wants(r.resumes(true), "")
			r.comesBack()
			if r.state() != "" || r.left() != "" || r.recorded().Status() != event.Undone {
				t.Errorf("the run is %s, left is %q, to undo are %s\n%s", r.recorded().Status(), r.state(), r.left(), r.journal())
			}
			r.wants(r.resumes(true), "was undone: nothing is left to undo")
		})
	}
}

// Where nothing is left to undo, an undo says so, and the run stays what it is.
func TestNothingToUndo(t *testing.T) {
	const mended = `effect.has("../mended") or fail("not yet")`
	for _, c := range []struct {
		name, text, want string
		status           event.Status
	}{
		{"interrupted", `
step("a", lambda: effect.put("a"))
step("b", lambda: effect.die("b"))`, "has nothing to undo: no step that it did has an undo function", event.Interrupted},
		{"interrupted before its first step", `step("a", lambda: effect.die("a"))`, "has nothing to undo: ", event.Interrupted},
		{"failed", `
step("a", lambda: effect.put("a"))
step("b", lambda: ` + mended + `)`, "has nothing to undo: ", event.Failed},
		{"failed, and rolled back", `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: ` + mended + `)`, "has nothing left to undo: it was undone when the run ended", event.Failed},
		{"interrupted, and rolled back", `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: effect.has("../mended") or [probe.stop(), probe.block()])`, "has nothing left to undo: ", event.Interrupted},
		{"passed", `step("a", lambda: effect.put("a"))`, "has nothing to undo: ", event.Passed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(c.text))
			_ = r.starts() // it passes, fails or dies
			for range 2 {
				err := r.resumes(true)
				r.wants(err, c.want)
				r.wantsCode(err, Conflict)
				r.comesBack()
				if got := r.recorded().Status(); got != c.status {
					t.Errorf("the run is %s, want %s", got, c.status)
				}
			}
			if c.status == event.Passed {
				return
			}
			r.mend()
			r.wants(r.resumes(false), "")
		})
	}
}

// A record of an earlier kinfra may say that its run was undone while something is left.
func TestUndoOfARunThatSaysItWasUndone(t *testing.T) {
	r := newRecorder(t, body(`step("a", lambda: effect.put("a") + str(effect.die("a") or effect.has("../mended") or fail("not yet")), undo = lambda _: effect.remove("a"))`))
	_ = r.starts()
	r.wants(r.resumes(true), "could not be undone: a")
	r.comesBack()
	_, j, err := r.store.Resume(r.id)
	r.wants(err, "")
	r.wants(j.Add(&event.Event{Seq: 100, Type: event.RunEnded, Status: event.Undone}), "")
	r.wants(j.Close(), "")
	r.mend()
	err = r.resumes(false)
	r.wants(err, "was undone")
	r.wantsCode(err, Conflict)
	r.wants(r.resumes(true), "")
	if got := r.state(); got != "" {
		t.Errorf("left is %q", got)
	}
}
