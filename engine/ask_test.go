package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
)

// someone answers what is asked in turn, with JSON values.
type someone struct {
	mu      sync.Mutex
	answers []string
	asked   []string
	at      int // how many questions are being asked at once
	during  func()
}

func (s *someone) Nobody() *NobodyError { return nil }

func (s *someone) Ask(ctx context.Context, q *event.Question) (*event.Answer, error) {
	s.mu.Lock()
	s.at++
	if s.at > 1 {
		return nil, errors.New("two questions at once")
	}
	s.asked = append(s.asked, fmt.Sprintf("%d %s", q.ID, q.Message))
	s.mu.Unlock()
	if s.during != nil {
		s.during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at--
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(s.answers) == 0 {
		return nil, &NobodyError{"the input has ended"}
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	value, err := q.FromJSON(json.RawMessage(next))
	return &event.Answer{Value: value, By: event.ByTerminal}, err
}

func answering(answers ...string) *someone { return &someone{answers: answers} }

func (s *someone) wantsAsked(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(s.asked, "\n"); got != want {
		t.Errorf("asked was\n%s\nwant\n%s", got, want)
	}
	s.asked = nil
}

// What each kind of question gives, where somebody answers, where nobody is there, in a dry
// run and with --yes.
func TestAsk(t *testing.T) {
	nobody := []string(nil)
	for _, c := range []struct {
		name, text string
		answers    []string // nil: nobody can be asked
		yes, dry   bool
		out        string
		err        string
		code       Code
	}{
		{"yes", `print(ask.confirm("Go?"))`, []string{"true"}, false, false, "True\n", "", OK},
		{"no", `print(ask.confirm("Go?"))`, []string{"false"}, false, false, "False\n", "", OK},
		{"no to what can't be taken back", `print(ask.confirm("Go?", irrevocable = True))`, []string{"false"}, false, false, "", "not confirmed, so it was not done", Failed},
		{"yes to it", `print(ask.confirm("Go?", irrevocable = True))`, []string{"true"}, false, false, "True\n", "", OK},
		{"a choice", `print(ask.choose("Which?", ["a", "b"]))`, []string{`"b"`}, false, false, "b\n", "", OK},
		{"a text", `print(ask.text("Name?", pattern = "[a-z]+"))`, []string{`"ada"`}, false, false, "ada\n", "", OK},
		{"wrong, then right", `print(ask.text("Name?", pattern = "[a-z]+"))`, []string{`"A"`, `1`, `"a"`}, false, false, "a\n", "", OK},
		{"wrong for ever", `ask.text("Name?", pattern = "[a-z]+")`, []string{"1", "1", "1", "1", "1", `"a"`}, false, false, "", "no answer after 5 tries: Name?", Usage},
		{"the input ends", `ask.confirm("Go?")`, []string{}, false, false, "", "the input has ended. Go?", Usage},
		{"the input ends, with a default", `print(ask.confirm("Go?", default = False))`, []string{}, false, false, "False\n", "", OK},

		{"nobody", `ask.confirm("Go?")`, nobody, false, false, "", "nobody can be asked. Go?", Usage},
		{"nobody, caught", `print(attempt(lambda: ask.confirm("Go?", irrevocable = True)).ok)`, nobody, false, false, "False\n", "", OK},
		{"nobody, and a default", `print(ask.confirm("Go?", default = True), ask.choose("Which?", ["a", "b"], default = "a"), ask.text("Name?", default = ""))`, nobody, false, false, "True a \n", "", OK},

		{"--yes", `print(ask.confirm("Go?", default = False), ask.confirm("Really?", irrevocable = True))`, nobody, true, false, "True True\n", "", OK},
		{"--yes is no choice", `ask.choose("Which?", ["yes"])`, nobody, true, false, "", "nobody can be asked. Which?", Usage},

		{"a dry run", `print(ask.confirm("Go?", irrevocable = True), ask.choose("Which?", ["a"], default = "a"))`, nobody, false, true, "Would ask: Go?\nWould ask: Which?\nTrue a\n", "", OK},
		{"a dry run asks nobody", `print(ask.confirm("Go?", default = False))`, []string{"false"}, false, true, "Would ask: Go?\nTrue\n", "", OK},
		{"a dry run without a default", `step("a", lambda: ask.text("Name?") + "x")`, nobody, false, true, "Would ask: Name?\n", "", OK},

		{"an answer that is known later, as an argument", `step("a", lambda: probe.write(ask.text("Name?")))
step("b", lambda: ask.choose("Which?", [ask.text("Name?")]))
fail("no")`, nobody, false, true, "Would ask: Name?\nWould ask: Name?\n", "no", Failed},
		{"a default for it", `ask.confirm("Go?", irrevocable = True, default = False)`, nobody, true, false, "", `"default" can't be given with irrevocable = True`, Failed},
		{"a default that is no choice", `ask.choose("Which?", ["a"], default = "b")`, nobody, false, false, "", `ask.choose: "default": "b" is no answer: want one of a`, Failed},
		{"a default that doesn't match", `ask.text("Name?", default = "B", pattern = "[a-z]")`, nobody, false, false, "", `ask.text: "default": "B" is no answer`, Failed},
		{"no choices", `ask.choose("Which?", [])`, nobody, false, false, "", "there are no choices", Failed},
		{"a choice twice", `ask.choose("Which?", ["a", "a"])`, nobody, false, false, "", `the choice "a" is given twice`, Failed},
		{"a choice of two lines", `ask.choose("Which?", ["a\nb"])`, nobody, false, false, "", "want a text on one line", Failed},
		{"a pattern that is none", `ask.text("Name?", pattern = "(")`, nobody, false, false, "", `ask.text: "pattern": error parsing regexp`, Failed},
		{"no message", `ask.text(" ")`, nobody, false, false, "", `ask.text: "message" is empty`, Failed},
		{"an unknown flag", `ask.text("Name?", flag = "nam")`, nobody, false, false, "", `ask.text: "flag": the workflow has no flag "nam"`, Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, body(c.text))
			if c.answers != nil {
				m.config.Asker = answering(c.answers...)
			}
			if m.config.Yes = c.yes; c.dry {
				m.planned()
			}
			err := m.exec()
			m.wants(err, c.err)
			m.wantsCode(err, c.code)
			m.wantsOut(c.out)
		})
	}
}

// The failure names the flag that would have answered.
func TestAskNamesTheFlag(t *testing.T) {
	const text = `
def run(args):
    args.least_profile or %s

workflow(command = "test", run = run, flags = {"least-profile": flag.string(help = "Which.")})
`
	for question, want := range map[string]string{
		`ask.choose("Which?", ["a", "b"], flag = "least_profile")`: "--least-profile answers: one of a, b",
		`ask.text("Which?", flag = "least-profile")`:               "--least-profile answers",
		`ask.text("Which?")`:   "run it on a terminal, or answer on stdin with --output events",
		`ask.confirm("Sure?")`: "--yes goes ahead without asking, --dry-run shows what would be done",
	} {
		m := newMachine(t, fmt.Sprintf(text, question))
		var e *Error
		if err := m.exec(); !errors.As(err, &e) || e.Next != want {
			t.Errorf("%s: the error is %#v, want the hint %q", question, err, want)
		}
		m.wants(m.exec("--least-profile", "x"), "")
	}
}

func TestAskWhileLoading(t *testing.T) {
	for _, call := range []string{`ask.confirm("Go?")`, `ask.choose("Which?", ["a"])`, `ask.text("Name?")`} {
		m := newMachine(t, call+"\n\nworkflow(command = \"test\", run = lambda _: None)\n")
		m.config.Asker, m.config.Yes = answering("true"), true
		m.wants(m.exec(), "a file that is loading only reads")
	}
}

// Branches ask one at a time, and Ctrl-C ends a question and those who wait to ask.
func TestAskInParallel(t *testing.T) {
	m := newMachine(t, body(`print(parallel(range(20), lambda n: ask.text("Name?"), limit = 20) == ["x"] * 20)`))
	all := answering()
	for range 20 {
		all.answers = append(all.answers, `"x"`)
	}
	m.config.Asker = all
	m.wants(m.exec(), "")
	m.wantsOut("True\n")

	m = newMachine(t, body(`parallel(range(3), lambda n: ask.text("Name?"))`))
	asker := answering(`"x"`)
	asker.during = func() { m.run.stop(ErrInterrupted) }
	m.config.Asker = asker
	m.wantsCode(m.exec(), Interrupted)
	if len(asker.asked) != 1 {
		t.Errorf("asked was %q", asker.asked)
	}
}

// What is asked and answered is told as it happens, but for what the terminal shows itself.
func TestAskEvents(t *testing.T) {
	m := newMachine(t, body(`step("a", lambda: ask.text("Name?", pattern = "[a-z]+"))
parallel([1], lambda _: ask.confirm("Sure", default = True))`))
	m.config.Asker = answering(`"A"`, `"a"`)
	m.wants(m.exec(), "")
	if got, want := m.stderr.String(), "warning: \"A\" is no answer: want a text that matches [a-z]+\n  ok    a"; !strings.HasPrefix(got, want) {
		t.Errorf("stderr is\n%s\nwant\n%s", got, want)
	}
	if got, want := m.stderr.String(), "  asked Sure: yes (by default)\n"; !strings.HasSuffix(got, want) {
		t.Errorf("stderr is\n%s\nwant\n%s", got, want)
	}

	var lines strings.Builder
	m.config.Asker, m.config.Output = answering(`"A"`, `"a"`, "true"), Output{Format: Events, Present: &present.Lines{Out: &lines}}
	m.wants(m.exec(), "")
	var got []string
	for line := range strings.Lines(lines.String()) {
		_, line, _ = strings.Cut(line, `"event":`)
		if strings.Contains(line, `"question"`) || strings.Contains(line, "warning") {
			got = append(got, line)
		}
	}
	const question = `"key":"a","question":{"id":1,"kind":"text","message":"Name?","pattern":"[a-z]+"}`
	const sure = `"branch":"0.0","question":{"id":2,"kind":"confirm","message":"Sure","default":true}`
	if got, want := strings.Join(got, ""), `"ask",`+question+`}
"warning","key":"a","text":"\"A\" is no answer: want a text that matches [a-z]+"}
"ask",`+question+`}
"answer",`+question+`,"answer":{"value":"a","by":"terminal"}}
"ask",`+sure+`}
"answer",`+sure+`,"answer":{"value":true,"by":"terminal"}}
`; got != want {
		t.Errorf("the events are\n%s\nwant\n%s", got, want)
	}
}

// A run that died and goes on doesn't ask again what was answered between steps, in any
// branch, and does for what was answered inside a step that it runs again.
func TestAskIsOnRecord(t *testing.T) {
	const text = `
first = ask.text("First?")
step("a", lambda: effect.put("a", first))
second = [ask.text("Again?") for _ in range(2)]
third = parallel(["x", "y"], lambda n: ask.confirm("Sure of " + n + "?"))
effect.die("between")
def inside():
    answer = ask.text("Inside?")
    effect.die("inside")
    return answer
fourth = step("b", inside)
print(first, second, third, fourth)`
	r := newRecorder(t, body(text))
	asker := answering(`"1"`, `"2"`, `"3"`, "true", "true", `"4"`, `"5"`)
	r.config.Asker = asker
	r.wants(r.starts(), "dead")
	r.wants(r.resumes(false), "dead")
	if got := strings.Count(r.journal(), `"event":"answer"`); got != 6 {
		t.Errorf("%d answers are on record:\n%s", got, r.journal())
	}
	asker.asked = nil
	r.wants(r.resumes(false), "")
	asker.wantsAsked(t, "7 Inside?")
	r.wantsOut("1 [\"2\", \"3\"] [True, True] 5\n")
	if !strings.Contains(r.stderr.String(), "  asked First? 1 (on the terminal) (before)\n") {
		t.Errorf("stderr is\n%s", r.stderr.String())
	}
}

// Wherever the process dies, even with the loss of what was not synced, the answer that a
// step was built on is that of its first process.
func TestAskAndDieAnywhere(t *testing.T) {
	const text = `
step("first", lambda: None)
name = ask.text("Name?")
step("put", lambda: effect.put("put", name))
effect.put("after", name)
step("last", lambda: effect.put("last", name))`
	for _, power := range []bool{false, true} {
		for line := 1; ; line++ {
			r := newRecorder(t, body(text))
			r.life.reset(death{line: line, power: power})
			r.config.Asker = answering(`"one"`)
			err := r.starts()
			if !r.life.dead {
				r.wants(err, "")
				if line < 8 {
					t.Fatalf("the journal has only %d lines", line)
				}
				break
			}
			r.comesBack()
			if r.recorded() == nil {
				continue
			}
			r.config.Asker = answering(`"two"`)
			r.wants(r.resumes(false), "")
			if got := r.state(); got != "after=one\nlast=one\nput=one" && got != "after=two\nlast=two\nput=two" {
				t.Errorf("line %d, power %t: it is\n%s\n%s", line, power, got, r.journal())
			}
		}
	}
}

// An answer that the script has got outlives a loss of power right after it.
func TestAskIsDurable(t *testing.T) {
	r := newRecorder(t, body(`
step("a", lambda: None)
name = ask.text("Name?")
effect.die("x")
print(name)`))
	r.life.reset(death{power: true})
	r.config.Asker = answering(`"ada"`)
	r.wants(r.starts(), "dead")
	r.config.Asker = nil
	r.wants(r.resumes(false), "")
	r.wantsOut("ada\n")
}

// A no that ended the run is no answer for whoever goes on with it; one after which the
// script went on is.
func TestAskAgainAfterNo(t *testing.T) {
	r := newRecorder(t, body(`
step("a", lambda: None)
ask.confirm("Remove it?", irrevocable = True)
step("b", lambda: effect.put("b", "done"))`))
	r.config.Asker = answering("false")
	r.wants(r.starts(), "not confirmed")
	r.config.Asker = answering("true")
	r.wants(r.resumes(false), "")
	if got := r.state(); got != "b=done" {
		t.Errorf("it is %q", got)
	}

	r = newRecorder(t, body(`
step("a", lambda: None)
if not attempt(lambda: ask.confirm("Remove it?", irrevocable = True)).ok:
    step("keep", lambda: None)
effect.die("x")`))
	r.config.Asker = answering("false")
	r.wants(r.starts(), "dead")
	r.config.Asker = nil
	r.wants(r.resumes(false), "")
}

// A question that has changed is asked anew: an answer to another one doesn't count.
func TestAskWhatHasChanged(t *testing.T) {
	const text = `
step("a", lambda: None)
ask.confirm("Remove %s?", irrevocable = True)
effect.die("x")`
	r := newRecorder(t, body(fmt.Sprintf(text, "one")))
	r.config.Asker = answering("true")
	r.wants(r.starts(), "dead")
	r.scripted(fmt.Sprintf(text, "two"))
	r.config.Asker = nil
	r.wants(r.resumes(false), "nobody can be asked. Remove two?")
}

// Whoever undoes a run is asked nothing again; an undo function may ask.
func TestAskWhileUndoing(t *testing.T) {
	r := newRecorder(t, body(`
def outer():
    if ask.confirm("Inside?"):
        step("inner", lambda: effect.put("inner", ""), undo = effect.remove)
def remove(name):
    if ask.confirm("Take it back?"):
        effect.remove(name)
step("outer", outer)
if ask.confirm("Between?"):
    step("put", lambda: effect.put("put", ""), undo = remove)
effect.die("x")
ask.confirm("Never asked?")`))
	asker := answering("true", "true")
	r.config.Asker = asker
	r.wants(r.starts(), "dead")
	asker.wantsAsked(t, "1 Inside?\n2 Between?")
	asker.answers = []string{"true"}
	r.wants(r.resumes(true), "")
	asker.wantsAsked(t, "3 Take it back?")
	if got := r.state(); got != "" {
		t.Errorf("left is %q", got)
	}
}
