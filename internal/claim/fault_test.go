package claim

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// operation is something that changes who holds slots, on a machine prepared for it.
type operation struct {
	prepare func(t *testing.T, w *world.Fake, p *Pool) Claim
	do      func(t *testing.T, p *Pool, c Claim) error
	old     string // the holders before
	new     string // and after
}

// claimUnsynced is the operation of which the log may be lost.
const claimUnsynced = "a claim that isn't synced"

func operations() map[string]operation {
	nothing := func(*testing.T, *world.Fake, *Pool) Claim { return Claim{} }
	claimA := func(t *testing.T, p *Pool, _ Claim) error {
		req := request("a")
		req.TTL = time.Hour
		_, _, err := p.Claim(t.Context(), req)
		return err
	}
	return map[string]operation{
		"the first claim": {nothing, claimA, "- - -", "a - -"},
		"a claim after others": {func(t *testing.T, _ *world.Fake, p *Pool) Claim {
			release(t, p, claim(t, p, "b"))
			return claim(t, p, "c")
		}, claimA, "c - -", "c a -"},
		"a claim beside a stale write": {func(t *testing.T, w *world.Fake, p *Pool) Claim {
			writeBack := stale(t, w, p)
			c := claim(t, p, "c")
			writeBack()
			return c
		}, claimA, "c - -", "c a -"},
		claimUnsynced: {func(t *testing.T, _ *world.Fake, p *Pool) Claim {
			release(t, p, claim(t, p, "b"))
			return Claim{}
		}, func(t *testing.T, p *Pool, _ Claim) error {
			_, _, err := p.Claim(t.Context(), request("a"))
			return err
		}, "- - -", "a - -"},
		"a renewal": {func(t *testing.T, w *world.Fake, p *Pool) Claim {
			c := claim(t, p, "a")
			worldtest.Must(t, w.Host().Remove(copyInA))
			return c
		}, claimA, "a - -", "a - -"},
		"a release": {func(t *testing.T, _ *world.Fake, p *Pool) Claim { return claim(t, p, "a") },
			func(t *testing.T, p *Pool, c Claim) error {
				err := p.Release(t.Context(), target(c))
				if errors.Is(err, ErrNotHolder) {
					return nil // when it is tried again
				}
				return err
			}, "a - -", "- - -"},
		"a conflict's end": {func(t *testing.T, _ *world.Fake, p *Pool) Claim {
			claim(t, p, "a")
			enter(t, p, 1, trees+"b", otherTime)
			return *list(t, p)[0].Contender
		}, func(t *testing.T, p *Pool, c Claim) error {
			err := p.Release(t.Context(), target(c))
			if errors.Is(err, ErrNotHolder) {
				return nil
			}
			return err
		}, "a|b - -", "a - -"},
	}
}

// Each operation of the system fails once, or that and all that follow, as when the
// process was killed there: what is then there is the state before or the one after,
// and the same again ends well.
func TestEveryOperationFails(t *testing.T) {
	for name, op := range operations() {
		for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
			for _, forGood := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %v, for good %v", name, fault, forGood), func(t *testing.T) {
					n := 1
					for failAt(t, op, n, fault, forGood) {
						n++
					}
					if n < 20 {
						t.Errorf("there are %d operations only", n)
					}
				})
			}
		}
	}
}

// failAt tells whether there was an operation n.
func failAt(t *testing.T, op operation, n int, fault error, forGood bool) bool {
	w, p := machine(t, "small", "small", "small")
	c := op.prepare(t, w, p)
	wantHolders(t, p, op.old)
	var (
		mu    sync.Mutex
		count int
		at    string
	)
	faulty := world.Faulty(w.World(), func(o, name string) error {
		mu.Lock()
		defer mu.Unlock()
		count++
		if count == n {
			at = fmt.Sprintf("operation %d, %s of %s", n, o, name)
		}
		if count == n || forGood && count > n {
			return fault
		}
		return nil
	})
	err := op.do(t, open(faulty), c)
	if count < n {
		worldtest.Must(t, err)
		return false
	}
	defer func() {
		if t.Failed() {
			t.Fatalf("after %s, which gave: %v", at, err)
		}
	}()
	now := holders(t, p)
	if now != op.old && now != op.new || err == nil && now != op.new {
		t.Errorf("the holders are %s", now)
	}
	if err != nil && !errors.Is(err, fault) {
		t.Error("the fault isn't told")
	}
	if !strings.Contains(now, "a") && strings.Contains(op.new, "a") && read(t, w.World(), copyInA) != "" {
		t.Error("the worktree has the variables of a slot that it doesn't hold")
	}
	worldtest.Must(t, op.do(t, p, c))
	wantHolders(t, p, op.new)
	worldtest.Must(t, p.Reconcile(t.Context()))
	wantEntered(t, p, op.new)
	// A release that couldn't remove the copy says so.
	told := err != nil && strings.Contains(err.Error(), "released slot 1, but")
	held, has := strings.Contains(op.new, "a"), read(t, w.World(), copyInA) != ""
	if held != has && !told && !strings.Contains(op.old, "|") {
		t.Errorf("held %v, but the worktree has a copy: %v", held, has)
	}
	claim(t, p, "d") // which clears away what is left, if there is something
	for name := range worldtest.Snapshot(t, w.World(), "/home/user") {
		if strings.Contains(name, ".tmp-") {
			t.Errorf("%s is left over", name)
		}
	}
	return true
}

// What is told as done survives a loss of power: each file was synced before it was
// put in place, and each directory after.
func TestDurable(t *testing.T) {
	for name, op := range operations() {
		t.Run(name, func(t *testing.T) {
			w, p := machine(t, "small", "small", "small")
			c := op.prepare(t, w, p)
			var (
				mu    sync.Mutex
				dirty = map[string]string{}
			)
			watched := world.Faulty(w.World(), func(o, name string) error {
				mu.Lock()
				defer mu.Unlock()
				switch o {
				case "create", "append":
					dirty[name] = o
				case "rename":
					for temp := range dirty {
						if strings.Contains(temp, "/."+path.Base(name)+".tmp-") {
							t.Errorf("%s was put in place unsynced", name)
						}
					}
					dirty[path.Dir(name)] = o
				case "mkdir", "mkdirall":
					if _, err := w.Host().Lstat(name); err != nil {
						dirty[path.Dir(name)] = o
					}
				case "sync":
					delete(dirty, name)
				}
				return nil
			})
			worldtest.Must(t, op.do(t, open(watched), c))
			for file, o := range dirty {
				// Copies of the registry may be lost, and so may that of the variables.
				may := strings.Contains(file, "generations") || name == claimUnsynced && file == logPath
				if strings.HasPrefix(file, root) && !may {
					t.Errorf("%s isn't synced after %s", file, o)
				}
			}
		})
	}
}

// A loss of power before an operation was acknowledged may leave each of the two
// files old or new. All four states are the one before or the one after, and no
// claim is torn between two worktrees.
func TestPowerFails(t *testing.T) {
	for name, op := range operations() {
		for _, keep := range []string{"neither", File, "the registry"} {
			t.Run(name+", kept "+keep, func(t *testing.T) {
				w, p := machine(t, "small", "small", "small")
				c := op.prepare(t, w, p)
				files := map[string]string{root + "/" + File: File, p.store.Path(): "the registry"}
				before := map[string]string{}
				for file := range files {
					before[file] = read(t, w.World(), file)
				}
				worldtest.Must(t, op.do(t, p, c))
				for file, name := range files {
					switch {
					case name == keep:
					case before[file] == "":
						worldtest.Must(t, w.Host().Remove(file))
					default:
						w.Write(file, []byte(before[file]))
					}
				}
				if now := holders(t, p); now != op.old && now != op.new {
					t.Errorf("the holders are %s", now)
				}
				worldtest.Must(t, op.do(t, p, c))
				wantHolders(t, p, op.new)
				claim(t, p, "d")
				if now := entered(t, p); strings.Count(now, "a") != strings.Count(op.new, "a") {
					t.Errorf("the registry has %s", now)
				}
			})
		}
	}
}

// An error of the system is not damage: neither leases nor tokens are to be given up for it.
func TestSystemErrorsAreNoDamage(t *testing.T) {
	w, p := machine(t, "small", "large")
	held := claim(t, p, "a")
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		p := open(w)
		_, listErr := p.List(t.Context())
		_, givenErr := p.Given()
		_, _, claimErr := p.Claim(t.Context(), request("b"))
		_, _, againErr := p.Claim(t.Context(), request("a"))
		for _, err := range []error{listErr, givenErr, claimErr, againErr, p.Release(t.Context(), target(held))} {
			worldtest.NoDamage(t, err, ErrDamaged, ErrNotReady, registry.ErrDamaged)
		}
	})
}
