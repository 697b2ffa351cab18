package registry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// What never was the registry isn't kept as a generation of it.
func TestFailedPublicationIsNoGeneration(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	broken := Open(world.Faulty(w.World(), func(op, name string) error {
		if op == "rename" {
			return syscall.EIO
		}
		return nil
	}), root)
	if err := broken.Update(t.Context(), put(2)); !errors.Is(err, syscall.EIO) {
		t.Errorf("the error is %v", err)
	}
	if all, err := s.Generations(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("the generations are %v, %v", all, err)
	}
}

// Every operation of an update fails once, and then for good: the file has the old
// bytes or, where only its durability is in doubt, the new ones; the error is
// told; and after the next success nothing is left over.
func TestEveryOperationFails(t *testing.T) {
	for _, file := range [][]byte{nil, fixture(t, "v1.json"), fixture(t, "v2.json")} {
		for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
			for _, forGood := range []bool{false, true} {
				for n := 1; ; n++ {
					w, _ := machine(t, file)
					done := failAt(t, w, n, fault, forGood)
					if done {
						if n < 10 {
							t.Fatalf("an update has %d operations only", n)
						}
						break
					}
				}
			}
		}
	}
}

func failAt(t *testing.T, w *world.Fake, n int, fault error, forGood bool) (done bool) {
	var (
		mu    sync.Mutex
		count int
		at    string
	)
	s := Open(world.Faulty(w.World(), func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		count++
		if count == n || forGood && count > n {
			if count == n {
				at = fmt.Sprintf("%v at %s of %s (for good: %v)", fault, op, name, forGood)
			}
			return fault
		}
		return nil
	}), root)
	var before []byte
	if _, err := w.Host().Lstat(s.Path()); err == nil {
		before = onDisk(t, w.World(), s.Path())
	}
	err := s.Update(t.Context(), put(9))
	if count < n {
		return true
	}
	after, readErr := w.Host().ReadFile(s.Path(), 1<<30)
	isOld := bytes.Equal(before, after) && (readErr == nil) == (before != nil)
	if err == nil && isOld {
		t.Errorf("%s: success, but nothing was written", at)
	}
	if err != nil && !errors.Is(err, fault) {
		t.Errorf("%s: the error is %v", at, err)
	}
	if !isOld && err != nil && !strings.Contains(at, "at sync of") {
		t.Errorf("%s: an error, but the file was replaced: %v", at, err)
	}

	healthy := Open(w.World(), root)
	update(t, healthy, put(10))
	r, err := healthy.Load(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	if _, ok := r.Slot(10); !ok {
		t.Errorf("%s: the next update was lost", at)
	}
	for name := range worldtest.Snapshot(t, w.World(), root) {
		if strings.Contains(name, ".tmp-") {
			t.Errorf("%s: %s was left over", at, name)
		}
	}
	if before != nil {
		all, err := healthy.Generations(t.Context())
		if err != nil || !slices.ContainsFunc(all, func(g Generation) bool { return bytes.Equal(onDisk(t, w.World(), g.Path), before) }) {
			t.Errorf("%s: the old bytes are in no generation (%v)", at, err)
		}
	}
	return false
}

// An error of the system is not damage, whatever it comes between: nothing that may be
// whole is to be given up for it.
func TestSystemErrorsAreNoDamage(t *testing.T) {
	w, s := machine(t, nil)
	for id := 1; id <= 3; id++ {
		update(t, s, put(id))
	}
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		s := Open(w, root)
		_, err := s.Load(t.Context())
		worldtest.NoDamage(t, err, ErrDamaged)
		all, err := s.Generations(t.Context())
		worldtest.NoDamage(t, err, ErrDamaged)
		for _, g := range all {
			worldtest.NoDamage(t, g.Err, ErrDamaged)
		}
		_, err = s.Restore(t.Context(), 2)
		worldtest.NoDamage(t, err, ErrDamaged)
		worldtest.NoDamage(t, s.Update(t.Context(), put(4)), ErrDamaged)
		worldtest.NoDamage(t, s.CheckRoot(), ErrDamaged)
	})
}

// Where the registry is damaged and the system hides its copies, the advice is to wait for
// them, and not to begin without.
func TestCopiesThatCannotBeRead(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	w.Write(s.Path(), []byte("{"))
	for _, op := range []string{"readdir", "read"} {
		hides := world.Faulty(w.World(), func(did, path string) error {
			if did == op && strings.Contains(path, "generations") {
				return syscall.EMFILE
			}
			return nil
		})
		_, err := Open(hides, root).Load(t.Context())
		if !errors.Is(err, ErrDamaged) || !strings.HasPrefix(hintOf(err), "keep it as it is until the kept copies can be read (") {
			t.Errorf("%v (%s)", err, hintOf(err))
		}
	}
}
