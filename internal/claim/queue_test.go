package claim

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// scripted is a world in which something happens each time that somebody sleeps.
type scripted struct {
	*world.Fake
	sleeps int
	during func(n int) // the n-th, from 1
}

func (s *scripted) World() world.World {
	w := s.Fake.World()
	w.Clock = worldtest.Clock{Clock: w.Clock, OnSleep: func(ctx context.Context, d time.Duration) error {
		s.sleeps++
		if s.during != nil {
			s.during(s.sleeps)
		}
		return s.Sleep(ctx, d)
	}}
	return w
}

func tickets(t testing.TB, w world.World) int {
	t.Helper()
	entries, err := w.Disk.Host().ReadDir(root + "/" + queueDir)
	worldtest.Must(t, err)
	return len(entries)
}

func TestWaitGetsWhatIsReleased(t *testing.T) {
	w, p := machine(t, "small")
	a := claim(t, p, "a")
	told := 0
	s := &scripted{Fake: w, during: func(n int) {
		if tickets(t, w.World()) != 1 || told != 1 {
			t.Errorf("at sleep %d there are %d tickets, it was told %d times", n, tickets(t, w.World()), told)
		}
		if n == 5 {
			release(t, p, a)
		}
	}}
	req := request("b")
	req.Wait = time.Hour
	req.Waiting = func(none *NoneFreeError) {
		told++
		if len(none.Holders) != 1 || none.Holders[0].Claim.Worktree != trees+"a" {
			t.Errorf("told was %+v", none)
		}
	}
	c, _, err := open(s.World()).Claim(t.Context(), req)
	worldtest.Must(t, err)
	if c.Slot != 1 || s.sleeps != 5 || tickets(t, w.World()) != 0 {
		t.Errorf("got %+v after %d sleeps, %d tickets are left", c, s.sleeps, tickets(t, w.World()))
	}
}

func TestWaitIsOver(t *testing.T) {
	w, p := machine(t, "small")
	claim(t, p, "a")
	s := &scripted{Fake: w}
	req := request("b")
	req.Wait = time.Second
	_, _, err := open(s.World()).Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	if s.sleeps != 10 || tickets(t, w.World()) != 0 {
		t.Errorf("%d sleeps, %d tickets are left", s.sleeps, tickets(t, w.World()))
	}
	// For what the pool hasn't got nobody waits.
	req.Least = "huge"
	_, _, err = open(s.World()).Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	if s.sleeps != 10 {
		t.Error("it waited for nothing")
	}
	// Interrupted, it says so, and leaves the queue.
	ctx, cancel := context.WithCancel(t.Context())
	s.during = func(int) { cancel() }
	req.Least = ""
	_, _, err = open(s.World()).Claim(ctx, req)
	worldtest.WantErr(t, err, context.Canceled)
	if errors.Is(err, ErrNoneFree) || tickets(t, w.World()) != 0 {
		t.Errorf("got %v, %d tickets are left", err, tickets(t, w.World()))
	}
}

// A worktree that gets a slot by another process of it waits no more.
func TestWaitForAnotherOfTheSameWorktree(t *testing.T) {
	w, p := machine(t, "small", "small")
	claim(t, p, "a")
	c := claim(t, p, "b")
	s := &scripted{Fake: w, during: func(n int) {
		if n == 3 {
			release(t, p, c)
			enter(t, p, 2, trees+"d", otherTime)
		}
	}}
	req := request("d")
	req.Wait = time.Hour
	got, renewed, err := open(s.World()).Claim(t.Context(), req)
	worldtest.Must(t, err)
	if got.Slot != 2 || !renewed || s.sleeps != 3 {
		t.Errorf("got %+v, %v after %d sleeps", got, renewed, s.sleeps)
	}
}

// waits puts a claim into the queue, as a living process does until it leaves.
func waits(t testing.TB, p *Pool, least string) *ticket {
	t.Helper()
	var got *ticket
	worldtest.Must(t, p.transact(t.Context(), func(*view) (err error) {
		got, err = p.join(least)
		return err
	}))
	return got
}

// Nobody gets what somebody could take who has waited longer.
func TestQueueIsFair(t *testing.T) {
	for _, test := range []struct {
		free    string // profiles of the free slots
		waiting string // least profiles of those who wait, in order
		least   string
		want    int // the slot, or 0
	}{
		{"small", "small", "small", 0},
		{"small small", "small", "small", 2},
		{"small small", "small small", "small", 0},
		{"large", "small", "large", 0},
		{"small large", "small", "large", 2},
		{"small large", "large", "small", 1},
		{"large small large", "large", "large", 3},
		{"small", "huge huge", "small", 1},
		{"large large", "small large", "small", 0},
		{"small huge", "huge small large", "small", 0},
		{"small", "unheard-of", "small", 1},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			_, p := machine(t, strings.Fields(test.free)...)
			for _, least := range strings.Fields(test.waiting) {
				waits(t, p, least)
			}
			req := request("a")
			req.Least = test.least
			c, _, err := p.Claim(t.Context(), req)
			if test.want == 0 {
				worldtest.WantErr(t, err, ErrNoneFree)
				wantText(t, err, "before this one wait")
				return
			}
			worldtest.Must(t, err)
			if c.Slot != test.want {
				t.Errorf("got slot %d", c.Slot)
			}
		})
	}
}

// Three wait; each gets its slot when those before it have one, in the order of
// their coming.
func TestQueueIsServedInOrder(t *testing.T) {
	w, p := machine(t, "small")
	holder := claim(t, p, "a")
	var served []string
	var wait func(trees []string)
	wait = func(names []string) {
		s := &scripted{Fake: w}
		s.during = func(n int) {
			switch {
			case n == 1 && len(names) > 1:
				wait(names[1:]) // comes while this one waits
			case n == 1:
				release(t, p, holder)
			}
		}
		req := request(names[0])
		req.Wait = time.Minute
		c, _, err := open(s.World()).Claim(t.Context(), req)
		if err != nil {
			served = append(served, names[0]+" not")
			return
		}
		served = append(served, names[0])
		holder = c
	}
	wait([]string{"b", "c", "d"})
	// The latest wait within the first one's, so they must give up before it.
	if want := []string{"d not", "c not", "b"}; !slices.Equal(served, want) {
		t.Errorf("served were %q, want %q", served, want)
	}
}

// The place of a process that died is nobody's.
func TestQueueOfTheDead(t *testing.T) {
	w, p := machine(t, "small")
	dir := root + "/" + queueDir
	w.Write(path.Join(dir, "000007-"+ticketProfile("small")), []byte("pid 1"))
	w.Write(path.Join(dir, "notes.txt"), nil)
	claim(t, p, "a")
	if got := tickets(t, w.World()); got != 1 {
		t.Errorf("%d files are left, want that of somebody else", got)
	}
	alive := waits(t, p, "small")
	if later := waits(t, p, "small"); later.number <= alive.number {
		t.Errorf("%d comes after %d", later.number, alive.number)
	}
	alive.unlock() // as when it is killed
	if third := waits(t, p, "small"); third.number != alive.number+2 {
		t.Errorf("got the place %d", third.number)
	}
}

func TestQueueFails(t *testing.T) {
	for _, op := range []string{"readdir", "lock", "remove"} {
		w, p := machine(t, "small")
		w.Write(path.Join(root, queueDir, "000007-"+ticketProfile("small")), nil)
		faulty := world.Faulty(w.World(), func(o, name string) error {
			if o == op && strings.Contains(name, queueDir) {
				return syscall.EIO
			}
			return nil
		})
		if _, _, err := open(faulty).Claim(t.Context(), request("a")); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", op, err)
		}
		wantHolders(t, p, "-")
	}
}

// reclaiming notes whose stack is stopped, with the slot's lock held.
func reclaiming(t testing.TB, p *Pool, stopped *[]string) func(context.Context, Claim) error {
	return func(ctx context.Context, c Claim) error {
		*stopped = append(*stopped, path.Base(c.Worktree))
		if _, err := p.tryGuard(ctx, target(c)); !errors.Is(err, ErrBusy) {
			t.Errorf("slot %d isn't locked: %v", c.Slot, err)
		}
		if reg, err := p.store.Load(ctx); err != nil || !strings.Contains(string(reg.JSON()), c.Worktree) {
			t.Errorf("slot %d isn't claimed any more, while its stack is stopped: %v", c.Slot, err)
		}
		return nil
	}
}

// Fault 3: a stale claim is taken back when nothing else is free, after what runs
// there was stopped.
func TestReclaim(t *testing.T) {
	w, p := machine(t, "small", "small", "large", "large")
	withLease(t, p, "a", time.Hour)
	claim(t, p, "b")
	worldtest.Must(t, w.Host().RemoveAll(trees+"b"))
	withLease(t, p, "c", 3*time.Hour)
	w.Pass(2 * time.Hour)
	var stopped []string
	req := request("d")
	req.Reclaim = reclaiming(t, p, &stopped)
	c, _, err := p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	if len(stopped) != 0 || c.Slot != 4 {
		t.Errorf("slot %d was free, stopped were %q", c.Slot, stopped)
	}
	req = request("e")
	if _, _, err := p.Claim(t.Context(), req); !errors.Is(err, ErrNoneFree) {
		t.Errorf("without leave it got %v", err)
	}
	req.Reclaim = reclaiming(t, p, &stopped)
	c, _, err = p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	if c.Slot != 1 || !slices.Equal(stopped, []string{"a"}) {
		t.Errorf("got slot %d, stopped were %q", c.Slot, stopped)
	}
	wantEntered(t, p, "e b c d")
	if read(t, w.World(), copyInA) != "" {
		t.Error("the former holder has still got the slot's variables")
	}
}

// One that isn't stale any more when it is to be taken back stays, also when its
// worktree claims again at the last moment.
func TestReclaimComesTooLate(t *testing.T) {
	w, p := machine(t, "small")
	withLease(t, p, "a", time.Hour)
	w.Pass(2 * time.Hour)
	req := request("b")
	req.Reclaim = func(context.Context, Claim) error {
		claim(t, p, "a")
		return nil
	}
	_, _, err := p.Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	wantEntered(t, p, "a")
	c := *list(t, p)[0].Claim
	only := target(c)
	only.StaleOnly = true
	_, err = p.Guard(t.Context(), only)
	worldtest.WantErr(t, err, ErrNotStale)
	worldtest.WantErr(t, p.Release(t.Context(), only), ErrNotStale)
	w.Pass(2 * time.Hour)
	worldtest.Must(t, p.Release(t.Context(), only))
}

func TestReclaimFails(t *testing.T) {
	w, p := machine(t, "small")
	claim(t, p, "a")
	worldtest.Must(t, w.Host().RemoveAll(trees+"a"))
	req := request("b")
	broken := errors.New("engine not reachable")
	req.Reclaim = func(context.Context, Claim) error { return broken }
	_, _, err := p.Claim(t.Context(), req)
	worldtest.WantErr(t, err, broken)
	wantEntered(t, p, "a")
	// Somebody else works on it: not an error, but not to be had, either.
	unlock, err := p.Guard(t.Context(), target(*list(t, p)[0].Claim))
	worldtest.Must(t, err)
	_, _, err = p.Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	unlock()
}

// Who waits gets what becomes stale meanwhile.
func TestWaitReclaims(t *testing.T) {
	w, p := machine(t, "small")
	withLease(t, p, "a", time.Minute)
	var stopped []string
	req := request("b")
	req.Wait = time.Hour
	req.Reclaim = reclaiming(t, p, &stopped)
	c, _, err := p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	if c.Slot != 1 || len(stopped) != 1 || tickets(t, w.World()) != 0 {
		t.Errorf("got %+v, stopped were %q", c, stopped)
	}
	if _, up, _ := w.BootTime(); up < time.Minute || up > time.Minute+2*waitPause {
		t.Errorf("waited %s", up)
	}
}
