package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// printing is a recorder whose scripts start processes that print: probe.print(text) prints
// the text, of which what is behind "!" in a line goes to stderr. Each line is a piece.
func printing(t *testing.T, lines string) *recorder {
	t.Helper()
	r := newRecorder(t, body(lines))
	r.fake.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		var out world.Output
		for line := range strings.Lines(cmd.Args[1]) {
			if errs, ok := strings.CutPrefix(line, "!"); ok {
				out.Stderr = append(out.Stderr, errs...)
				cmd.Follow(world.Stderr, []byte(errs))
			} else {
				out.Stdout = append(out.Stdout, line...)
				cmd.Follow(world.Stdout, []byte(line))
			}
		}
		if strings.Contains(cmd.Args[1], "hangs") {
			return out, world.ErrTimeout
		}
		return out, nil
	}
	r.config.Modules = append(r.config.Modules, table.Module{Name: "process", Builtins: []table.Builtin{{
		Name: "process.print",
		Params: []table.Param{
			{Name: "text", Type: table.String(), Help: "what it prints"},
			{Name: "quiet", Type: table.Bool(), Optional: true, Default: starlark.False, Help: "it isn't shown"},
			{Name: "read_only", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "it changes nothing"},
		},
		Run: func(c *table.Call) (starlark.Value, error) {
			p := Current(c.Thread).Printer(c.Bool("quiet"))
			_, err := World(c.Thread).Processes.Run(Context(c.Thread), world.Command{
				Args: []string{"print", c.String("text")}, Dir: "/", Timeout: time.Second, Follow: p.Print, ReadOnly: c.Bool("read_only"),
			})
			p.Close()
			return starlark.None, err
		},
	}}})
	return r
}

// outputs is what a report has of what processes printed: "key: stdout a\n stderr b\n".
func outputs(rep *report.Run) string {
	var all []string
	add := func(key string, tail event.Tail) {
		text := key + ":"
		for _, p := range tail.Pieces() {
			text += fmt.Sprintf(" %s %q", p.Stream, p.Text)
		}
		if tail.Omitted > 0 {
			text += fmt.Sprintf(" without %d", tail.Omitted)
		}
		if !tail.Empty() {
			all = append(all, text)
		}
	}
	add("the run", rep.Output)
	rep.Walk(func(n *report.Node) { add(n.Key, n.Output) })
	return strings.Join(all, "\n")
}

// recordedOutputs is the same of its record.
func (r *recorder) recordedOutputs() string {
	r.Helper()
	record, err := r.store.Read(r.id)
	if err != nil {
		r.Fatal(err)
	}
	return outputs(report.Of(record.Events))
}

func TestOutputIsKeptWithItsStep(t *testing.T) {
	r := printing(t, `
process.print("before any step\n")
def inner():
    process.print("a\n!b\nc\r\nold\rnew")
    step("inner", lambda: process.print("in\n", True))
    process.print("!and more")
step("outer", inner)
check("a check", lambda: process.print("checked\n"))
process.print("!behind\n")
`)
	r.wants(r.starts(), "")
	want := `the run: stdout "before any step\n" stderr "behind\n"
outer: stdout "a\n" stderr "b\n" stdout "c\nnew\n" stderr "and more\n"
outer/inner: stdout "in\n"
a check: stdout "checked\n"`
	if got := outputs(r.run.Report()); got != want {
		t.Errorf("the report has\n%s\nwant\n%s", got, want)
	}
	if got := r.recordedOutputs(); got != want {
		t.Errorf("the record has\n%s\nwant\n%s", got, want)
	}
	shown := `  | before any step
  | a
  | b
  | c
  | new
  ok    outer/inner ()
  | and more
  ok    outer ()
  | checked
  ok    a check ()
  | behind
`
	if got := withoutTimes(r.stderr.String()); got != shown {
		t.Errorf("stderr is\n%s\nwant\n%s", got, shown)
	}
	r.wantsOut("")
}

func withoutTimes(text string) string {
	var all strings.Builder
	for line := range strings.Lines(text) {
		if at := strings.LastIndexByte(line, '('); at >= 0 && strings.HasSuffix(line, ")\n") {
			line = line[:at] + "()\n"
		}
		all.WriteString(line)
	}
	return all.String()
}

// Of what is printed the end is kept, and a record gets few events of it, however much
// that is and of however many processes.
func TestOutputOfAnySize(t *testing.T) {
	r := printing(t, `
def much():
    for i in range(200):
        process.print("".join(["process %d, line %d\n" % (i, n) for n in range(500)]), True)
    process.print("the end\n")
step("much", much)
process.print("x" * 100000)
`)
	r.wants(r.starts(), "")
	record, err := r.store.Read(r.id)
	r.wants(err, "")
	events, bytes := 0, 0
	for _, e := range record.Events {
		if e.Type == event.Printed {
			events++
			for _, p := range e.Output {
				bytes += len(p.Text)
			}
		}
	}
	if events > 40 || bytes > 40*keptOutput {
		t.Errorf("the record has %d events with %d bytes of output", events, bytes)
	}
	for what, rep := range map[string]*report.Run{"the report": r.run.Report(), "the record": report.Of(record.Events)} {
		tail := rep.Nodes[0].Output
		pieces := tail.Pieces()
		text := pieces[0].Text
		if len(pieces) != 2 || pieces[1].Text != "the end\n" || !strings.HasSuffix(text, "process 199, line 499\n") || len(text) > keptOutput || len(text) < keptOutput-100 {
			t.Errorf("%s has %d pieces, and %d bytes in the first", what, len(pieces), len(text))
		}
		if all := 200*500*len("process , line \n") + 500*(10+90*2+100*3) + 200*(10+90*2+400*3) + len("the end\n"); tail.Omitted+tail.Size() != all {
			t.Errorf("%s says that %d bytes are left out, and has %d, want %d in all", what, tail.Omitted, tail.Size(), all)
		}
		if size := rep.Output.Size(); size > keptOutput || size < keptOutput-longestLine-1 {
			t.Errorf("%s has %d bytes of a line without an end", what, size)
		}
	}
}

func TestOutputOfBranchesSaysTheStep(t *testing.T) {
	r := printing(t, `parallel(["api", "web"], lambda name: step("build " + name, lambda: process.print(name + " is built\n")))`)
	r.wants(r.starts(), "")
	for _, want := range []string{"  build api | api is built\n", "  build web | web is built\n"} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("stderr is\n%s\nwant %q in it", &r.stderr, want)
		}
	}
}

// shown are the events that a presenter was shown.
type shown struct{ events []event.Event }

func (s *shown) Show(e *event.Event) { s.events = append(s.events, *e) }

// Lines come at once, a line that isn't finished with the next one, and what is quiet is
// marked.
func TestOutputEvents(t *testing.T) {
	r := printing(t, `step("a", lambda: [process.print("one\n!two\nthr", quiet = q) for q in [False, True]])`)
	var s shown
	r.config.Output.Present = &s
	r.wants(r.starts(), "")
	var got []string
	for _, e := range s.events {
		if e.Type == event.Printed {
			text := e.Key
			for _, p := range e.Output {
				text += fmt.Sprintf(" %s %q %v", p.Stream, p.Text, p.Quiet)
			}
			got = append(got, text)
		}
	}
	want := []string{
		`a stdout "one\n" false`, `a stderr "two\n" false`, `a stdout "thr\n" false`,
		`a stdout "one\n" true`, `a stderr "two\n" true`, `a stdout "thr\n" true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if last := s.events[len(s.events)-1]; last.Type != event.RunEnded {
		t.Errorf("the last event is %q", last.Type)
	}
}

// A line that isn't finished is shown and recorded, too, while the process is at it.
func TestOutputThatIsUnfinished(t *testing.T) {
	r := printing(t, `step("asks", lambda: process.print("Password: "))`)
	var s shown
	r.config.Output.Present = &s
	handle := r.fake.Handle
	recorded := ""
	r.fake.Handle = func(ctx context.Context, cmd world.Command) (world.Output, error) {
		out, err := handle(ctx, cmd)
		for start := time.Now(); time.Since(start) < 10*time.Second && recorded == ""; runtime.Gosched() {
			recorded = r.recordedOutputs()
		}
		return out, err
	}
	r.wants(r.starts(), "")
	if want := `asks: stdout "Password: "`; recorded != want {
		t.Errorf("while it waits, the record has %q, want %q", recorded, want)
	}
	if !slices.ContainsFunc(s.events, func(e event.Event) bool {
		return len(e.Output) == 1 && e.Output[0].Text == "Password: "
	}) {
		t.Error("while it waits, nothing is shown")
	}
	if got, want := r.recordedOutputs(), `asks: stdout "Password: \n"`; got != want {
		t.Errorf("in the end the record has %q, want %q", got, want)
	}
}

// What was printed until a process, or the run, was ended, is on record, and so is each try.
func TestOutputOfWhatIsEnded(t *testing.T) {
	r := printing(t, `step("tries", lambda: process.print("hangs\n!waiting for it"), retries = 1)`)
	err := r.starts()
	if !errors.Is(err, world.ErrTimeout) {
		t.Fatalf("the error is %v", err)
	}
	if got, want := r.recordedOutputs(), `tries: stdout "hangs\n" stderr "waiting for it\n" stdout "hangs\n" stderr "waiting for it\n"`; got != want {
		t.Errorf("the record has %q, want %q", got, want)
	}
}

// A replay that only goes through the script again prints nothing a second time, though
// it starts what only reads.
func TestOutputIsNotRepeatedByAnUndo(t *testing.T) {
	r := printing(t, `
def outer():
    process.print("looks\n", read_only = True)
    step("inner", lambda: effect.put("a"), undo = effect.remove)
step("outer", outer)
`)
	r.wants(r.starts(), "")
	before := r.recordedOutputs()
	r.stderr.Reset()
	started := len(r.fake.Commands())
	r.wants(r.resumes(true), "")
	if len(r.fake.Commands()) == started {
		t.Error("the undo did not come by the process")
	}
	if got, want := withoutTimes(r.stderr.String()), "  undid outer/inner\n"; got != want {
		t.Errorf("stderr is %q, want %q", got, want)
	}
	if after := r.recordedOutputs(); after != before || before != `outer: stdout "looks\n"` {
		t.Errorf("the record has %q, and had %q", after, before)
	}
}

// What a step costs that starts no process has nothing to do with output.
func TestOutputOfNothing(t *testing.T) {
	r := printing(t, `step("a", lambda: process.print(""))`)
	var s shown
	r.config.Output.Present = &s
	r.wants(r.starts(), "")
	if slices.ContainsFunc(s.events, func(e event.Event) bool { return e.Type == event.Printed }) || len(r.run.outputs) > 0 {
		t.Errorf("the events are %+v", s.events)
	}
}
