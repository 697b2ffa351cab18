package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/layer"
)

// resumesEdited goes on with the run as another process, with main.star as it is now. before
// is as it was when the run began.
func (r *recorder) resumesEdited(before, now string) error {
	r.Helper()
	r.comesBack()
	record, j, err := r.store.Resume(r.id)
	if err != nil {
		return err
	}
	r.config.Resume, err = NewResume(record, j, false)
	r.wants(err, "")
	r.scripted(now)
	r.config.Resume.Edited = &Edited{
		Keep: func(loaded []layer.File) (string, error) { return r.store.KeepScripts(r.id, loaded[0].Data) },
		Source: func(scripts, file string) []byte {
			if scripts == "scripts.json" && file == "main.star" {
				return []byte(body(before))
			}
			return nil
		},
	}
	return r.exec()
}

// resumesAsKept goes on with the scripts that the record names last; first are those that it
// began with.
func (r *recorder) resumesAsKept(first string, undo bool) error {
	r.Helper()
	r.comesBack()
	text, err := r.store.Scripts(r.recorded())
	r.wants(err, "")
	if string(text) == "{}" { // what the recorder keeps of the first ones
		text = []byte(body(first))
	}
	r.config.Layers = stackOf(string(text))
	return r.resumes(undo)
}

const buggy = `
step("a", lambda: effect.put("a"))
step("b", lambda: [step("b%d" % n, lambda: effect.put("b%d" % n)) for n in range(2)])
parallel([1, 2], lambda n: [step("p%d" % n, lambda: effect.put("p%d" % n)), step("q%d" % n, lambda: effect.put("q%d" % n))])
step("c", lambda: effect.put("c"))
step("last", lambda: fail("a bug"))`

// A run goes on with a script that was mended: the steps that were done count where they are
// met by their names, in their order. What is new runs.
func TestEditedScript(t *testing.T) {
	mended := strings.Replace(buggy, `fail("a bug")`, `effect.put("last")`, 1)
	for _, c := range []struct {
		name, text string
		ran        []string // beside what ran before
	}{
		{"the step that failed", mended, []string{"last"}},
		{"a comment, and lines", strings.ReplaceAll(mended, "\nstep", "\n# what follows\n\nstep"), []string{"last"}},
		{"what was done does something else now", strings.Replace(mended, `effect.put("c")`, `effect.put("other")`, 1), []string{"last"}},
		{"a new step before all", `step("new", lambda: effect.put("new"))` + mended, []string{"last", "new"}},
		{"a new step in between", strings.Replace(mended, `parallel(`, "step(\"new\", lambda: effect.put(\"new\"))\nparallel(", 1), []string{"last", "new"}},
		{"a new step in a branch", strings.Replace(mended, `[step("p%d" % n`, `[step("new%d" % n, lambda: effect.put("new%d" % n)), step("p%d" % n`, 1), []string{"last", "new1", "new2"}},
		{"a new item", strings.Replace(mended, `[1, 2]`, `[1, 2, 3]`, 1), []string{"last", "p3", "q3"}},
		{"a new step around nothing that was done", strings.Replace(mended, `step("last", `, `step("around", lambda: step("last", `, 1) + ")", []string{"around/last"}},
		{"the step that failed is gone", buggy[:strings.Index(buggy, `step("last"`)], nil},
		{"the step that failed has another name", strings.Replace(mended, `step("last"`, `step("at last"`, 1), []string{"at last"}},
		{"what a new step returns decides", strings.Replace(mended, `step("last"`, `if step("new", lambda: effect.put("new")): step("last"`, 1), []string{"last", "new"}},
		{"what a new step returns decides whether it comes to what was done", strings.Replace(mended, `step("c"`, `if step("new", lambda: effect.put("new")): step("c"`, 1), []string{"last", "new"}},
		{"and in a branch", strings.Replace(mended, `step("q%d" % n`, `step("new%d" % n, lambda: effect.put("new%d" % n)) and step("q%d" % n`, 1), []string{"last", "new1", "new2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(buggy))
			r.wants(r.starts(), "a bug")
			want := append(r.ran(), c.ran...)
			slices.Sort(want)
			r.wants(r.resumesEdited(buggy, c.text), "")
			if got := r.ran(); !slices.Equal(got, want) {
				t.Errorf("what ran is %q, want %q", got, want)
			}
			r.comesBack()
			if got := r.recorded().Status(); got != event.Passed {
				t.Errorf("the run is %s", got)
			}
		})
	}
}

// An edit shifts what the record calls by numbers: calls of parallel. The run goes on, and
// whoever goes on after that, or takes it back, finds all that was done.
func TestEditedScriptWithAnotherParallel(t *testing.T) {
	const (
		first  = `parallel(["p", "q"], lambda n: step(n, lambda: effect.put(n), undo = effect.remove))` + "\n"
		then   = `parallel(["r", "s"], lambda n: step(n, lambda: effect.put(n), undo = effect.remove))` + "\n"
		other  = `parallel(["x", "y"], lambda n: step(n, lambda: effect.put(n), undo = effect.remove))` + "\n"
		bad    = `step("bad", lambda: effect.die("bad"))` + "\n"
		caught = `attempt(lambda: parallel(["f", "g"], lambda n: step(n, lambda: effect.put(n), undo = effect.remove) and step("no " + n, lambda: fail("no")), limit = 1))` + "\n"
	)
	inside := func(outer, text string) string {
		return "def inside():\n" + strings.ReplaceAll("\n"+strings.TrimSpace(text), "\n", "\n    ") + "\n" + outer + "\n"
	}
	step, check, branch := `step("o", inside)`, `check("o", inside)`, `parallel([0], lambda _: inside())`
	for _, c := range []struct{ name, text, now string }{
		{"before one", first + bad, other + first},
		{"between two", first + then + bad, first + other + then},
		{"that is empty", first + then + bad, "parallel([], lambda n: n)\n" + first + then},
		{"around one", first + then + bad, `parallel([0], lambda _: ` + strings.TrimSpace(first) + ")\n" + then},
		{"before one that failed, which was caught", caught + first + bad, other + caught + first},
		{"behind one that failed, which was caught", caught + first + bad, caught + other + first},
		{"inside a step", inside(step, first+then+bad), inside(step, other+first+then)},
		{"inside a check", inside(check, first+then) + bad, inside(check, other+first+then)},
		{"inside a branch", inside(branch, first+then) + bad, inside(branch, other+first+then)},
		{"that has gone", "parallel([], lambda n: n)\n" + first + then + bad, first + then},
	} {
		for _, end := range []string{"", bad} {
			for _, undo := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %q, undo %t", c.name, end, undo), func(t *testing.T) {
					r := newRecorder(t, body(c.text))
					_ = r.starts()
					before := r.ran()
					now := c.now + strings.ReplaceAll(end, "bad", "worse")
					if err := r.resumesEdited(c.text, now); end == "" {
						r.wants(err, "")
					}
					r.comesBack()
					if !undo && end != "" {
						r.wants(r.resumesAsKept(c.text, false), "")
					}
					for _, key := range before {
						if r.calls[key] != 1 {
							t.Errorf("%s ran %d times", key, r.calls[key])
						}
					}
					r.comesBack()
					r.wants(r.resumesAsKept(c.text, true), "")
					if got := r.state(); got != "" {
						t.Errorf("left is %q", got)
					}
				})
			}
		}
	}
}

// An undo goes past a new step that was cut off to what was done behind it.
func TestUndoPastANewStep(t *testing.T) {
	const (
		first = `step("a", lambda: effect.put("a"), undo = effect.remove)` + "\n" + `step("b", lambda: effect.die("b"))`
	)
	for _, new := range []string{
		`step("new", lambda: effect.die("new"))`,
		`step("new", lambda: effect.die("new"), undo = lambda _: None)`,
		`step("new", lambda: effect.die("new") or effect.has("a") and fail("no"), undo = lambda _: None)`,
		`parallel([1], lambda _: step("new", lambda: effect.die("new")))`,
		`check("c", lambda: step("new", lambda: effect.die("new")))`,
	} {
		t.Run(new, func(t *testing.T) {
			r := newRecorder(t, body(first))
			_ = r.starts()
			_ = r.resumesEdited(first, new+"\n"+first)
			r.comesBack()
			err := r.resumesAsKept(first, true)
			if !strings.Contains(new, "fail") {
				r.wants(err, "")
			}
			if got := r.state(); got != "" {
				t.Errorf("left is %q (%v)", got, err)
			}
		})
	}
}

// ran is the steps that did something, each as often as it did.
func (r *recorder) ran() []string {
	var all []string
	for key, n := range r.calls {
		all = append(all, slices.Repeat([]string{key}, n)...)
	}
	slices.Sort(all)
	return all
}

// A script that doesn't come to what was done is told before anything runs, with its line and
// the one on record, and the record stays as it was.
func TestEditedScriptThatDiffers(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		at, recorded     int // lines of main.star; 0 for none
	}{
		{"another name", strings.Replace(buggy, `step("c"`, `step("x"`, 1), `it comes to the step "x", where the record has "c", which was done`, 5, 5},
		{"another name for the first", "\n" + strings.Replace(buggy, `step("a"`, `step("x"`, 1), `it comes to the step "x", where the record has "a"`, 2, 2},
		{"swapped", `step("c", lambda: effect.put("c"))` + strings.Replace(buggy, `step("c", lambda: effect.put("c"))`, "", 1), `it comes to the step "c", where the record has "a"`, 2, 2},
		{"gone", strings.Replace(buggy, `step("c", lambda: effect.put("c"))`, "", 1), `it comes to the step "last", where the record has "c"`, 6, 5},
		{"gone at the end", `step("a", lambda: effect.put("a"))`, `it ended without coming to the step "b/b0"`, 0, 3},
		{"an item that is gone", strings.Replace(buggy, `[1, 2]`, `[1]`, 1), `it comes to the step "c", where the record has "p2"`, 5, 4},
		{"another name in a branch", strings.Replace(buggy, `step("q%d" % n,`, `step("x%d" % n,`, 1), `it comes to the step "x1", where the record has "q1"`, 4, 4},
		{"what is new comes before the difference", `step("new", lambda: effect.put("new"))` + strings.Replace(buggy, `step("c"`, `step("x"`, 1), `it comes to the step "x", where the record has "c"`, 6, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(buggy))
			r.wants(r.starts(), "a bug")
			before, journal := r.state(), r.journal()
			err := r.resumesEdited(buggy, c.text)
			r.wants(err, c.want)
			r.wantsCode(err, Conflict)
			all := diag.Of(err, r.run.Source)
			if len(all) != 1 || lineOf(all[0].Place) != c.at || lineOf(all[0].Recorded) != c.recorded || len(all[0].Calls) > 0 {
				t.Errorf("told is\n%s\nwant the lines %d and %d", all[0].Text(), c.at, c.recorded)
			}
			if c.recorded > 0 && !strings.Contains(all[0].Recorded.Source, "step(") {
				t.Errorf("the line on record is %q", all[0].Recorded.Source)
			}
			if got := r.state(); got != before {
				t.Errorf("left is %q, before there was %q", got, before)
			}
			if got := r.journal(); got != journal {
				t.Errorf("the journal is\n%s\nit was\n%s", got, journal)
			}
			// With the script as it was, or one that does come to it, it goes on.
			r.wants(r.resumesEdited(buggy, strings.Replace(buggy, `fail("a bug")`, `effect.put("last")`, 1)), "")
		})
	}
}

// So is one that leaves out what was done beside, or inside, what failed.
func TestEditedScriptThatLeavesOut(t *testing.T) {
	for _, c := range []struct{ name, text, now, want string }{
		{"an item beside the one that failed", `parallel([2, 1], lambda n: [step("p%d" % n, lambda: effect.put("p%d" % n)), n == 1 and step("bad", lambda: fail("a bug"))], limit = 1)`,
			`parallel([1], lambda n: [step("p%d" % n, lambda: effect.put("p%d" % n)), step("bad", lambda: effect.put("bad"))])`,
			`it ended without coming to the step "p2", which was done`},
		{"the rest of an item", `parallel([2, 1], lambda n: [step("p%d" % n, lambda: effect.put("p%d" % n)), n == 1 and step("bad", lambda: fail("a bug"))], limit = 1)`,
			`parallel([2, 1], lambda n: n == 1 and [step("p%d" % n, lambda: effect.put("p%d" % n)), step("bad", lambda: effect.put("bad"))])`,
			`it ended without coming to the step "p2"`},
		{"a step inside the one that failed", `step("outer", lambda: [step("in", lambda: effect.put("in")), fail("a bug")])`,
			`step("outer", lambda: effect.put("outer"))`, `the step "outer" ended without coming to the step "outer/in", which was done`},
		{"another name inside the one that failed", `step("outer", lambda: [step("in", lambda: effect.put("in")), fail("a bug")])`,
			`step("outer", lambda: step("into", lambda: effect.put("in")))`, `it comes to the step "outer/into", where the record has "outer/in", which was done`},
		{"a step in a check", `check("c", lambda: step("in", lambda: effect.put("in")))` + "\n" + `step("bad", lambda: fail("a bug"))`,
			`check("c", lambda: None)` + "\n" + `step("bad", lambda: effect.put("bad"))`, `the check "c" ended without coming to the step "c/in"`},
		{"a step in a check that comes before another one now", `step("a", lambda: effect.put("a"))` + "\n" + `check("c", lambda: step("in", lambda: effect.put("in")))` + "\n" + `step("bad", lambda: fail("a bug"))`,
			`check("c", lambda: step("in", lambda: effect.put("in")))` + "\n" + `step("a", lambda: effect.put("a"))`, `it comes to the step "c/in", where the record has "a", which was done`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(c.text))
			r.wants(r.starts(), "a bug")
			before, journal := r.state(), r.journal()
			err := r.resumesEdited(c.text, c.now)
			r.wants(err, c.want)
			r.wantsCode(err, Conflict)
			if r.state() != before || r.journal() != journal {
				t.Errorf("left is %q, before there was %q; the journal is\n%s", r.state(), before, r.journal())
			}
		})
	}
}

// A mistake that the edited script has before it comes to anything that would run is told,
// too, and takes nothing back.
func TestEditedScriptWithAnotherMistake(t *testing.T) {
	const first = `
step("a", lambda: effect.put("a"), undo = lambda _: effect.die("undo") or effect.remove("a"))
step("b", lambda: fail("a bug"))`
	for _, c := range []struct {
		name, text, want string
		left             string // of a
	}{
		{"at once", `nothing.of.this`, "undefined: nothing", "a="},
		{"behind what was done", first[:strings.LastIndex(first, "step(")] + `[][1]`, "out of range", "a="},
		{"in what would run", strings.Replace(first, `fail("a bug")`, `[][1]`, 1), "out of range", ""},
		{"behind what would run", first[:strings.LastIndex(first, "step(")] + "step(\"b\", lambda: 1)\n[][1]", "out of range", ""},
		{"behind a new check", first[:strings.LastIndex(first, "step(")] + "check(\"c\", lambda: 1)\n[][1]", "out of range", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder(t, body(first))
			_ = r.starts() // it dies while it is rolled back
			r.comesBack()
			r.mend()
			r.wants(r.resumesEdited(first, strings.Replace(first, `fail("a bug")`, `effect.die("b")`, 1)), errDead.Error())
			journal := r.journal()
			r.wants(r.resumesEdited(first, c.text), c.want)
			if got := r.state(); got != c.left {
				t.Errorf("left is %q, want %q", got, c.left)
			}
			if got := r.journal(); (got == journal) != (c.left != "") {
				t.Errorf("the journal is\n%s\nit was\n%s", got, journal)
			}
		})
	}
}

func lineOf(p *diag.Place) int {
	if p == nil {
		return 0
	}
	return p.Line
}

// The scripts are in the record before the run says that it goes on with them. Who goes on
// then, or takes the run back, does so with these.
func TestEditedScriptThatDies(t *testing.T) {
	const first = `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: effect.die("b") or fail("a bug"))`
	const mended = `
step("a", lambda: effect.put("a"), undo = effect.remove)
step("b", lambda: effect.put("b"), undo = effect.remove)
step("c", lambda: effect.put("c"), undo = effect.remove)`
	r := newRecorder(t, body(first))
	_ = r.starts()
	r.wants(r.resumesEdited(first, mended), "")
	lines := r.life.lines
	if lines < 5 {
		t.Fatalf("it has added %d lines", lines)
	}
	for line := 1; line <= lines; line++ {
		for _, part := range []int{0, 50, 100} {
			for _, undo := range []bool{false, true} {
				r := newRecorder(t, body(first))
				_ = r.starts()
				r.comesBack()
				r.life.end = death{line: line, part: part}
				if err := r.diesEdited(first, mended); err == nil && line < lines {
					t.Fatal("it did not notice that it died")
				}
				r.comesBack()
				r.wantsNoDamage()
				begun := slices.ContainsFunc(r.recorded().Events, func(e event.Event) bool { return e.Scripts != "" })
				if begun != (line > 1 || part == 100) {
					t.Fatalf("line %d: the record names scripts: %t", line, begun)
				}
				switch err := r.resumesAsKept(first, undo); {
				case undo:
					if r.state() != "" {
						t.Errorf("line %d, %d%%: undone, left is %q (%v)", line, part, r.state(), err)
					}
				case !begun:
					r.wants(err, "a bug")
				default:
					if got := r.state(); got != "a=\nb=\nc=" || r.calls["a"] != 1 {
						t.Errorf("line %d, %d%%: left is %q (%v), the steps put %v", line, part, got, err, r.calls)
					}
				}
			}
		}
	}
}

// diesEdited is resumesEdited of a process that dies.
func (r *recorder) diesEdited(before, now string) error {
	end := r.life.end
	record, j, err := r.store.Resume(r.id)
	r.wants(err, "")
	r.config.Resume, err = NewResume(record, j, false)
	r.wants(err, "")
	r.scripted(now)
	r.config.Resume.Edited = &Edited{
		Keep: func(loaded []layer.File) (string, error) {
			name, err := r.store.KeepScripts(r.id, loaded[0].Data)
			r.life.reset(end) // the lines count from here
			return name, err
		},
		Source: func(string, string) []byte { return nil },
	}
	return r.exec()
}

// What keeps the scripts from being kept, ends the run before it says anything.
func TestEditedScriptThatCannotBeKept(t *testing.T) {
	r := newRecorder(t, body(buggy))
	r.wants(r.starts(), "a bug")
	before, journal := r.state(), r.journal()
	r.comesBack()
	record, j, err := r.store.Resume(r.id)
	r.wants(err, "")
	r.config.Resume, err = NewResume(record, j, false)
	r.wants(err, "")
	r.config.Resume.Edited = &Edited{Keep: func([]layer.File) (string, error) { return "", errors.New("the disk is full") }}
	r.wants(r.exec(), "the disk is full")
	if r.state() != before || r.journal() != journal {
		t.Errorf("left is %q, the journal is\n%s", r.state(), r.journal())
	}
}
