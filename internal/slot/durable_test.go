package slot

import (
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// watch is the world w, in which what a loss of power could take is in dirty, with
// what was done to it last, as long as it isn't synced.
func watch(t *testing.T, w world.World) (watched world.World, dirty map[string]string) {
	var mu sync.Mutex
	dirty = map[string]string{}
	watched = world.Faulty(w, func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		switch op {
		case "create":
			dirty[name], dirty[path.Dir(name)] = op, op
		case "symlink", "rename", "mkdir", "removeall":
			if _, err := w.Disk.Host().Lstat(name); op != "mkdir" || err != nil {
				dirty[path.Dir(name)] = op + " " + path.Base(name)
			}
		case "sync":
			delete(dirty, name)
		}
		for temp, what := range dirty {
			if op == "rename" && strings.Contains(temp, "/."+path.Base(name)+".tmp-") {
				t.Errorf("%s was renamed to %s unsynced after %s", temp, name, what)
			}
		}
		return nil
	})
	return watched, dirty
}

func wantClean(t *testing.T, dirty map[string]string) {
	t.Helper()
	for name, what := range dirty {
		// The copies of the registry may be lost, see package registry.
		if !strings.HasPrefix(name, root+"/kinfra") {
			t.Errorf("%s isn't synced after %s", name, what)
		}
	}
}

// What is told as done survives a loss of power: each file was synced before its
// directory was renamed, and each directory after it got an entry.
func TestDurable(t *testing.T) {
	for name, start := range starts(t) {
		t.Run(name, func(t *testing.T) {
			w, dirty := watch(t, start().World())
			ensure(t, w, specs(3), Options{Refresh: true})
			wantClean(t, dirty)
			if _, err := Remove(t.Context(), w, registry.Open(w, root), nil, RemoveOptions{}); err != nil {
				t.Fatal(err)
			}
			wantClean(t, dirty)
		})
	}
}
