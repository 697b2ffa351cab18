package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/scripts"
)

// playedScript is a script with what was done on its machine before.
type playedScript struct{ before, script string }

// changedBy has a script for every builtin that changes something outside.
var changedBy = map[string]playedScript{
	"fs.write":         {script: `fs.write("notes.txt", "other", private = True)`},
	"fs.mkdir":         {script: `fs.mkdir("out/logs")`},
	"fs.remove":        {before: `fs.mkdir("out/logs")`, script: `fs.remove("out")`},
	"fs.temp_dir":      {script: `fs.temp_dir("build-")`},
	"proc.run":         {script: `proc.run(["git", "push"], check = False)`},
	"kinfra.run":       {script: `kinfra.run(["sandbox", "claim"])`},
	"slot.ensure":      {before: `slot.remove(only = [2])`, script: `slot.ensure(pool.specs())`},
	"slot.remove":      {script: `slot.remove(only = [2, 3])`},
	"pools.forget":     {script: `pools.forget("/home/user/.pool")`},
	"registry.restore": {before: `slot.remove(only = [2])`, script: `registry.restore(1)`},
	"claim.take":       {script: `claim.take(claim.worktree(), ttl = "8h")`},
	"claim.release":    {before: `claim.take(claim.worktree())`, script: `claim.release(claim.find(claim.worktree()))`},
	"claim.reconcile":  {before: `kept = fs.read(registry.path()); claim.take(claim.worktree()); fs.write(registry.path(), kept)`, script: `claim.reconcile()`},
	"claim.reap":       {before: `fs.mkdir("/home/user/gone"); claim.take("/home/user/gone"); fs.remove("/home/user/gone")`, script: `claim.reap()`},
	"stack.up":         {before: `claim.take(claim.worktree())`, script: `stack.up(claim.find(claim.worktree()))`},
	"stack.down":       {before: `stack.up(claim.take(claim.worktree()))`, script: `stack.down(claim.find(claim.worktree()), volumes = True)`},
	"stack.restart":    {before: `stack.up(claim.take(claim.worktree()))`, script: `stack.restart(claim.find(claim.worktree()))`},
	"stack.attach":     {before: `stack.up(claim.take(claim.worktree()))`, script: `stack.attach(1, "exec", ["web", "true"])`},
}

// TestDryRunOfEveryBuiltin: what a dry run of a builtin lists its real run changes.
func TestDryRunOfEveryBuiltin(t *testing.T) {
	rows := map[string]bool{}
	for _, m := range newAppOn(world.NewFake().World(), nil, inMemory(io.Discard), inMemory(io.Discard)).allModules() {
		for _, b := range m.Builtins {
			if !b.Changes || m.Testing {
				continue
			}
			row, ok := changedBy[b.Name]
			if rows[b.Name] = ok; !ok {
				t.Errorf("%s says that it changes something: write a script of which the dry run is held against the real one", b.Name)
				continue
			}
			t.Run(b.Name, func(t *testing.T) {
				if foreseen := holdsDryRun(t, row); foreseen == 0 {
					t.Error("its dry run lists nothing")
				}
			})
		}
	}
	for name := range changedBy {
		if !rows[name] {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// longScripts are scripts of some length.
var longScripts = []playedScript{
	{script: `
def build():
    fs.mkdir("build/a")
    fs.write("build/a/one", "1")
    step("inner", lambda: fs.write("build/a/two", "22"))
    fs.remove("build/a/one")
step("build", build)
step("tidy", lambda: fs.remove("build"))
fs.write("notes.txt", "new")`},
	{script: `
step("twice", lambda: [fs.write("x", "1"), fs.write("x", "22")] and None)
parallel([1, 2, 3], lambda i: step("p%d" % i, lambda: fs.write("p%d" % i, "p" * i)), limit = 1)
step("after", lambda: [fs.remove("p%d" % i) for i in [1, 3]] and None)`},
	{script: `
step("private", lambda: fs.write("notes.txt", fs.read("notes.txt"), private = True))
step("secret", lambda: fs.write("token", "abc", private = True))
step("not private", lambda: fs.write("token", "abc"))`},
	{script: `
step("remove", lambda: slot.remove(only = [1, 3]) and None)
step("ensure", lambda: slot.ensure(pool.specs()) and None)
step("claim", lambda: claim.take(claim.worktree()).slot)
step("release", lambda: claim.release(claim.find(claim.worktree())))`},
	{before: `slot.remove(only = [2])`, script: `
step("restore", lambda: registry.restore(1).slots)
step("remove", lambda: slot.remove(only = [1]) and None)
step("forget", lambda: pools.forget("/home/user/.pool"))`},
	{script: `
step("write", lambda: fs.write("a", "1"))
step("push", lambda: proc.run(["git", "push"], check = False))
step("read", lambda: fs.read("b"))
check("expect", lambda: expect.equal(fs.exists("b"), True))`},
	{before: `fake.process(["make"]); fs.write("made", "x")`, script: `
def make():
    fs.write("Makefile", "all:")
    proc.run(["make"])
    fs.write("log", "made")
step("make", make)
step("use", lambda: fs.write("used", fs.read("made")))
fs.remove("Makefile")`},
	{script: `
held = step("claim", lambda: claim.take(claim.worktree()).slot)
step("up", lambda: stack.up(claim.find(claim.worktree())))
step("down", lambda: stack.down(claim.find(claim.worktree())))
step("release", lambda: claim.release(claim.find(claim.worktree())))`},
	{script: `
on_exit(lambda: fs.remove("scratch"))
fs.mkdir("scratch/deep/down")
[fs.write("scratch/deep/f%d" % i, "x") for i in range(5)]
step("keep", lambda: fs.write("kept", fs.read("scratch/deep/f3")))`},
	{script: `
def many():
    fs.mkdir("many")
    [fs.write("many/f%d" % i, "x" * i) for i in range(300)]
step("many", many)
step("fewer", lambda: [fs.remove("many/f%d" % i) for i in range(10)] and None)`},
}

// generated is a script of random changes, some with processes between them.
func generated(seed uint64, processes bool) playedScript {
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"a", "b", "notes.txt", "d", "d/x", "d/y", "e"}
	pick := func() string { return names[r.IntN(len(names))] }
	var body strings.Builder
	for i := range 12 + r.IntN(8) {
		call := ""
		switch n := r.IntN(13); {
		case n < 4:
			call = fmt.Sprintf("fs.write(%q, %q, private = %s)", pick(), strings.Repeat("x", r.IntN(9)), []string{"True", "False"}[r.IntN(2)])
		case n < 6:
			call = fmt.Sprintf("fs.remove(%q)", pick())
		case n < 8:
			call = fmt.Sprintf("fs.mkdir(%q)", pick())
		case n == 8:
			call = fmt.Sprintf("slot.remove(only = [%d])", 1+r.IntN(3))
		case n == 9:
			call = "slot.ensure(pool.specs())"
		case n == 10:
			call = "claim.take(claim.worktree())"
		case n == 11:
			call = "claim.release(claim.find(claim.worktree()))"
		case processes:
			call = `proc.run(["git", "push"], check = False)`
		default:
			call = fmt.Sprintf("registry.restore(%d)", 1+r.IntN(4))
		}
		// What can't be done, because of what was done before, is passed over in both runs.
		tried := fmt.Sprintf("attempt(lambda: %s)", call)
		if strings.HasPrefix(call, "proc") {
			tried = call
		}
		switch r.IntN(3) {
		case 0:
			fmt.Fprintln(&body, tried)
		case 1:
			fmt.Fprintf(&body, "step(\"s%d\", lambda: %s and None)\n", i, tried)
		default:
			fmt.Fprintf(&body, "step(\"s%d\", lambda: [%s, step(\"in\", lambda: %s and None)] and None)\n", i, tried, tried)
		}
	}
	return playedScript{script: body.String()}
}

// TestDryRunOfScripts: a dry run lists, step by step, what the real run then changes; after
// a process, as far as it can be known.
func TestDryRunOfScripts(t *testing.T) {
	for i, s := range longScripts {
		t.Run(fmt.Sprint("story ", i), func(t *testing.T) { holdsDryRun(t, s) })
	}
	total := 0
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("generated ", seed), func(t *testing.T) { total += holdsDryRun(t, generated(seed, seed%4 == 3)) })
	}
	if total < 200 {
		t.Errorf("all generated scripts list only %d changes", total)
	}
}

// TestDryRunIsHeld: the comparison sees it when a dry run leaves something out.
func TestDryRunIsHeld(t *testing.T) {
	for _, kind := range []string{"remove", "mode", "write", "mkdir", "run"} {
		seen := 0
		for _, s := range longScripts {
			_, differences := compare(playBoth(t, s), func(c string) bool { return strings.HasPrefix(c, kind+" ") })
			seen += len(differences)
		}
		if seen == 0 {
			t.Errorf("nobody notices that changes of the kind %s are not listed", kind)
		}
	}
}

// played is what the two runs of a script change, by step.
type played struct {
	keys      []string // of the steps, as they begin in the dry run; then "" for what is outside
	dry, real map[string][]string
	uncertain map[string]bool // the steps of which a part came after a planned process
	planned   bool            // a process was
	first     string          // in which step
}

// holdsDryRun runs a script twice and compares; it gives how much the dry run lists.
func holdsDryRun(t *testing.T, s playedScript) int {
	t.Helper()
	listed, differences := compare(playBoth(t, s), nil)
	for _, text := range differences {
		t.Error(s.script + "\n" + text)
	}
	return listed
}

// compare tells how much a dry run lists, and where it isn't what the real run changes.
func compare(p played, leaveOut func(string) bool) (listed int, differences []string) {
	for _, key := range p.keys {
		dry, real := p.dry[key], p.real[key]
		if leaveOut != nil {
			dry = slices.DeleteFunc(slices.Clone(dry), leaveOut)
		}
		listed += len(dry)
		same := slices.Equal(dry, real)
		if at := slices.IndexFunc(dry, isRun); at >= 0 { // up to the first process all is foreseen
			same = at < len(real) && slices.Equal(dry[:at+1], real[:at+1]) && isPart(dry[at+1:], real[at+1:])
		} else if p.uncertain[key] {
			same = isPart(dry, real) && (key != p.first || !p.planned)
		}
		if !same {
			differences = append(differences, fmt.Sprintf("in %q the dry run lists\n  %s\nthe real run changes\n  %s", key, strings.Join(dry, "\n  "), strings.Join(real, "\n  ")))
		}
	}
	return listed, differences
}

func isRun(change string) bool { return strings.HasPrefix(change, "run ") }

// isPart tells whether all of some is in all, in its order.
func isPart(some, all []string) bool {
	for _, line := range all {
		if len(some) > 0 && some[0] == line {
			some = some[1:]
		}
	}
	return len(some) == 0
}

func playBoth(t *testing.T, s playedScript) played {
	t.Helper()
	p := played{real: map[string][]string{}, dry: map[string][]string{}, uncertain: map[string]bool{}}
	real := playOn(t, s, func(w world.World, note func(world.Operation)) world.World { return world.Noted(w, note) })
	for key, ops := range real.ops {
		for _, e := range world.Effects(ops) {
			p.real[key] = append(p.real[key], effectLine(e))
		}
	}
	dry := playOn(t, s, func(w world.World, note func(world.Operation)) world.World {
		return world.Noted(world.Planned(w), note)
	})
	p.keys, p.uncertain, p.planned, p.first = append(dry.keys, ""), dry.uncertain, dry.planned, dry.first
	add := func(key string, all []event.Change) {
		for _, c := range all {
			p.dry[key] = append(p.dry[key], changeLine(c))
		}
	}
	dry.run.Walk(func(n *report.Node) { add(n.Key, n.Changes.Told) })
	add("", dry.run.Changes.Told)
	return p
}

// follower tells which step is running, of a run without branches side by side, and keeps
// what is changed in it.
type follower struct {
	mu        sync.Mutex
	ops       map[string][]world.Operation
	keys      []string
	uncertain map[string]bool
	inside    []string
	planned   bool
	first     string
	run       *report.Run
}

func (f *follower) Show(e *event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e.Type {
	case event.Began:
		f.inside, f.keys = append(f.inside, e.Key), append(f.keys, e.Key)
		f.uncertain[e.Key] = f.planned
	case event.Ended:
		f.inside = f.inside[:len(f.inside)-1]
	}
}

func (f *follower) note(op world.Operation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := ""
	if len(f.inside) > 0 {
		key = f.inside[len(f.inside)-1]
	}
	if op.Planned {
		if !f.planned {
			f.planned, f.first = true, key
		}
		for _, key := range append(f.inside, "") {
			f.uncertain[key] = true
		}
	}
	f.ops[key] = append(f.ops[key], op)
}

// playOn runs a script on a machine of its own, in the world that wrap makes of it.
func playOn(t *testing.T, s playedScript, wrap func(world.World, func(world.Operation)) world.World) *follower {
	t.Helper()
	shipped := layer.Embedded("kinfra", scripts.Files)
	const load = "load(\"fixture.star\", \"fixture\")\nload(\"pool.star\", \"pool\")\n\n"
	small := layer.Embedded("small", fstest.MapFS{
		"pool.star":      fileOf(t, "../../builtins/testdata/layer/pool.star"),
		"lib/parts.star": fileOf(t, "../../builtins/testdata/layer/lib/parts.star"),
		"fixture.star":   fileOf(t, "testdata/fixture.star"),
		"before.star":    {Data: []byte(load + "fixture()\n" + s.before + "\n")},
		"script.star":    {Data: []byte(load + "def main(_):\n    " + strings.ReplaceAll(strings.TrimSpace(s.script), "\n", "\n    ") + "\n\nworkflow(command = \"script\", run = main)\n")},
	})
	var out bytes.Buffer
	tests := &testRun{layers: &layer.Stack{Layers: []*layer.Layer{small, shipped}, Builtin: shipped}, timeout: time.Minute}
	config := tests.setup(t.Context(), &out)
	play := func(name string) *engine.Run {
		run := engine.NewRun(t.Context(), config)
		t.Cleanup(run.Close)
		file, err := small.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		workflows, err := run.Load(file, true)
		if err == nil && len(workflows) > 0 {
			err = runDeclared(run, workflows[0])
		} else {
			err = run.Finish(err)
		}
		if err != nil && !strings.Contains(err.Error(), "checks failed") && !strings.Contains(err.Error(), "no such file") {
			t.Fatalf("%s\n%s%s", s.script, diag.Of(err, run.Source)[0].Text(), out.String())
		}
		return run
	}
	play("before.star")
	f := &follower{ops: map[string][]world.Operation{}, uncertain: map[string]bool{}}
	config.World = wrap(config.World, f.note)
	config.Output.Present = f
	f.run = play("script.star").Report()
	return f
}

// effectLine and changeLine are the same for what is the same.
func effectLine(e world.Effect) string {
	line := fmt.Sprintf("%s %s from=%s target=%s new=%t dir=%t files=%d", e.Kind, e.Path, e.From, e.Target, e.New, e.IsDir, e.Files)
	switch e.Kind {
	case world.EffectRun:
		return "run " + world.ShellLine(e.Args)
	case world.EffectWrite, world.EffectAppend:
		line += fmt.Sprintf(" size=%d", e.Size)
	}
	switch e.Kind {
	case world.EffectWrite, world.EffectMkdir, world.EffectMode:
		line += fmt.Sprintf(" mode=%04o", e.Mode)
	}
	return line
}

func changeLine(c event.Change) string {
	const dir = "/home/user/tree/"
	absolute := func(path string) string {
		if path == "" || strings.HasPrefix(path, "/") {
			return path
		}
		return dir + path
	}
	line := fmt.Sprintf("%s %s from=%s target=%s new=%t dir=%t files=%d", c.Kind, absolute(c.Path), absolute(c.From), c.Target, c.New, c.IsDir, c.Files)
	switch c.Kind {
	case "run":
		return "run " + c.Run
	case "write", "append":
		line += fmt.Sprintf(" size=%d", *c.Size)
	}
	if c.Mode != "" {
		line += " mode=" + c.Mode
	}
	return line
}
