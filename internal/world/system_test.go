package world_test

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// What the system refuses says nothing of what is on disk; what is found there, does.
func TestIsSystemError(t *testing.T) {
	for _, fault := range worldtest.SystemErrors() {
		w := world.Faulty(world.NewFake().World(), func(string, string) error { return fault })
		_, read := w.Disk.Host().ReadFile("/a", 1)
		if err := fmt.Errorf("doing it: %w", read); !world.IsSystemError(err) {
			t.Errorf("%v is none", err)
		}
		if err := errors.Join(errors.New("other"), w.Disk.Host().Rename("/a", "/b")); !world.IsSystemError(err) {
			t.Errorf("%v is none", err)
		}
	}
	for _, found := range []error{fs.ErrNotExist, syscall.ENOENT, fs.ErrExist, world.ErrNotRegular, world.ErrTooLarge, world.ErrEscape, syscall.ENOTDIR, syscall.EISDIR} {
		w := world.Faulty(world.NewFake().World(), func(string, string) error { return found })
		if _, err := w.Disk.Host().ReadFile("/a", 1); world.IsSystemError(err) {
			t.Errorf("%v is one", err)
		}
	}
	if world.IsSystemError(nil) || world.IsSystemError(errors.New("not JSON")) {
		t.Error("what isn't about files is one")
	}
}
