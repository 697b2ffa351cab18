package engine

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// recorder is a machine whose runs leave records, and whose processes can die.
type recorder struct {
	*machine
	life  *life
	store *journal.Store
	id    string // of the run that began last

	mu    sync.Mutex
	calls map[string]int // of effect.put, by the step that made them
}

const (
	recordsDir = "/home/user/runs"
	stateDir   = "/home/user/state"
)

func newRecorder(t *testing.T, files ...string) *recorder {
	t.Helper()
	r := &recorder{machine: newMachine(t, files...), life: &life{}, calls: map[string]int{}}
	r.config.Modules = append(r.config.Modules, r.effects())
	r.config.World = world.Faulty(dying(r.fake.World(), r.life), r.life.fail)
	r.opens(50)
	if err := r.fake.Host().Mkdir(stateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	return r
}

// opens sets how many records are kept.
func (r *recorder) opens(keep int) {
	r.store = journal.Open(r.config.World, recordsDir, keep)
	r.config.Record = func(_ *starlark.Thread, _ func() []layer.File, first func(string) *event.Event) (*journal.Journal, error) {
		j, id, err := r.store.Create([]byte("{}"), first)
		if err == nil {
			r.id = id
		}
		return j, err
	}
}

// effects are what scripts change outside, and how often they did.
func (r *recorder) effects() table.Module {
	name := table.Param{Name: "name", Type: table.String(), Help: "of a file"}
	text := table.Param{Name: "text", Type: table.String(), Optional: true, Help: "what is in it"}
	file := func(c *table.Call) (world.Files, string) {
		return World(c.Thread).Disk.Host(), path.Join(stateDir, c.String("name"))
	}
	return table.Module{Name: "effect", Builtins: []table.Builtin{
		{Name: "effect.put", Params: []table.Param{name, text}, Run: func(c *table.Call) (starlark.Value, error) {
			files, path := file(c)
			err := errors.Join(files.RemoveAll(path), files.CreateFile(path, []byte(c.String("text")), 0o600))
			if n := stateOf(c.Thread).node; n != nil && err == nil && !World(c.Thread).Planned() {
				r.mu.Lock()
				r.calls[n.key]++
				r.mu.Unlock()
			}
			return starlark.String(c.String("name")), err
		}},
		{Name: "effect.remove", Params: []table.Param{name}, Run: func(c *table.Call) (starlark.Value, error) {
			files, path := file(c)
			return starlark.None, files.RemoveAll(path)
		}},
		// kills the process, the first time that it is called with a name
		{Name: "effect.die", Params: []table.Param{name}, Run: func(c *table.Call) (starlark.Value, error) {
			mark := path.Join(stateDir, "../died-"+c.String("name"))
			if _, err := r.fake.Host().Lstat(mark); err == nil || World(c.Thread).Planned() {
				return starlark.None, nil
			}
			r.fake.Write(mark, nil)
			r.life.die()
			return nil, errDead
		}},
		{Name: "effect.has", Params: []table.Param{name}, Run: func(c *table.Call) (starlark.Value, error) {
			files, path := file(c)
			_, err := files.Lstat(path)
			return starlark.Bool(err == nil), nil
		}},
	}}
}

// state is the files that scripts have put, and what is in them.
func (r *recorder) state() string {
	r.Helper()
	files := r.fake.Root(stateDir)
	entries, err := files.ReadDir(".")
	if err != nil {
		r.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		data, err := files.ReadFile(e.Name, 1<<20)
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, e.Name+"="+string(data))
	}
	return strings.Join(all, "\n")
}

// undated is the state with the run's time, which all files have in them, taken out.
func (r *recorder) undated() string {
	r.Helper()
	state := r.state()
	first, _, _ := strings.Cut(state, "\n")
	_, stamp, _ := strings.Cut(first, "=")
	return strings.ReplaceAll(state, "="+stamp, "=T")
}

// journal is the lines of the record.
func (r *recorder) journal() string {
	r.Helper()
	data, err := r.fake.Host().ReadFile(path.Join(recordsDir, r.id, "journal.jsonl"), 1<<20)
	if err != nil {
		r.Fatal(err)
	}
	return string(data)
}

// recorded is the record of the run that began last, nil if it has none.
func (r *recorder) recorded() *journal.Record {
	r.Helper()
	if r.id == "" {
		return nil
	}
	record, err := r.store.Read(r.id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		r.Fatal(err)
	}
	return record
}

// wantsNoDamage lists the records, none of which may be damaged.
func (r *recorder) wantsNoDamage() []journal.Entry {
	r.Helper()
	all, err := r.store.List()
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range all {
		if e.Err != nil {
			r.Error(e.Err)
		}
	}
	return all
}

// starts runs main.star anew.
func (r *recorder) starts() error {
	r.Helper()
	r.config.Resume, r.id = nil, ""
	return r.exec()
}

// resumes goes on with the run as another process, later.
func (r *recorder) resumes(undo bool) error {
	r.Helper()
	r.comesBack()
	record, j, err := r.store.Resume(r.id)
	if err != nil {
		return err
	}
	if r.config.Resume, err = NewResume(record, j, undo); err != nil {
		return errors.Join(err, j.Close())
	}
	return r.exec()
}

// undosBegun tells whether undo functions of the run were called, as far as it is on record.
func (r *recorder) undosBegun() bool {
	r.Helper()
	return slices.ContainsFunc(r.recorded().Events, func(e event.Event) bool { return e.Type == event.Undoing })
}

// comesBack is the end of the process that was, if it hasn't ended, and time after it.
func (r *recorder) comesBack() {
	if r.run != nil {
		r.run.Close()
	}
	if r.life.dead && r.life.end.power {
		name := path.Join(recordsDir, r.id, "journal.jsonl")
		data, err := r.fake.Host().ReadFile(name, 1<<30)
		if err != nil {
			r.Fatal(err)
		}
		r.fake.Write(name, data[:r.life.synced])
	}
	r.life.reset(death{})
	r.config.Masks = nil // another process knows no values
	r.fake.Pass(time.Hour)
	r.stdout.Reset()
	r.stderr.Reset()
}

// done is the steps that are on record as done and not taken back.
func done(record *journal.Record) []string {
	past := newPast(&Resume{Events: record.Events})
	var keys []string
	for key, n := range past.All() {
		if past.CountsDone(n) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// death says when a process dies: at a line that it adds to a journal.
type death struct {
	line  int  // from 1; 0 for never
	part  int  // in percent: how much of the line is written
	power bool // what was not synced is lost, too
}

// life is that of a process. After it, nothing reaches the outside any more.
type life struct {
	mu     sync.Mutex
	end    death
	lines  int // added so far
	dead   bool
	synced int // bytes of the journal
	size   int
}

func (l *life) reset(end death) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end, l.lines, l.dead = end, 0, false
}

func (l *life) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
}

var errDead = errors.New("the process is dead")

func (l *life) fail(string, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errDead
	}
	return nil
}

// dying is the world of a process that dies while it writes a journal.
func dying(w world.World, l *life) world.World {
	w.Disk = worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, _ string) world.Files {
		return worldtest.Files{Files: files, OnAppend: func(name string) (world.Appender, error) { return l.append(files, name) }}
	}}
	return w
}

func (l *life) append(files world.Files, name string) (world.Appender, error) {
	a, err := files.Append(name)
	if err != nil || path.Base(name) != "journal.jsonl" {
		return a, err
	}
	data, err := files.ReadFile(name, 1<<30)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced, l.size = len(data), len(data)
	return &mortalAppender{a, l}, err
}

type mortalAppender struct {
	appender world.Appender
	life     *life
}

func (a *mortalAppender) Write(data []byte) (int, error) {
	l := a.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines++; l.lines != l.end.line {
		l.size += len(data)
		return a.appender.Write(data)
	}
	l.dead = true
	if _, err := a.appender.Write(data[:len(data)*l.end.part/100]); err != nil {
		return 0, err
	}
	return 0, errDead
}

func (a *mortalAppender) Sync() error {
	l := a.life
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced = l.size
	return a.appender.Sync()
}

// left is the steps that are on record as left to undo.
func (r *recorder) left() string {
	r.Helper()
	var h event.History
	for _, e := range r.recorded().Events {
		h.Add(&e)
	}
	return strings.Join(h.Left(), ", ")
}

func (a *mortalAppender) Close() error { return a.appender.Close() }
