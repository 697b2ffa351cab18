package claim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/slot"
)

// List gives all slots with who holds them, ascending by number. It writes nothing,
// and releases nothing: what it finds to be put right is put right in memory.
func (p *Pool) List(ctx context.Context) ([]Slot, error) {
	v, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	return v.slots(), nil
}

// Given is who holds which slot by the claims that kinfra gave, also of slots that the
// registry has lost.
func (p *Pool) Given() (map[int]slot.Holder, error) {
	l, err := p.readLedger()
	if err != nil {
		return nil, err
	}
	holders := make(map[int]slot.Holder, len(l.Claims))
	for id, r := range l.Claims {
		holders[id] = slot.Holder{Worktree: r.Worktree, Since: r.ClaimedAt}
	}
	return holders, nil
}

// Find gives the slot that a worktree holds, and whether it holds one; of several,
// which another tool may have given it, the one of the lowest number. The worktree
// is an absolute path, and need not be there any more.
func (p *Pool) Find(ctx context.Context, path string) (Slot, bool, error) {
	tree, err := p.findWorktree(path)
	if err != nil {
		return Slot{}, false, err
	}
	v, err := p.load(ctx)
	if err != nil {
		return Slot{}, false, err
	}
	for _, s := range v.slots() {
		if s.Claim != nil && tree.is(s.Claim.Worktree) || s.Contender != nil && tree.is(s.Contender.Worktree) {
			return s, true, nil
		}
	}
	return Slot{}, false, nil
}

// Holder gives the claim of a slot that a worktree may end: its own, or with force
// anybody's. Of two holders in conflict it is the worktree's own, else kinfra's.
// Errors: slot.ErrUnknownSlot; a *NotHolderError.
func (p *Pool) Holder(ctx context.Context, id int, path string, force bool) (Claim, error) {
	tree, err := p.findWorktree(path)
	if err != nil {
		return Claim{}, err
	}
	v, err := p.load(ctx)
	if err != nil {
		return Claim{}, err
	}
	entry, ok := v.reg.Slot(id)
	if !ok {
		return Claim{}, hint.Wrap(fmt.Errorf("%w: %d", slot.ErrUnknownSlot, id), "kinfra sandbox slots lists them")
	}
	s := v.slot(entry)
	for _, c := range []*Claim{s.Claim, s.Contender} {
		if c != nil && tree.is(c.Worktree) {
			return *c, nil
		}
	}
	if !force || s.Claim == nil {
		return Claim{}, &NotHolderError{Slot: id, Holder: s.Claim}
	}
	return *s.Claim, nil
}

// Agrees tells, without a lock, whether the registry has what kinfra knows of its claims.
func (p *Pool) Agrees(ctx context.Context) (bool, error) {
	if _, err := p.files.Lstat(File); errors.Is(err, fs.ErrNotExist) {
		return true, nil // it knows of none
	}
	v, err := p.load(ctx)
	if err != nil {
		return false, err
	}
	return !v.reg.Changed(), nil
}

// Reconcile brings the registry into line with what kinfra knows of its claims, as
// each transaction does. It is for those who then change the registry by themselves.
func (p *Pool) Reconcile(ctx context.Context) error {
	return p.transact(ctx, func(*view) error { return nil })
}
