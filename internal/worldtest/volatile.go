package worldtest

import (
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// Volatile tells what a loss of power could take. It watches the operations of a world.
type Volatile struct {
	mu    sync.Mutex
	names map[string]string // files and directories that aren't synced: what was done to them last
	early []string          // what was renamed before it was synced
}

// Watch is the world w, watched from now on. What is there counts as durable.
func (v *Volatile) Watch(w world.World) world.World {
	v.names = map[string]string{}
	return world.Faulty(w, func(op, name string) error {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.note(w, op, name)
		return nil
	})
}

func (v *Volatile) note(w world.World, op, name string) {
	dir := path.Dir(name)
	switch op {
	case "create":
		v.names[name], v.names[dir] = op, op
	case "append":
		v.names[name] = op
	case "mkdir", "remove", "removeall":
		v.names[dir] = op + " " + path.Base(name)
	case "rename":
		v.names[dir] = op + " " + path.Base(name)
		v.rename(name)
	case "mkdirall":
		for dir := name; dir != "/"; dir = filepath.Dir(dir) {
			if _, err := w.Disk.Host().Lstat(dir); err != nil {
				v.names[path.Dir(dir)] = op
			}
		}
	case "sync":
		delete(v.names, name)
	}
}

// rename wants what is about to get a name to be durable under the one that it has, which
// is one of world.TempName.
func (v *Volatile) rename(name string) {
	for temp := range v.names {
		if strings.Contains(temp, "/."+path.Base(name)+".tmp-") {
			v.early = append(v.early, name)
		}
	}
}

// Check fails for all that isn't durable, but for what isn't needed after a loss of power:
// what has a name that begins with one of these.
func (v *Volatile) Check(t testing.TB, needless ...string) {
	t.Helper()
	for name, op := range v.names {
		spare := false
		for _, prefix := range needless {
			spare = spare || strings.HasPrefix(name, prefix)
		}
		if !spare {
			t.Errorf("%s isn't synced after %s", name, op)
		}
	}
	for _, name := range v.early {
		t.Errorf("%s was put in place before it was synced", name)
	}
}
