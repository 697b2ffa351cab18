package journal_test

import (
	"testing"

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
