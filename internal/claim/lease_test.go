package claim

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const year = 365 * 24 * time.Hour

func withLease(t testing.TB, p *Pool, tree string, ttl time.Duration) Claim {
	t.Helper()
	req := request(tree)
	req.TTL = ttl
	c, _, err := p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	return c
}

func wantStale(t testing.TB, p *Pool, want Staleness) {
	t.Helper()
	if c := list(t, p)[0].Claim; c == nil || c.Stale != want {
		t.Fatalf("the claim is %+v, want it stale %q", c, want)
	}
}

func TestLease(t *testing.T) {
	w, p := machine(t, "small")
	c := withLease(t, p, "a", time.Hour)
	if c.Lease != (Lease{TTL: time.Hour, Left: time.Hour}) {
		t.Errorf("the lease is %+v", c.Lease)
	}
	w.Pass(time.Hour - 1)
	wantStale(t, p, "")
	w.Pass(1)
	wantStale(t, p, LeaseOver)
	// The worktree claims again: with the lease it had, or another.
	if again := claim(t, p, "a"); again.Lease.Left != time.Hour || again.Token != c.Token {
		t.Errorf("renewed it is %+v", again)
	}
	wantStale(t, p, "")
	if again := withLease(t, p, "a", 2*time.Hour); again.Lease.Left != 2*time.Hour {
		t.Errorf("renewed it is %+v", again)
	}
	w.Pass(2 * time.Hour)
	wantStale(t, p, LeaseOver)
	wantEntered(t, p, "a")
}

// Nobody's claim is over because somebody sets the clock, and none lasts longer.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{year, -year} {
		w, p := machine(t, "small", "small")
		withLease(t, p, "a", time.Hour)
		w.Advance(jump)
		wantStale(t, p, "")
		w.Pass(time.Hour)
		wantStale(t, p, LeaseOver)
		withLease(t, p, "a", time.Hour)
		w.Advance(-2 * jump)
		wantStale(t, p, "")

		req := request("b")
		req.Wait, req.Least = time.Minute, "small"
		claim(t, p, "c")
		jumped := &jumping{Fake: w, by: jump}
		var none *NoneFreeError
		if _, _, err := open(jumped.World()).Claim(t.Context(), req); !errors.As(err, &none) {
			t.Errorf("got %v", err)
		}
		if jumped.slept < time.Minute || jumped.slept > time.Minute+waitPause {
			t.Errorf("waited %s", jumped.slept)
		}
	}
}

// jumping is a world whose wall clock is set each time that somebody sleeps.
type jumping struct {
	*world.Fake
	by, slept time.Duration
}

func (j *jumping) World() world.World {
	w := j.Fake.World()
	w.Clock = worldtest.Clock{Clock: w.Clock, OnSleep: func(ctx context.Context, d time.Duration) error {
		j.slept += d
		j.by = -j.by
		j.Advance(j.by)
		return j.Sleep(ctx, d)
	}}
	return w
}

// After a reboot a lease starts anew, from the boot.
func TestReboot(t *testing.T) {
	w, p := machine(t, "small")
	w.Pass(10 * time.Hour)
	withLease(t, p, "a", time.Hour)
	w.Pass(50 * time.Minute)
	w.Reboot()
	w.Pass(59 * time.Minute)
	wantStale(t, p, "")
	if c := list(t, p)[0].Claim; c.Lease.Left != time.Minute {
		t.Errorf("left are %s", c.Lease.Left)
	}
	w.Pass(time.Minute)
	wantStale(t, p, LeaseOver)
	claim(t, p, "a")
	wantStale(t, p, "")
}

// A lease can't be given where the system doesn't tell the time since its boot; one
// that was given isn't over for that.
func TestNoBootTime(t *testing.T) {
	w, p := machine(t, "small", "small")
	withLease(t, p, "a", time.Hour)
	w.Pass(2 * time.Hour)
	blind := open(timeless(w.World()))
	wantStale(t, blind, "")
	req := request("b")
	req.TTL = time.Hour
	_, _, err := blind.Claim(t.Context(), req)
	worldtest.WantErr(t, err, syscall.ENOSYS)
	claim(t, blind, "b")
	req.Worktree, req.TTL, req.Wait = trees+"c", 0, time.Hour
	_, _, err = blind.Claim(t.Context(), req)
	worldtest.WantErr(t, err, syscall.ENOSYS)
	wantStale(t, p, LeaseOver)
}

// timeless is a world that doesn't tell the time since its boot.
func timeless(w world.World) world.World {
	w.Clock = worldtest.Clock{Clock: w.Clock, OnBootTime: func() (string, time.Duration, error) { return "", 0, syscall.ENOSYS }}
	return w
}

// A worktree that can't be looked at isn't gone.
func TestWorktreeGone(t *testing.T) {
	w, p := machine(t, "small")
	claim(t, p, "a")
	blind := open(world.Faulty(w.World(), func(op, name string) error {
		if name == trees+"a" {
			return syscall.EACCES
		}
		return nil
	}))
	wantStale(t, blind, "")
	w.Alter("/home/user/trees", func(i *world.Info) { i.Mode &^= 0o777 })
	wantStale(t, p, "")
	w.Alter("/home/user/trees", func(i *world.Info) { i.Mode |= 0o777 })
	worldtest.Must(t, w.Host().RemoveAll(trees+"a"))
	wantStale(t, p, WorktreeGone)
	w.Write("/home/user/trees/a", nil) // where a file is now, no worktree comes back
	wantStale(t, p, WorktreeGone)
	worldtest.Must(t, w.Host().Remove(trees+"a"))
	worldtest.Must(t, w.Host().Symlink(trees+"b", trees+"a"))
	wantStale(t, p, "")
}
