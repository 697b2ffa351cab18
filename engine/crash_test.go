package engine

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
)

// mortalRuns are workflows that are killed everywhere. Each returns the time that it has
// put into files, so that a test can tell whether it was one time.
var mortalRuns = map[string]string{
	"in a row": `
stamp = time.now().format("2006-01-02T15:04:05")
for name in ["a", "b", "c"]:
    step(name, lambda: effect.put(name, stamp), undo = effect.remove)
step("no undo", lambda: [1, struct(x = {"$": 1})])
return stamp`,

	"nested": `
stamp = str(time.now())
def inner(name, inside):
    def run():
        effect.put("before " + name, stamp)
        for sub in inside:
            step(sub, lambda: effect.put(name + sub, stamp), undo = effect.remove)
        return effect.put(name, stamp)
    return run
def undo(name):
    effect.remove(name)
    effect.remove("before " + name)
step("one", inner("one", ["a", "b"]), undo = undo)
step("two", lambda: step("three", inner("three", ["a"]), undo = undo))
step("four", lambda: [step("five", inner("five", [])), effect.put("last", stamp)][1], undo = lambda name: [undo("five"), effect.remove(name)])
return stamp`,

	"parallel": `
stamp = str(time.now())
def branch(name):
    at = time.now()
    def run():
        parallel(["x", "y"], lambda sub: step(sub, lambda: effect.put(name + sub, stamp), undo = effect.remove))
        return effect.put(name, stamp)
    r = step("make " + name, run, undo = effect.remove)
    step("close " + name, lambda: effect.put("closed " + name, stamp), undo = effect.remove)
    return r
step("all", lambda: parallel(["1", "2", "3"], branch, limit = 2))
parallel(["4", "5"], branch)
return stamp`,

	"tried again": `
stamp = str(time.now())
def flaky():
    if not effect.has("tried"):
        effect.put("tried", stamp)
        fail("not yet")
def run():
    step("in", lambda: effect.put("in", stamp), undo = effect.remove)
    parallel(["1", "2"], lambda n: step(n, lambda: effect.put(n, stamp), undo = effect.remove))
    step("flaky", flaky, undo = lambda _: effect.remove("tried"))
    step("late", lambda: effect.put("late", stamp), undo = effect.remove)
    return parallel(["3", "4"], lambda n: step(n, lambda: effect.put(n, stamp), undo = effect.remove))
step("out", run, retries = 1, undo = lambda _: None)
return stamp`,

	"with failures": `
stamp = str(time.now())
on_exit(lambda: print("bye"))
def flaky():
    if not effect.has("tried"):
        effect.put("tried", stamp)
        fail("not yet")
    return effect.put("flaky", stamp)
def forget(name):
    effect.remove(name)
    effect.remove("tried")
step("flaky", flaky, retries = 2, undo = forget)
r = attempt(lambda: step("bad", lambda: fail("never")))
step("after " + r.error, lambda: effect.put("after", stamp), undo = effect.remove)
c = check("good", lambda: step("checked", lambda: effect.put("checked", stamp), undo = effect.remove))
check("needs it", lambda: step("needed", lambda: effect.put("needed", stamp), undo = effect.remove), needs = [c])
return stamp`,
}

// failingRun fails until there is a file "mended", and so takes itself back.
const failingRun = `
stamp = str(time.now())
step("plain", lambda: effect.put("plain", stamp), undo = effect.remove)
step("around", lambda: step("inside", lambda: effect.put("inside", stamp), undo = effect.remove))
step("both", lambda: step("below", lambda: effect.put("below", stamp), undo = effect.remove) + step("kept", lambda: ""), undo = effect.remove)
parallel(["1", "2"], lambda n: step(n, lambda: effect.put(n, stamp), undo = effect.remove))
def last():
    if not effect.has("../mended"):
        fail("not yet")
    return effect.put("last", stamp)
step("last", last, undo = effect.remove)
return stamp`

// mend makes failingRun succeed.
func (r *recorder) mend() { r.fake.Write(path.Join(stateDir, "../mended"), nil) }

// A run that failed, and died anywhere in it or while it was undone, goes on, and what no
// longer holds is done again. It can be undone, whatever was before.
func TestResumeAfterDeathsInAFailingRun(t *testing.T) {
	r := newRecorder(t, body(failingRun))
	r.printsJSON()
	r.wants(r.starts(), "not yet")
	lines := r.life.lines
	r.comesBack()
	if r.state() != "" {
		t.Fatalf("left is %s", r.state())
	}
	r.mend()
	r.wants(r.resumes(false), "")
	want := r.outcome()
	undone := 0
	for line := 1; line <= lines; line++ {
		for _, part := range []int{0, 100} {
			end := death{line: line, part: part}
			if r := dies(t, failingRun, end); r.hasBegun(t) && !r.refusesUndo(t, end) {
				if err := r.resumes(true); err != nil {
					// The step that fails was interrupted, and fails again.
					r.wants(err, "1 of 7 step(s) could not be undone: last")
					r.wants(r.resumes(true), "1 of 1 step(s) could not be undone: last")
					r.mend()
					r.wants(r.resumes(true), "")
				}
				r.wantsTakenBack(t, end)
			}
			if r := dies(t, failingRun, end); r.hasBegun(t) {
				r.mend()
				if r.undosBegun() {
					undone++
				}
				r.wants(r.resumes(false), "")
				if got := r.outcome(); got != want {
					t.Errorf("%+v: left is\n%s\nwant\n%s\n%s", end, got, want, r.journal())
				}
			}
		}
	}
	if undone == 0 {
		t.Error("no run died while it was undone")
	}
}

// undisturbed is what a workflow leaves when nobody kills it, how often it put what, and
// how many lines its journal has.
func undisturbed(t *testing.T, text string) (r *recorder, state string, lines int) {
	r = newRecorder(t, body(text))
	r.printsJSON()
	r.wants(r.starts(), "")
	return r, r.outcome(), r.life.lines
}

// outcome is the state. The time in it must be the one that the run has returned.
func (r *recorder) outcome() string {
	r.Helper()
	stamp, _ := r.object()["result"].(string)
	if stamp == "" || !strings.Contains(r.state(), "="+stamp) {
		r.Errorf("the result is %q, the state\n%s", stamp, r.state())
	}
	return r.undated()
}

// deaths calls f for each way to die in a workflow, with what it leaves when it doesn't.
func deaths(t *testing.T, f func(t *testing.T, text, want string, end death)) {
	for name, text := range mortalRuns {
		t.Run(name, func(t *testing.T) {
			_, want, lines := undisturbed(t, text)
			for line := 1; line <= lines; line++ {
				for _, part := range []int{0, 50, 100} {
					f(t, text, want, death{line: line, part: part})
				}
				f(t, text, want, death{line: line, power: true})
			}
		})
	}
}

// dies runs a workflow that dies.
func dies(t *testing.T, text string, end death) *recorder {
	t.Helper()
	r := newRecorder(t, body(text))
	r.printsJSON()
	r.life.reset(end)
	if err := r.starts(); err == nil && end.line < r.life.lines {
		t.Fatalf("died at %+v, and did not notice", end)
	}
	r.comesBack()
	return r
}

// A run that died anywhere goes on to where it would have come, and what it had on
// record as done isn't done again.
func TestResumeAfterEveryDeath(t *testing.T) {
	deaths(t, func(t *testing.T, text, want string, end death) {
		if r := dies(t, text, end); r.hasBegun(t) {
			r.wantsResumed(t, end, want)
		}
	})
}

// hasBegun tells whether there is a record to go on from. Without, nothing was done.
func (r *recorder) hasBegun(t *testing.T) bool {
	t.Helper()
	begun := r.recorded() != nil
	if all := r.wantsNoDamage(); (len(all) > 0) != begun {
		t.Fatalf("the list has %d records, and one was begun: %t", len(all), begun)
	}
	if state := r.state(); !begun && state != "" {
		t.Errorf("without a record there is %s", state)
	}
	return begun
}

// wantsResumed resumes a run and looks at what came of it.
func (r *recorder) wantsResumed(t *testing.T, end death, want string) {
	t.Helper()
	record := r.recorded()
	if record.Status() != event.Interrupted {
		return // the death came after all
	}
	calls := maps.Clone(r.calls)
	if err := r.resumes(false); err != nil {
		t.Fatalf("%+v: resume: %s\n%s", end, r.message(err), r.journal())
	}
	if got := r.outcome(); got != want {
		t.Errorf("%+v: left is\n%s\nwant\n%s", end, got, want)
	}
	r.wantsNoneTwice(t, end, record, calls)
}

// wantsNoneTwice fails if a step began, or did something, that was on record as done.
func (r *recorder) wantsNoneTwice(t *testing.T, end death, old *journal.Record, calls map[string]int) {
	t.Helper()
	before := done(old)
	for _, e := range r.recorded().Events[len(old.Events):] {
		if e.Type == event.Began && slices.Contains(before, e.Key) {
			t.Errorf("%+v: %q was done, and began again", end, e.Key)
		}
	}
	for _, key := range before {
		if r.calls[key] != calls[key] {
			t.Errorf("%+v: %q was done, and ran again", end, key)
		}
	}
}

// A run whose every process dies after some lines comes to its end.
func TestResumeThroughManyDeaths(t *testing.T) {
	for name, text := range mortalRuns {
		t.Run(name, func(t *testing.T) {
			_, want, lines := undisturbed(t, text)
			for line := 10; line < lines; line += 3 {
				for _, power := range []bool{false, true} {
					end := death{line: line, part: line % 101, power: power}
					r := dies(t, text, end)
					for deaths := 1; r.recorded().Status() == event.Interrupted; deaths++ {
						if deaths > lines {
							t.Fatalf("%+v: it doesn't come to an end:\n%s", end, r.journal())
						}
						r.diesAgain(t, end, false)
					}
					if status := r.recorded().Status(); status != event.Passed {
						t.Fatalf("%+v: it %s:\n%s", end, status, r.journal())
					}
					if got := r.undated(); got != want {
						t.Errorf("%+v: left is\n%s\nwant\n%s", end, got, want)
					}
				}
			}
		})
	}
}

// diesAgain resumes a run, or takes it back, in a process that dies as well, and makes
// sure that it did nothing twice.
func (r *recorder) diesAgain(t *testing.T, end death, undo bool) {
	t.Helper()
	old, calls := r.recorded(), maps.Clone(r.calls)
	record, j, err := r.store.Resume(r.id)
	if err != nil {
		t.Fatalf("%+v: %v", end, err)
	}
	r.life.reset(end)
	if r.config.Resume, err = NewResume(record, j, undo); err != nil {
		t.Fatalf("%+v: %v", end, err)
	}
	_ = r.exec()
	r.comesBack()
	if !undo {
		r.wantsNoneTwice(t, end, old, calls)
	}
}

// refusesUndo tells whether nothing of a run is left to undo, and makes sure that it is then
// left as it is.
func (r *recorder) refusesUndo(t *testing.T, end death) bool {
	t.Helper()
	if r.left() != "" {
		return false
	}
	before := r.recorded().Status()
	r.wants(r.resumes(true), "has nothing ")
	r.comesBack()
	if got := r.recorded().Status(); got != before || r.state() != "" && !end.power {
		t.Errorf("%+v: the run was %s, and is %s; left is %s", end, before, got, r.state())
	}
	return true
}

// A run that died anywhere can be taken back as if it had not been.
func TestUndoAfterEveryDeath(t *testing.T) {
	deaths(t, func(t *testing.T, text, _ string, end death) {
		r := dies(t, text, end)
		if !r.hasBegun(t) || r.refusesUndo(t, end) {
			return
		}
		if err := r.resumes(true); err != nil {
			t.Fatalf("%+v: undo: %s\n%s", end, r.message(err), r.journal())
		}
		r.wantsTakenBack(t, end)
	})
}

func (r *recorder) wantsTakenBack(t *testing.T, end death) {
	t.Helper()
	r.comesBack()
	// A step of which not even the beginning outlasted a loss of power is not known of.
	if got := r.state(); got != "" && !end.power {
		t.Errorf("%+v: left is %s\n%s", end, got, r.journal())
	}
	if status := r.recorded().Status(); status != event.Undone {
		t.Errorf("%+v: the run is %s, want undone", end, status)
	}
}

// So can one whose undoing dies again and again, and one that has ended.
func TestUndoThroughManyDeaths(t *testing.T) {
	for name, text := range mortalRuns {
		t.Run(name, func(t *testing.T) {
			_, _, lines := undisturbed(t, text)
			for line := 10; line <= lines; line += 3 {
				end := death{line: line, part: line % 101, power: line%2 == 0}
				r := dies(t, text, end)
				if r.refusesUndo(t, end) {
					continue
				}
				for deaths := 1; r.recorded().Status() != event.Undone; deaths++ {
					if deaths > 2*lines {
						t.Fatalf("%+v: it doesn't come to an end:\n%s", end, r.journal())
					}
					r.diesAgain(t, death{line: 9 + line%5, part: end.part, power: end.power}, true)
				}
				r.wantsTakenBack(t, end)
			}
			r, _, _ := undisturbed(t, text)
			r.wants(r.resumes(true), "")
			r.wantsTakenBack(t, death{})
		})
	}
}
