package registry

import (
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// volatile tells what a loss of power could take. It watches the operations of a
// world.
type volatile struct {
	mu    sync.Mutex
	names map[string]string // files and directories that aren't synced: what was done to them last
	early []string          // what was renamed before it was synced
}

func (v *volatile) watch(w world.World) world.World {
	v.names = map[string]string{}
	return world.Faulty(w, func(op, name string) error {
		v.mu.Lock()
		defer v.mu.Unlock()
		dir := path.Dir(name)
		switch op {
		case "create":
			v.names[name], v.names[dir] = op, op
		case "mkdir", "rename", "remove":
			v.names[dir] = op + " " + path.Base(name)
		case "mkdirall":
			for dir := name; dir != "/"; dir = filepath.Dir(dir) {
				if _, err := w.Disk.Host().Lstat(dir); err != nil {
					v.names[path.Dir(dir)] = op
				}
			}
		case "sync":
			delete(v.names, name)
		}
		if op == "rename" {
			for temp := range v.names {
				if strings.Contains(temp, "/."+path.Base(name)+".tmp-") {
					v.early = append(v.early, name)
				}
			}
		}
		return nil
	})
}

// check fails for all that isn't durable, but for what isn't needed after a loss
// of power.
func (v *volatile) check(t *testing.T, needless ...string) {
	t.Helper()
	for name, op := range v.names {
		name = strings.TrimPrefix(name, root+"/")
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

// What an update has acknowledged survives a loss of power. So do bytes of another
// tool that it has overwritten; the copy of what it has published need not.
func TestDurable(t *testing.T) {
	const copies = GenerationsDir + "/"
	for _, test := range []struct {
		name     string
		file     []byte
		needless []string
	}{
		{"from nothing", nil, []string{"kinfra"}},
		{"over version 1", fixture(t, "v1.json"), []string{copies + "000002-"}},
		{"over another tool's", fixture(t, "v2.json"), []string{copies + "000002-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := machine(t, test.file)
			var v volatile
			s := Open(v.watch(w.World()), root)
			update(t, s, put(7))
			// The last copy is added after its directory was synced.
			v.check(t, append(test.needless, GenerationsDir)...)
		})
	}
	t.Run("restored", func(t *testing.T) {
		w, s := machine(t, nil)
		update(t, s, put(1))
		update(t, s, put(2))
		w.Write(s.Path(), []byte("damaged"))
		var v volatile
		if _, err := Open(v.watch(w.World()), root).Restore(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		v.check(t)
	})
	t.Run("below missing directories", func(t *testing.T) {
		w := world.NewFake()
		var v volatile
		update(t, Open(v.watch(w.World()), "/home/user/a/b/c"), put(1))
		v.check(t, "/home/user/a/b/c/kinfra")
	})
}

// A parent of the root that can't be opened can't be synced; that is no obstacle.
func TestParentWithoutPermission(t *testing.T) {
	w := world.NewFake()
	faulty := world.Faulty(w.World(), func(op, name string) error {
		if op == "sync" && name == path.Dir(root) {
			return syscall.EACCES
		}
		return nil
	})
	update(t, Open(faulty, root), put(1))
}
