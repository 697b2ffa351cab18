package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
)

// waitPause is how often who waits looks again.
const waitPause = 100 * time.Millisecond

// waitAndTake takes a slot as soon as one is free, or gives up when the wait is over.
// Stale claims are taken back for it.
func (t *taker) waitAndTake(ctx context.Context) error {
	wait := t.req.Wait
	if t.pool.w.Planned() {
		wait = 0 // what others will do isn't known
	}
	defer func() {
		if t.ticket != nil {
			t.pool.leave(t.ticket)
		}
	}()
	var start instant
	if wait > 0 {
		start = now(t.pool.w)
	}
	for {
		none, err := t.attempt(ctx, wait > 0)
		if none == nil {
			return err
		}
		freed, err := t.reclaim(ctx, none.Stale())
		if err != nil {
			return err
		}
		if freed {
			continue
		}
		over, err := start.over(now(t.pool.w), wait)
		if err != nil {
			return err
		}
		if over || len(none.Holders) == 0 {
			return none
		}
		if err := t.sleepUntilFree(ctx, start, wait); err != nil {
			return fmt.Errorf("waiting for a slot: %w", err)
		}
	}
}

// over tells whether a wait that began at t is over. After a reboot it would be, but
// nobody is there to ask.
func (t instant) over(at instant, wait time.Duration) (bool, error) {
	if wait == 0 {
		return true, nil
	}
	if err := errors.Join(t.err, at.err); err != nil {
		return false, fmt.Errorf("waiting for %s: %w", wait, err)
	}
	return at.up-t.up >= wait, nil
}

// attempt is one transaction that takes a slot, or a place in the queue. none is set
// where no slot is free.
func (t *taker) attempt(ctx context.Context, queue bool) (none *NoneFreeError, err error) {
	joined := false
	err = t.pool.transact(ctx, func(v *view) error {
		err := t.take(v)
		if errors.As(err, &none) && queue && t.ticket == nil && len(none.Holders) > 0 {
			ticket, joinErr := t.pool.join(t.req.Least)
			if joinErr != nil {
				none = nil
				return joinErr
			}
			t.ticket, joined = ticket, true
		}
		return err
	})
	if !errors.Is(err, ErrNoneFree) {
		return nil, err
	}
	if joined && t.req.Waiting != nil {
		t.req.Waiting(none)
	}
	return none, nil
}

// reclaim takes back the first of the stale claims on which nobody else works, and
// tells whether it did.
func (t *taker) reclaim(ctx context.Context, stale []Claim) (bool, error) {
	if t.req.Reclaim == nil {
		return false, nil
	}
	for _, c := range stale {
		target := Target{Slot: c.Slot, Token: c.Token, StaleOnly: true}
		err := t.pool.reclaim(ctx, c, target, t.req.Reclaim)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, ErrBusy), errors.Is(err, ErrNotHolder), errors.Is(err, ErrNotStale), errors.Is(err, ErrConflict):
			// Somebody was quicker.
		default:
			return false, fmt.Errorf("taking slot %d back from %s: %w", c.Slot, c.since(), err)
		}
	}
	return false, nil
}

func (p *Pool) reclaim(ctx context.Context, c Claim, target Target, stop func(context.Context, Claim) error) error {
	unlock, err := p.tryGuard(ctx, target)
	if err != nil {
		return err
	}
	defer unlock()
	if err := stop(ctx, c); err != nil {
		return err
	}
	return p.Release(ctx, target)
}

// sleepUntilFree waits until a slot seems to be free or stale, or the wait is over.
// It takes no lock: whether the slot is for this claim the next attempt finds out.
func (t *taker) sleepUntilFree(ctx context.Context, start instant, wait time.Duration) error {
	for {
		left := wait - (now(t.pool.w).up - start.up) // without a clock, the error below tells
		if err := t.pool.w.Clock.Sleep(ctx, min(waitPause, max(left, time.Millisecond))); err != nil {
			return err
		}
		over, err := start.over(now(t.pool.w), wait)
		if err != nil || over {
			return err
		}
		v, err := t.pool.load(ctx)
		if err != nil {
			return err
		}
		if t.hopeful(v) {
			return nil
		}
	}
}

// hopeful tells whether an attempt may succeed.
func (t *taker) hopeful(v *view) bool {
	all := v.slots()
	entries := make([]registry.Slot, len(all))
	for i, s := range all {
		entries[i] = s.Slot
		if s.Claim != nil && t.tree.is(s.Claim.Worktree) {
			return true
		}
	}
	_, free, err := slot.Choose(entries, t.req.Order, t.req.Least)
	reclaimable := t.req.Reclaim != nil && len(t.noneFree(all, nil).Stale()) > 0
	return free || reclaimable || err != nil
}
