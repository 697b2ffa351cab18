package registry

import (
	"path"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// wantDurable fails for what isn't durable, but for files below the root that aren't needed.
func wantDurable(t *testing.T, v *worldtest.Volatile, needless ...string) {
	t.Helper()
	for i, name := range needless {
		needless[i] = path.Join(root, name)
	}
	v.Check(t, needless...)
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
			var v worldtest.Volatile
			s := Open(v.Watch(w.World()), root)
			update(t, s, put(7))
			// The last copy is added after its directory was synced.
			wantDurable(t, &v, append(test.needless, GenerationsDir)...)
		})
	}
	t.Run("restored", func(t *testing.T) {
		w, s := machine(t, nil)
		update(t, s, put(1))
		update(t, s, put(2))
		w.Write(s.Path(), []byte("damaged"))
		var v worldtest.Volatile
		if _, err := Open(v.Watch(w.World()), root).Restore(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantDurable(t, &v)
	})
	t.Run("below missing directories", func(t *testing.T) {
		w := world.NewFake()
		var v worldtest.Volatile
		update(t, Open(v.Watch(w.World()), "/home/user/a/b/c"), put(1))
		v.Check(t, "/home/user/a/b/c/kinfra")
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
