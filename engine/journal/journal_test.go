package journal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"regexp"
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

// firstNow is that of a run that begins now.
func firstNow(w world.World) func(id string) *event.Event {
	return func(id string) *event.Event {
		e := first(id)
		e.Time = w.Clock.Now()
		return e
	}
}

// newRun is a store with the record of one run in it, of which nobody is at. The events
// come after the first.
func newRun(t *testing.T, w world.World, events ...*event.Event) (s *journal.Store, id string) {
	t.Helper()
	s = journal.Open(w, dir, 50)
	j, id, err := s.Create([]byte(`{"a":1}`), firstNow(w))
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
	if r.Unchecked != 0 {
		t.Errorf("%d lines count as unchecked", r.Unchecked)
	}
	scripts, err := s.Scripts(r)
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
	s := journal.Open(w.World(), dir, 50)
	for _, id := range []string{"20260101-000000-aaaaaa", "20260102-000000-bbbbbb"} {
		oldRun(w, id, line(began()))
	}
	_, err := s.Find("202601")
	var several *journal.AmbiguousError
	if !errors.As(err, &several) || !slices.Equal(several.IDs, []string{"20260101-000000-aaaaaa", "20260102-000000-bbbbbb"}) {
		t.Errorf("the error is %v", err)
	}
	if id, err := s.Find("20260102"); id != "20260102-000000-bbbbbb" || err != nil {
		t.Errorf("found is %q (%v)", id, err)
	}
}

// Names can be typed: they are short, begin with a letter, and no two are the same.
func TestNames(t *testing.T) {
	w := world.NewFake()
	form := regexp.MustCompile(`^[cdfhjkmprtwx][cdfhjkmprtwx34679]{5}$`)
	seen := map[string]bool{}
	for range 50 {
		_, id := newRun(t, w.World())
		for i := range len(id) - 1 {
			if id[i] == id[i+1] {
				t.Errorf("the name %q has a character twice in a row", id)
			}
		}
		if !form.MatchString(id) || seen[id] {
			t.Errorf("the name is %q", id)
		}
		seen[id] = true
	}
}

// A name that a record has is not given again.
func TestNameThatIsTaken(t *testing.T) {
	w := &repeating{Fake: world.NewFake(), times: 3}
	_, a := newRun(t, w.World())
	w.times = 3
	if _, b := newRun(t, w.World()); a == b {
		t.Errorf("two runs are called %s", a)
	}
}

// repeating is a world that gives the same random bytes a few times.
type repeating struct {
	*world.Fake
	times int
}

func (w *repeating) World() world.World {
	all := w.Fake.World()
	all.Env = w
	return all
}

func (w *repeating) Random(b []byte) {
	if w.times--; w.times < 0 || len(b) != 6 {
		w.Fake.Random(b)
		return
	}
	clear(b)
}

// Runs are listed by when they began, whatever they are called.
func TestListIsByTime(t *testing.T) {
	w := world.NewFake()
	s := journal.Open(w.World(), dir, 50)
	var want []string
	for i := range 20 {
		j, id, err := s.Create(nil, func(id string) *event.Event {
			e := first(id)
			e.Time = w.Now().Add(time.Duration(i) * time.Millisecond)
			return e
		})
		must(t, errors.Join(err, j.Close()))
		want = append(want, id)
	}
	all, err := s.List()
	must(t, err)
	var got []string
	for _, e := range all {
		got = append(got, e.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed are %q, want %q", got, want)
	}
	for number, want := range map[int]string{1: want[19], 2: want[18], 20: want[0]} {
		if id, err := s.Last(number); id != want || err != nil {
			t.Errorf("@%d is %q (%v), want %q", number, id, err, want)
		}
	}
	if _, err := s.Last(21); !errors.Is(err, journal.ErrFewer) {
		t.Errorf("@21: the error is %v", err)
	}
	if _, err := journal.Open(world.NewFake().World(), dir, 50).Last(1); !errors.Is(err, journal.ErrNone) {
		t.Errorf("of none, the error is %v", err)
	}
}

// A run that failed with something left to undo is kept as one that was interrupted: runs
// that ended don't push it out.
func TestPruneKeepsWhatIsUnfinished(t *testing.T) {
	w := world.NewFake()
	step := func(undoable bool, end event.Status) []*event.Event {
		return []*event.Event{
			{Seq: 2, Type: event.Began, Key: "k", Kind: event.Step, Undoable: undoable},
			{Seq: 3, Type: event.Ended, Key: "k", Kind: event.Step, Status: event.Passed, Result: json.RawMessage("1"), Undoable: undoable},
			{Seq: 4, Type: event.RunEnded, Status: end},
		}
	}
	_, left := newRun(t, w.World(), step(true, event.Failed)...)
	w.Pass(time.Second)
	_, failed := newRun(t, w.World(), step(false, event.Failed)...)
	w.Pass(time.Second)
	for range 3 {
		j, _, err := journal.Open(w.World(), dir, 2).Create(nil, firstNow(w.World()))
		must(t, err)
		for _, e := range step(true, event.Passed) {
			must(t, j.Add(e))
		}
		must(t, j.Close())
		w.Pass(time.Second)
	}
	s := journal.Open(w.World(), dir, 2)
	if _, err := s.Read(left); err != nil {
		t.Errorf("the run with something left to undo: %v", err)
	}
	if _, err := s.Read(failed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the run that failed with nothing to undo is still there (%v)", err)
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
			all, listErr := s.List()
			if listErr != nil || err == nil && len(all) != 1 {
				t.Errorf("operation %d, dead: %t: on record are %d runs (%v, %v)", at, dead, len(all), listErr, err)
			}
			wantsNoDamage(t, all)
		}
	}
}

func wantsNoDamage(t *testing.T, all []journal.Entry) {
	t.Helper()
	for _, e := range all {
		if e.Err != nil {
			t.Errorf("%s: %v", e.ID, e.Err)
		}
	}
}

// oldRun writes the record of a run of a kinfra whose journals had no hashes.
func oldRun(w *world.Fake, id, text string) {
	w.Write(path.Join(dir, id, "journal.jsonl"), []byte(text))
	w.Write(path.Join(dir, id, "scripts.json"), []byte("{}"))
	for _, name := range []string{"journal.jsonl", "scripts.json"} {
		w.Alter(path.Join(dir, id, name), func(i *world.Info) { i.Mode = 0o600 })
	}
}

// A journal of version 2, whose hashes are the beginnings of SHA-256s, is read, held against
// them, and gone on with.
func TestVersion2(t *testing.T) {
	w := world.NewFake()
	s := journal.Open(w.World(), dir, 50)
	id, before := "20260101-101112-old", "kinfra journal 2"
	hash := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16] }
	var text, seal string
	add := func(line string) {
		before = hash(before + line)
		text += line + `,"hash":"` + before + "\"}\n"
		mark := fmt.Sprintf("%d %s", strings.Count(text, "\n"), before)
		seal += fmt.Sprintf("%s %08x\n", mark, crc32.ChecksumIEEE([]byte(mark)))
	}
	add(`{"seq":1,"event":"run","run":{"version":2,"id":"` + id + `","command":"test"},"scripts":"` + hash("{}") + `"`)
	add(`{"seq":2,"event":"begin","key":"k","kind":"step"`)
	oldRun(w, id, text)
	w.Write(path.Join(dir, id, "seal"), []byte(seal))
	w.Alter(path.Join(dir, id, "seal"), func(i *world.Info) { i.Mode = 0o600 })

	_, j, err := s.Resume(id)
	must(t, err)
	must(t, j.Add(&event.Event{Seq: 3, Type: event.Ended, Key: "k", Kind: event.Step, Status: event.Failed}))
	must(t, j.Sync())
	must(t, j.Close())
	r, err := s.Read(id)
	must(t, err)
	if len(r.Events) != 3 || r.Unchecked != 0 || r.Dropped {
		t.Errorf("got %d events, %d of them unchecked, an end left out is %v", len(r.Events), r.Unchecked, r.Dropped)
	}
	data, err := w.Host().ReadFile(path.Join(dir, id, "journal.jsonl"), 1<<20)
	must(t, err)
	w.Write(path.Join(dir, id, "journal.jsonl"), bytes.Replace(data, []byte(`"begin"`), []byte(`"began"`), 1))
	if _, err := s.Read(id); err == nil || !strings.Contains(err.Error(), "is damaged at line 2: it has changed") {
		t.Errorf("after a change: %v", err)
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
		all, err := s.List()
		if err != nil || len(all) != 1 || all[0].Record != nil {
			t.Fatalf("%s: listed are %+v (%v)", what, all, err)
		}
		for _, err := range []error{readErr, resumeErr, all[0].Err} {
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
		all, listErr := s.List()
		must(t, listErr)
		wantsNoDamage(t, all)
		if r, err := s.Read(old); err == nil {
			if _, err := s.Scripts(r); err != nil {
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
	for name, want := range map[string]uint32{"": 0o700, "journal.jsonl": 0o600, "seal": 0o600, "scripts.json": 0o600} {
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

// Journals of version 1 have no hashes. What is in them must still be what a run writes.
func TestParsing(t *testing.T) {
	first := line(began())
	begin := line(&event.Event{Seq: 2, Type: event.Began, Key: "k", Kind: event.Step})
	end := line(&event.Event{Seq: 3, Type: event.Ended, Key: "k", Kind: event.Step, Status: event.Passed, Result: json.RawMessage("1")})
	for _, c := range []struct {
		name, text string
		events     int
		dropped    bool
		err        string
	}{
		{name: "whole", text: first + begin, events: 2},
		{name: "a part", text: first + `{"seq":2`, events: 1, dropped: true},
		{name: "a last line without an end", text: first + strings.TrimSpace(line(began())), events: 1, dropped: true},
		{name: "zeros at the end", text: first + "\x00\x00\x00\x00", events: 1, dropped: true},
		{name: "a last line that is garbage", text: first + "garbage\n", events: 1, dropped: true},
		{name: "nothing", err: "journal.jsonl is damaged: it is empty"},
		{name: "a part of the first", text: first[:20], err: "is damaged at line 1: "},
		{name: "the first without its end", text: strings.TrimSpace(first), err: "is damaged at line 1: the line has no end"},
		{name: "garbage first", text: "x\n" + first, err: "is damaged at line 1: "},
		{name: "garbage between", text: first + "x\n" + begin, err: "is damaged at line 2: "},
		{name: "an empty line", text: first + "\n" + begin, err: "is damaged at line 2: "},
		{name: "zeros between", text: first + "\x00\x00\n" + begin, err: "is damaged at line 2: "},
		{name: "another beginning", text: begin + first, err: "is damaged at line 1: it does not begin with the run"},
		{name: "a later version", text: strings.Replace(first, `"version":1`, `"version":4`, 1), err: "it is of version 4, this kinfra reads versions 1 to 3"},
		{name: "a clock without a time", text: first + `{"event":"clock"}` + "\n" + begin, err: `the event "clock" lacks what it is about`},
		{name: "a run without itself", text: first + `{"event":"resume"}` + "\n" + begin, err: `the event "resume" lacks what it is about`},
		{name: "a step without a key", text: first + `{"event":"begin","kind":"step"}` + "\n" + begin, err: `the event "begin" lacks what it is about`},
		{name: "a step that was done without a result", text: first + begin + `{"event":"end","key":"k","kind":"step","status":"passed"}` + "\n" + begin, err: `the event "end" lacks what it is about`},
		{name: "null", text: first + "null\n" + begin, err: "is damaged at line 2: "},
		{name: "an unknown event", text: first + `{"event":"of a later kinfra","x":1,"status":"odd"}` + "\n", events: 2},
		{name: "a second run", text: first + begin + first, err: "is damaged at line 3: the run begins a second time"},
		{name: "an end of nothing", text: first + end, err: `is damaged at line 2: "k" ends, and has not begun`},
		{name: "an end twice", text: first + begin + end + end, err: `is damaged at line 4: "k" ends, and has not begun`},
		{name: "an undo of nothing", text: first + line(&event.Event{Type: event.Undoing, Key: "k"}), err: `is damaged at line 2: "k" is undone, and has not begun`},
		{name: "an odd status", text: first + begin + strings.Replace(end, "passed", "pasted", 1), err: `is damaged at line 3: the event "end" has the status "pasted"`},
		{name: "an end without a status", text: first + `{"event":"result"}` + "\n", err: `is damaged at line 2: the event "result" has the status ""`},
		{name: "an undo with an odd status", text: first + begin + line(&event.Event{Type: event.Undid, Key: "k", Status: "x"}), err: `is damaged at line 3: the event "undo" has the status "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world.NewFake()
			s, id := journal.Open(w.World(), dir, 50), "20260101-000000-abcdef"
			oldRun(w, id, c.text)
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
			if err != nil || len(r.Events) != c.events || r.Dropped != c.dropped || r.Unchecked != c.events {
				t.Errorf("read are %d events, %d of them unchecked, dropped is %t (%v)", len(r.Events), r.Unchecked, r.Dropped, err)
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
		s, id := journal.Open(w.World(), dir, 50), "old"
		oldRun(w, id, string(data))
		name := path.Join(dir, id, "journal.jsonl")
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
		again, err := s.Read(id)
		if err != nil || len(again.Events) != len(r.Events) || again.Unchecked != len(r.Events) {
			t.Fatalf("sealed, read is %+v (%v)", again, err)
		}
	})
}

// Whatever comes behind the durable lines of a journal with hashes, these are read as they
// are; and whatever is in their place is refused.
func FuzzTail(f *testing.F) {
	for _, text := range []string{"", "\n", "x\n", line(began()), `{"seq":9,"event":"begin","key":"k","durable":3,"hash":"0000000000000000"}` + "\n"} {
		f.Add([]byte(text), uint(1<<20))
		f.Add([]byte(text), uint(100))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint) {
		w := world.NewFake()
		s, id := newRun(t, w.World(), &event.Event{Seq: 2, Type: event.Began, Key: "k", Kind: event.Step})
		name := path.Join(dir, id, "journal.jsonl")
		good, err := w.Host().ReadFile(name, 1<<20)
		must(t, err)
		changed := append(bytes.Clone(good[:min(int(at%(1<<20)), len(good))]), data...)
		w.Write(name, changed)
		r, err := s.Read(id)
		var damaged *journal.DamagedError
		switch below := !bytes.HasPrefix(changed, good); {
		case below && !errors.As(err, &damaged):
			t.Fatalf("read is %+v (%v) of %q", r, err, changed)
		case !below && (err != nil || len(r.Events) != 2 || r.Dropped != (len(changed) > len(good))):
			t.Fatalf("read is %+v (%v) of %q", r, err, changed)
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
	record, err := journal.Open(w.World(), dir, 50).Read(id)
	must(t, err)
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		s := journal.Open(w, dir, 50)
		_, readErr := s.Read(id)
		_, scriptsErr := s.Scripts(record)
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

// What a process that was killed while it resumed a run has left beside the record's files goes
// with the next resumption.
func TestLeftoversOfAResumption(t *testing.T) {
	w := world.NewFake()
	s, id := newRun(t, w.World())
	left := path.Join(dir, id, world.TempName(w.World(), "seal"))
	w.Write(left, []byte("1 "))
	_, j, err := s.Resume(id)
	must(t, err)
	must(t, j.Close())
	if _, err := w.Host().Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", left, err)
	}
}
