package builtins

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/tidwall/gjson"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
)

func (d *domain) registryModule() table.Module {
	return table.Module{
		Name: "registry", Doc: "The file that says which slots there are, what each may run, and who holds it.",
		Builtins: []table.Builtin{
			{
				Name: "registry.path", Doc: "Gives the path of the registry.", Result: "a string",
				Run: func(c *table.Call) (starlark.Value, error) {
					store, err := d.store(c.Thread)
					if err != nil {
						return nil, err
					}
					return starlark.String(store.Path()), nil
				},
				Example: `registry.path()  # -> "/home/user/.pool/sandbox/instances.json"`,
			},
			{
				Name: "registry.slots", Reads: true, Doc: "Gives the slots of the registry, ascending by number.",
				Result: "a list of `struct(id, path, profile, workers, ports, claimed_by, claimed_at, status)`; `path` is its directory, which follows from its number; who claimed it and when are None for a free one, `status` is the one last recorded",
				Errors: "A registry that can't be read.",
				Run:    d.registrySlots,
				Example: `[(s.id, s.profile, s.claimed_by) for s in registry.slots()]
# -> [(1, "small", None), (2, "small", None), (3, "big", None)]`,
			},
			{
				Name: "registry.slot", Reads: true, Doc: "Gives a slot of the registry.",
				Params: []table.Param{{Name: "id", Type: table.Int(), Help: "the slot's number"}},
				Result: "a struct as registry.slots gives it, or None if there is none of that number",
				Errors: "A registry that can't be read.",
				Run:    d.registrySlot,
				Example: `registry.slot(3).ports["web"]  # -> 7003
registry.slot(99)  # -> None`,
			},
			{
				Name: "registry.query", Reads: true, Doc: "Gives what a gjson path finds in the registry's JSON: `slots.1.ports.api`, `slots.@values.#.profile`.",
				Params:  []table.Param{{Name: "path", Type: table.String(), Help: "a path in gjson's syntax"}},
				Result:  "the value, or None if there is none",
				Errors:  "A registry that can't be read.",
				Run:     d.query,
				Example: `registry.query("slots.@values.#.profile")  # -> ["small", "small", "big"]`,
			},
			{
				Name: "registry.generations", Reads: true, Doc: "Lists the copies that are kept of the registry, oldest first.",
				Result: "a list of `struct(number, time, version, slots, claimed, path, problem)`; `time` is in the zone of this machine, `problem` says why a copy can't be put back, and is None for a good one",
				Run:    d.generations,
				Example: `[(g.number, g.slots, g.problem) for g in registry.generations()]
# -> [(1, 3, None)]`,
			},
			{
				Name: "registry.restore", Changes: true, Doc: "Puts a kept copy of the registry back. What it replaces, damaged or not, is kept as well.",
				Params: []table.Param{{Name: "generation", Type: table.Int(), Help: "the copy's number"}},
				Result: "the copy, as registry.generations gives it",
				Errors: "A number that no copy has; a copy that is damaged.",
				Run:    d.restore,
				Example: `slot.remove(only = [2])
registry.restore(1).slots  # -> 3`,
			},
		},
	}
}

func (d *domain) registrySlots(c *table.Call) (starlark.Value, error) {
	reg, err := d.load(c.Thread)
	if err != nil {
		return nil, err
	}
	p, err := d.current(c.Thread)
	if err != nil {
		return nil, err
	}
	return engine.List(reg.Slots(), p.slotValue), nil
}

func (d *domain) registrySlot(c *table.Call) (starlark.Value, error) {
	reg, err := d.load(c.Thread)
	if err != nil {
		return nil, err
	}
	s, there := reg.Slot(c.Int("id"))
	if !there {
		return starlark.None, nil
	}
	p, err := d.current(c.Thread)
	if err != nil {
		return nil, err
	}
	return p.slotValue(s), nil
}

// slotValue is a slot of the registry, but for its directory: the one that is recorded
// is somebody's word, which no script is to follow.
func (p *Pool) slotValue(s registry.Slot) starlark.Value {
	return engine.Struct("id", s.ID, "path", slot.Dir(p.root, s.ID), "profile", s.Profile, "workers", counts(s.Workers), "ports", counts(s.Ports),
		"claimed_by", orNone(s.ClaimedBy), "claimed_at", orNone(s.ClaimedAt), "status", s.Status)
}

func (d *domain) load(t *starlark.Thread) (*registry.Registry, error) {
	store, err := d.store(t)
	if err != nil {
		return nil, err
	}
	return store.Load(engine.Context(t))
}

func orNone(s string) starlark.Value {
	if s == "" {
		return starlark.None
	}
	return starlark.String(s)
}

func (d *domain) query(c *table.Call) (starlark.Value, error) {
	reg, err := d.load(c.Thread)
	if err != nil {
		return nil, err
	}
	return fromJSON(gjson.GetBytes(reg.JSON(), c.String("path"))), nil
}

// fromJSON is the value of a result of gjson, with the keys of objects in their order.
func fromJSON(r gjson.Result) starlark.Value {
	switch {
	case r.Type == gjson.True || r.Type == gjson.False:
		return starlark.Bool(r.Bool())
	case r.Type == gjson.String:
		return starlark.String(r.Str)
	case r.Type == gjson.Number && strings.ContainsAny(r.Raw, ".eE"):
		return starlark.Float(r.Num)
	case r.Type == gjson.Number:
		if n, ok := new(big.Int).SetString(r.Raw, 10); ok {
			return starlark.MakeBigInt(n)
		}
		return starlark.MakeInt64(r.Int()) // one that gjson has computed
	case r.IsArray():
		return engine.List(r.Array(), fromJSON)
	case r.IsObject():
		d := starlark.NewDict(0)
		r.ForEach(func(key, value gjson.Result) bool {
			return d.SetKey(starlark.String(key.Str), fromJSON(value)) == nil
		})
		return d
	}
	return starlark.None
}

func (d *domain) generations(c *table.Call) (starlark.Value, error) {
	store, err := d.store(c.Thread)
	if err != nil {
		return nil, err
	}
	all, err := store.Generations(engine.Context(c.Thread))
	if err != nil {
		return nil, fmt.Errorf("registry.generations: %w", err)
	}
	return engine.List(all, generationValue), nil
}

func (d *domain) restore(c *table.Call) (starlark.Value, error) {
	store, err := d.store(c.Thread)
	if err != nil {
		return nil, err
	}
	g, err := store.Restore(engine.Context(c.Thread), c.Int("generation"))
	if err != nil {
		return nil, fmt.Errorf("registry.restore: %w", err)
	}
	return generationValue(g), nil
}

func generationValue(g registry.Generation) starlark.Value {
	var problem starlark.Value = starlark.None
	if g.Err != nil {
		problem = starlark.String(g.Err.Error())
	}
	return engine.Struct("number", g.Number, "time", g.Time.Format("2006-01-02 15:04:05"), "version", g.Version,
		"slots", g.Slots, "claimed", g.Claimed, "path", g.Path, "problem", problem)
}
