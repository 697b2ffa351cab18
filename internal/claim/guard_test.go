package claim

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestGuard(t *testing.T) {
	_, p := machine(t, "small", "small")
	a, b := claim(t, p, "a"), claim(t, p, "b")
	unlock, err := p.Guard(t.Context(), target(a))
	worldtest.Must(t, err)
	other, err := p.Guard(t.Context(), target(b)) // another slot's is free
	worldtest.Must(t, err)
	other()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Guard(ctx, target(a))
	worldtest.WantErr(t, err, context.Canceled)
	unlock()
	again, err := p.Guard(t.Context(), target(a))
	worldtest.Must(t, err)
	again()
	// Where the claim isn't right, the lock isn't kept.
	_, err = p.Guard(t.Context(), Target{Slot: 1, Token: b.Token})
	worldtest.WantErr(t, err, ErrNotHolder)
	again, err = p.tryGuard(t.Context(), target(a))
	worldtest.Must(t, err)
	again()
}

// A process that hangs is named, and waited for no longer than guardWait.
func TestGuardIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := machine(t, "small")
		a := claim(t, p, "a")
		unlock, err := p.Guard(t.Context(), target(a))
		worldtest.Must(t, err)
		defer unlock()
		start := time.Now()
		_, err = p.Guard(t.Context(), target(a))
		worldtest.WantErr(t, err, ErrBusy)
		wantText(t, err, "slot 1")
		if waited := time.Since(start); waited != guardWait {
			t.Errorf("waited %s", waited)
		}
	})
}

// Who waited for the slot's lock until its claim had ended doesn't get it.
func TestGuardAfterARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := machine(t, "small")
		a := claim(t, p, "a")
		unlock, err := p.Guard(t.Context(), target(a))
		worldtest.Must(t, err)
		done := make(chan error)
		go func() {
			_, err := p.Guard(t.Context(), target(a))
			done <- err
		}()
		synctest.Wait()
		release(t, p, a)
		claim(t, p, "b")
		unlock()
		worldtest.WantErr(t, <-done, ErrNotHolder)
	})
}

// The lock of the registry is never held while somebody works on a slot.
func TestGuardHoldsNoOtherLock(t *testing.T) {
	w, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	var locked []string
	watched := open(world.Faulty(w.World(), func(op, name string) error {
		if op == "lock" {
			locked = append(locked, strings.TrimPrefix(name, root+"/"))
		}
		return nil
	}))
	unlock, err := watched.Guard(t.Context(), target(a))
	worldtest.Must(t, err)
	claim(t, p, "b")
	unlock()
	for _, name := range locked {
		if name != slotsDir+"/1.lock" {
			t.Errorf("%s was locked", name)
		}
	}
	if len(locked) == 0 {
		t.Error("nothing was locked")
	}
}
