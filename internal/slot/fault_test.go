package slot

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// starts are machines at which Ensure has different things to do, each with what
// it then has to tell.
func starts(t *testing.T) map[string]func() *world.Fake {
	whole := func() *world.Fake {
		w := world.NewFake()
		ensure(t, w.World(), specs(3), Options{})
		return w
	}
	return map[string]func() *world.Fake{
		"nothing": world.NewFake,
		"a directory gone, the entry by other rules": func() *world.Fake {
			w := whole()
			alter(t, w.World(), 2, func(s *registry.Slot) { s.Ports[0].Number = 9 })
			w.Host().RemoveAll(Dir(root, 2))
			return w
		},
		"all directories gone": func() *world.Fake {
			w := whole()
			w.Host().RemoveAll(root + "/sandboxes")
			return w
		},
		"files to be replaced": func() *world.Fake {
			w := whole()
			alter(t, w.World(), 1, func(s *registry.Slot) { s.Profile = "large" })
			w.Write(Dir(root, 1)+"/docker-compose.yml", []byte("x"))
			w.Write(Dir(root, 1)+"/.env.sandbox", []byte("X=1\n"))
			w.Host().Remove(Dir(root, 1) + "/.env")
			w.Host().Symlink("x", Dir(root, 1)+"/.env")
			w.Host().Remove(Dir(root, 3) + "/docker-compose.yml")
			return w
		},
	}
}

// Each operation fails once, or that and all that follow (as when the process was
// killed there). What is tried again then ends as if nothing had happened.
func TestEveryOperationFails(t *testing.T) {
	for name, start := range starts(t) {
		for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
			for _, forGood := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %v, for good %v", name, fault, forGood), func(t *testing.T) {
					n := 1
					for failAt(t, start(), n, fault, forGood) {
						n++
					}
					if n < 30 {
						t.Errorf("there are %d operations only", n)
					}
				})
			}
		}
	}
}

// failAt tells whether there was an operation n.
func failAt(t *testing.T, w *world.Fake, n int, fault error, forGood bool) bool {
	var (
		mu    sync.Mutex
		count int
		at    string
	)
	faulty := world.Faulty(w.World(), func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		count++
		if count == n {
			at = fmt.Sprintf("operation %d, %s of %s", n, op, name)
		}
		if count == n || forGood && count > n {
			return fault
		}
		return nil
	})
	results, err := Ensure(t.Context(), faulty, registry.Open(faulty, root), specs(3), Options{Refresh: true})
	if count < n {
		return false
	}
	if err != nil && (results != nil || !errors.Is(err, fault)) {
		t.Errorf("%s: %v, %v", at, results, err)
	}
	if err == nil && !dispensable(at) {
		t.Errorf("%s: the error wasn't told", at)
	}
	if err != nil && !forGood {
		for name := range worldtest.Snapshot(t, w.World(), root) {
			// Where it was the removal itself that failed, the next run removes it.
			if strings.Contains(name, ".tmp-") && !strings.Contains(at, "remove") {
				t.Errorf("%s: %s was left over", at, name)
			}
		}
	}
	for _, r := range ensure(t, w.World(), specs(3), Options{Refresh: true}) {
		if r.Action == Drifted {
			t.Errorf("%s: then slot %d has drifted", at, r.ID)
		}
	}
	wantWhole(t, w.World(), specs(3))
	if t.Failed() {
		t.Fatalf("after %s", at)
	}
	return true
}

// A registry that couldn't be written names no slot, so none stays. One that was
// written, and only may not outlast a loss of power, names them, so they stay.
func TestPublishingFails(t *testing.T) {
	for _, test := range []struct {
		op, name string
		want     int
	}{
		{"create", "", 0}, // of the temporary file
		{"rename", root + "/" + registry.File, 0},
		{"sync", root + "/sandbox", 2},
	} {
		w := world.NewFake()
		faulty := world.Faulty(w.World(), func(op, name string) error {
			if op == test.op && (name == test.name || strings.HasPrefix(name, root+"/sandbox/.") && op == "create") {
				return syscall.EIO
			}
			return nil
		})
		if _, err := Ensure(t.Context(), faulty, registry.Open(faulty, root), specs(2), Options{}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", test.op, err)
		}
		wantWhole(t, w.World(), specs(test.want))
	}
}

// dispensable tells whether an operation may fail without harm: looking whether a
// copy of the registry is there already (another one is made, then), and the sync
// of a directory above the root that isn't ours.
func dispensable(at string) bool {
	return strings.Contains(at, ", read of "+root+"/"+registry.GenerationsDir) ||
		strings.Contains(at, ", sync of ") && !strings.Contains(at, root)
}

// A run without refresh that is cut short leaves no drift.
func TestKilledThenEnsuredWithoutRefresh(t *testing.T) {
	for name, start := range starts(t) {
		if name == "files to be replaced" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				w, count := start(), 0
				var mu sync.Mutex
				faulty := world.Faulty(w.World(), func(op, name string) error {
					mu.Lock()
					defer mu.Unlock()
					if count++; count >= n {
						return syscall.EIO
					}
					return nil
				})
				Ensure(t.Context(), faulty, registry.Open(faulty, root), specs(3), Options{})
				if count < n {
					break
				}
				for _, r := range ensure(t, w.World(), specs(3), Options{}) {
					if r.Action == Drifted {
						t.Fatalf("killed at operation %d, slot %d has drifted: %v", n, r.ID, r.Drift)
					}
				}
				wantWhole(t, w.World(), specs(3))
			}
		})
	}
}

func TestRemoveFails(t *testing.T) {
	for _, forGood := range []bool{false, true} {
		for n := 1; ; n++ {
			w := world.NewFake()
			ensure(t, w.World(), specs(3), Options{})
			var at string
			count := 0
			faulty := world.Faulty(w.World(), func(op, name string) error {
				count++
				if count == n {
					at = fmt.Sprintf("operation %d, %s of %s", n, op, name)
				}
				if count == n || forGood && count > n {
					return syscall.EIO
				}
				return nil
			})
			_, err := Remove(t.Context(), faulty, registry.Open(faulty, root), nil, RemoveOptions{})
			if count < n {
				break
			}
			if !errors.Is(err, syscall.EIO) && !dispensable(at) {
				t.Errorf("%s: %v", at, err)
			}
			// No entry without its directory.
			for _, s := range load(t, w.World()).Slots() {
				if _, err := w.Host().Lstat(Dir(root, s.ID)); err != nil {
					t.Errorf("%s: slot %d: %v", at, s.ID, err)
				}
			}
			if _, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{}); err != nil {
				t.Errorf("%s: then %v", at, err)
			}
			wantWhole(t, w.World(), nil)
		}
	}
}

// An error of the system is not damage, nor a slot that can't be repaired.
func TestSystemErrorsAreNoDamage(t *testing.T) {
	for name, start := range starts(t) {
		t.Run(name, func(t *testing.T) {
			worldtest.EachRefused(t, start().World(), func(t *testing.T, w world.World) {
				_, err := Ensure(t.Context(), w, registry.Open(w, root), specs(3), Options{})
				worldtest.NoDamage(t, err, ErrBroken, registry.ErrDamaged)
				_, err = Remove(t.Context(), w, registry.Open(w, root), nil, RemoveOptions{})
				worldtest.NoDamage(t, err, ErrBroken, registry.ErrDamaged)
			})
		})
	}
}
