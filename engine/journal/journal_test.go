package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const dir = "/home/user/runs"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// began is the first event of a run.
func began() *event.Event {
	return &event.Event{Seq: 1, Type: event.RunBegan, Run: &event.Run{Version: event.Version, Command: "test"}}
}

// first is the event with which a record begins.
func first(id string) *event.Event {
	e := began()
	e.Run.ID = id
	return e
}

// newRun is a store with the record of one run in it, of which nobody is at. The events
// come after the first.
func newRun(t *testing.T, w world.World, events ...*event.Event) (s *journal.Store, id string) {
	t.Helper()
	s = journal.Open(w, dir, 50)
	j, id, err := s.Create([]byte(`{"a":1}`), first)
	must(t, err)
	for _, e := range events {
		must(t, j.Add(e))
	}
	must(t, errors.Join(j.Sync(), j.Close()))
	return s, id
}

func TestRecord(t *testing.T) {
	exit := 0
	s, id := newRun(t, world.NewFake().World(), &event.Event{Seq: 2, Type: event.RunEnded, Status: event.Passed, Exit: &exit})
	r, err := s.Read(id)
	must(t, err)
	if r.Status() != event.Passed || len(r.Events) != 2 || r.Dropped || r.Running || r.Run().Command != "test" || r.Run().ID != id {
		t.Errorf("read is %+v", r)
	}
	scripts, err := s.Scripts(id)
	if string(scripts) != `{"a":1}` || err != nil {
		t.Errorf("the scripts are %s (%v)", scripts, err)
	}
	for text, want := range map[string]string{
		id: "", id[:4]: "",
		"x":      `"x": there is no record of such a run`,
		id + "x": "there is no record of such a run",
	} {
		found, err := s.Find(text)
		if want == "" && (found != id || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q finds %q (%v), want the error %q", text, found, err, want)
		}
	}
}

func TestFindOfSeveral(t *testing.T) {
	w := world.NewFake()
	_, a := newRun(t, w.World())
	s, b := newRun(t, w.World())
	_, err := s.Find(a[:8])
	if want := fmt.Sprintf("%q begins the names of 2 runs: %s, %s", a[:8], min(a, b), max(a, b)); err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

// Runs of the same second are listed in the order in which they began, too.
func TestListIsByTime(t *testing.T) {
	w := world.NewFake()
	var s *journal.Store
	var want []string
	for i := range 5 {
		s = journal.Open(w.World(), dir, 50)
		j, id, err := s.Create(nil, func(id string) *event.Event {
			e := first(id)
			e.Time = w.Now().Add(time.Duration(i) * time.Millisecond)
			return e
		})
		must(t, errors.Join(err, j.Close()))
		want = append(want, id)
	}
	all, _, err := s.List()
	must(t, err)
	var got []string
	for _, r := range all {
		got = append(got, r.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed are %q, want %q", got, want)
	}
}

// Whichever operation fails, or is the last of a process: there is a record that can be
// read, or none, and never one that says nothing.
func TestCreateThatEndsAnywhere(t *testing.T) {
	for at := 1; ; at++ {
		for _, dead := range []bool{false, true} {
			fake, asked := world.NewFake(), 0
			w := world.Faulty(fake.World(), func(string, string) error {
				if asked++; asked == at || dead && asked > at {
					return errors.New("no more")
				}
				return nil
			})
			j, _, err := journal.Open(w, dir, 50).Create([]byte("{}"), first)
			if err == nil {
				must(t, j.Close())
			}
			if asked < at {
				if at < 12 {
					t.Fatalf("there were only %d operations", asked)
				}
				return
			}
			s := journal.Open(fake.World(), dir, 50)
			all, damaged, listErr := s.List()
			if listErr != nil || len(damaged) > 0 || err == nil && len(all) != 1 {
				t.Errorf("operation %d, dead: %t: on record are %d runs, damaged are %v (%v, %v)", at, dead, len(all), damaged, listErr, err)
			}
		}
	}
}

// A record without its journal, or with an empty one, is damaged, whoever asks.
func TestRecordWithoutAJournal(t *testing.T) {
	for what, spoil := range map[string]func(w *world.Fake, name string) error{
		"it is missing": func(w *world.Fake, name string) error { return w.Host().Remove(name) },
		"it is empty":   func(w *world.Fake, name string) error { w.Write(name, nil); return nil },
	} {
		w := world.NewFake()
		s, id := newRun(t, w.World())
		must(t, spoil(w, path.Join(dir, id, "journal.jsonl")))
		_, readErr := s.Read(id)
		_, _, resumeErr := s.Resume(id)
		all, damaged, err := s.List()
		if err != nil || len(all) > 0 || len(damaged) != 1 {
			t.Fatalf("%s: listed are %d records, damaged are %v (%v)", what, len(all), damaged, err)
		}
		for _, err := range []error{readErr, resumeErr, damaged[0]} {
			var d *journal.DamagedError
			if !errors.As(err, &d) || !strings.Contains(err.Error(), "journal.jsonl is damaged: "+what) {
				t.Errorf("the error is %v, want %q", err, what)
			}
		}
		if _, err := w.Host().Lstat(path.Join(dir, id, "scripts.json")); err != nil {
			t.Error(err)
		}
	}
	s := journal.Open(world.NewFake().World(), dir, 50)
	if _, err := s.Read("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no record, the error is %v", err)
	}
}

// A process that is killed while it removes an old record leaves the whole of it, or none.
func TestRemovalThatEndsAnywhere(t *testing.T) {
	for at := 1; ; at++ {
		w := world.NewFake()
		_, old := newRun(t, w.World())
		asked := 0
		dying := world.Faulty(w.World(), func(string, string) error {
			if asked++; asked >= at {
				return errors.New("dead")
			}
			return nil
		})
		_, _, err := journal.Open(dying, dir, 0).Create(nil, first)
		s := journal.Open(w.World(), dir, 50)
		if _, damaged, listErr := s.List(); listErr != nil || len(damaged) > 0 {
			t.Fatalf("operation %d: damaged are %v (%v)", at, damaged, listErr)
		}
		if _, err := s.Read(old); err == nil {
			if _, err := s.Scripts(old); err != nil {
				t.Errorf("operation %d: %v", at, err)
			}
		}
		if err == nil {
			return
		}
	}
}

// A record that is resumed while old ones are looked through is not removed.
func TestPruneSparesTheResumed(t *testing.T) {
	w := world.NewFake()
	s, id := newRun(t, w.World())
	var resumed *journal.Journal
	looking := world.Faulty(w.World(), func(op, name string) (err error) {
		if op == "read" && name == path.Join(dir, id, "journal.jsonl") && resumed == nil {
			_, resumed, err = s.Resume(id)
		}
		return err
	})
	j, _, err := journal.Open(looking, dir, 0).Create(nil, first)
	must(t, err)
	must(t, j.Close())
	if r, err := s.Read(id); err != nil || !r.Running {
		t.Errorf("read is %+v (%v)", r, err)
	}
	must(t, resumed.Close())
	j, _, err = journal.Open(w.World(), dir, 0).Create(nil, first)
	must(t, err)
	must(t, j.Close())
	if _, err := s.Read(id); err == nil {
		t.Error("the record of a run that nobody is at is still there")
	}
}

// Each file of a record is for its owner's eyes only.
func TestModes(t *testing.T) {
	w := world.NewFake()
	_, id := newRun(t, w.World())
	for name, want := range map[string]uint32{"": 0o700, "journal.jsonl": 0o600, "scripts.json": 0o600} {
		info, err := w.Host().Lstat(path.Join(dir, id, name))
		if err != nil || uint32(info.Mode.Perm()) != want {
			t.Errorf("%s: the mode is %v, want %o (%v)", name, info.Mode, want, err)
		}
	}
}

// counted counts what is synced of a file.
type counted struct {
	*world.Fake
	mu    sync.Mutex
	syncs int
	hold  chan struct{} // a sync waits for it
}

func (c *counted) World() world.World {
	w := c.Fake.World()
	w.Disk = worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, _ string) world.Files {
		return worldtest.Files{Files: files, OnAppend: func(name string) (world.Appender, error) {
			a, err := files.Append(name)
			return worldtest.Appender{Appender: a, OnSync: func() error { return c.sync(a) }}, err
		}}
	}}
	return w
}

func (c *counted) sync(a world.Appender) error {
	<-c.hold
	c.mu.Lock()
	defer c.mu.Unlock()
	c.syncs++
	return a.Sync()
}

// Who waits for the disk at the same time shares one write to it.
func TestSyncsAreShared(t *testing.T) {
	w := &counted{Fake: world.NewFake(), hold: make(chan struct{}, 1)}
	j, _, err := journal.Open(w.World(), dir, 50).Create(nil, first)
	must(t, err)
	must(t, j.Sync()) // what there is, is durable
	must(t, j.Add(&event.Event{Seq: 2, Type: event.Began, Key: "k", Kind: event.Step}))
	one := make(chan error)
	go func() { one <- j.Sync() }()
	w.hold <- struct{}{} // the first one may go on
	must(t, <-one)
	const n = 50
	for range n {
		must(t, j.Add(&event.Event{Seq: 2, Type: event.Began, Key: "k", Kind: event.Step}))
	}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if err := j.Sync(); err != nil {
				t.Error(err)
			}
		})
	}
	w.hold <- struct{}{}
	all.Wait()
	if w.syncs != 2 {
		t.Errorf("%d syncs, want 2", w.syncs)
	}
}

// After a write that failed nothing more is written: what follows a part of a line can't
// be read.
func TestNothingFollowsAFailure(t *testing.T) {
	failing := false
	fake := world.NewFake()
	w := world.Faulty(fake.World(), func(op, _ string) error {
		if failing && op == "append" {
			return errors.New("the disk is full")
		}
		return nil
	})
	s := journal.Open(w, dir, 50)
	j, id, err := s.Create(nil, first)
	must(t, err)
	failing = true
	if err := j.Add(began()); err == nil {
		t.Error("an event was added to a full disk")
	}
	failing = false
	for what, err := range map[string]error{"add": j.Add(began()), "sync": j.Sync()} {
		if err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("%s after a failure: %v", what, err)
		}
	}
	must(t, j.Close())
	r, err := s.Read(id)
	if err != nil || len(r.Events) != 1 {
		t.Errorf("on record are %d events, want 1 (%v)", len(r.Events), err)
	}
}

func TestParsing(t *testing.T) {
	first := line(began())
	for _, c := range []struct {
		name, text string
		events     int
		dropped    bool
		err        string
	}{
		{name: "whole", text: first + line(&event.Event{Type: event.Began, Key: "k"}), events: 2},
		{name: "a part", text: first + `{"seq":2`, events: 1, dropped: true},
		{name: "a last line without an end", text: first + strings.TrimSpace(line(began())), events: 1, dropped: true},
		{name: "zeros at the end", text: first + "\x00\x00\x00\x00", events: 1, dropped: true},
		{name: "a last line that is garbage", text: first + "garbage\n", events: 1, dropped: true},
		{name: "nothing", err: "journal.jsonl is damaged: it is empty"},
		{name: "a part of the first", text: first[:20], err: "is damaged at line 1: "},
		{name: "the first without its end", text: strings.TrimSpace(first), err: "is damaged at line 1: the line has no end"},
		{name: "garbage first", text: "x\n" + first, err: "is damaged at line 1: "},
		{name: "garbage between", text: first + "x\n" + first, err: "is damaged at line 2: "},
		{name: "an empty line", text: first + "\n" + first, err: "is damaged at line 2: "},
		{name: "zeros between", text: first + "\x00\x00\n" + first, err: "is damaged at line 2: "},
		{name: "another beginning", text: line(&event.Event{Type: event.Began, Key: "k"}) + first, err: "is damaged at line 1: it does not begin with the run"},
		{name: "another version", text: strings.Replace(first, `"version":1`, `"version":2`, 1), err: "it is of version 2, this kinfra reads version 1"},
		{name: "a clock without a time", text: first + `{"event":"clock"}` + "\n" + first, err: `the event "clock" lacks what it is about`},
		{name: "a run without itself", text: first + `{"event":"resume"}` + "\n" + first, err: `the event "resume" lacks what it is about`},
		{name: "a step without a key", text: first + `{"event":"begin","kind":"step"}` + "\n" + first, err: `the event "begin" lacks what it is about`},
		{name: "a step that was done without a result", text: first + `{"event":"end","key":"k","kind":"step","status":"passed"}` + "\n" + first, err: `the event "end" lacks what it is about`},
		{name: "null", text: first + "null\n" + first, err: "is damaged at line 2: "},
		{name: "an unknown event", text: first + `{"event":"of a later kinfra","x":1}` + "\n", events: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world.NewFake()
			s, id := newRun(t, w.World())
			w.Write(path.Join(dir, id, "journal.jsonl"), []byte(c.text))
			r, err := s.Read(id)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("the error is %v, want %q", err, c.err)
				}
				if _, _, err := s.Resume(id); err == nil {
					t.Error("it can be resumed")
				}
				return
			}
			if err != nil || len(r.Events) != c.events || r.Dropped != c.dropped {
				t.Errorf("read are %d events, dropped is %t (%v)", len(r.Events), r.Dropped, err)
			}
		})
	}
}

func line(e *event.Event) string {
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(data) + "\n"
}

// Whatever is in a journal, it is read as events that begin with the run, or refused. What
// is read from it is what is read from the part that it keeps.
func FuzzJournal(f *testing.F) {
	step := line(&event.Event{Seq: 2, Type: event.Began, Key: "k", Kind: event.Step}) +
		line(&event.Event{Seq: 3, Type: event.Ended, Key: "k", Kind: event.Step, Status: event.Passed, Result: json.RawMessage(`{"$struct":{}}`)})
	for _, text := range []string{"", "\n", line(began()), line(began()) + step, line(began()) + step[:30], line(began()) + "null\n" + step} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := world.NewFake()
		s, id := newRun(t, w.World())
		name := path.Join(dir, id, "journal.jsonl")
		w.Write(name, data)
		r, err := s.Read(id)
		if err != nil {
			var damaged *journal.DamagedError
			if !errors.As(err, &damaged) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if len(r.Events) == 0 || r.Run() == nil || r.Status() == "" {
			t.Fatalf("read is %+v", r)
		}
		resumed, j, err := s.Resume(id)
		must(t, err)
		must(t, j.Close())
		kept, err := w.Host().ReadFile(name, 1<<20)
		must(t, err)
		if len(resumed.Events) != len(r.Events) || !bytes.HasPrefix(data, kept) || r.Dropped != (len(kept) < len(data)) || !bytes.HasSuffix(kept, []byte("\n")) {
			t.Fatalf("%d events were read, %d resumed; kept is %q", len(r.Events), len(resumed.Events), kept)
		}
	})
}

// An error of the system is not damage, and no record is removed because it can't be read
// now.
func TestSystemErrorsAreNoDamage(t *testing.T) {
	w := world.NewFake()
	_, id := newRun(t, w.World())
	for range 3 {
		newRun(t, w.World())
	}
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		s := journal.Open(w, dir, 50)
		_, readErr := s.Read(id)
		_, scriptsErr := s.Scripts(id)
		_, j, resumeErr := s.Resume(id)
		if j != nil {
			j.Close()
		}
		for _, err := range []error{readErr, scriptsErr, resumeErr} {
			if damaged, ok := errors.AsType[*journal.DamagedError](err); ok {
				t.Errorf("it counts as damaged: %v", damaged)
			}
			worldtest.NoDamage(t, err)
		}
	})
	hidden := world.Faulty(w.World(), func(op, name string) error {
		if op == "read" && strings.HasSuffix(name, "journal.jsonl") {
			return syscall.EIO
		}
		return nil
	})
	j, _, err := journal.Open(hidden, dir, 2).Create(nil, first)
	must(t, err)
	must(t, j.Close())
	if _, err := journal.Open(w.World(), dir, 50).Read(id); err != nil {
		t.Errorf("the oldest record is gone: %v", err)
	}
}
