package world_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestTryLock(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, host := s.world.Disk.Root(s.dir), s.world.Disk.Host()
		unlock, err := root.Lock(t.Context(), "lock")
		worldtest.Must(t, err)
		_, err = host.TryLock(s.dir + "/lock")
		worldtest.WantErr(t, err, world.ErrHeld)
		var locked *world.LockedError
		if !errors.As(err, &locked) || locked.Path != s.dir+"/lock" {
			t.Errorf("got %v, want a *LockedError of %s/lock", err, s.dir)
		}
		unlock()
		unlock, err = root.TryLock("lock")
		worldtest.Must(t, err)
		_, err = root.TryLock("lock")
		worldtest.WantErr(t, err, world.ErrHeld)
		unlock()
		_, err = root.TryLock("missing/lock")
		worldtest.WantErr(t, err, fs.ErrNotExist)
		worldtest.Must(t, root.Mkdir("dir", 0o700))
		_, err = root.TryLock("dir")
		worldtest.WantErr(t, err, world.ErrNotRegular)
	})
}

// A lock file that its holder has removed is nobody's any more, and the next one
// gets a new file.
func TestTryLockOfARemovedFile(t *testing.T) {
	root := world.Real("test").Disk.Root(tempDir(t))
	unlock, err := root.TryLock("lock")
	worldtest.Must(t, err)
	worldtest.Must(t, root.Remove("lock"))
	again, err := root.TryLock("lock")
	worldtest.Must(t, err)
	unlock()
	_, err = root.TryLock("lock")
	worldtest.WantErr(t, err, world.ErrHeld)
	again()
}
