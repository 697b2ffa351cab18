package worldtest

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// SystemErrors are errors with which the system refuses an operation on files that may be
// whole.
func SystemErrors() []error {
	return []error{
		syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.ENOMEM, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ESTALE,
		syscall.EFBIG, syscall.EOVERFLOW, syscall.EINTR, syscall.EINVAL, syscall.ENAMETOOLONG, syscall.ETIMEDOUT, syscall.EROFS,
	}
}

// EachRefused calls do with worlds over w in which the system refuses one operation on
// files, each in turn, with each of SystemErrors; with the first of them, also that and all
// that follow. What do changes is only planned, so that it finds the same files each time.
func EachRefused(t *testing.T, w world.World, do func(t *testing.T, w world.World)) {
	t.Helper()
	for i, fault := range SystemErrors() {
		for _, forGood := range []bool{false, true}[:max(1, 2-i)] {
			at, name := 0, ""
			for n := 1; at == n-1; n++ {
				var mu sync.Mutex
				count := 0
				faulty := world.Faulty(world.Planned(w), func(op, path string) error {
					mu.Lock()
					defer mu.Unlock()
					if count++; count == n || forGood && count > n {
						if count == n {
							at, name = n, op+" "+path
						}
						return fault
					}
					return nil
				})
				do(t, faulty)
				if t.Failed() {
					t.Fatalf("that was with %q at operation %d (%s), for good: %t", fault, n, name, forGood)
				}
			}
			if at < 2 {
				t.Fatalf("it has %d operations only", at)
			}
		}
	}
}

// NoDamage wants an error, nil for none, not to be that something is damaged, and its hint
// not to advise what would lose what may be whole.
func NoDamage(t *testing.T, err error, damage ...error) {
	t.Helper()
	for _, d := range damage {
		if errors.Is(err, d) {
			t.Errorf("it counts as damaged: %v", err)
		}
	}
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		Harmless(t, h.Hint())
	}
}

// Harmless wants advice not to be to move away, remove or replace something.
func Harmless(t *testing.T, advice string) {
	t.Helper()
	for _, word := range []string{"move", "away", "begin with an empty", "fix it", "put it back", "puts one back"} {
		if strings.Contains(advice, word) {
			t.Errorf("it advises: %s", advice)
		}
	}
}
