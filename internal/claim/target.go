package claim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

// Target is the claim that something is done to, and the right to do it.
type Target struct {
	Slot      int
	Token     string // of the claim; once the slot has another holder, it is refused
	StaleOnly bool   // only as long as the claim is stale: ErrNotStale otherwise
}

// find is the claim that a target means. Errors: slot.ErrUnknownSlot, a
// *NotHolderError, ErrNotStale.
func (v *view) find(t Target) (Slot, *Claim, error) {
	entry, ok := v.reg.Slot(t.Slot)
	if !ok {
		return Slot{}, nil, fmt.Errorf("%w: %d", slot.ErrUnknownSlot, t.Slot)
	}
	s := v.slot(entry)
	for _, c := range []*Claim{s.Claim, s.Contender} {
		if c == nil || c.Token != t.Token {
			continue
		}
		if t.StaleOnly && c.Stale == "" {
			return s, nil, fmt.Errorf("%w: slot %d is held by %s", ErrNotStale, t.Slot, c.since())
		}
		return s, c, nil
	}
	return s, nil, &NotHolderError{Slot: t.Slot, Holder: s.Claim}
}

// Release ends a claim: it removes the copy of the slot's variables from the
// worktree, unless somebody has changed it, and then frees the slot, which is
// recorded as stopped. What runs in the slot is to be stopped before, under its
// [Pool.Guard]. Of two holders in conflict, the one is released whose token it is;
// the other stays.
//
// That the copy can't be removed is told by an error, but doesn't keep the claim.
func (p *Pool) Release(ctx context.Context, t Target) error {
	v, err := p.load(ctx)
	if err != nil {
		return err
	}
	_, c, err := v.find(t)
	if err != nil {
		return err
	}
	// First, since a process that is killed in between must not leave the worktree
	// with the ports of a slot that is another's.
	envErr := p.takeEnv(*c, v.envHash(c))
	err = p.transact(ctx, func(v *view) error { return v.release(t) })
	if err != nil {
		return errors.Join(err, envErr)
	}
	if envErr != nil {
		return fmt.Errorf("released slot %d, but: %w", t.Slot, envErr)
	}
	return nil
}

// envHash is the hash of the copy that a claim has left. Other tools leave the
// slot's variables as they are.
func (v *view) envHash(c *Claim) string {
	if !c.Foreign {
		return v.ledger.Claims[c.Slot].Env
	}
	data, err := v.pool.slotEnv(c.Slot)
	if err != nil {
		return ""
	}
	return hashOf(data)
}

// release ends a claim in both files.
func (v *view) release(t Target) error {
	s, c, err := v.find(t)
	if err != nil {
		return err
	}
	v.ledger.remember(released{Slot: c.Slot, Worktree: c.Worktree, ClaimedAt: c.ClaimedAt})
	if !c.Foreign {
		v.ledger.end(c.Slot)
	}
	entry, _ := v.reg.Slot(c.Slot)
	if s.Contender == nil {
		return v.free(entry)
	}
	if c.Foreign { // then it is kinfra's who stays
		entry.ClaimedBy, entry.ClaimedAt = s.Claim.Worktree, s.Claim.ClaimedAt
		return v.reg.PutSlot(entry)
	}
	return nil
}

// slotsDir holds a lock file for each slot, below the root.
const slotsDir = "kinfra/slots"

// guardWait is how long Guard waits for another process that works on the slot.
const guardWait = 10 * time.Second

// Guard makes sure that nobody else starts, stops or releases a slot's stack until
// unlock is called, and that the claim still is what the target says. It is for
// operations that take long, during which the registry's lock must not be held.
//
// Errors: ErrBusy, naming the other process; a *NotHolderError, naming who holds the
// slot now; a *ConflictError, since it can't be told whose stack it is;
// ErrNotStale; slot.ErrUnknownSlot.
func (p *Pool) Guard(ctx context.Context, t Target) (unlock func(), err error) {
	waiting, stop := context.WithTimeout(ctx, guardWait)
	defer stop()
	unlock, err = p.lockSlot(t.Slot, func(name string) (func(), error) { return p.files.Lock(waiting, name) })
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, busy(t.Slot, err)
	}
	return p.guarded(ctx, t, unlock, err)
}

// tryGuard is Guard that doesn't wait.
func (p *Pool) tryGuard(ctx context.Context, t Target) (unlock func(), err error) {
	unlock, err = p.lockSlot(t.Slot, p.files.TryLock)
	if errors.Is(err, world.ErrHeld) {
		return nil, busy(t.Slot, err)
	}
	return p.guarded(ctx, t, unlock, err)
}

// lockSlot takes the lock of a slot, and makes its directory if it is missing.
func (p *Pool) lockSlot(id int, lock func(name string) (func(), error)) (unlock func(), err error) {
	name := path.Join(slotsDir, fmt.Sprintf("%d.lock", id))
	unlock, err = lock(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := p.files.MkdirAll(slotsDir, dirMode); err != nil {
			return nil, err
		}
		unlock, err = lock(name)
	}
	return unlock, err
}

// guarded checks the target once its slot is locked.
func (p *Pool) guarded(ctx context.Context, t Target, unlock func(), err error) (func(), error) {
	if err != nil {
		return nil, fmt.Errorf("locking slot %d: %w", t.Slot, err)
	}
	v, err := p.load(ctx)
	if err == nil {
		var s Slot
		if s, _, err = v.find(t); err == nil {
			err = s.conflict()
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// VolumesUsed notes that the slot's volumes are those of this claim from now on, and
// which ones were made for it, in all. It is to be called before they are first written
// to.
func (p *Pool) VolumesUsed(ctx context.Context, t Target, made Volumes) error {
	return p.transact(ctx, func(v *view) error {
		if _, _, err := v.find(t); err != nil {
			return err
		}
		v.ledger.useVolumes(t.Slot, t.Token)
		v.ledger.makeVolumes(t.Slot, made)
		return nil
	})
}

// VolumesMade notes which volumes were made for the slot, in all.
func (p *Pool) VolumesMade(ctx context.Context, t Target, made Volumes) error {
	return p.transact(ctx, func(v *view) error {
		if _, _, err := v.find(t); err != nil {
			return err
		}
		v.ledger.makeVolumes(t.Slot, made)
		return nil
	})
}

// Made are the volumes that were made for a slot, as far as is known: under this claim,
// or under others, which they have outlived. A log of an earlier version has none.
func (p *Pool) Made(ctx context.Context, t Target) (Volumes, error) {
	v, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	_, _, err = v.find(t)
	return v.ledger.Made[t.Slot], err
}

// NeedsCleanVolumes tells whether the slot's volumes, if there are any, may be those
// of another claim, whose passwords and data they hold.
func (p *Pool) NeedsCleanVolumes(ctx context.Context, t Target) (bool, error) {
	v, err := p.load(ctx)
	if err != nil {
		return false, err
	}
	if _, _, err := v.find(t); err != nil {
		return false, err
	}
	return v.ledger.Volumes[t.Slot] != t.Token, nil
}

// Started tells whether the slot's stack was started under this claim; for one that
// another tool gave, whether it may have been. Under the slot's [Pool.Guard] it stays
// so, whereas [Claim.Started] is how it was when the claim was read.
func (p *Pool) Started(ctx context.Context, t Target) (bool, error) {
	v, err := p.load(ctx)
	if err != nil {
		return false, err
	}
	_, c, err := v.find(t)
	if err != nil {
		return false, err
	}
	return c.Started, nil
}

// SetStatus records what the slot's stack is in the registry, for the older tools:
// "running" or "stopped".
func (p *Pool) SetStatus(ctx context.Context, t Target, status string) error {
	return p.transact(ctx, func(v *view) error {
		if _, _, err := v.find(t); err != nil {
			return err
		}
		entry, _ := v.reg.Slot(t.Slot)
		entry.Status = status
		return v.reg.PutSlot(entry)
	})
}
