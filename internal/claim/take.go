package claim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
)

// Request is what a worktree asks for.
type Request struct {
	Worktree string        // an existing directory, absolute
	Least    string        // the least profile; the lightest if empty
	Order    []string      // all profiles, lightest first
	TTL      time.Duration // how long the claim is good; 0 for as long as the claim had before, or without end
	Wait     time.Duration // how long to wait where no slot is free; 0 for not at all

	// Waiting is called once when the wait begins; may be nil.
	Waiting func(*NoneFreeError)

	// Reclaim stops what runs under a stale claim, and removes its volumes, before
	// the slot is taken from it because no other is free. It is called under the
	// slot's [Pool.Guard]. Where it is nil, stale claims are left alone.
	Reclaim func(context.Context, Claim) error
}

// Claim gives the worktree a slot: of those that nobody holds the lightest whose
// profile is at least what is asked for, and of these the one of the lowest number.
// A worktree that holds a slot gets that one, with its lease begun anew; renewed
// then is true. The slot's variables are left in the worktree, as [slot.EnvName];
// where that fails, a new claim is undone.
//
// Claims that wait are served in the order of their coming: nobody gets a slot
// that somebody who has waited longer could take.
//
// Errors: ErrInvalid; slot.ErrUnknownProfile; ErrConflict, where the worktree holds
// a slot of a lesser profile, or one with two holders; ErrNotReady; where nothing
// is free, and the wait is over, a *NoneFreeError; and those of the registry.
func (p *Pool) Claim(ctx context.Context, req Request) (c Claim, renewed bool, err error) {
	tree, err := p.check(&req)
	if err != nil {
		return Claim{}, false, err
	}
	t := taker{pool: p, req: req, tree: tree}
	if _, err := p.w.Disk.Host().Lstat(p.store.Path()); errors.Is(err, fs.ErrNotExist) {
		if err := t.refusal(ctx); err != nil { // a lock would leave a root where there is no pool
			return Claim{}, false, err
		}
	}
	if err := t.waitAndTake(ctx); err != nil {
		return Claim{}, false, err
	}
	if err := p.leaveEnv(t.claim, t.env); err != nil {
		if t.renewed {
			return Claim{}, false, fmt.Errorf("slot %d stays claimed: %w", t.claim.Slot, err)
		}
		return Claim{}, false, errors.Join(err, p.undo(ctx, t.claim))
	}
	return t.claim, t.renewed, nil
}

// undo releases a claim of which nothing but the entry is there.
func (p *Pool) undo(ctx context.Context, c Claim) error {
	target := Target{Slot: c.Slot, Token: c.Token}
	err := p.transact(context.WithoutCancel(ctx), func(v *view) error { return v.release(target) })
	if err != nil && !errors.Is(err, ErrNotHolder) {
		return fmt.Errorf("slot %d stays claimed: %w", c.Slot, err)
	}
	return nil
}

// check completes a request and refuses what none can be.
func (p *Pool) check(req *Request) (worktree, error) {
	if req.Least == "" && len(req.Order) > 0 {
		req.Least = req.Order[0]
	}
	if _, _, err := slot.Choose(nil, req.Order, req.Least); err != nil {
		return worktree{}, err
	}
	if err := errors.Join(checkTime("lease", req.TTL), checkTime("wait", req.Wait)); err != nil {
		return worktree{}, err
	}
	return p.claimable(req.Worktree)
}

// taker takes a slot for a request.
type taker struct {
	pool   *Pool
	req    Request
	tree   worktree
	ticket *ticket // its place in the queue; nil if it has none

	claim   Claim // what it got
	renewed bool
	env     []byte // the slot's variables
}

// refusal is why a pool without a registry has no slot to give; nil if it has one by now.
func (t *taker) refusal(ctx context.Context) error {
	v, err := t.pool.load(ctx)
	if err != nil {
		return err
	}
	return (&taker{pool: t.pool, req: t.req, tree: t.tree}).take(v)
}

// take decides, and writes the decision into v, in one transaction.
func (t *taker) take(v *view) error {
	held, err := t.held(v)
	if err != nil {
		return err
	}
	if held != nil {
		return t.renew(v, *held)
	}
	all := v.slots()
	free, ahead, err := t.pool.leftOver(all, t.ticket, t.req.Order)
	if err != nil {
		return err
	}
	var notReady error // of the first slot that lacks its files: another one will do
	for {
		id, ok, err := slot.Choose(free, t.req.Order, t.req.Least)
		switch {
		case err != nil:
			return err
		case !ok && notReady != nil:
			return notReady
		case !ok:
			return t.noneFree(all, ahead)
		}
		if err = t.enter(v, id); !errors.Is(err, ErrNotReady) || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		notReady = cmp.Or(notReady, err)
		free = slices.DeleteFunc(free, func(s registry.Slot) bool { return s.ID == id })
	}
}

// held is the slot that the worktree holds, or nil. If another tool gave it several,
// it is the one that a claim would choose among them.
func (t *taker) held(v *view) (*Slot, error) {
	var held []Slot
	for _, s := range v.slots() {
		if s.Claim == nil {
			continue
		}
		ours, theirs := t.tree.is(s.Claim.Worktree), s.Contender != nil && t.tree.is(s.Contender.Worktree)
		if ours || theirs {
			if err := s.conflict(); err != nil {
				return nil, err
			}
			held = append(held, s)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	id, ok, err := slot.Choose(unclaimed(held), t.req.Order, t.req.Least)
	if err != nil {
		return nil, err
	}
	if !ok {
		s := held[0]
		err := fmt.Errorf("%w: %s holds slot %d, whose profile %q is less than %q", ErrConflict, t.tree.real, s.ID, s.Profile, t.req.Least)
		return nil, hint.Wrap(err, "release it, then claim again: kinfra sandbox release %d", s.ID)
	}
	i := slices.IndexFunc(held, func(s Slot) bool { return s.ID == id })
	return &held[i], nil
}

// unclaimed are the slots' entries as if nobody held them.
func unclaimed(all []Slot) []registry.Slot {
	entries := make([]registry.Slot, len(all))
	for i, s := range all {
		entries[i] = s.Slot
		entries[i].ClaimedBy = ""
	}
	return entries
}

// renew gives the worktree the slot that it holds. A claim of unknown origin becomes
// kinfra's by that; volumes that were used under it, or of which nothing is known, are
// then taken for the worktree's own.
func (t *taker) renew(v *view, s Slot) error {
	env, err := t.pool.slotEnv(s.ID)
	if err != nil {
		return err
	}
	r := record{Worktree: s.Claim.Worktree, ClaimedAt: s.Claim.ClaimedAt, Token: newToken(t.pool.w)}
	had := v.ledger.Claims[s.ID]
	if had != nil {
		r = *had
	}
	ttl := t.req.TTL
	if ttl == 0 {
		ttl = r.Lease.TTL
	}
	if r.Lease, err = v.begin(ttl); err != nil {
		return err
	}
	r.Env = hashOf(env)
	r.Origin = r.Origin.renewed(t.pool.w.Disk.Host(), t.tree.origin)
	v.ledger.give(s.ID, r)
	if used := v.ledger.Volumes[s.ID]; had == nil && (used == "" || used == s.Claim.Token) {
		v.ledger.useVolumes(s.ID, r.Token)
	}
	t.took(v, s.ID, env, true)
	return nil
}

// enter makes the worktree the holder of a free slot.
func (t *taker) enter(v *view, id int) error {
	env, err := t.pool.slotEnv(id)
	if err != nil {
		return err
	}
	lease, err := v.begin(t.req.TTL)
	if err != nil {
		return err
	}
	s, _ := v.reg.Slot(id)
	s.ClaimedBy, s.ClaimedAt, s.Status = t.tree.real, "", ""
	s.ClaimedAt = t.stamp(v.ledger, s)
	if err := v.reg.PutSlot(s); err != nil {
		return err
	}
	v.ledger.give(id, record{
		Worktree: s.ClaimedBy, ClaimedAt: s.ClaimedAt, Token: newToken(t.pool.w), Env: hashOf(env), Lease: lease, Origin: t.tree.origin,
	})
	if v.ledger.Volumes[id] == "" {
		// Whoever used them before, it wasn't under this claim. A renewal must know that,
		// also where a loss of power has taken the claim from the log.
		v.ledger.useVolumes(id, newToken(t.pool.w))
	}
	t.took(v, id, env, false)
	return nil
}

// stamp is the time of a new claim, in the form that the older tools read. It is no
// time at which the worktree has had the slot before: that is how a claim is told
// from those that have ended, though the clock was set back.
func (t *taker) stamp(l *ledger, s registry.Slot) string {
	for at := t.pool.w.Clock.Now().UTC(); ; at = at.Add(time.Microsecond) {
		s.ClaimedAt = at.Format("2006-01-02T15:04:05.000000-07:00")
		if !l.wasReleased(identity(s)) {
			return s.ClaimedAt
		}
	}
}

// took notes what was got.
func (t *taker) took(v *view, id int, env []byte, renewed bool) {
	entry, _ := v.reg.Slot(id)
	t.claim, t.env, t.renewed = *v.slot(entry).Claim, env, renewed
}

// noneFree is the error that says who has what would do, and who waits for it.
func (t *taker) noneFree(all []Slot, ahead []waiter) *NoneFreeError {
	e := &NoneFreeError{Least: t.req.Least, Slots: len(all)}
	weight := func(profile string) int { return slices.Index(t.req.Order, profile) }
	heaviest := -1
	for _, s := range all {
		if weight(s.Profile) >= weight(t.req.Least) {
			e.Holders = append(e.Holders, s)
			heaviest = max(heaviest, weight(s.Profile))
		}
	}
	for _, other := range ahead {
		if weight(other.least) <= heaviest {
			e.Waiting = append(e.Waiting, other.process)
		}
	}
	return e
}
