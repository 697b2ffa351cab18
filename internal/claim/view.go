package claim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
)

// view is the registry and the ledger, brought together.
type view struct {
	pool   *Pool
	reg    *registry.Registry
	ledger *ledger
	now    func() instant // asked for only where there is a lease to be judged
}

// load reads both files, without a lock. The registry comes first: a claim is
// written to the ledger first, so what the registry has of kinfra's doings the
// ledger then has, too.
func (p *Pool) load(ctx context.Context) (*view, error) {
	reg, err := p.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	return p.view(reg)
}

// view brings a registry and the ledger together, in memory.
func (p *Pool) view(reg *registry.Registry) (*view, error) {
	l, err := p.readLedger()
	if err != nil {
		return nil, err
	}
	v := &view{pool: p, reg: reg, ledger: l, now: sync.OnceValue(func() instant { return now(p.w) })}
	return v, v.reconcile()
}

// reconcile corrects the registry where it lacks a claim that kinfra gave or has
// one that was released; the package comment says by which rules.
func (v *view) reconcile() error {
	for _, id := range slices.Sorted(maps.Keys(v.ledger.Claims)) {
		s, ok := v.reg.Slot(id)
		if !ok {
			if err := v.forget(id); err != nil {
				return err
			}
			continue
		}
		r := v.ledger.Claims[id]
		switch {
		case s.ClaimedBy == r.Worktree && s.ClaimedAt == r.ClaimedAt:
		case s.ClaimedBy == "" || v.ledger.wasReleased(identity(s)):
			s.ClaimedBy, s.ClaimedAt = r.Worktree, r.ClaimedAt
			if err := v.reg.PutSlot(s); err != nil {
				return fmt.Errorf("putting the claim of slot %d back: %w", id, err)
			}
		case s.ClaimedBy == r.Worktree:
			// Another tool gave it to the same worktree anew.
			anew := *r
			anew.ClaimedAt = s.ClaimedAt
			v.ledger.give(id, anew)
		}
	}
	for _, s := range v.reg.Slots() {
		if s.ClaimedBy == "" || v.ledger.Claims[s.ID] != nil || !v.ledger.wasReleased(identity(s)) {
			continue
		}
		if err := v.free(s); err != nil {
			return err
		}
	}
	return nil
}

// forget drops the claim of a slot that was removed: of which neither an entry is
// left nor a directory. One that lacks the entry only may get it back.
func (v *view) forget(id int) error {
	_, err := v.pool.w.Disk.Host().Lstat(slot.Dir(v.pool.store.Root(), id))
	if errors.Is(err, fs.ErrNotExist) {
		v.ledger.end(id)
		v.ledger.useVolumes(id, "")
		v.ledger.makeVolumes(id, nil)
		return nil
	}
	return err
}

// identity tells the claim of a slot, as the registry has it, from all others.
func identity(s registry.Slot) released {
	return released{Slot: s.ID, Worktree: s.ClaimedBy, ClaimedAt: s.ClaimedAt}
}

// free takes the claim out of a slot's entry.
func (v *view) free(s registry.Slot) error {
	s.ClaimedBy, s.ClaimedAt, s.Status = "", "", ""
	if err := v.reg.PutSlot(s); err != nil {
		return fmt.Errorf("freeing slot %d: %w", s.ID, err)
	}
	return nil
}

// slots are all slots with who holds them, ascending.
func (v *view) slots() []Slot {
	entries := v.reg.Slots()
	all := make([]Slot, len(entries))
	for i, entry := range entries {
		all[i] = v.slot(entry)
	}
	return all
}

// slot is a slot with who holds it.
func (v *view) slot(entry registry.Slot) Slot {
	s := Slot{Slot: entry}
	r := v.ledger.Claims[entry.ID]
	if r == nil {
		if entry.ClaimedBy != "" {
			s.Claim = v.foreign(entry)
		}
		return s
	}
	s.Claim = &Claim{
		Slot: entry.ID, Profile: entry.Profile, Ports: entry.Ports, Worktree: r.Worktree, ClaimedAt: r.ClaimedAt,
		Token: r.Token, Started: v.ledger.Volumes[entry.ID] == r.Token,
	}
	if r.Lease != (lease{}) {
		s.Claim.Lease = v.now().read(r.Lease)
	}
	v.judge(s.Claim, r.Origin)
	if entry.ClaimedBy != r.Worktree {
		s.Contender = v.foreign(entry)
		s.ClaimedBy, s.ClaimedAt = r.Worktree, r.ClaimedAt
	}
	return s
}

// foreign is the claim that the registry has and kinfra didn't give.
func (v *view) foreign(entry registry.Slot) *Claim {
	c := &Claim{
		Slot: entry.ID, Profile: entry.Profile, Ports: entry.Ports, Worktree: entry.ClaimedBy, ClaimedAt: entry.ClaimedAt,
		Token: foreignToken(entry), Foreign: true, Started: true,
	}
	v.judge(c, origin{})
	return c
}

// judge finds out whether a claim may be taken back, and whether its worktree is there.
func (v *view) judge(c *Claim, o origin) {
	var gone bool
	gone, c.Missing = o.look(v.pool.w.Disk.Host(), c.Worktree)
	switch {
	case gone:
		c.Stale = WorktreeGone
	case c.Lease.over():
		c.Stale = LeaseOver
	}
}

// conflict is the error about a slot with two holders, or nil.
func (s Slot) conflict() error {
	if s.Contender == nil {
		return nil
	}
	return &ConflictError{Ours: *s.Claim, Theirs: *s.Contender}
}
