package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed testdata/thirty.star
var thirty []byte

// How often the workflow is killed.
const (
	workflowKills      = 500
	workflowKillsShort = 12

	// seededKills is how often it is killed at most with a seeded fault, which shows sooner
	// or later.
	seededKills = 300
)

// tryWorkflow kills kinfra while it runs a workflow, goes on with it, or takes it back.
func tryWorkflow(ctx context.Context, l *lab) (finding, error) {
	program, err := l.buildKinfra(ctx)
	if err != nil {
		return finding{}, err
	}
	k, err := l.newKilling(ctx, program)
	if err != nil {
		return finding{}, err
	}
	defer os.RemoveAll(k.dir)
	return k.killAll(ctx, pick(l, workflowKills, workflowKillsShort), l.progress)
}

// killAll kills so many times, over two runs at least.
func (k *killing) killAll(ctx context.Context, kills int, progress io.Writer) (finding, error) {
	start, told, enough := time.Now(), 0, mostReasons
	if os.Getenv(faultVariable) != "" {
		kills, enough = seededKills, 1
	}
	least := leastOf(kills)
	for (k.kills < kills || k.undone < 2 || k.lacks(least) && k.kills < 3*kills) && len(k.broken) < enough {
		if err := k.round(ctx); err != nil && len(k.broken) == 0 { // what is broken may well be what ended the round
			return finding{}, err
		}
		if k.kills-told >= 50 {
			told = k.kills
			fmt.Fprintf(progress, "  %d kills after %.0f s\n", k.kills, time.Since(start).Seconds())
		}
	}
	f := finding{broken: k.broken}
	if len(k.broken) == 0 {
		f.wants("the workflow", k.tally(), least)
	}
	f.figures = fmt.Sprintf("%.0f s, %d kills, %d of them in a step or in taking it back, %d in a resume and %d in an undo; %d runs came to their end after %d resumes, %d were taken back after %d undos; undisturbed it takes %d ms",
		time.Since(start).Seconds(), k.kills, k.inside, k.resumesKilled, k.undosKilled, k.ended, k.resumes, k.undone, k.undos, k.usual.Milliseconds())
	return f, nil
}

// leastOf is the least that has to be of so many kills.
func leastOf(kills int) tally { return tally{kills, max(1, kills/3), max(1, kills/5)} }

// tally is how often the workflow was killed so far.
func (k *killing) tally() tally { return tally{k.kills, k.inside, k.resumesKilled + k.undosKilled} }

// lacks tells whether something of the least is missing, in resumes and in undos apart.
func (k *killing) lacks(least tally) bool {
	got := k.tally()
	return got.inside < least.inside || got.again < least.again || k.resumesKilled == 0 || k.undosKilled == 0
}

// killing is a workflow that is killed again and again, and what came of it.
type killing struct {
	program, dir string
	flags, env   []string      // what the workflow and the program are given besides
	stack        *yard         // what it has on the Docker Engine; nil if nothing
	resumesNext  func() bool   // whether a run that was killed is resumed, or taken back
	usual        time.Duration // how long it takes undisturbed
	within       time.Duration // in which time a process is killed
	before       string        // the state that it starts from
	after        string        // that it comes to

	known map[string]bool // the runs so far

	kills, resumesKilled, undosKilled int
	inside                            int // kills while a step was under way, or was taken back
	resumes, undos, ended, undone     int
	broken                            []string
}

func (k *killing) wrong(format string, args ...any) {
	k.broken = append(k.broken, fmt.Sprintf(format, args...))
}

func (k *killing) marks() string { return filepath.Join(k.dir, "marks") }
func (k *killing) work() string  { return filepath.Join(k.dir, "work") }
func (k *killing) root() string  { return filepath.Join(k.dir, "root") }
func (k *killing) home() string  { return filepath.Join(k.dir, "home") }

// newKilling makes a pool for the workflow and runs it once undisturbed.
func (l *lab) newKilling(ctx context.Context, program string) (*killing, error) {
	dir, err := l.newDirInMemory("workflow")
	if err != nil {
		return nil, err
	}
	k := &killing{program: program, dir: dir, known: map[string]bool{}}
	k.env = []string{"DOCKER_HOST=unix://" + filepath.Join(dir, "no.sock")}
	k.resumesNext = func() bool { return rand.N(4) > 0 }
	return k, k.prepare(ctx)
}

// prepare makes the pool and what the workflow works on, and measures it. What it has
// made it removes again when it fails.
func (k *killing) prepare(ctx context.Context) (err error) {
	for _, sub := range []string{k.marks(), k.work(), k.home()} {
		err = errors.Join(err, os.Mkdir(sub, 0o700))
	}
	err = errors.Join(err, os.WriteFile(k.script(), thirty, 0o600))
	if err == nil && k.stack != nil {
		err = k.stack.writePool(ctx, k.home(), k.work())
	}
	if err == nil {
		_, err = k.undisturbed(ctx, "sandbox", "provision")
	}
	if err == nil {
		err = k.measure(ctx)
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(k.dir))
	}
	return err
}

func (k *killing) script() string { return filepath.Join(k.dir, "thirty.star") }

// measure runs the workflow and takes it back, undisturbed.
func (k *killing) measure(ctx context.Context) (err error) {
	if k.before, err = k.state(ctx); err != nil {
		return err
	}
	start := time.Now()
	if _, err := k.undisturbed(ctx, k.run()...); err != nil {
		return err
	}
	k.usual = time.Since(start)
	k.within = k.usual
	if k.after, err = k.state(ctx); err != nil {
		return err
	}
	id, err := k.newest()
	if err == nil && id == "" {
		err = errors.New("the undisturbed run left no record")
	}
	if err != nil {
		return err
	}
	if _, err := k.undisturbed(ctx, "undo", id); err != nil {
		return err
	}
	if again, err := k.state(ctx); err != nil || again != k.before || k.after == k.before {
		return fmt.Errorf("undisturbed, the state is\n%s\nthen\n%s\nand taken back\n%s (%w)", k.before, k.after, again, err)
	}
	return k.clearMarks()
}

func (k *killing) run() []string {
	return append([]string{"run", k.script(), "--marks", k.marks()}, k.flags...)
}

func (k *killing) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.program, append([]string{"--root", k.root(), "--output", "events"}, args...)...)
	cmd.Dir = k.work()
	cmd.Env = append(programEnv(k.home()), k.env...)
	return cmd
}

// undisturbed runs a command that must succeed.
func (k *killing) undisturbed(ctx context.Context, args ...string) (string, error) {
	out, err := k.command(ctx, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kinfra %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// round brings a run to its end, or takes it back in the middle, and at the end takes it
// back in any case, so that the next one starts from the same state.
func (k *killing) round(ctx context.Context) error {
	id, ended, err := k.begin(ctx)
	firstHeld := ""
	for err == nil && !ended && k.resumesNext() {
		if firstHeld == "" {
			firstHeld, err = k.claimedAt()
		}
		if err == nil {
			k.resumes++
			ended, err = k.goOn(ctx, id, "resume", &k.resumesKilled)
		}
	}
	if err == nil && ended {
		k.ended++
		err = k.wantsEnded(ctx, id, firstHeld)
	}
	status := "undone"
	if err == nil && !k.hasBegun(id) {
		status = "interrupted" // and there is nothing to undo
	}
	for undone := status == "interrupted"; err == nil && !undone; {
		k.undos++
		undone, err = k.goOn(ctx, id, "undo", &k.undosKilled)
	}
	if err == nil {
		k.undone++
		err = errors.Join(k.wants(ctx, k.before, "a run that was taken back"), k.wantsShown(ctx, id, status), k.clearMarks())
	}
	return err
}

// hasBegun tells whether a run has come to its first step.
func (k *killing) hasBegun(id string) bool {
	recorded, err := k.journal(id)
	return err != nil || slices.ContainsFunc(recorded, func(h happening) bool { return h.Event == "begin" })
}

// begin starts the workflow until there is a record of it.
func (k *killing) begin(ctx context.Context) (id string, ended bool, err error) {
	for id == "" && err == nil {
		var out string
		if ended, out, err = k.killed(ctx, k.run()...); err != nil {
			break
		}
		if id, err = k.newest(); err == nil && id != "" {
			k.countInside(id, ended)
			err = k.judge(id, out, nil)
			ended = ended || k.onRecord(id, "passed")
		} else if state, e := k.state(ctx); e == nil && state != k.before {
			k.wrong("without a record there is the state\n%s", state)
		}
	}
	return id, ended, err
}

// goOn resumes a run, or takes it back, and kills that.
func (k *killing) goOn(ctx context.Context, id, command string, kills *int) (ended bool, err error) {
	before, err := k.marksOfDone(id)
	if err != nil {
		return false, err
	}
	n := k.kills
	ended, out, err := k.killed(ctx, command, id)
	*kills += k.kills - n
	k.countInside(id, ended)
	wanted := "passed"
	if command == "undo" {
		before, wanted = nil, "undone" // what was taken back may run again
	}
	if err == nil {
		err = k.judge(id, out, before)
	}
	return ended || k.onRecord(id, wanted), err
}

// countInside counts a kill by what is on record of the run: whether a step had begun, or its
// undo, and had not come to its end.
func (k *killing) countInside(id string, ended bool) {
	recorded, err := k.journal(id)
	if err == nil && !ended && underway(recorded) {
		k.inside++
	}
}

// underway tells whether the last process of a run was in a step, or in taking one back.
func underway(recorded []happening) bool {
	open := map[string]bool{}
	for _, h := range recorded {
		switch h.Event {
		case "run", "resume", "result":
			clear(open)
		case "begin", "undoing":
			open[h.Key] = true
		case "end", "undo":
			delete(open, h.Key)
		}
	}
	return len(open) > 0
}

// onRecord tells whether a run has ended in a way. A process may be killed after that.
func (k *killing) onRecord(id, status string) bool {
	recorded, err := k.journal(id)
	if err != nil || len(recorded) == 0 {
		return false
	}
	last := recorded[len(recorded)-1]
	return last.Event == "result" && last.Status == status
}

// killed runs a command and kills it at a random moment; where it ends before that, it
// must succeed.
func (k *killing) killed(ctx context.Context, args ...string) (ended bool, stdout string, err error) {
	cmd := k.command(ctx, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		return false, "", err
	}
	timer := time.AfterFunc(rand.N(k.within), func() { cmd.Process.Kill() })
	err = cmd.Wait()
	timer.Stop()
	switch {
	case err == nil:
		k.within -= k.within / 10 // the machine has become faster, or little was left to do
		return true, out.String(), k.gone(ctx)
	case cmd.ProcessState.Exited():
		k.wrong("kinfra %s ended with code %d:\n%s%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), &out, &problems)
		return false, "", fmt.Errorf("kinfra %s: %w: %s", args[0], err, k.broken[len(k.broken)-1])
	}
	k.kills++
	k.within += k.within / 20
	return false, out.String(), k.gone(ctx)
}

// gone waits for the processes that a killed one had started: each ends by itself.
func (k *killing) gone(ctx context.Context) error {
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		left, err := processesAbout(k.marks())
		if err != nil || len(left) == 0 || ctx.Err() != nil {
			return err
		}
		if time.Since(start) > 10*time.Second {
			k.wrong("child processes are left: %v", left)
			return nil
		}
	}
}

// processesAbout are the processes whose arguments have a text in them, but for kinfra.
func processesAbout(text string) ([]string, error) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if len(all) == 0 && err == nil {
		return nil, notRunError("there is no /proc to look for processes in")
	}
	var found []string
	for _, name := range all {
		data, err := os.ReadFile(name)
		if err == nil && bytes.HasPrefix(data, []byte("sh\x00")) && bytes.Contains(data, []byte(text)) {
			found = append(found, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return found, err
}

// happening is what a line of events says, as far as it matters here.
type happening struct {
	Event    string
	Key      string
	Kind     string
	Status   string
	Replayed bool
}

// happenings are the whole lines of a text.
func happenings(text string) []happening {
	var all []happening
	for line := range strings.Lines(text) {
		var h happening
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &h) == nil {
			all = append(all, h)
		}
	}
	return all
}

func (k *killing) journal(id string) ([]happening, error) {
	data, err := os.ReadFile(filepath.Join(k.root(), "kinfra", "runs", id, "journal.jsonl"))
	return happenings(string(data)), err
}

// judge compares what a process said, and the marks that are there, with the record.
// before is the marks that steps had which were done by then.
func (k *killing) judge(id, said string, before map[string]int) error {
	recorded, err := k.journal(id)
	if err != nil {
		return err
	}
	ever := map[string]bool{}
	for _, h := range recorded {
		if h.Event == "end" && h.Status == "passed" {
			ever[h.Key] = true
		}
	}
	for _, h := range happenings(said) {
		if h.Event == "end" && h.Kind == "step" && h.Status == "passed" && !h.Replayed && !ever[h.Key] {
			k.wrong("the step %q was said to be done, and is not on record as done", h.Key)
		}
	}
	for key, n := range before {
		if now, err := k.marksOf(key); err != nil || now != n {
			k.wrong("the step %q was done, and ran again: %d marks, before %d (%v)", key, now, n, err)
		}
	}
	for key := range ever {
		if n, err := k.marksOf(key); err != nil || n == 0 {
			k.wrong("the step %q is on record as done, and has no mark (%v)", key, err)
		}
	}
	return nil
}

// marksOfDone is how many marks the steps have that are on record as done.
func (k *killing) marksOfDone(id string) (map[string]int, error) {
	recorded, err := k.journal(id)
	if err != nil {
		return nil, err
	}
	marks := map[string]int{}
	for _, h := range recorded {
		if h.Event == "end" && h.Status == "passed" {
			if marks[h.Key], err = k.marksOf(h.Key); err != nil {
				return nil, err
			}
		}
	}
	return marks, nil
}

func (k *killing) marksOf(key string) (int, error) {
	data, err := os.ReadFile(filepath.Join(k.marks(), path.Base(key)))
	return bytes.Count(data, []byte("\n")), err
}

func (k *killing) clearMarks() error {
	return errors.Join(os.RemoveAll(k.marks()), os.Mkdir(k.marks(), 0o700))
}

// newest is the run that began since the last call, "" if there is none.
func (k *killing) newest() (string, error) {
	entries, err := os.ReadDir(filepath.Join(k.root(), "kinfra", "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	newest := ""
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || k.known[e.Name()] {
			continue
		}
		k.known[e.Name()] = true
		if recorded, err := k.journal(e.Name()); err == nil && len(recorded) > 0 {
			newest = e.Name()
		}
	}
	return newest, err
}
