package builtins

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

func (d *domain) claimModule() table.Module {
	held := table.Param{Name: "claim", Type: table.Of[*claimValue]("a claim"), Help: "the claim"}
	const result = "a claim, with `slot`, `profile`, `ports` (of the slot, a dict), `worktree`, `claimed_at`, `ttl`, `left`, `stale`, `gone`, `missing`, `foreign` and `renewed`: ttl and left (of its lease) are durations or None, stale says why it may be taken back or is None, gone tells that its worktree was removed, missing says why its worktree is not at its path though it may still exist or is None, foreign tells that another tool gave it, renewed that the worktree had it already"
	return table.Module{
		Name: "claim", Doc: "Who holds which slot. A claim carries a token that every operation on its slot checks first, so that a former holder can't destroy the next one's stack.",
		Builtins: []table.Builtin{
			{
				Name: "claim.worktree", Reads: true, Doc: "Gives the directory that claims: the one named, or the git worktree that the working directory is in, or else the working directory.",
				Params: []table.Param{{Name: "path", Type: table.String(), Optional: true, Help: "a directory"}},
				Result: "an absolute path", Run: claimWorktree,
				Example: `claim.worktree()  # -> "/home/user/tree"`,
			},
			{
				Name: "claim.take", Changes: true, Doc: "Gives a worktree a slot, the lightest free one that will do. A worktree that holds one gets that one, its lease begun anew. Where none is free, a stale claim is taken back, after what runs under it was stopped.",
				Params: []table.Param{
					{Name: "worktree", Type: table.String(), Help: "an existing directory, absolute"},
					{Name: "least_profile", Type: table.String(), Named: true, Optional: true, Help: "the least profile; the lightest if left out"},
					{Name: "ttl", Type: table.Duration(), Named: true, Optional: true, Help: "for how long the claim is good, above 0; without end if left out"},
					{Name: "wait", Type: table.Duration(), Named: true, Optional: true, Help: "how long to wait, in the order of coming, where none is free; not at all if left out"},
				},
				Result: result,
				Errors: "Nothing free (exit code 3): who holds what, since when, and what would free a slot. A worktree that holds a slot of a lesser profile, or one with two holders (4).",
				Run:    d.takeClaim,
				Example: `held = claim.take(claim.worktree(), ttl = "8h")
(held.slot, held.profile, held.renewed)  # -> (1, "small", False)
claim.take(claim.worktree()).renewed  # -> True`,
			},
			{
				Name: "claim.find", Reads: true, Doc: "Gives the claim of a worktree, or of a slot.",
				Params: []table.Param{
					{Name: "worktree", Type: table.String(), Help: "the worktree in whose name something is to be done, absolute"},
					{Name: "slot", Type: table.Int(), Named: true, Optional: true, Help: "the slot's number; the slot that the worktree holds if left out"},
					{Name: "force", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "also the claim of another worktree, or one of two that are in conflict; such a one can only be released"},
				},
				Result: result,
				Errors: "A worktree that holds no slot; a slot that isn't there, that nobody holds, or that is another's (4).",
				Run:    d.findClaim,
				Example: `claim.take("/home/user/tree")
claim.find("/home/user/tree").slot  # -> 1
claim.find("/home/user")  # fails: holds no slot`,
			},
			{
				Name: "claim.release", Changes: true, Doc: "Stops what runs under a claim, drops its volumes, and gives the slot back. For a stack that was never started this needs no Docker. Of two claims in conflict, one that was found by force ends, and what runs in the slot is left to the other.",
				Params: []table.Param{held}, Run: d.releaseClaim,
				Errors: "A stack that can't be stopped: then the slot stays claimed. A claim that is no longer in force (4).",
				Example: `held = claim.take(claim.worktree())
claim.release(held)
registry.slot(held.slot).claimed_by  # -> None`,
			},
			{
				Name: "claim.reconcile", Changes: true, Doc: "Brings the registry into line with the claims that kinfra gave and ended, as each change of a claim does: what another tool has overwritten is put back, and what a killed process had begun is brought to its end. Where nothing is to be changed, no lock is taken.",
				Run:     d.reconcileClaims,
				Example: "claim.reconcile()",
			},
			{
				Name: "claim.reap", Changes: true, Doc: "Releases the claims whose worktree is gone or whose lease is over, after what runs under them was stopped, and announces each. One whose worktree is missing, but may still exist, is announced and kept.",
				Result:  "a list of `struct(slot, worktree, reason, problem)`; problem says why one could not be released, and is None for the others",
				Run:     d.reap,
				Example: "claim.reap()  # -> []",
			},
		},
	}
}

// claimValue is a claim in a script.
type claimValue struct {
	claim   claim.Claim
	renewed bool
	forced  bool // whoever found it means it, also where it is one of two on the slot
}

func (c *claimValue) String() string {
	return fmt.Sprintf("<claim of slot %d by %s>", c.claim.Slot, c.claim.Worktree)
}
func (c *claimValue) Type() string          { return "claim" }
func (c *claimValue) Freeze()               {}
func (c *claimValue) Truth() starlark.Bool  { return true }
func (c *claimValue) Hash() (uint32, error) { return uint32(c.claim.Slot), nil }
func (c *claimValue) AttrNames() []string {
	return []string{"claimed_at", "foreign", "gone", "left", "missing", "ports", "profile", "renewed", "slot", "stale", "ttl", "worktree"}
}

// Attr gives what the table of claim.take documents.
func (c *claimValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "slot":
		return starlark.MakeInt(c.claim.Slot), nil
	case "profile":
		return starlark.String(c.claim.Profile), nil
	case "ports":
		return counts(c.claim.Ports), nil
	case "worktree":
		return starlark.String(c.claim.Worktree), nil
	case "claimed_at":
		return orNone(c.claim.ClaimedAt), nil
	case "ttl":
		return durationOrNone(c.claim.Lease.TTL > 0, c.claim.Lease.TTL), nil
	case "left":
		return durationOrNone(c.claim.Lease.TTL > 0, c.claim.Lease.Left), nil
	case "stale":
		return orNone(string(c.claim.Stale)), nil
	case "gone":
		return starlark.Bool(c.claim.Stale == claim.WorktreeGone), nil
	case "missing":
		return orNone(string(c.claim.Missing)), nil
	case "foreign":
		return starlark.Bool(c.claim.Foreign), nil
	case "renewed":
		return starlark.Bool(c.renewed), nil
	}
	return nil, nil
}

// claims is who holds the slots of the pool.
func (d *domain) claims(t *starlark.Thread) (*claim.Pool, error) {
	store, err := d.store(t)
	if err != nil {
		return nil, err
	}
	return claim.Open(engine.World(t), store), nil
}

// manager is what the holders of the pool's slots do with them.
func (d *domain) manager(t *starlark.Thread) (*lifecycle.Manager, error) {
	p, err := d.current(t)
	if err != nil {
		return nil, err
	}
	claims, err := d.claims(t)
	if err != nil {
		return nil, err
	}
	def := p.Definition()
	def.Conceal, def.Masks = conceal(t), engine.Current(t).Masks()
	m := lifecycle.New(engine.World(t), def, claims)
	m.Tell = engine.Current(t).Progress
	return m, nil
}

// Definition is what the pool says about the stacks of its slots.
func (p *Pool) Definition() lifecycle.Definition {
	return lifecycle.Definition{Root: p.root, Project: p.project, Mounts: p.mounts, Pass: p.passEnv, Shared: p.shared, Secrets: p.secrets, ProjectDir: p.projectDir}
}

func claimWorktree(c *table.Call) (starlark.Value, error) {
	w := engine.World(c.Thread)
	if c.Has("path") {
		path, err := absolute(w, c.String("path"))
		if err != nil {
			return nil, engine.UsageError("leave it out for the one that the working directory is in", "claim.worktree: %v", err)
		}
		return starlark.String(path), nil
	}
	work, err := w.Env.WorkDir()
	if err != nil {
		return nil, fmt.Errorf("claim.worktree: %w", err)
	}
	top, err := claim.GitTop(w, work)
	if err != nil {
		return nil, fmt.Errorf("claim.worktree: %w", err)
	}
	return starlark.String(top), nil
}

func (d *domain) takeClaim(c *table.Call) (starlark.Value, error) {
	p, err := d.current(c.Thread)
	if err != nil {
		return nil, err
	}
	claims, err := d.claims(c.Thread)
	if err != nil {
		return nil, err
	}
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	if c.Has("ttl") && c.Duration("ttl") == 0 {
		return nil, &table.ArgumentError{Err: engine.UsageError("a claim without a lease is made without a ttl; one that has a lease keeps it until it is released", "claim.take: a lease of 0s: want one above 0")}
	}
	run, dry := engine.Current(c.Thread), engine.World(c.Thread).Planned()
	taken, renewed, err := claims.Claim(engine.Context(c.Thread), claim.Request{
		Worktree: c.String("worktree"), Least: c.String("least_profile"), Order: p.order(),
		TTL: c.Duration("ttl"), Wait: c.Duration("wait"),
		Waiting: func(e *claim.NoneFreeError) {
			run.Progress(fmt.Sprintf("waiting up to %s: %s", c.Duration("wait"), firstLine(e.Error())))
		},
		Reclaim: func(ctx context.Context, stale claim.Claim) error {
			verb := either(dry, "Would take", "Taking")
			run.Announce(fmt.Sprintf("%s slot %d back from %s: %s", verb, stale.Slot, registry.Shown(stale.Worktree), stale.Stale))
			if err := m.Clear(ctx, stale); !dry || !errors.Is(err, world.ErrPlanned) {
				return err
			}
			return nil // what is to be seen next is what comes after it
		},
	})
	if err != nil {
		return nil, fmt.Errorf("claim.take: %w", err)
	}
	return &claimValue{claim: taken, renewed: renewed}, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func (d *domain) findClaim(c *table.Call) (starlark.Value, error) {
	claims, err := d.claims(c.Thread)
	if err != nil {
		return nil, err
	}
	ctx, worktree := engine.Context(c.Thread), c.String("worktree")
	if c.Has("slot") {
		found, err := claims.Holder(ctx, c.Int("slot"), worktree, c.Bool("force"))
		if err != nil {
			return nil, fmt.Errorf("claim.find: %w", err)
		}
		return &claimValue{claim: found, forced: c.Bool("force")}, nil
	}
	found, ok, err := claims.Find(ctx, worktree)
	switch {
	case err != nil:
		return nil, fmt.Errorf("claim.find: %w", err)
	case !ok:
		return nil, &engine.Error{Code: engine.Conflict, Message: fmt.Sprintf("%s holds no slot", worktree),
			Next: "kinfra sandbox claim gives it one; kinfra sandbox slots shows who holds which"}
	case found.Contender != nil && c.Bool("force"):
		own, err := claims.Holder(ctx, found.ID, worktree, false)
		return &claimValue{claim: own, forced: true}, err
	case found.Contender != nil:
		return nil, fmt.Errorf("claim.find: %w", &claim.ConflictError{Ours: *found.Claim, Theirs: *found.Contender})
	}
	return &claimValue{claim: *found.Claim}, nil
}

func (d *domain) releaseClaim(c *table.Call) (starlark.Value, error) {
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	held := c.Value("claim").(*claimValue)
	err = m.Release(engine.Context(c.Thread), held.claim)
	if _, conflict := errors.AsType[*claim.ConflictError](err); conflict && held.forced {
		err = m.Abandon(engine.Context(c.Thread), held.claim)
	}
	return starlark.None, named(c, planned(c, fmt.Sprintf("Would release slot %d", held.claim.Slot), err))
}

// planned announces what a dry run doesn't do, instead of failing with it.
func planned(c *table.Call, text string, err error) error {
	if errors.Is(err, world.ErrPlanned) || err == nil && engine.World(c.Thread).Planned() {
		engine.Current(c.Thread).Announce(text)
		return nil
	}
	return err
}

func (d *domain) reconcileClaims(c *table.Call) (starlark.Value, error) {
	return starlark.None, named(c, d.reconcile(c.Thread))
}

// reconcile brings the registry into line with what kinfra knows of its claims. Where
// they agree, no lock is taken.
func (d *domain) reconcile(t *starlark.Thread) error {
	claims, err := d.claims(t)
	if err != nil {
		return err
	}
	ctx := engine.Context(t)
	if agrees, err := claims.Agrees(ctx); err != nil || agrees {
		return err
	}
	return claims.Reconcile(ctx)
}

func (d *domain) reap(c *table.Call) (starlark.Value, error) {
	m, err := d.manager(c.Thread)
	if err != nil {
		return nil, err
	}
	claims, err := d.claims(c.Thread)
	if err != nil {
		return nil, err
	}
	ctx, run := engine.Context(c.Thread), engine.Current(c.Thread)
	slots, err := claims.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("claim.reap: %w", err)
	}
	verb := either(engine.World(c.Thread).Planned(), "Would release", "Released")
	var results []starlark.Value
	for _, s := range slots {
		if s.Claim == nil || s.Claim.Stale == "" {
			if s.Claim != nil && s.Claim.Missing != "" {
				run.Announce(fmt.Sprintf("Kept slot %d, held by %s: %s; %s", s.ID, registry.Shown(s.Claim.Worktree), s.Claim.Missing, s.Claim.Decide()))
			}
			continue
		}
		text := fmt.Sprintf("%s slot %d, held by %s: %s", verb, s.Claim.Slot, registry.Shown(s.Claim.Worktree), s.Claim.Stale)
		var problem starlark.Value = starlark.None
		switch err := m.Reclaim(ctx, *s.Claim); {
		case errors.Is(err, claim.ErrNotStale):
			continue // claimed again, or its worktree is back
		case err == nil, errors.Is(err, world.ErrPlanned):
			run.Announce(text)
		default:
			problem = starlark.String(err.Error())
			run.Announce(fmt.Sprintf("Slot %d could not be released: %s", s.Claim.Slot, err))
		}
		results = append(results, engine.Struct("slot", s.Claim.Slot, "worktree", s.Claim.Worktree, "reason", string(s.Claim.Stale), "problem", problem))
	}
	return starlark.NewList(results), nil
}
