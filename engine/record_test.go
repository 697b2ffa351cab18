package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// faulty makes operations on the records fail: the one with a number, or all from it on.
type faulty struct {
	mu    sync.Mutex
	at    int
	good  bool // for good
	err   error
	asked int
}

func (f *faulty) fail(_, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(name, recordsDir) {
		return nil
	}
	if f.asked++; f.asked == f.at || f.good && f.asked > f.at {
		return f.err
	}
	return nil
}

// failingRecorder is a recorder whose operations on the records fail.
func failingRecorder(t *testing.T, f *faulty, text string) *recorder {
	r := newRecorder(t, body(text))
	r.config.World = world.Faulty(r.config.World, f.fail)
	r.opens(50)
	return r
}

// Each operation on the record fails, once and for good: the run then fails and says
// why, takes back what it did, and what was done and can't be recorded is never taken
// for something else. The next run leaves nothing beside its record.
func TestRecordThatCannotBeWritten(t *testing.T) {
	const text = `
step("a", lambda: effect.put("a", "T"), undo = effect.remove)
step("b", lambda: effect.put("b", "T"), undo = effect.remove)
step("c", lambda: step("d", lambda: effect.put("d", "T"), undo = effect.remove))
return "T"`
	whole := &faulty{}
	r := failingRecorder(t, whole, text)
	r.wants(r.starts(), "")
	want := r.state()
	if whole.asked < 20 {
		t.Fatalf("only %d operations were seen", whole.asked)
	}
	for at := 1; at <= whole.asked; at++ {
		for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
			for _, good := range []bool{false, true} {
				f := &faulty{at: at, good: good, err: errno}
				what := fmt.Sprintf("operation %d fails with %q, for good: %t", at, errno, good)
				r := failingRecorder(t, f, text)
				r.printsJSON()
				err := r.starts()
				if !errors.Is(err, errno) {
					t.Fatalf("%s: the error is %v", what, err)
				}
				f.at, f.good = 0, false
				r.comesBack()
				r.wantsNoDamage()
				if record := r.recorded(); record != nil && record.Status() != event.Passed {
					r.wants(r.resumes(false), "")
					if got := r.state(); got != want {
						t.Errorf("%s: resumed, left is %q\n%s", what, got, r.journal())
					}
				}
				r.comesBack()
				r.wants(r.starts(), "")
				r.wantsNoStrays(what)
			}
		}
	}
}

// wantsNoStrays fails if there is something beside records.
func (r *recorder) wantsNoStrays(what string) {
	r.Helper()
	entries, err := r.fake.Host().ReadDir(recordsDir)
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, ".") {
			r.Errorf("%s: left over: %s", what, e.Name)
		}
	}
}

// recordedRun is a recorder on which a run has died at a line of its journal.
func recordedRun(t *testing.T, text string, line int) *recorder {
	t.Helper()
	r := dies(t, text, death{line: line})
	if r.recorded() == nil {
		t.Fatal("there is no record")
	}
	return r
}

// scripted replaces main.star, as if the script had gone another way.
func (r *recorder) scripted(text string) { r.config.Layers = stackOf(body(text)) }

// A script that goes another way than its record is stopped, and told where.
func TestDivergence(t *testing.T) {
	const text = `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: [step("b%d" % n, lambda: n) for n in range(2)])
parallel([1, 2], lambda n: [step("p%d" % n, lambda: n), step("q%d" % n, lambda: n)])
step("c", lambda: effect.put("c"), undo = effect.remove)
step("open", lambda: 1)`
	r := newRecorder(t, body(text))
	r.wants(r.starts(), "")
	lines := r.life.lines
	for _, c := range []struct{ name, text, want string }{
		{"early", `step("x", lambda: effect.put("x"))`, `it comes to the step "x", where the record has "a", which was done`},
		{"swapped", `
step("b", lambda: [step("b%d" % n, lambda: n) for n in range(2)])
step("a", lambda: effect.put("a"))`, `it comes to the step "b", where the record has "a"`},
		{"late", strings.Replace(text, `step("c"`, `step("x"`, 1), `it comes to the step "x", where the record has "c"`},
		{"inside parallel", strings.Replace(text, `step("q%d" % n,`, `step("x%d" % n,`, 1), `, where the record has "q`},
		{"other items", strings.Replace(text, `[1, 2]`, `[2, 1]`, 1), `where the record has "p`},
		{"fewer items", strings.Replace(text, `[1, 2]`, `[1]`, 1), `parallel ended without coming to the step "p2", which was done`},
		{"at the end", strings.Replace(text, `step("c"`, `None and step("c"`, 1), `it comes to the step "open", where the record has "c"`},
		{"missing", `step("a", lambda: effect.put("a"), undo = effect.remove)`, `it ended without coming to the step "b/b0", which was done`},
		{"caught", strings.Replace(text, `step("c"`, `attempt(lambda: step("x", lambda: effect.put("x")))`+"\n"+`step("c"`, 1), `it comes to the step "x", where the record has "c"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := recordedRun(t, text, lines-1) // "open" has begun
			before := r.state()
			r.scripted(c.text)
			err := r.resumes(false)
			r.wants(err, c.want)
			r.wantsCode(err, Conflict)
			if got := r.state(); got != before {
				t.Errorf("left is %q, before there was %q", got, before)
			}
			// With the script that it was, it goes on.
			r.scripted(text)
			r.wants(r.resumes(false), "")
		})
	}
}

// An undo stops where the script leaves the record, and says what it could not reach.
func TestUndoOfADivergedScript(t *testing.T) {
	const text = `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: effect.put("b"), undo = effect.remove)
step("c", lambda: effect.put("c"), undo = effect.remove)`
	r := newRecorder(t, body(text))
	r.wants(r.starts(), "")
	r.scripted(strings.Replace(text, `step("b"`, `step("x"`, 1))
	err := r.resumes(true)
	r.wants(err, "2 step(s) can't be undone, since the script doesn't come to them again, or has no undo for them: b, c")
	r.wantsCode(err, Conflict)
	if got, want := r.state(), "b=\nc="; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
	r.scripted(text)
	r.wants(r.resumes(true), "")
	if got := r.state(); got != "" {
		t.Errorf("left is %q", got)
	}
}

// An undo that fails is reported, the others run, and it can be tried again: then only
// what is left is taken back.
func TestUndoThatFailsIsTriedAgain(t *testing.T) {
	r := newRecorder(t, body(`
def undo(name):
    if not effect.has("../mended"):
        fail(name, "stays")
    print("undo", name)
    effect.remove(name)
step("a", lambda: effect.put("a"), undo = lambda name: print("undo", name) or effect.remove(name))
step("b", lambda: effect.put("b"), undo = undo)
step("c", lambda: effect.put("c"), undo = lambda name: print("undo", name) or effect.remove(name))`))
	r.wants(r.starts(), "")
	err := r.resumes(true)
	r.wants(err, "1 of 3 step(s) could not be undone: b")
	r.wantsCode(err, Failed)
	r.wantsOut("undo c\nundo a\n")
	if got := r.stderr.String(); !strings.Contains(got, "FAIL  undoing b") || !strings.Contains(got, "b stays") {
		t.Errorf("stderr does not say what failed:\n%s", got)
	}
	if got, want := r.statuses(), "a undone, b passed, c undone"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
	r.mend()
	r.wants(r.resumes(true), "")
	r.wantsOut("undo b\n")
	if got := r.state(); got != "" {
		t.Errorf("left is %q", got)
	}
}

// What the script of a rolled back run built on a step that was undone no longer holds: it
// is done again.
func TestResumeAfterARollback(t *testing.T) {
	r := newRecorder(t, body(`
step("before", lambda: effect.put("before"))
step("back up", lambda: effect.put("data", "base"), undo = lambda _: effect.put("data", "base"))
step("change", lambda: effect.put("data", "base one"))
step("last", lambda: effect.has("../mended") or fail("not yet"))`))
	r.wants(r.starts(), "not yet")
	if got, want := r.statuses(), "before passed, back up undone, change passed, last failed"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
	r.mend()
	r.wants(r.resumes(false), "")
	if got, want := r.state(), "before=\ndata=base one"; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
	if r.calls["before"] != 1 || r.calls["change"] != 2 {
		t.Errorf("the steps put %v", r.calls)
	}
	for _, want := range []string{"  again back up: it was undone\n", "  again change: built on \"back up\", which was undone\n", "  again last: it failed\n"} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("it says\n%s\nwant %q", &r.stderr, want)
		}
	}
}

// Two processes can't be at one run. The second is told so, and changes nothing.
func TestTwoResumesAtOnce(t *testing.T) {
	r := recordedRun(t, mortalRuns["in a row"], 6)
	_, first, err := r.store.Resume(r.id)
	r.wants(err, "")
	before := r.journal()
	_, _, err = r.store.Resume(r.id)
	r.wants(err, "the run "+r.id+": a process is at it")
	r.wantsCode(err, Conflict)
	if got := r.journal(); got != before {
		t.Errorf("the journal changed:\n%s", got)
	}
	if record := r.recorded(); record.Status() != event.Running {
		t.Errorf("the run is %s, want running", record.Status())
	}
	r.wants(first.Close(), "")
	r.wants(r.resumes(false), "")
}

// A run that has failed, and had nothing to undo, can be resumed until it passes.
func TestResumeOfAFailedRun(t *testing.T) {
	r := newRecorder(t, body(`
step("first", lambda: effect.put("first"))
step("last", lambda: effect.has("../mended") or fail("not yet"))`))
	r.wants(r.starts(), "not yet")
	for range 2 {
		r.wants(r.resumes(false), "not yet")
		if got := r.state(); got != "first=" || r.calls["first"] != 1 {
			t.Errorf("left is %q, the first step ran %d times", got, r.calls["first"])
		}
	}
	r.mend()
	r.wants(r.resumes(false), "")
	r.comesBack()
	if record := r.recorded(); record.Status() != event.Passed {
		t.Errorf("the run is %s, want passed", record.Status())
	}
}

// Only workflows that come to a step leave a record; dry runs leave none.
func TestNoRecord(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		planned bool
	}{
		"no steps":  {`check("c", lambda: 1)`, false},
		"a dry run": {`step("s", lambda: 1)`, true},
	} {
		r := newRecorder(t, body(c.text))
		if c.planned {
			r.planned()
		}
		r.wants(r.starts(), "")
		if _, err := r.fake.Host().Lstat(recordsDir); err == nil {
			t.Errorf("%s: there is a directory of records", name)
		}
	}
}

// What comes before the first step is in the record as well, and read again from it.
func TestClockIsRead(t *testing.T) {
	const text = `
first = time.now()
step("s", lambda: effect.put("s", str(time.now())))
inside = parallel([1, 2], lambda _: time.now())
last = time.now()
step("t", lambda: effect.put("t"))
print(first, inside, last)`
	r := newRecorder(t, body(text))
	r.wants(r.starts(), "")
	want := r.stdout.String()
	for line := 5; line < r.life.lines; line++ {
		died := recordedRun(t, text, line)
		died.config.Output = r.config.Output
		r.stdout.Reset()
		died.wants(died.resumes(false), "")
		clocks := strings.Count(died.journal(), `"event":"clock"`)
		if clocks != 4 {
			t.Errorf("the clock is on record %d times, want 4", clocks)
		}
		if line == r.life.lines-1 && r.stdout.String() != want {
			t.Errorf("printed is %q, want %q", &r.stdout, want)
		}
	}
}

// So is what a file has read of it while it was loaded.
func TestClockIsReadWhileLoading(t *testing.T) {
	r := newRecorder(t, `
now = time.now()
def run(_args):
    step("s", lambda: effect.put("s", str(now)))
    step("t", lambda: effect.has("../mended") or fail("not yet"))
    return str(now)
workflow(command = "test", run = run)
`)
	r.printsJSON()
	r.wants(r.starts(), "not yet")
	r.comesBack()
	if first := r.recorded().Events[0]; first.Type != event.RunBegan || first.Seq != 1 {
		t.Errorf("the first event is %+v", first)
	}
	r.mend()
	r.wants(r.resumes(false), "")
	if got, want := r.outcome(), "s=T"; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
}

// What a file says while it is loaded is heard at once, and comes into the record behind the
// event with which that begins.
func TestRecordOfWhatWasSaidWhileLoading(t *testing.T) {
	r := newRecorder(t, `print("loading")`+"\n"+body(`
step("s", lambda: effect.put("s"))
step("t", lambda: effect.has("../mended") or fail("not yet"))`))
	r.wants(r.starts(), "not yet")
	r.wantsOut("loading\n")
	r.comesBack()
	var types []event.Type
	for _, e := range r.recorded().Events[:3] {
		types = append(types, e.Type)
	}
	if want := []event.Type{event.RunBegan, event.Said, event.Began}; !slices.Equal(types, want) {
		t.Errorf("the record begins with %q, want %q", types, want)
	}
	r.mend()
	r.wants(r.resumes(false), "")
}

// What an earlier process has said on the way to where a run goes on is not said again, and
// stands in the record once. What comes with steps that run again is.
func TestWhatWasSaidBefore(t *testing.T) {
	const text = `
print("first")
step("a", lambda: print("in a") or effect.put("a"))
print("then")
print("then")
parallel([1, 2], lambda n: print("branch", n) or step("p%d" % n, lambda: print("in", n)), limit = 1)
step("b", lambda: print("in b") or effect.die("b"))
print("last")
step("c", lambda: effect.die("c"))
print("end")
return "result"`
	r := newRecorder(t, strings.Replace(body(text), "run = run", `run = run, show = lambda _: print("shown") or effect.die("show")`, 1))
	_ = r.starts()
	r.wantsOut("first\nin a\nthen\nthen\nbranch 1\nin 1\nbranch 2\nin 2\nin b\n")
	_ = r.resumes(false)
	r.wantsOut("in b\nlast\n")
	_ = r.resumes(false)
	r.wantsOut("end\nshown\n")
	r.wants(r.resumes(false), "")
	r.wantsOut("shown\n") // which is what the run is for
	var said string
	for _, p := range r.run.Report().Printed {
		if p.Type == event.Said {
			said += p.Text
		}
	}
	if want := "first\nin a\nthen\nthen\nbranch 1\nin 1\nbranch 2\nin 2\nin b\nin b\nlast\nend\nshown\nshown\n"; said != want {
		t.Errorf("the report has\n%s\nwant\n%s", said, want)
	}
}

// After a rollback the script works through what it had done once more, and says so.
func TestWhatIsSaidAgain(t *testing.T) {
	r := newRecorder(t, body(`
print("first")
step("a", lambda: effect.put("a"), undo = effect.remove)
print("then")
step("b", lambda: effect.has("../mended") or fail("not yet"))`))
	r.wants(r.starts(), "not yet")
	r.wantsOut("first\nthen\n")
	r.mend()
	r.wants(r.resumes(false), "")
	r.wantsOut("then\n")
}

// A run that is interrupted takes its steps back, also if it was itself a resumed one.
func TestInterruptedResume(t *testing.T) {
	const text = `
step("a", lambda: effect.put("a", "T"), undo = effect.remove)
step("stop", lambda: effect.has("../mended") or probe.stop() or probe.block())
step("c", lambda: effect.put("c", "T"), undo = effect.remove)`
	started := newRecorder(t, body(text))
	resumed := recordedRun(t, text, 4) // "stop" has begun
	for r, run := range map[*recorder]func() error{started: started.starts, resumed: func() error { return resumed.resumes(false) }} {
		err := run()
		if !errors.Is(err, ErrInterrupted) {
			t.Fatalf("the error is %v", err)
		}
		if got := r.state(); got != "" {
			t.Errorf("left is %q", got)
		}
		r.mend()
		r.wants(r.resumes(false), "")
		if got := r.state(); got != "a=T\nc=T" {
			t.Errorf("resumed, left is %q", got)
		}
	}
}

// A damaged record is refused with the code of damage; nothing of it is run.
func TestDamagedRecord(t *testing.T) {
	r := recordedRun(t, mortalRuns["in a row"], 9)
	name := path.Join(recordsDir, r.id, "journal.jsonl")
	lines := strings.SplitAfter(r.journal(), "\n")
	lines[3] = "{}x" + lines[3]
	r.fake.Write(name, []byte(strings.Join(lines, "")))
	err := r.resumes(false)
	r.wants(err, name+" is damaged at line 4: ")
	r.wantsCode(err, Damaged)
	if got := r.journal(); got != strings.Join(lines, "") {
		t.Errorf("the journal was changed:\n%s", got)
	}
}

// What is lost of a damaged last line is said, and cut off by who goes on.
func TestDroppedLine(t *testing.T) {
	r := recordedRun(t, mortalRuns["in a row"], 9)
	name := path.Join(recordsDir, r.id, "journal.jsonl")
	whole := r.journal()
	for _, part := range []string{`{"seq":1`, "\x00\x00\x00", "garbage\n", "null", strings.TrimSuffix(strings.SplitAfter(whole, "\n")[4], "\n")} {
		r.fake.Write(name, []byte(whole+part))
		record := r.recorded()
		if !record.Dropped || record.Status() != event.Interrupted {
			t.Errorf("%q: dropped is %t, the status %s", part, record.Dropped, record.Status())
		}
		resumed, j, err := r.store.Resume(r.id)
		r.wants(err, "")
		if !resumed.Dropped || len(resumed.Events) != len(record.Events) {
			t.Errorf("%q: resumed with %d events, dropped is %t", part, len(resumed.Events), resumed.Dropped)
		}
		r.wants(j.Close(), "")
		if got := r.journal(); got != whole {
			t.Errorf("%q: left is\n%s\nwant\n%s", part, got, whole)
		}
	}
}

// Journals of the same script are the same, sorted by step and apart from times and the
// order in which branches came to write; what is announced is the same, byte by byte.
func TestRunsAreTheSame(t *testing.T) {
	const text = `
def branch(n):
    print("begin", n)
    step("s%d" % n, lambda: print("in", n) or parallel(["x", "y"], lambda sub: print(n, sub) or step(sub, lambda: sub)))
    evidence_of(n)
    print("end", n)
def evidence_of(n):
    step("e%d" % n, lambda: evidence("n", n))
step("all", lambda: parallel(range(8), branch, limit = 3))
attempt(lambda: step("bad", lambda: fail("x")))
check("c", lambda: 1)`
	var first, announced string
	for i := range 100 {
		r := newRecorder(t, body(text))
		r.wants(r.starts(), "")
		var all []string
		for _, e := range r.recorded().Events {
			e.Seq, e.Seconds = 0, 0
			e.Time = e.Time.Truncate(0).UTC().AddDate(-e.Time.Year(), 0, 0)
			if e.Run != nil {
				e.Run.ID = ""
			}
			all = append(all, fmt.Sprintf("%s %s %s %s %s %v %s", e.Key, e.Type, e.Branch, e.Status, e.Result, e.Problems, e.Text))
		}
		slices.Sort(all)
		got := strings.Join(all, "\n")
		if i == 0 {
			first, announced = got, r.stdout.String()
		}
		if got != first {
			t.Fatalf("run %d has the journal\n%s\nthe first\n%s", i, got, first)
		}
		if r.stdout.String() != announced {
			t.Fatalf("run %d says\n%s\nthe first\n%s", i, &r.stdout, announced)
		}
	}
}

// The records that are kept are the newest of those that have ended, and of the others.
func TestPruning(t *testing.T) {
	r := newRecorder(t, body(mortalRuns["in a row"]))
	r.printsJSON()
	r.opens(2)
	var ended, interrupted []string
	for i := range 10 {
		r.comesBack()
		if i%2 == 0 {
			r.life.reset(death{line: 5})
		}
		_ = r.starts()
		if i%2 == 0 {
			interrupted = append(interrupted, r.id)
		} else {
			ended = append(ended, r.id)
		}
	}
	r.comesBack()
	r.wants(r.starts(), "")
	r.comesBack()
	want := append(append(interrupted[len(interrupted)-2:], ended[len(ended)-2:]...), r.id)
	slices.Sort(want)
	var got []string
	for _, e := range r.wantsNoDamage() {
		got = append(got, e.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("kept are %v, want %v", got, want)
	}
}

// A run that a process is at is never removed, however old.
func TestPruningLeavesRunsThatRun(t *testing.T) {
	r := newRecorder(t, body(mortalRuns["in a row"]))
	r.printsJSON()
	r.opens(1)
	r.life.reset(death{line: 5})
	_ = r.starts()
	r.comesBack()
	old := r.id
	_, j, err := r.store.Resume(old)
	r.wants(err, "")
	for range 4 {
		r.wants(r.starts(), "")
		r.comesBack()
	}
	if _, err := r.store.Read(old); err != nil {
		t.Errorf("the run that runs: %v", err)
	}
	r.wants(j.Close(), "")
}
