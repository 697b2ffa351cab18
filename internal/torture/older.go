package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	besideClaimers = 4
	besideWriters  = 2 // their worktrees have the numbers after the claimers'
	besideSlots    = 6

	// lostAfter is how often a claim is looked for before it counts as lost for good,
	// and an operation tried again that the writers came in between.
	lostAfter = 100
)

// beside is a pool that older tools write to while kinfra claims.
type beside struct {
	pool
	until time.Duration

	mu        sync.Mutex
	claims    int
	checks    int // of claims that are held
	conflicts int // that were reported, each time
	refusals  int
	restored  int // how often slots were provisioned that had been erased
	mended    int // how often a generation was put back in place of a damaged registry
	broken    []string
}

func (b *beside) count(n *int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n++
}

func (b *beside) wrong(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = append(b.broken, fmt.Sprintf(format, args...))
}

// tryOlder has kinfra claim beside tools that take no lock.
func tryOlder(ctx context.Context, l *lab) (finding, error) {
	var f finding
	dir, err := l.newDirInMemory("older")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	p, err := newPool(ctx, world.Real("the judge"), dir, small(besideSlots), besideClaimers+besideWriters)
	if err != nil {
		return f, err
	}
	b := &beside{pool: p, until: upTime() + pick(l, 10*time.Second, 2*time.Second)}
	var waits []func() (rewrites, error)
	for i := range besideWriters {
		o := order{Role: "older", Dir: dir, Number: besideClaimers + i, Until: b.until}
		wait, err := startOlder(ctx, p, o, i == 0)
		if err != nil {
			return f, err
		}
		waits = append(waits, wait)
	}
	held := make([]*claim.Claim, besideClaimers)
	var wg sync.WaitGroup
	for i := range held {
		wg.Go(func() { held[i] = b.claimer(ctx, i) })
	}
	wg.Wait()
	var all rewrites
	for _, wait := range waits {
		r, err := wait()
		if err != nil {
			return f, fmt.Errorf("a writer: %w", err)
		}
		all.Writes, all.Erased = all.Writes+r.Writes, all.Erased+r.Erased
	}
	b.settle(ctx, held)
	f.broken = b.broken
	f.figures = fmt.Sprintf("%d rewrites, %d of which erased the slots (provisioned again %d times), some damaged it (restored %d times); %d claims, looked for %d times; "+
		"%d times a conflict was reported; %d refusals", all.Writes, all.Erased, b.restored, b.mended, b.claims, b.checks, b.conflicts, b.refusals)
	if b.claims == 0 || all.Writes == 0 || b.conflicts == 0 && !l.short {
		f.wrong("nothing was tried: %s", f.figures)
	}
	return f, ctx.Err()
}

// claimer claims and releases for one worktree, and looks for the claim meanwhile. It
// returns what it holds in the end.
func (b *beside) claimer(ctx context.Context, i int) *claim.Claim {
	p := openPool(world.Real(fmt.Sprint("claimer ", i)), strings.TrimSuffix(b.root, "/root"))
	for upTime() < b.until && ctx.Err() == nil {
		c, err := p.claim(ctx, i)
		if err != nil {
			b.refused(ctx, p, err)
			continue
		}
		b.count(&b.claims)
		for range 1 + rand.IntN(5) {
			time.Sleep(rand.N(10 * time.Millisecond))
			b.look(ctx, p, c)
		}
		if upTime() >= b.until {
			return &c
		}
		if err := b.again(ctx, p, func() error { return b.release(ctx, p, c) }); err != nil {
			b.wrong("releasing slot %d by tree-%d: %v", c.Slot, i, err)
		}
	}
	return nil
}

// release ends a claim, for which its slot has to be there.
func (b *beside) release(ctx context.Context, p pool, c claim.Claim) error {
	err := p.Release(ctx, target(c))
	for try := 1; errors.Is(err, slot.ErrUnknownSlot) && try < lostAfter; try++ {
		b.provisionAgain(ctx, p)
		err = p.Release(ctx, target(c))
	}
	return err
}

// refused judges why a claim was refused. Slots that are gone are provisioned again.
func (b *beside) refused(ctx context.Context, p pool, err error) {
	b.count(&b.refusals)
	none, isNone := errors.AsType[*claim.NoneFreeError](err)
	switch {
	case isNone && none.Slots < besideSlots:
		b.provisionAgain(ctx, p)
	case errors.Is(err, registry.ErrDamaged):
		b.mend(ctx, p)
	case !isNone && !passes(err):
		b.wrong("a claim: %v", err)
	}
}

// passes tells whether an error is one of those by which kinfra gives up on what another
// tool does meanwhile, having changed nothing.
func passes(err error) bool {
	return errors.Is(err, claim.ErrConflict) || errors.Is(err, registry.ErrDamaged) || errors.Is(err, registry.ErrChanged)
}

// again does something until it doesn't end with an error that passes.
func (b *beside) again(ctx context.Context, p pool, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || !passes(err) || try == lostAfter {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, registry.ErrDamaged) {
			b.mend(ctx, p)
		}
	}
}

// mend puts a generation back, as the error about a damaged registry says. Two tools that
// write in place at once leave a mixture of both, which none of them mends.
func (b *beside) mend(ctx context.Context, p pool) {
	b.count(&b.mended)
	err := p.restore(ctx)
	if errors.Is(err, registry.ErrNoGeneration) {
		return // others have written so much since it was chosen that it isn't kept any more
	}
	if err != nil && !passes(err) {
		b.wrong("restoring the registry: %v", err)
	}
}

func (b *beside) provisionAgain(ctx context.Context, p pool) {
	b.count(&b.restored)
	if err := b.again(ctx, p, func() error { return p.provision(ctx, small(besideSlots)) }); err != nil {
		b.wrong("provisioning again: %v", err)
	}
}

// look looks for a claim that is held: it has to be there, be it in a conflict.
func (b *beside) look(ctx context.Context, p pool, c claim.Claim) {
	b.count(&b.checks)
	for try := 1; ctx.Err() == nil; try++ {
		s, err := p.slotOf(ctx, c.Slot)
		switch {
		case errors.Is(err, registry.ErrDamaged):
			b.mend(ctx, p)
		case err != nil:
			b.wrong("listing: %v", err)
			return
		case err == nil && s == nil:
			b.provisionAgain(ctx, p)
		case err == nil && (s.Claim == nil || s.Claim.Token != c.Token):
			b.wrong("slot %d of %s is now held by %+v", c.Slot, c.Worktree, s.Claim)
			return
		case err == nil:
			b.reported(ctx, p, c, s.Contender)
			return
		}
		if try == lostAfter {
			b.wrong("the claim of slot %d by %s is lost: %v", c.Slot, c.Worktree, err)
			return
		}
	}
}

// slotOf is a slot as it is listed; nil if it isn't.
func (p pool) slotOf(ctx context.Context, id int) (*claim.Slot, error) {
	all, err := p.List(ctx)
	for _, s := range all {
		if s.ID == id {
			return &s, err
		}
	}
	return nil, err
}

// reported wants a conflict to be told by who meets it, with both parties.
func (b *beside) reported(ctx context.Context, p pool, c claim.Claim, contender *claim.Claim) {
	if contender == nil {
		return
	}
	b.count(&b.conflicts)
	if treeNumber(contender.Worktree) < besideClaimers {
		b.wrong("slot %d of %s is said to be contended by %s, which claims with kinfra", c.Slot, c.Worktree, contender.Worktree)
	}
	unlock, err := p.Guard(ctx, target(c))
	if err == nil {
		unlock() // the other has released it
		return
	}
	conflict, ok := errors.AsType[*claim.ConflictError](err)
	if !ok && (passes(err) || errors.Is(err, slot.ErrUnknownSlot)) { // it has erased all slots since
		return
	}
	if !ok || conflict.Ours.Worktree != c.Worktree || !strings.Contains(err.Error(), c.Worktree) || !strings.Contains(err.Error(), conflict.Theirs.Worktree) {
		b.wrong("a conflict over slot %d of %s is reported as: %v", c.Slot, c.Worktree, err)
	}
}

// settle looks, after the writers have ended, whether what is held is in the registry.
func (b *beside) settle(ctx context.Context, held []*claim.Claim) {
	b.provisionAgain(ctx, b.pool)
	if err := b.again(ctx, b.pool, func() error { return b.Reconcile(ctx) }); err != nil {
		b.wrong("in the end: %v", err)
		return
	}
	r, err := b.store.Load(ctx)
	if err != nil {
		b.wrong("in the end: %v", err)
		return
	}
	for _, c := range held {
		if c == nil {
			continue
		}
		b.look(ctx, b.pool, *c)
		entry, _ := r.Slot(c.Slot)
		if s, err := b.slotOf(ctx, c.Slot); err != nil || s == nil || s.Contender == nil && entry.ClaimedBy != c.Worktree {
			b.wrong("in the end, slot %d of %s is in the registry as %+v, %v", c.Slot, c.Worktree, entry, err)
		}
	}
}
