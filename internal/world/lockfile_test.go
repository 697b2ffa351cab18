package world

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLockFileReplaced removes and replaces a lock file between its opening and
// its locking.
func TestLockFileReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	p := place{hostSystem{}, opLock, path, path}
	file, err := openLockFile(p)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	check := func(when string, want bool) {
		t.Helper()
		if got, err := lockOpened(p, file); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", when, got, err, want)
		}
	}
	check("as it was opened", true)
	os.Remove(path)
	check("removed", false)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("replaced", false)
}
