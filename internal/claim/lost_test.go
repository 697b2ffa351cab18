package claim

import (
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// lose does something and lets the power fail then, which takes what the log got
// meanwhile, as far as that wasn't synced.
func lose(t *testing.T, w *world.Fake, do func(*Pool)) {
	t.Helper()
	durable := read(t, w.World(), logPath)
	do(open(world.Faulty(w.World(), func(op, name string) error {
		if name == logPath && op == "sync" {
			t.Error("the log is synced")
		}
		return nil
	})))
	if read(t, w.World(), logPath) == durable {
		t.Error("the log got nothing")
	}
	w.Write(logPath, []byte(durable))
	w.Reboot()
}

// used is a machine of two slots that worktree e has had, and whose volumes it used.
func used(t *testing.T) (*world.Fake, *Pool) {
	t.Helper()
	w, p := machine(t, "small", "small")
	for _, tree := range []string{"e", "d"} {
		claim(t, p, tree)
	}
	for _, s := range list(t, p) {
		worldtest.Must(t, p.VolumesUsed(t.Context(), target(*s.Claim), nil))
		release(t, p, *s.Claim)
	}
	return w, p
}

func wantClean(t *testing.T, p *Pool, c Claim, want bool) {
	t.Helper()
	got, err := p.NeedsCleanVolumes(t.Context(), target(c))
	worldtest.Must(t, err)
	if got != want {
		t.Errorf("clean volumes are needed: %v, want %v", got, want)
	}
}

// A claim that the log has lost is one of unknown origin: it stands, whatever others
// do, and ends as any other.
func TestLostClaimStands(t *testing.T) {
	w, p := used(t)
	lose(t, w, func(p *Pool) { claim(t, p, "a") })
	wantHolders(t, p, "a -")
	c := *list(t, p)[0].Claim
	if !c.Foreign {
		t.Errorf("it is %+v", c)
	}
	if c := claim(t, p, "b"); c.Slot != 2 {
		t.Errorf("b got slot %d", c.Slot)
	}
	_, _, err := p.Claim(t.Context(), request("c"))
	worldtest.WantErr(t, err, ErrNoneFree)
	worldtest.WantErr(t, p.Release(t.Context(), Target{Slot: 1, Token: c.Token, StaleOnly: true}), ErrNotStale)
	unlock, err := p.Guard(t.Context(), target(c))
	worldtest.Must(t, err)
	unlock()
	release(t, p, c)
	if read(t, w.World(), copyInA) != "" {
		t.Error("the worktree has the variables of a slot that it doesn't hold")
	}
	wantHolders(t, p, "- b")
	wantEntered(t, p, "- b")
}

// Its worktree gets the same slot again, but neither volumes that somebody used before
// it, nor others than those that it has used itself.
func TestLostClaimIsRenewed(t *testing.T) {
	w, p := used(t)
	lose(t, w, func(p *Pool) { claim(t, p, "a") })
	wantClean(t, p, *list(t, p)[0].Claim, true)
	c, renewed, err := p.Claim(t.Context(), request("a"))
	worldtest.Must(t, err)
	if c.Slot != 1 || !renewed || c.Foreign || c.Started {
		t.Errorf("got %+v, renewed %v", c, renewed)
	}
	wantClean(t, p, c, true)
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(c), nil))
	wantClean(t, p, c, false)

	// Its renewal may be lost as well.
	w, p = used(t)
	lose(t, w, func(p *Pool) { claim(t, p, "a") })
	lose(t, w, func(p *Pool) { claim(t, p, "a") })
	wantHolders(t, p, "a -")
	c = *list(t, p)[0].Claim
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(c), nil))
	wantClean(t, p, claim(t, p, "a"), false)
}

// Also where another tool has used the slot, of whose volumes kinfra knows nothing.
func TestLostClaimAfterAnotherTool(t *testing.T) {
	w, p := machine(t, "small")
	enter(t, p, 1, trees+"e", otherTime)
	enter(t, p, 1, "", "")
	release(t, p, claim(t, p, "d"))
	lose(t, w, func(p *Pool) { claim(t, p, "a") })
	wantClean(t, p, *list(t, p)[0].Claim, true)
	wantClean(t, p, claim(t, p, "a"), true)
}

// It isn't taken for the worktree's earlier one, which was released.
func TestLostClaimAfterRelease(t *testing.T) {
	w, p := used(t)
	release(t, p, claim(t, p, "a"))
	lose(t, w, func(p *Pool) { claim(t, p, "a") })
	worldtest.Must(t, p.Reconcile(t.Context()))
	wantHolders(t, p, "a -")
	wantEntered(t, p, "a -")
	release(t, p, claim(t, p, "a"))
	wantHolders(t, p, "- -")
}

// Several are lost together, as if they had never been in the log; what was synced
// before isn't.
func TestLostClaims(t *testing.T) {
	w, p := used(t)
	lose(t, w, func(p *Pool) {
		claim(t, p, "a")
		claim(t, p, "b")
	})
	wantHolders(t, p, "a b")
	worldtest.Must(t, w.Host().RemoveAll(trees+"a"))
	lost := *list(t, p)[0].Claim
	worldtest.WantErr(t, p.Release(t.Context(), Target{Slot: 1, Token: lost.Token, StaleOnly: true}), ErrNotStale)
	release(t, p, lost)
	wantHolders(t, p, "- b")
	if c := claim(t, p, "c"); c.Slot != 1 {
		t.Errorf("c got slot %d", c.Slot)
	}
	wantHolders(t, p, "c b")
	wantEntered(t, p, "c b")
}
