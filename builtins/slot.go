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
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

func (d *domain) slotModule() table.Module {
	const result = "`struct(slot, profile, action, dir, reasons, drift, claimed_by, workers, ports)`"
	return table.Module{
		Name: "slot", Doc: "The slots of the pool: their definition, their directories, and which is free.",
		Builtins: []table.Builtin{
			poolBuiltin(d),
			{
				Name: "slot.ensure", Changes: true,
				Doc: "Makes slots what their specs say, and announces what became of each: created, repaired, refreshed or skipped. " +
					"One that differs is left alone unless it is refreshed; one that is claimed is never touched. " +
					"Where something is written, the pool is put on the list of this machine's pools, and a port or Compose project of another of them is refused; not so with --root, which is for trying things out.",
				Params: []table.Param{
					{Name: "specs", Type: table.ListOf("a list of specs", table.Of[*specValue]("a spec")), Help: "the slots as they should be: pool.specs()"},
					{Name: "refresh", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "bring slots that differ into line"},
					{Name: "first", Type: table.Function(0), Named: true, Optional: true, Help: "called before anything is written, unless all slots are as they should be; what it fails with keeps all from being written"},
				},
				Result: "a list of " + result + " in the order of the specs; `action` is created, skipped, repaired, refreshed or drifted, `drift` a list of `struct(field, have, want)`",
				Errors: "A registry that can't be read, a slot that can't be repaired, what another pool has (4), a disk that is full: then no slot is half there.",
				Run:    d.ensure,
				Example: `load("pool.star", "pool")

[(r.slot, r.action) for r in slot.ensure(pool.specs())]
# -> [(1, "skipped"), (2, "skipped"), (3, "skipped")]`,
			},
			{
				Name: "slot.remove", Changes: true,
				Doc: "Removes slots, their directories and their registry entries, and announces each.",
				Params: []table.Param{
					{Name: "only", Type: table.Ints(), Named: true, Optional: true, Help: "only these slots; all of the registry if empty"},
					{Name: "force", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "also those that somebody holds, after what runs under their claims was stopped"},
					{Name: "first", Type: table.Function(1), Named: true, Optional: true, Help: "called with the list of what will be removed, unless it is empty, before anything changes; what it fails with keeps all from being removed"},
				},
				Result:  "a list of " + result + "; `action` is removed",
				Errors:  "A slot that isn't there, or that somebody holds, or whose stack can't be stopped: then none is removed.",
				Run:     d.remove,
				Example: `[(r.slot, r.action) for r in slot.remove(only = [2])]  # -> [(2, "removed")]`,
			},
			{
				Name: "slot.available",
				Doc:  "Gives the slot that a claim would get: the lightest unclaimed one whose profile is at least the one asked for, and of these the lowest number.",
				Params: []table.Param{
					{Name: "least_profile", Type: table.String(), Optional: true, Help: "the least profile; the lightest if left out"},
				},
				Result: "the slot's number, or None if there is none",
				Errors: "A profile that the pool doesn't have, asked for or in the registry.",
				Run:    d.available,
				Example: `slot.available()  # -> 1
slot.available("big")  # -> 3`,
			},
		},
	}
}

func (d *domain) ensure(c *table.Call) (starlark.Value, error) {
	return d.changed(c, func(ctx context.Context, w world.World, store *registry.Store, report func(slot.Result)) ([]slot.Result, error) {
		var specs []slot.Spec
		for _, v := range c.List("specs") {
			s := v.(*specValue)
			if s.dir != slot.Dir(store.Root(), s.spec.ID) {
				return nil, fmt.Errorf("slot %d is to be in %s, but the pool is in %s: want specs of the pool of pool.star",
					s.spec.ID, s.dir, store.Root())
			}
			specs = append(specs, s.spec)
		}
		p, err := d.current(c.Thread)
		if err != nil {
			return nil, err
		}
		options := slot.Options{Refresh: c.Bool("refresh"), Report: report, Held: d.holders(c.Thread)}
		if first := c.Callable("first"); first != nil {
			options.First = func() error {
				_, err := starlark.Call(c.Thread, first, nil, nil)
				return err
			}
		}
		if d.options.RootFlag == "" {
			d.keepApart(c, p, &options)
		}
		results, err := slot.Ensure(ctx, w, store, specs, options)
		if err != nil {
			return nil, err
		}
		return results, slot.MakeShared(w, store.Root(), p.shared)
	})
}

func (d *domain) remove(c *table.Call) (starlark.Value, error) {
	return d.changed(c, func(ctx context.Context, w world.World, store *registry.Store, report func(slot.Result)) ([]slot.Result, error) {
		options := slot.RemoveOptions{Report: report, Held: d.holders(c.Thread)}
		if c.Bool("force") {
			options.Release = func(ctx context.Context, r slot.Result) error { return d.giveUp(ctx, c, r.ID) }
		}
		if first := c.Callable("first"); first != nil {
			options.First = func(going []slot.Result) error {
				_, err := starlark.Call(c.Thread, first, starlark.Tuple{engine.List(going, resultValue)}, nil)
				return err
			}
		}
		results, err := slot.Remove(ctx, w, store, c.Ints("only"), options)
		if err == nil {
			err = d.forgetEmpty(c, store)
		}
		return results, err
	})
}

// holders tells who holds slots by the claims that kinfra gave.
func (d *domain) holders(t *starlark.Thread) func() (map[int]slot.Holder, error) {
	return func() (map[int]slot.Holder, error) {
		claims, err := d.claims(t)
		if err != nil {
			return nil, err
		}
		return claims.Given()
	}
}

// changed changes slots, once the registry has the claims that kinfra gave, announces
// what becomes of each, and gives that.
func (d *domain) changed(c *table.Call, change func(context.Context, world.World, *registry.Store, func(slot.Result)) ([]slot.Result, error)) (starlark.Value, error) {
	store, err := d.store(c.Thread)
	if err != nil {
		return nil, err
	}
	// A slot isn't to be taken for a free one because another tool has overwritten its claim.
	if err := d.reconcile(c.Thread); err != nil {
		return nil, named(c, err)
	}
	run, w := engine.Current(c.Thread), engine.World(c.Thread)
	results, err := change(engine.Context(c.Thread), w, store, func(r slot.Result) { run.Announce(describe(r, w.Planned())) })
	if err != nil {
		return nil, named(c, err)
	}
	return engine.List(results, resultValue), nil
}

// forgetEmpty takes a pool without slots off the list of this machine's pools.
func (d *domain) forgetEmpty(c *table.Call, store *registry.Store) error {
	reg, err := store.Load(engine.Context(c.Thread))
	if err != nil || len(reg.Slots()) > 0 {
		return err
	}
	return d.pools(c.Thread).Forget(store.Root())
}

// giveUp ends the claim of a slot, after what runs under it was stopped.
func (d *domain) giveUp(ctx context.Context, c *table.Call, id int) error {
	claims, err := d.claims(c.Thread)
	if err != nil {
		return err
	}
	m, err := d.manager(c.Thread)
	if err != nil {
		return err
	}
	slots, err := claims.List(ctx)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if s.ID != id || s.Claim == nil {
			continue
		}
		err := m.Release(ctx, *s.Claim)
		if errors.Is(err, world.ErrPlanned) {
			return claims.Release(ctx, claim.Target{Slot: id, Token: s.Claim.Token})
		}
		return err
	}
	return nil // released meanwhile
}

func (d *domain) available(c *table.Call) (starlark.Value, error) {
	p, err := d.current(c.Thread)
	if err != nil {
		return nil, err
	}
	reg, err := registry.Open(engine.World(c.Thread), p.root).Load(engine.Context(c.Thread))
	if err != nil {
		return nil, err
	}
	order := p.order()
	least := c.String("least_profile")
	if !c.Has("least_profile") && len(order) > 0 {
		least = order[0]
	}
	id, ok, err := slot.Available(reg, order, least)
	if err != nil {
		return nil, fmt.Errorf("slot.available: %w", err)
	}
	if !ok {
		return starlark.None, nil
	}
	return starlark.MakeInt(id), nil
}

// describe says what became of a slot, or would in a dry run. Scripts and agents
// look for these words.
func describe(r slot.Result, planned bool) string {
	switch r.Action {
	case slot.Created:
		if planned {
			return fmt.Sprintf("Would create slot %d (%s) at %s\n    Ports: %s\n    Workers: %s\n",
				r.ID, r.Profile, r.Dir, assignments(r.Ports, strings.ToUpper), assignments(r.Workers, strings.Clone))
		}
		return fmt.Sprintf("Created slot %d (%s)", r.ID, r.Profile)
	case slot.Repaired:
		return fmt.Sprintf("Slot %d: %s (%s)", r.ID, either(planned, "would be repaired", "repaired"), strings.Join(r.Reasons, ", "))
	case slot.Refreshed:
		return fmt.Sprintf("Slot %d: %s%s", r.ID, either(planned, "would be refreshed", "refreshed"), differences(r.Drift, either(planned, "is", "was")))
	case slot.Drifted:
		claim := ""
		if r.ClaimedBy != "" {
			claim = ", and is claimed by " + registry.Shown(r.ClaimedBy)
		}
		return fmt.Sprintf("Slot %d: differs from the scripts%s, left alone%s", r.ID, claim, differences(r.Drift, "is"))
	case slot.Removed:
		return fmt.Sprintf("%s slot %d", either(planned, "Would remove", "Removed"), r.ID)
	}
	return fmt.Sprintf("Slot %d: already exists, skipping", r.ID)
}

func either(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}

func assignments(all []registry.Count, name func(string) string) string {
	parts := make([]string, len(all))
	for i, c := range all {
		parts[i] = fmt.Sprintf("%s=%d", name(c.Name), c.Number)
	}
	return strings.Join(parts, ", ")
}

func differences(all []slot.Difference, verb string) string {
	text := ""
	for _, diff := range all {
		text += fmt.Sprintf("\n    %s %s %s, the scripts say %s", diff.Field, verb, orEmpty(diff.Have), orEmpty(diff.Want))
	}
	return text
}

func orEmpty(s string) string {
	if s == "" {
		return "empty"
	}
	return registry.Shown(s)
}

func resultValue(r slot.Result) starlark.Value {
	var claimed starlark.Value = starlark.None
	if r.ClaimedBy != "" {
		claimed = starlark.String(r.ClaimedBy)
	}
	return engine.Struct("slot", r.ID, "profile", r.Profile, "action", string(r.Action), "dir", r.Dir,
		"reasons", engine.List(r.Reasons, stringValue), "claimed_by", claimed,
		"workers", counts(r.Workers), "ports", counts(r.Ports),
		"drift", engine.List(r.Drift, func(diff slot.Difference) starlark.Value {
			return engine.Struct("field", diff.Field, "have", diff.Have, "want", diff.Want)
		}))
}
