package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/fstest"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	records "github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

//go:embed testdata/recorded.star
var recordedScript []byte

const (
	// recordsDir is where runs leave their records. Nothing of it is there at first.
	recordsDir = "/home/user/pool/kinfra/runs"

	// recordsKept is how few are kept, so that old ones are removed.
	recordsKept = 1

	mostJournal = 1 << 20 // bytes
)

// runner runs the script on a machine, as one process after the other does.
type runner struct {
	machine *world.Fake
	store   *records.Store
	config  engine.Config
	fails   bool // the delicate step does

	begun        func(id string)       // is told of a record that has begun; may be nil
	acknowledged func(id, step string) // is told of a step whose result the script has; may be nil

	mu   sync.Mutex
	id   string   // of the run that began or went on last
	done []string // what steps did, and undos
}

// newRunner is one on a machine, which w shows.
func newRunner(machine *world.Fake, w world.World) *runner {
	r := &runner{machine: machine, store: records.Open(w, recordsDir, recordsKept)}
	builtin := layer.Embedded("kinfra", fstest.MapFS{"recorded.star": {Data: recordedScript}})
	r.config = engine.Config{
		World: w, Layers: &layer.Stack{Layers: []*layer.Layer{builtin}, Builtin: builtin}, Modules: []table.Module{r.module()},
		Version: "torture", Limits: engine.DefaultLimits(), Log: hclog.NewNullLogger(), Record: r.record,
		Output: engine.Output{Format: engine.Text, Stdout: io.Discard, Present: &present.Plain{Announcements: io.Discard, Progress: io.Discard}},
	}
	return r
}

func (r *runner) record(_ *starlark.Thread, _ func() []layer.File, first func(id string) *event.Event) (*records.Journal, error) {
	j, id, err := r.store.Create(recordedScript, first)
	if err == nil {
		r.id = id
		if r.begun != nil {
			r.begun(id)
		}
	}
	return j, err
}

// module is what the script tells, and does.
func (r *runner) module() table.Module {
	name := []table.Param{{Name: "name", Type: table.String(), Help: "of what is done"}}
	return table.Module{Name: "lab", Builtins: []table.Builtin{
		{Name: "lab.work", Params: name, Run: func(c *table.Call) (starlark.Value, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.fails && c.String("name") == "delicate" {
				return nil, errors.New("it was to fail")
			}
			r.done = append(r.done, c.String("name"))
			return starlark.String(c.String("name")), nil
		}},
		{Name: "lab.acknowledged", Params: name, Run: func(c *table.Call) (starlark.Value, error) {
			if r.acknowledged != nil {
				r.acknowledged(r.id, c.String("name"))
			}
			return starlark.None, nil
		}},
	}}
}

// start runs the script anew.
func (r *runner) start(ctx context.Context) error {
	r.config.Resume = nil
	return r.execute(ctx)
}

// goOn resumes a run, or takes it back.
func (r *runner) goOn(ctx context.Context, id string, undo bool) error {
	record, j, err := r.store.Resume(id)
	if err != nil {
		return err
	}
	r.id = id
	if r.config.Resume, err = engine.NewResume(record, j, undo); err != nil {
		return errors.Join(err, j.Close())
	}
	return r.execute(ctx)
}

func (r *runner) execute(ctx context.Context) error {
	run := engine.NewRun(ctx, &r.config)
	defer run.Close()
	file, err := r.config.Layers.Find("recorded.star")
	if err != nil {
		return err
	}
	workflows, err := run.Load(file, false)
	if err != nil {
		return err
	}
	args, err := workflows[0].Arguments(pflag.NewFlagSet("recorded", pflag.ContinueOnError), nil)
	if err != nil {
		return err
	}
	return run.Execute(workflows[0], args)
}

// journalOf is the text of a run's journal, "" where there is none.
func (r *runner) journalOf(id string) string {
	data, _ := r.machine.Host().ReadFile(path.Join(recordsDir, id, "journal.jsonl"), mostJournal)
	return string(data)
}

// recordedLife is runs that leave records, and how far a replay has come in them.
type recordedLife struct {
	name  string            // of the deed
	texts map[string]string // the journals in the end, by run

	acknowledged map[string]int  // lines that must be there, by run
	removable    map[string]bool // runs whose records may be gone

	goOneIn int // of how many machines one goes on, which takes longest
	judged  int
	resumed int // runs, on them
}

func (l *recordedLife) deed() string { return l.name }

func (l *recordedLife) wanted() string { return fmt.Sprint(l.acknowledged, l.removable) }

// recordedAct is something that a user does with runs.
type recordedAct struct {
	name  string
	fails bool
	do    func(context.Context, *runner) error
}

// recordedActs are runs that pass and fail, one that goes on, and one that is taken back.
// Where a run begins, an older record is removed.
func recordedActs() []recordedAct {
	start := func(ctx context.Context, r *runner) error { return r.start(ctx) }
	return []recordedAct{
		{name: "a run", do: start},
		{name: "a run that fails", fails: true, do: start},
		{name: "its resumption", do: func(ctx context.Context, r *runner) error { return r.goOn(ctx, r.id, false) }},
		{name: "another run", do: start},
		{name: "taking it back", do: func(ctx context.Context, r *runner) error { return r.goOn(ctx, r.id, true) }},
		{name: "the last run", do: start},
	}
}

// tryRecorded lets the power fail everywhere in runs that leave records.
func tryRecorded(ctx context.Context, l *lab) (finding, error) {
	var f finding
	b, err := liveRecorded(ctx, nil)
	if err != nil {
		return f, err
	}
	life := b.life.(*recordedLife)
	b.most, life.goOneIn = pick(l, 100, 2), pick(l, 4, 16)
	if err := b.replay(ctx, 0); err != nil {
		return f, err
	}
	f.broken = b.problems
	f.figures = fmt.Sprintf("%d deeds, %s; %d runs resumed", len(recordedActs()), b.figures(), life.resumed)
	if life.resumed == 0 {
		f.wrong("no run was resumed")
	}
	return f, nil
}

// liveRecorded records such a life. Syncs that lost names are not recorded.
func liveRecorded(ctx context.Context, lost func(written) bool) (*blackout, error) {
	machine := world.NewFake()
	rec := record(machine.World(), "/home/user")
	l := &recordedLife{goOneIn: 1, texts: map[string]string{}, acknowledged: map[string]int{}, removable: map[string]bool{}}
	r := newRunner(machine, rec.world)
	acknowledge := func(id string, lines int) { rec.note(func() { l.acknowledged[id] = max(l.acknowledged[id], lines) }) }
	r.begun = func(id string) { acknowledge(id, 1) }
	r.acknowledged = func(id, step string) { acknowledge(id, lastEnd(r.journalOf(id), step)) }
	for _, a := range recordedActs() {
		rec.note(func() { l.name = a.name })
		begins := len(rec.log) - 1
		before := l.keep(r)
		r.fails = a.fails
		if err := a.do(ctx, r); (err != nil) != a.fails {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		acknowledge(r.id, strings.Count(r.journalOf(r.id), "\n"))
		after := l.keep(r)
		rec.log[begins].mark = func() {
			l.name = a.name
			for _, id := range before {
				l.removable[id] = l.removable[id] || !slices.Contains(after, id)
			}
		}
	}
	rec.forget(lost)
	return newBlackout(rec.tape, l), nil
}

// keep takes down the journals that are there, and tells of which runs they are.
func (l *recordedLife) keep(r *runner) (ids []string) {
	entries, _ := r.machine.Host().ReadDir(recordsDir)
	for _, e := range entries {
		if text := r.journalOf(e.Name); text != "" {
			ids = append(ids, e.Name)
			l.texts[e.Name] = text
		}
	}
	return ids
}

// lastEnd is the number of the last line of a journal that says that a step has ended.
func lastEnd(text, step string) int {
	number, last := 0, 0
	for line := range strings.Lines(text) {
		number++
		for _, h := range happenings(line) {
			if h.Event == "end" && path.Base(h.Key) == step {
				last = number
			}
		}
	}
	return last
}

// judge says what is wrong with the records on a machine after the power has failed.
func (l *recordedLife) judge(ctx context.Context, machine *world.Fake) string {
	r := newRunner(machine, machine.World())
	all, err := r.store.List()
	if err != nil {
		return fmt.Sprintf("the records can't be listed: %v", err)
	}
	found := map[string]bool{}
	for _, e := range all {
		found[e.ID] = true
		if problem := l.judgeRecord(r, e); problem != "" {
			return fmt.Sprintf("the record of %s: %s", e.ID, problem)
		}
	}
	for id := range l.acknowledged {
		if !found[id] && !l.removable[id] {
			return fmt.Sprintf("the record of %s is gone", id)
		}
	}
	if l.judged++; l.judged%l.goOneIn > 0 {
		return ""
	}
	return l.goesOn(ctx, r, all)
}

// judgeRecord wants a record to be read as it was written, with all that was acknowledged,
// and to say whether something is left out.
func (l *recordedLife) judgeRecord(r *runner, e records.Entry) string {
	if e.Err != nil {
		return fmt.Sprintf("it is refused: %v", e.Err)
	}
	n, text := len(e.Record.Events), r.journalOf(e.ID)
	read := firstLines(text, n)
	switch {
	case n < l.acknowledged[e.ID]:
		return fmt.Sprintf("%d lines of its journal are read, want the %d that were acknowledged", n, l.acknowledged[e.ID])
	case read == "" || read != firstLines(l.texts[e.ID], n):
		return fmt.Sprintf("the %d lines that are read are not those that were written", n)
	case e.Record.Dropped != (len(read) < len(text)):
		return fmt.Sprintf("%d of %d bytes are read, and that some are left out is said: %v", len(read), len(text), e.Record.Dropped)
	}
	scripts, err := r.store.Scripts(e.Record)
	if err != nil || !bytes.Equal(scripts, recordedScript) {
		return fmt.Sprintf("its scripts are %q, %v", scripts, err)
	}
	return ""
}

// firstLines is the first n lines of a text, "" where it has fewer.
func firstLines(text string, n int) string {
	end := 0
	for range n {
		i := strings.IndexByte(text[end:], '\n')
		if i < 0 {
			return ""
		}
		end += i + 1
	}
	return text[:end]
}

// goesOn resumes what has not ended, and runs the script anew.
func (l *recordedLife) goesOn(ctx context.Context, r *runner, all []records.Entry) string {
	for _, e := range all {
		if status := e.Record.Status(); status == event.Passed || status == event.Undone {
			continue
		}
		r.done = nil
		l.resumed++
		if err := r.goOn(ctx, e.ID, false); err != nil {
			return fmt.Sprintf("resuming %s: %v", e.ID, err)
		}
		for _, name := range r.done {
			if n := lastEnd(firstLines(l.texts[e.ID], l.acknowledged[e.ID]), name); n > 0 && !undone(e.Record) {
				return fmt.Sprintf("resumed, %s does %q again, which was acknowledged by line %d", e.ID, name, n)
			}
		}
	}
	if err := r.start(ctx); err != nil {
		return fmt.Sprintf("the next run: %v", err)
	}
	left, err := r.store.List()
	for _, e := range left {
		if err = errors.Join(err, e.Err); e.Err == nil && e.ID == r.id && e.Record.Status() != event.Passed {
			err = errors.Join(err, fmt.Errorf("%s is %s", e.ID, e.Record.Status()))
		}
	}
	if err != nil {
		return fmt.Sprintf("after the next run: %v", err)
	}
	return ""
}

// undone tells whether something of a run was taken back, so that it runs again.
func undone(r *records.Record) bool {
	return slices.ContainsFunc(r.Events, func(e event.Event) bool { return e.Type == event.Undoing })
}
