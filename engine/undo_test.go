package engine

import (
	"strings"
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

// A step that was done has the undo function that an edited script has given it.
func TestUndoThatAnEditHasAdded(t *testing.T) {
	const (
		a     = `step("a", lambda: effect.put("a"))` + "\n"
		now   = `step("a", lambda: effect.put("a"), undo = effect.remove)` + "\n"
		dies  = `step("b", lambda: effect.die("first"))` + "\n"
		fails = `step("b", lambda: fail("a bug"))` + "\n"
	)
	for _, c := range []struct{ name, text, now, wants string }{
		{"it passes", a + dies, now, ""},
		{"it dies", a + dies, now + `step("b", lambda: effect.die("second"))`, errDead.Error()},
		{"it fails", a + dies, now + fails, "a bug"},
		{"it fails before it comes to it", `parallel([0, 1], lambda n: n == 1 and ` + strings.TrimSpace(a) + ", limit = 1)\n" + dies,
			`parallel([0, 1], lambda n: step("c", lambda: fail("a bug")) if n == 0 else ` + strings.TrimSpace(now) + ", limit = 1)\n", "a bug"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(c.text))
			_ = r.starts()
			r.wants(r.resumesEdited(c.text, c.now), c.wants)
			r.comesBack()
			if c.wants != "a bug" {
				r.wants(r.resumesAsKept(c.text, true), "")
			}
			if got := r.state(); got != "" || r.left() != "" {
				t.Errorf("there is %q, left to undo are %q", got, r.left())
			}
		})
	}
}

// One that was done with an undo function can't lose it: nobody could take the step back.
func TestUndoThatAnEditHasTaken(t *testing.T) {
	const (
		z    = `step("z", lambda: effect.put("z"), undo = effect.remove)` + "\n"
		a    = `step("a", lambda: effect.put("a"), undo = effect.remove)` + "\n"
		bare = `step("a", lambda: effect.put("a"))` + "\n"
		dies = `step("b", lambda: effect.die("first"))` + "\n"
	)
	for _, c := range []struct{ name, text, now, key string }{
		{"a step", z + a + dies, z + bare, "a"},
		{"behind a new one", z + a + dies, z + `step("new", lambda: effect.put("new"))` + "\n" + bare, "a"},
		{"inside another one", z + `step("o", lambda: ` + strings.TrimSpace(a) + ")\n" + dies, z + `step("o", lambda: ` + strings.TrimSpace(bare) + ")\n", "o/a"},
		{"that failed", `step("a", lambda: effect.put("a"), undo = lambda name: fail("stuck"))` + "\n" + `step("b", lambda: fail("no"))`, bare, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(c.text))
			_ = r.starts()
			r.comesBack()
			journal, state := r.journal(), r.state()
			err := r.resumesEdited(c.text, c.now)
			r.wants(err, `the step "`+c.key+`" has no undo function, and was done with one`)
			r.wantsCode(err, Conflict)
			if r.journal() != journal || r.state() != state {
				t.Errorf("left is %q, the journal is\n%s", r.state(), r.journal())
			}
		})
	}
}

// Where that shows only when the run comes to it, it goes no further, and the undo is to be
// called as before.
func TestUndoThatIsMissedLate(t *testing.T) {
	const first = `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: effect.die("first"))`
	const now = `
if step("new", lambda: struct(yes = True)).yes:
    step("a", lambda: effect.put("a"))
step("b", lambda: effect.put("b"))`
	r := newRecorder(t, body(first))
	_ = r.starts()
	err := r.resumesEdited(first, now)
	r.wants(err, `the step "a" has no undo function, and was done with one`)
	r.wantsCode(err, Conflict)
	r.comesBack()
	r.wants(r.resumesAsKept(first, true), "1 step(s) can't be undone, since the script doesn't come to them again, or has no undo for them: a")
	if got := r.state(); got != "a=" || r.left() != "a" {
		t.Errorf("there is %q, left to undo are %q", got, r.left())
	}
	r.wants(r.resumesEdited(first, strings.Replace(now, `effect.put("a"))`, `effect.put("a"), undo = effect.remove)`, 1)), "")
	r.comesBack()
	r.wants(r.resumesAsKept(first, true), "")
	if got := r.state(); got != "b=" {
		t.Errorf("there is %q", got)
	}
}
