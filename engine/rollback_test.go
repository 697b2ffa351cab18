package engine

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// neverBegun is what branches do of which the first fails, so that the second never begins.
var neverBegun = map[string]string{
	"step":          `step(n, lambda: n == "x" and fail("x"))`,
	"check":         `[n == "x" and step("x", lambda: fail("x")), check(n, lambda: 1)]`,
	"step in check": `[n == "x" and step("x", lambda: fail("x")), check(n, lambda: step("in " + n, lambda: 1))]`,
	"parallel":      `parallel([n], lambda n: step(n, lambda: n == "x" and fail("x")))`,
}

// neverBegunBefore is such a parallel, caught, and what comes after it.
func neverBegunBefore(branch string) string {
	return `
attempt(lambda: parallel(["x", "y"], lambda n: ` + branch + `, limit = 1))
step("late", lambda: effect.put("late"), undo = effect.remove)`
}

// An undo goes the way of the record past a parallel that failed, and was caught, before all
// of its branches had begun.
func TestUndoPastBranchesThatNeverBegan(t *testing.T) {
	for name, branch := range neverBegun {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, body(neverBegunBefore(branch)))
			r.wants(r.starts(), "")
			r.wants(r.resumes(true), "")
			if got := r.state(); got != "" {
				t.Errorf("left is %q", got)
			}
		})
	}
}

// So does a resume.
func TestResumePastBranchesThatNeverBegan(t *testing.T) {
	for name, branch := range neverBegun {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, body(neverBegunBefore(branch)+`
step("last", lambda: effect.has("../mended") or effect.die("a"))`))
			_ = r.starts() // dies
			r.mend()
			r.wants(r.resumes(false), "")
			if got := r.state(); got != "late=" {
				t.Errorf("left is %q", got)
			}
			if r.calls["late"] != 1 {
				t.Errorf("the step late ran %d times", r.calls["late"])
			}
		})
	}
}

// A branch that fails when a run goes on doesn't keep the others from what the record has of
// them: all of that is undone.
func TestRollbackOfBranchesThatAreReplayed(t *testing.T) {
	const text = `
def many(n):
    for i in range(20):
        step("%d %d" % (n, i), lambda: effect.put("%d %d" % (n, i)), undo = effect.remove)
def quick():
    if effect.has("../died-a"):
        fail("no")
    wait_until(lambda: effect.has("2 19") and effect.has("3 19"), timeout = "9h")
    effect.die("a")
def branch(n):
    many(n) if n else step("quick", quick)
`
	for name, call := range map[string]string{
		"branches":    `parallel(range(4), branch, limit = 2)`,
		"in branches": `parallel([0, 1], lambda n: parallel([1, 2, 3], branch, limit = 1) if n else branch(n))`,
		"in a step":   `step("around", lambda: parallel(range(4), branch, limit = 2))`,
		"tried again": `step("around", lambda: parallel(range(4), branch, limit = 2), retries = 2)`,
		"in a check":  `check("around", lambda: parallel(range(4), branch, limit = 2)).ok or fail("no")`,
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				r := newRecorder(t, body(text+call))
				_ = r.starts() // dies
				r.wants(r.resumes(false), "no")
				if got := r.left(); got != "" && path.Base(got) != "3 19" { // which may have been interrupted
					t.Fatalf("left to undo are %s", got)
				}
			}
		})
	}
}

// Nor does the end of a run that is interrupted while steps give back their results.
func TestRollbackOfARunInterruptedInItsReplay(t *testing.T) {
	r := newRecorder(t, body(`
step("a", lambda: effect.put("a"), undo = effect.remove)
if effect.has("../died-c"):
    probe.stop()
    [0 for _ in range(500000)]
step("b", lambda: effect.put("b"), undo = effect.remove)
step("c", lambda: effect.die("c"))`))
	_ = r.starts() // dies
	r.wants(r.resumes(false), "interrupted")
	if r.state() != "" || r.left() != "" {
		t.Errorf("left is %q, to undo are %q", r.state(), r.left())
	}
}

// What a failure that is caught keeps a script from coming to again is not another way than
// that of the record.
func TestCaughtFailureBeforeStepsThatWereDone(t *testing.T) {
	for name, text := range map[string]string{
		"in a step": `
def around():
    if effect.has("../died-a"):
        fail("no")
    step("inside", lambda: effect.put("inside"))
    effect.die("a")
attempt(lambda: step("around", around))`,
		"in a check": `
def around():
    if effect.has("../died-a"):
        fail("no")
    step("inside", lambda: effect.put("inside"))
    effect.die("a")
check("around", around)`,
		"in a branch": `
def branch(n):
    if n == 0 and effect.has("../died-a"):
        fail("no")
    step("inside %d" % n, lambda: effect.put("inside %d" % n))
    if n == 2:
        step("last", lambda: effect.die("a"))
attempt(lambda: parallel(range(3), branch, limit = 1))`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, body(text))
			_ = r.starts() // dies
			before := r.state()
			want := ""
			if name == "in a check" {
				want = "1 of 1 checks failed: around"
			}
			r.wants(r.resumes(false), want)
			if got := r.state(); got != before || got == "" {
				t.Errorf("left is %q, before there was %q", got, before)
			}
		})
	}
}

// A check that failed runs again, and may come to steps that the record doesn't have, with
// others inside, though steps after the check were done.
func TestCheckComesFurtherThanItsRecord(t *testing.T) {
	r := newRecorder(t, body(`
def further():
    step("stuck", lambda: effect.has("../mended") or fail("no"))
    step("around", lambda: step("inside", lambda: effect.put("inside")))
    parallel([1, 2], lambda n: step("around %d" % n, lambda: step("inside", lambda: effect.put("inside %d" % n))))
check("further", further)
step("after", lambda: effect.put("after"))`))
	r.wants(r.starts(), "1 of 1 checks failed: further")
	r.mend()
	r.wants(r.resumes(false), "")
	if got, want := r.state(), "after=\ninside=\ninside 1=\ninside 2="; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
	if r.calls["after"] != 1 {
		t.Errorf("the step after it ran %d times", r.calls["after"])
	}
}

// A step that was cut off may lie behind one that has since been undone, and failed when it
// ran again. An undo doesn't come to it, and says what does.
func TestUndoOfAStepBehindOneThatFailedSince(t *testing.T) {
	r := newRecorder(t, body(`
again = lambda: effect.has("../died-a") and not effect.has("../mended")
step("base", lambda: fail("no") if again() else effect.put("base"), undo = effect.remove)
if again():
    probe.stop()
    [0 for _ in range(500000)]
step("top", lambda: [effect.put("top"), effect.die("a")], undo = lambda _: effect.remove("top"))`))
	_ = r.starts() // dies
	r.wants(r.resumes(false), "interrupted")
	r.wants(r.resumes(false), "no")
	err := r.resumes(true)
	r.wants(err, "1 step(s) can't be undone, since the script doesn't come to them again, or has no undo for them: top")
	if hint := diag.Of(err, r.run.Source)[0].Hint; !strings.Contains(hint, "resume the run") {
		t.Errorf("the hint is %q", hint)
	}
	r.mend()
	r.wants(r.resumes(false), "")
	r.wants(r.resumes(true), "")
	if got := r.state(); got != "" {
		t.Errorf("left is %q", got)
	}
}

// What is said after the last event is not on record: by its last line a record says how its
// run ended.
func TestNothingIsRecordedAfterTheEnd(t *testing.T) {
	r := newRecorder(t, body(`step("a", lambda: effect.put("a"))`))
	r.wants(r.starts(), "")
	r.wants(r.run.emit(&event.Event{Type: event.Warned, Text: "late"}), "")
	r.comesBack()
	if got := r.recorded().Status(); got != event.Passed {
		t.Errorf("the run is %s", got)
	}
}

// A run that goes on with an edited script, and dies before that comes to a step that is new
// in it, can be resumed and undone: the new step stands before others of the record.
func TestDeathBeforeANewStepOfAnEditedScript(t *testing.T) {
	const helpers = `
def dies(name):
    effect.die("undoing") or effect.has("../mended") or fail("stuck")
    effect.remove(name)
`
	const old = `step("a", lambda: effect.put("a"), undo = dies)
parallel([1, 2], lambda n: step("b %d" % n, lambda: effect.put("b %d" % n), undo = effect.remove))
step("last", lambda: effect.has("../mended") or fail("no"))`
	for name, edited := range map[string]string{
		"first":       `step("new", lambda: effect.put("new"), undo = effect.remove)` + "\n" + old,
		"in a branch": strings.Replace(old, "lambda n: step(", `lambda n: step("new %d" % n, lambda: 1) and step(`, 1),
		"around":      `step("new", lambda: 1)` + "\n" + `check("c", lambda: step("in", lambda: 1))` + "\n" + old,
	} {
		for _, undo := range []bool{false, true} {
			t.Run(fmt.Sprint(name, undo), func(t *testing.T) {
				r := newRecorder(t, body(helpers+old))
				_ = r.starts() // dies in the rollback
				_ = r.resumesEdited("", helpers+edited)
				r.mend()
				r.wants(r.resumes(undo), "")
				if got := r.state(); (got == "") != undo {
					t.Errorf("left is %q", got)
				}
			})
		}
	}
}

// What was built on a step that was undone doesn't count any more, though an edit then parts
// the two.
func TestEditPartsWhatWasBuiltOnAnUndoneStep(t *testing.T) {
	const a = `step("a", lambda: effect.put("a"), undo = effect.remove)`
	const b = `step("b", lambda: effect.put("b"))`
	const last = `step("last", lambda: effect.has("../mended") or fail("no"))`
	for name, edited := range map[string]string{
		"into a parallel": `parallel([1], lambda n: [` + a + `, ` + b + `])`,
		"into branches":   `parallel([1, 2], lambda n: ` + a + ` if n == 1 else ` + b + `)`,
		"behind another":  `parallel([1], lambda n: 1)` + "\n" + a + "\n" + b,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, body(a+"\n"+b+"\n"+last))
			r.wants(r.starts(), "no")
			r.wants(r.resumesEdited("", strings.Replace(edited, `effect.put("a")`, `fail("not a")`, 1)+"\n"+last), "not a")
			r.mend()
			r.wants(r.resumesEdited("", edited+"\n"+last), "")
			if r.calls["a"] != 2 || r.calls["b"] != 2 {
				t.Errorf("the steps put %v", r.calls)
			}
		})
	}
}

// An undo brings a step that was cut off to its end, with steps inside that never began, where
// the script has gone on since without it.
func TestUndoCompletesAStepThatTheScriptWentOnWithout(t *testing.T) {
	r := newRecorder(t, body(`
def around():
    effect.put("around")
    effect.die("a")
    effect.has("../mended") or fail("not yet")
    parallel([1, 2], lambda n: step("inside %d" % n, lambda: effect.put("inside %d" % n), undo = effect.remove))
    return "around"
def branch(n):
    if n == 2:
        step("around", around, undo = effect.remove)
    else:
        step("base", lambda: effect.put("base"), undo = effect.remove)
        step("fails", lambda: effect.has("../mended") and fail("no"))
attempt(lambda: parallel([1, 2], branch, limit = 1))
step("late", lambda: effect.put("late"), undo = effect.remove)`))
	_ = r.starts() // dies in the step around
	r.wants(r.resumes(true), "could not be undone: around")
	r.mend()
	r.wants(r.resumes(false), "")
	r.wants(r.resumes(true), "")
	if got := r.state(); got != "" {
		t.Errorf("left is %q", got)
	}
}

// An edit that has steps in another order than the record is refused, on other branches, too.
func TestEditInAnotherOrder(t *testing.T) {
	const a, b = `step("a", lambda: effect.put("a"))`, `parallel([1], lambda n: step("b", lambda: effect.put("b")))`
	const last = `step("last", lambda: effect.has("../mended") or fail("no"))`
	for _, order := range [][2]string{{a, b}, {b, a}} {
		r := newRecorder(t, body(order[0]+"\n"+order[1]+"\n"+last))
		r.wants(r.starts(), "no")
		err := r.resumesEdited("", order[1]+"\n"+order[0]+"\n"+last)
		r.wants(err, "which was done")
		r.wantsCode(err, Conflict)
	}
}

// A step that an undo brings to its end is undone after what was built on it, however late
// that end is.
func TestUndoOrderOfAStepCompletedLate(t *testing.T) {
	r := newRecorder(t, body(`
def around():
    if effect.has("../died-a") and not effect.has("../mended"):
        fail("no")
    step("late", lambda: effect.die("a"), undo = lambda _: print("undo late"))
def branch(n):
    attempt(lambda: step("around", around)) if n == 1 else step("sibling", lambda: 1, undo = lambda _: print("undo sibling"))
step("base", lambda: 1, undo = lambda _: print("undo base"))
parallel([1, 2], branch)
step("top", lambda: 1, undo = lambda _: print("undo top"))`))
	_ = r.starts() // dies
	r.wants(r.resumes(false), "")
	r.mend()
	r.wants(r.resumes(true), "")
	r.wantsOut("undo top\nundo sibling\nundo late\nundo base\n")
}

// What an undo brings to its end on top of what it has undone before is not taken for done
// when the run goes on.
func TestResumeAfterAnUndoThatCompletedSteps(t *testing.T) {
	r := newRecorder(t, body(`
step("base", lambda: effect.put("base"), undo = effect.remove)
def around():
    step("inside", lambda: effect.put("inside", "on base" if effect.has("base") else "on nothing"))
    effect.die("a")
    effect.has("../mended") or fail("not yet")
    return "around"
step("around", around, undo = lambda _: None)`))
	_ = r.starts() // dies
	r.wants(r.resumes(true), "could not be undone: around")
	r.wants(r.resumes(true), "could not be undone: around")
	r.mend()
	r.wants(r.resumes(false), "")
	if got, want := r.state(), "base=\ninside=on base"; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
}

// A call of parallel has the number that it had, though a step before it, with such a call
// inside, was done and isn't gone through again.
func TestParallelBehindAStepWithAnother(t *testing.T) {
	r := newRecorder(t, body(`
step("a", lambda: parallel([1], lambda n: n))
parallel(["x", "y"], lambda n: step(n, lambda: n == "y" or effect.has("../mended") or fail("not yet")), limit = 1)`))
	r.wants(r.starts(), "not yet")
	r.mend()
	r.wants(r.resumes(false), "")
}
