package journal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// A record that has begun outlasts a loss of power, and so do the directories that were
// made for the first one, up to the one that was there.
func TestDurable(t *testing.T) {
	w := world.NewFake()
	must(t, w.Host().MkdirAll("/home/user/a", 0o700))
	var v worldtest.Volatile
	s := journal.Open(v.Watch(w.World()), "/home/user/a/root/kinfra/runs", 50)
	for range 2 {
		j, _, err := s.Create([]byte("{}"), first)
		must(t, err)
		v.Check(t)
		must(t, j.Close())
	}
}

// A process that is killed leaves directories that are not yet durable. The next one, which
// finds them there, makes sure of what is its own.
func TestDurableAfterKill(t *testing.T) {
	w := world.NewFake()
	must(t, w.Host().MkdirAll(dir, 0o700))
	synced := false
	watched := world.Faulty(w.World(), func(op, name string) error {
		synced = synced || op == "sync" && name == "/home/user"
		return nil
	})
	j, _, err := journal.Open(watched, dir, 50).Create([]byte("{}"), first)
	must(t, err)
	must(t, j.Close())
	if !synced {
		t.Errorf("the entry of %s isn't synced", dir)
	}
}

// Wherever a loss of power has cut what was not synced, the run goes on behind the lines that
// are whole, and its record stays one that can be read.
func TestResumeAfterCuts(t *testing.T) {
	w := world.NewFake()
	s := journal.Open(w.World(), dir, 50)
	j, id, err := s.Create([]byte("{}"), firstNow(w.World()))
	must(t, err)
	name := dir + "/" + id + "/journal.jsonl"
	synced, err := w.Host().ReadFile(name, 1<<20)
	must(t, err)
	for range 2 {
		must(t, j.Add(&event.Event{Type: event.Noted, Key: "a", Name: "n"}))
	}
	must(t, j.Close())
	whole, err := w.Host().ReadFile(name, 1<<20)
	must(t, err)
	seal, err := w.Host().ReadFile(dir+"/"+id+"/seal", 1<<20)
	must(t, err)
	for size := len(synced); size <= len(whole); size++ {
		w.Write(name, whole[:size])
		w.Write(dir+"/"+id+"/seal", seal)
		before, j, err := s.Resume(id)
		must(t, err)
		must(t, errors.Join(j.Add(&event.Event{Type: event.Resumed, Run: &event.Run{}}), j.Sync(), j.Close()))
		after, err := s.Read(id)
		if err != nil {
			t.Fatalf("cut to %d bytes of %d, it was resumed behind line %d: %v", size, len(whole), len(before.Events), err)
		}
		if len(after.Events) != len(before.Events)+1 || after.Dropped {
			t.Errorf("cut to %d bytes, then resumed: %d lines, dropped %v, before %d", size, len(after.Events), after.Dropped, len(before.Events))
		}
	}
}

// A record that is removed is gone as a whole, or is still there as a whole: nothing in it is
// removed before the name by which it counts is gone for good.
func TestRemovalIsDurable(t *testing.T) {
	fake := world.NewFake()
	var unsynced []string // what was renamed since the directory was synced
	w := world.Faulty(fake.World(), func(op, name string) error {
		switch {
		case op == "rename":
			unsynced = append(unsynced, name)
		case op == "sync" && name == dir:
			unsynced = nil
		case op == "removeall" && len(unsynced) > 0:
			t.Errorf("%s is removed, and %v is not durable yet", name, unsynced)
		}
		return nil
	})
	s := journal.Open(w, dir, 1)
	for range 4 {
		fake.Pass(time.Second)
		j, _, err := s.Create([]byte("{}"), firstNow(w))
		must(t, err)
		must(t, errors.Join(j.Add(&event.Event{Type: event.RunEnded, Status: event.Passed}), j.Sync(), j.Close()))
	}
	entries, err := fake.Host().ReadDir(dir)
	must(t, err)
	if len(entries) != 3 { // two records and the lock
		t.Errorf("left are %v", entries)
	}
}
