package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

const theToken = `c4nary "theToken"`

// secretive is a recorder whose scripts have secrets: secret("ref") is one, secrets.read(s, value)
// reads it, with that value, and gives that to the script, as no real builtin does;
// secrets.print(text…) is a process that prints texts, each in a piece.
func secretive(t *testing.T, lines string) *recorder {
	t.Helper()
	r := newRecorder(t, body(lines))
	r.config.Secret = testSecret
	values := map[string]string{} // by the reference
	r.config.ReadSecret = func(_ context.Context, _ world.World, reference string) (string, error) {
		return values[reference], nil
	}
	r.fake.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		var out world.Output
		for _, piece := range cmd.Args[1:] {
			if errs, ok := strings.CutPrefix(piece, "!"); ok {
				out.Stderr = append(out.Stderr, errs...)
				cmd.Follow(world.Stderr, []byte(errs))
			} else {
				out.Stdout = append(out.Stdout, piece...)
				cmd.Follow(world.Stdout, []byte(piece))
			}
		}
		return out, nil
	}
	value := table.Param{Name: "value", Type: table.String(), Optional: true, Default: starlark.String(theToken), Help: "what it is"}
	r.config.Modules = append(r.config.Modules, table.Module{Builtins: []table.Builtin{{
		Name: "secret", Params: []table.Param{{Name: "ref", Type: table.String(), Help: "where it is"}},
		Run: func(c *table.Call) (starlark.Value, error) { return testSecret(c.String("ref")) },
	}}}, table.Module{Name: "secrets", Builtins: []table.Builtin{
		{Name: "secrets.read", Params: []table.Param{{Name: "secret", Type: table.Of[aSecret]("a secret"), Help: "which"}, value}, Run: func(c *table.Call) (starlark.Value, error) {
			reference := string(c.Value("secret").(aSecret))
			values[reference] = c.String("value")
			return c.Value("value"), Current(c.Thread).Conceal(reference, values[reference])
		}},
		{Name: "secrets.print", Params: []table.Param{{Name: "texts", Type: table.String(), Rest: true, Help: "what it prints"}}, Run: func(c *table.Call) (starlark.Value, error) {
			args := []string{"print"}
			for _, v := range c.Rest("texts") {
				args = append(args, string(v.(starlark.String)))
			}
			p := Current(c.Thread).Printer(false)
			out, err := World(c.Thread).Processes.Run(Context(c.Thread), world.Command{Args: args, Dir: "/", Timeout: time.Second, Follow: p.Print})
			p.Close()
			return starlark.String(out.Stdout), err
		}},
	}})
	return r
}

// everything is all that the run has shown, told and kept.
func (r *recorder) everything() string {
	r.Helper()
	rep, err := json.Marshal(r.run.Report())
	if err != nil {
		r.Fatal(err)
	}
	return r.shown() + "\n" + r.journal() + "\n" + string(rep)
}

// shown is what was printed.
func (r *recorder) shown() string { return r.stdout.String() + r.stderr.String() }

// tells shows why the run failed.
func (r *recorder) tells(err error) {
	if err == nil {
		return
	}
	for _, d := range r.run.Problems(err) {
		r.stderr.WriteString(d.Text())
	}
}

// hides fails if a form of the theToken is anywhere, or was not masked.
func (r *recorder) hides() {
	r.Helper()
	all := r.everything()
	quoted, _ := json.Marshal(theToken)
	for _, form := range []string{theToken, string(quoted[1 : len(quoted)-1]), base64.StdEncoding.EncodeToString([]byte(theToken))[:16], "c4nary"} {
		if i := strings.Index(all, form); i >= 0 {
			r.Errorf("%q is in …%s…", form, all[max(0, i-200):min(len(all), i+100)])
		}
	}
	if !strings.Contains(all, "***") {
		r.Errorf("nothing was masked in\n%s", all)
	}
}

// TestSecretsAreMasked: whatever a script or a process says of a value that was read, and in
// whatever way.
func TestSecretsAreMasked(t *testing.T) {
	for name, lines := range map[string]string{
		"print":            `step("s", lambda: print("it is", value))`,
		"print, JSON":      `step("s", lambda: print(json.encode({"a": value})))`,
		"a process":        `step("s", lambda: secrets.print("it is ", value, "\n", "and\n") and None)`,
		"in two pieces":    `step("s", lambda: secrets.print(value[:5], value[5:] + "\n") and None)`,
		"many pieces":      `step("s", lambda: secrets.print(*(list(value.elems()) + ["\n"])) and None)`,
		"without an end":   `step("s", lambda: secrets.print("it is ", value) and None)`,
		"outside of steps": `secrets.print(value + "\n")` + "\n" + `step("s", lambda: None)`,
		"a failure":        `step("s", lambda: fail("no", value))`,
		"a hint":           `step("s", lambda: fail("no", hint = value))`,
		"a retry":          `step("s", lambda: fail("no", value), retries = 1, backoff = "1ms")`,
		"evidence":         `step("s", lambda: evidence(value, value))`,
		"evidence, JSON":   `step("s", lambda: evidence("e", {value: [value]}))`,
		"a check":          `check("c", lambda: expect.equal({"a": value}, {"a": "other"}))` + "\n" + `step("s", lambda: None)`,
		"a result":         `step("s", lambda: value)`,
		"in a result":      `step("s", lambda: struct(a = [{"b": "x" + value}]))`,
		"a key":            `step("s", lambda: {value: 1})`,
		"a name":           `step(value, lambda: None)`,
		"a check's name":   `step("s", lambda: None)` + "\n" + `check(value, lambda: None)`,
		"undo":             `step("s", lambda: None, undo = lambda _: fail(value))` + "\n" + `fail("over")`,
		"on_exit":          `on_exit(lambda: fail(value))` + "\n" + `step("s", lambda: None)` + "\n" + `fail("over")`,
		"in parallel":      `parallel([1, 2], lambda i: step("s%d" % i, lambda: print(value)))`,
		"conclude":         `step("s", lambda: None)` + "\n" + `conclude(value, code = "conflict")`,
		"a time-out":       `step("s", lambda: wait_until(lambda: print(value), timeout = "1ms", every = "1ms"))`,
	} {
		t.Run(name, func(t *testing.T) {
			r := secretive(t, `
value = secrets.read(secret("env://T"))
step("begin", lambda: print("***"))
`+lines)
			r.tells(r.starts())
			r.hides()
		})
	}
}

// TestSecretsOtherwise: the other ways to print a run, and the log.
func TestSecretsOtherwise(t *testing.T) {
	const lines = `
def main(_):
    value = secrets.read(secret("env://T"))
    step("begin", lambda: print("it is", value))
    log.error("the value " + value, {"value": [value], value: 1})
    return {"value": [value, {value: value}], "n": 1}
workflow(command = "x", run = main, show = lambda result: print(result))
`
	for _, format := range []Format{Text, JSON, Events} {
		t.Run(string(format), func(t *testing.T) {
			r := secretive(t, "")
			r.config.Layers = stackOf(lines)
			r.config.Output.Format, r.config.Reported = format, true
			r.config.Log = hclog.New(&hclog.LoggerOptions{Output: &r.stderr})
			switch format {
			case Events:
				r.config.Output.Present = &present.Lines{Out: &r.stdout}
			case JSON:
				r.config.Output.Present = &present.Plain{Announcements: &r.stderr, Progress: &r.stderr}
			}
			r.tells(r.starts())
			r.hides()
			if format == JSON && !json.Valid(r.stdout.Bytes()) {
				t.Errorf("it is no JSON: %s", r.stdout.String())
			}
			if !strings.Contains(r.stderr.String(), `[ERROR] the value ***: value="[\"***\"]" ***=1`) {
				t.Errorf("the log has\n%s", r.stderr.String())
			}
		})
	}
}

// TestResultsWithSecrets: a value can't be in a step's result, wherever in it; the secret can.
func TestResultsWithSecrets(t *testing.T) {
	ink := visible.NewInk(func(key []byte) { copy(key, "a key") })
	for result, want := range map[string]string{
		`value`:                              "a step's result has the value of a secret in it",
		`{"a": struct(b = ["x", value])}`:    `has the value of a secret in it, at ["a"].b[…]: results are kept`,
		`{value: 1}`:                         `has the value of a secret in it, at ["***"]: `,
		`base64(value)`:                      "a step's result has the value",
		`number`:                             "a step's result has the value",
		`-number`:                            "a step's result has the value",
		`number * 1000`:                      "a step's result has the value",
		`float(number)`:                      "a step's result has the value",
		`{"a": (1, number / -8 * 8)}`:        `has the value of a secret in it, at ["a"][…]: results are kept`,
		`struct(n = number + 0.25)`:          "has the value of a secret in it, at .n: results are kept",
		`struct(x654321 = 1)`:                "has the value of a secret in it, at .x***: results are kept",
		`coloured`:                           "a step's result has the value",
		`{"a": [number // 10, 6543.21]}`:     "",
		`{"a": [secret("env://T")], "b": 1}`: "",
		`str(secret("env://T"))`:             "",
	} {
		r := secretive(t, `
value = secrets.read(secret("env://T"))
number = int(secrets.read(secret("env://N"), "654321"))
red = "`+strings.ReplaceAll(ink.Paint(31, "x"), "\x1b", `\x1b`)+`".replace("x", "", 1)
coloured = value[:3] + red + value[3:]
def base64(text): return "`+base64.StdEncoding.EncodeToString([]byte(theToken))+`"
print(value)
step("s", lambda: `+result+`)
`)
		r.config.Output.Ink = ink
		r.wants(r.starts(), want)
		if want != "" {
			r.tells(r.starts())
			r.hides()
		}
	}
}

// TestSecretsInReplays: a secret that a step returned comes back as one, and is recorded by its
// reference.
func TestSecretsInReplays(t *testing.T) {
	r := secretive(t, `
def one(): return {"s": secret("env://T"), "$secret": "no secret"}
kept = step("one", one)
step("two", lambda: effect.die("now"))
step("three", lambda: print(secrets.read(kept["s"]), kept["$secret"], type(kept["s"])))
`)
	r.starts()
	if got := r.journal(); !strings.Contains(got, `"result":{"$dict":{"s":{"$secret":"env://T"},"$secret":"no secret"}}`) {
		t.Errorf("the record has\n%s", got)
	}
	r.comesBack()
	r.wants(r.resumes(false), "")
	if got := r.stdout.String(); !strings.HasSuffix(got, "*** no secret secret\n") {
		t.Errorf("it printed %s", got)
	}
	r.hides()
}

// TestGivenAwayNames: what a run must find again can't have the value of a secret, whichever
// comes first.
func TestGivenAwayNames(t *testing.T) {
	for name, c := range map[string]struct{ lines, want string }{
		"a step":           {`step("deploy c4nary-x", lambda: secrets.read(secret("env://T"), "c4nary-x") and None)`, "the value of the secret env://T is part of the name of a step or check"},
		"a check, after":   {`step("s", lambda: secrets.read(secret("env://T"), "c4nary-x") and None)` + "\n" + `check("c4nary-x is up", lambda: None)`, "check: its name has the value of a secret"},
		"arguments":        {`step("s", lambda: secrets.read(secret("env://T"), "c4nary-arg") and None)`, "is part of how the run was called"},
		"the reference":    {`step("s", lambda: secrets.read(secret("env://C4NARY"), "C4NARY") and None)`, "is part of this reference"},
		"nothing of these": {`step("s", lambda: secrets.read(secret("env://T"), "c4nary-y") and None)`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := secretive(t, c.lines)
			r.config.Identity = func() event.Run { return event.Run{Args: []string{"x", "--to=c4nary-arg"}, Dir: "/src"} }
			r.wants(r.starts(), c.want)
		})
	}
}

// TestQuestionsWithSecrets: neither a question nor an answer can have a value.
func TestQuestionsWithSecrets(t *testing.T) {
	for lines, want := range map[string]string{
		`ask.text("Is it " + value + "?", default = "no")`:           "the question has the value of a secret",
		`ask.choose("Which?", ["a", value], default = "a")`:          "the question has the value of a secret",
		`ask.text("What is it?", default = value)`:                   "the question has the value of a secret",
		`ask.text("What?", pattern = "c.nary .*")`:                   "no answer after 5 tries",
		`expect.equal(ask.text("What?", default = "other"), "next")`: "",
	} {
		r := secretive(t, "value = secrets.read(secret(\"env://T\"))\nstep(\"begin\", lambda: print(value))\n"+lines)
		answers := []string{theToken, theToken, theToken, theToken, theToken}
		if want == "" {
			answers = []string{theToken, "next"}
		}
		r.config.Asker = &replying{answers: answers}
		r.wants(r.starts(), want)
		r.hides()
	}
}

// replying is an asker that gives these answers.
type replying struct{ answers []string }

func (s *replying) Nobody() *NobodyError { return nil }

func (s *replying) Ask(_ context.Context, q *event.Question) (*event.Answer, error) {
	value, err := q.FromText(s.answers[0])
	s.answers = s.answers[1:]
	return &event.Answer{Value: value, By: event.ByTerminal}, err
}

// TestSecretLater: what was printed before a value was known is masked in what is kept later.
func TestSecretLater(t *testing.T) {
	r := secretive(t, `
step("begin", lambda: None)
def s():
    secrets.print("`+"c4nary-later"+`\n")
    secrets.read(secret("env://T"), "c4nary-later")
step("s", s)
`)
	r.wants(r.starts(), "")
	if got := r.journal(); strings.Contains(got, "c4nary-later") {
		t.Errorf("the record has\n%s", got)
	}
}

// TestBeginningOfSecret: a line that isn't finished is shown without what may be the beginning
// of a secret.
func TestBeginningOfSecret(t *testing.T) {
	r := secretive(t, `
secrets.read(secret("env://T"))
step("s", lambda: secrets.print("it is c4nary ", "!shown with it\n", `+"'\"theToken\"\\n'"+`) and None)
`)
	r.config.Output.Present = &present.Lines{Out: &r.stdout}
	r.tells(r.starts())
	r.hides()
	if !strings.Contains(r.stdout.String(), `{"stream":"stdout","text":"it is "}`) {
		t.Errorf("it shows\n%s", r.stdout.String())
	}
}

// readBefore is a run that has read a secret in a step that was done, and is killed then. What
// comes later tells the value, which the script knows by itself.
const readBefore = `
value = "c4nary " + '"theToken"'
def read(): secrets.read(secret("env://T"))
step("read", lambda: read() or read(), undo = lambda _: print("undone with", value))
print("read", value)
step("die", lambda: effect.die("now"))
print("it is", value)
step("tell", lambda: secrets.print("it is ", value, "\n") and evidence("value", value))
`

// TestSecretsOfEarlierProcesses: a process that resumes a run, or undoes it, masks what
// steps have read that are done, and so not run again.
func TestSecretsOfEarlierProcesses(t *testing.T) {
	for _, format := range []Format{Text, Events} {
		for undo, shown := range map[bool]string{false: "it is ***", true: "undone with ***"} {
			r := secretive(t, readBefore)
			if r.config.Output.Format = format; format == Events {
				r.config.Output.Present = &present.Lines{Out: &r.stdout}
			}
			r.starts()
			if got := r.journal(); strings.Count(got, `"event":"secret","text":"env://T"`) != 1 {
				t.Errorf("the record has\n%s", got)
			}
			r.wants(r.resumes(undo), "")
			r.hides()
			if got := r.shown(); !strings.Contains(got, shown) || format == Text && strings.Contains(got, "read ***") {
				t.Errorf("undo %t: it shows\n%s", undo, got)
			}
			if got := r.journal(); strings.Count(got, `"event":"secret"`) != 1 {
				t.Errorf("the record has\n%s", got)
			}
		}
	}
}

// TestSecretsThatAreGone: a run whose secrets can't be read any more neither goes on nor is
// undone, and stays as it was. A dry run reads none.
func TestSecretsThatAreGone(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		want, hint string
	}{
		"it is gone":         {errors.New("env://T is not set"), "a secret that the run has read before must be masked, and can't be read again: env://T is not set", "make it available again"},
		"with a hint":        {hint.Wrap(errors.New("it is locked"), "unlock it"), "it is locked", "unlock it"},
		"nobody reads":       {nil, "there is nobody to read secrets", "make it available again"},
		"it is another":      {nil, "is part of how the run was called", "choose another value"},
		"it is interrupted":  {nil, "interrupted", ""},
		"nothing is refused": {nil, "", ""},
	} {
		for _, undo := range []bool{false, true} {
			r := secretive(t, readBefore)
			r.config.Identity = func() event.Run { return event.Run{Args: []string{"x", "--to=c4nary-arg"}, Dir: "/src"} }
			r.starts()
			before := r.journal()
			read := r.config.ReadSecret
			r.config.ReadSecret = func(ctx context.Context, w world.World, reference string) (string, error) {
				switch {
				case name == "it is another":
					return "c4nary-arg", nil
				case name == "it is interrupted":
					r.run.stop(ErrInterrupted)
					return "", ctx.Err()
				case c.err != nil:
					return "", c.err
				}
				return read(ctx, w, reference)
			}
			if name == "nobody reads" {
				r.config.ReadSecret = nil
			}
			err := r.resumes(undo)
			r.wants(err, c.want)
			if c.want == "" {
				continue
			}
			if got := r.run.Problems(err)[0].Hint; !strings.Contains(got, c.hint) {
				t.Errorf("%s: the hint is %q", name, got)
			}
			code := Missing
			switch name {
			case "it is another":
				code = Usage
			case "it is interrupted":
				code = Interrupted
			}
			r.wantsCode(err, code)
			if got := r.journal(); got != before || r.run.Went() {
				t.Errorf("%s: the record has become\n%s", name, got)
			}
		}
	}
	r := secretive(t, readBefore)
	r.starts()
	r.config.ReadSecret = nil
	r.config.World = world.Planned(r.config.World)
	r.wants(r.resumes(false), "")
}

// TestSecretsInReferences: references are on record as they are, so none has the value of
// another secret.
func TestSecretsInReferences(t *testing.T) {
	for lines, want := range map[string]string{
		`secrets.read(secret("env://A"), "c4nary-a")` + "\n" + `secrets.read(secret("file:///c4nary-a/b"), "other value")`: "the reference file:///***/b has the value of another secret",
		`secrets.read(secret("file:///c4nary-a/b"), "other value")` + "\n" + `secrets.read(secret("env://A"), "c4nary-a")`: "the value of the secret env://A is part of the reference file:///c4nary-a/b",
	} {
		r := secretive(t, lines)
		r.wants(r.starts(), want)
	}
}

// TestSecretsWhileLoading: what is read while the scripts are loaded is on record behind the
// beginning of the run.
func TestSecretsWhileLoading(t *testing.T) {
	r := secretive(t, "")
	r.config.Layers = stackOf(`
secrets.read(secret("env://T"))
def main(_):
    step("s", lambda: print("c4nary " + '"theToken"'))
workflow(command = "x", run = main)
`)
	r.wants(r.starts(), "")
	if lines := strings.Split(r.journal(), "\n"); !strings.Contains(lines[1], `"event":"secret"`) {
		t.Errorf("the record has\n%s", r.journal())
	}
	r.hides()
}

// TestResultsAreKept: a step's result is on record as it is, though a value is a word of which
// the record makes its own form, and a run that goes on gets it back.
func TestResultsAreKept(t *testing.T) {
	r := secretive(t, `
def read(): secrets.read(secret("env://A"), "struct") and secrets.read(secret("env://B"), "secret") and secrets.read(secret("env://C"), "$struct")
step("read", read)
kept = step("keep", lambda: {"s": struct(n = 1.5), "t": secret("env://T"), "$d": [True, None, "text"]})
step("die", lambda: effect.die("now"))
expect.equal([kept["s"].n, type(kept["t"]), kept["$d"]], [1.5, "secret", [True, None, "text"]])
`)
	r.starts()
	r.wants(r.resumes(false), "")
}
