package world_test

import (
	"errors"
	"path"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// Each directory is durable before there is anything in it, wherever the process is killed.
func TestMakeDirs(t *testing.T) {
	errKilled := errors.New("killed")
	for killAt := 1; ; killAt++ {
		fake := world.NewFake()
		durable := map[string]bool{"/home/user": true}
		count := 0
		w := world.Faulty(fake.World(), func(op, name string) error {
			if op == "lstat" {
				return nil
			}
			if count++; count == killAt {
				return errKilled
			}
			if op == "sync" {
				for _, dir := range []string{"/home/user/a", "/home/user/a/b", "/home/user/a/b/c"} {
					if _, err := fake.Host().Lstat(dir); err == nil && path.Dir(dir) == name {
						durable[dir] = true
					}
				}
			}
			return nil
		})
		makeDirs := func() error { return world.MakeDirs(w.Disk.Host(), "/home/user/a/b/c", 0o700) }
		err := makeDirs()
		there := count
		if err != nil {
			if err = makeDirs(); err != nil {
				t.Fatalf("killed at %d, and again: %v", killAt, err)
			}
		}
		if len(durable) != 4 {
			t.Fatalf("killed at %d: durable are only %v", killAt, durable)
		}
		if there < killAt {
			return
		}
	}
}

// A directory above that can't be opened is no obstacle, one that fails otherwise is.
func TestMakeDirsWithoutSync(t *testing.T) {
	for _, fault := range []error{syscall.EACCES, syscall.EIO} {
		w := world.Faulty(world.NewFake().World(), func(op, _ string) error {
			if op == "sync" {
				return fault
			}
			return nil
		})
		err := world.MakeDirs(w.Disk.Host(), "/home/user/a/b", 0o700)
		if errors.Is(err, syscall.EIO) != (fault == syscall.EIO) {
			t.Errorf("sync fails with %v: got %v", fault, err)
		}
		_, statErr := w.Disk.Host().Lstat("/home/user/a/b")
		if made := statErr == nil; made != (fault == error(syscall.EACCES)) {
			t.Errorf("sync fails with %v: made: %v", fault, made)
		}
	}
}
