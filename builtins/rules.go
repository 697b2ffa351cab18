package builtins

import (
	"errors"
	"fmt"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
)

// ruleModule is the values that pool.star is written in. They remember where they
// were made, so that an error about them points there.
func ruleModule() table.Module {
	return table.Module{Builtins: []table.Builtin{
		{
			Name: "profile", Declares: true,
			Doc: "Makes a profile: what a slot may run. Profiles have an order, that of the pool's list.",
			Params: []table.Param{
				{Name: "name", Type: table.String(), Help: "its name"},
				{Name: "workers", Type: table.Int(), Keywords: true, Help: "how many workers of each type it has: `ui = 2`"},
			},
			Result: "a profile, with `name` and `workers` (a dict)",
			Errors: "A name that is empty; a count below 0.",
			Run:    newProfile,
			Example: `small = profile("small", ui = 1)
small.workers  # -> {"ui": 1}`,
		},
		{
			Name: "port", Declares: true,
			Doc: "Makes a rule for a port: slot N listens on base + N * step. A rule may also be a function of the slot's number.",
			Params: []table.Param{
				{Name: "base", Type: table.Int(), Named: true, Help: "the port of slot 0, which is reserved for a local production stack"},
				{Name: "step", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(1), Help: "the distance between neighbours"},
			},
			Result: "a port rule",
			Run: func(c *table.Call) (starlark.Value, error) {
				return &portRule{base: c.Int("base"), step: c.Int("step"), position: c.Thread.CallFrame(1).Pos}, nil
			},
			Example: `load("lib/parts.star", "PARTS")

rules = {"web": port(base = 7000), "metrics": port(base = 7100, step = 2)}
pool = slot.pool(**(PARTS | {"ports": rules}))
pool.specs(only = [3])[0].ports  # -> {"web": 7003, "metrics": 7106}`,
		},
		secretBuiltin(),
	}}
}

// profile is a profile in a script.
type profile struct {
	name    string
	workers []registry.Count
}

func newProfile(c *table.Call) (starlark.Value, error) {
	p := &profile{name: c.String("name")}
	if p.name == "" {
		return nil, errors.New("profile: the name is empty")
	}
	for _, kv := range c.Keywords() {
		name, _ := starlark.AsString(kv[0])
		count, _ := starlark.AsInt32(kv[1])
		if count < 0 {
			return nil, fmt.Errorf("profile %q: %s = %d: want a number of workers, 0 or more", p.name, name, count)
		}
		p.workers = append(p.workers, registry.Count{Name: name, Number: count})
	}
	return p, nil
}

func (p *profile) String() string        { return fmt.Sprintf("profile(%q)", p.name) }
func (p *profile) Type() string          { return "profile" }
func (p *profile) Freeze()               {}
func (p *profile) Truth() starlark.Bool  { return true }
func (p *profile) Hash() (uint32, error) { return starlark.String(p.name).Hash() }
func (p *profile) AttrNames() []string   { return []string{"name", "workers"} }
func (p *profile) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(p.name), nil
	case "workers":
		return counts(p.workers), nil
	}
	return nil, nil
}

// portRule is what port returns.
type portRule struct {
	base, step int
	position   syntax.Position
}

func (p *portRule) String() string        { return fmt.Sprintf("port(base = %d, step = %d)", p.base, p.step) }
func (p *portRule) Type() string          { return "port" }
func (p *portRule) Freeze()               {}
func (p *portRule) Truth() starlark.Bool  { return true }
func (p *portRule) Hash() (uint32, error) { return uint32(p.base), nil }

// portOf applies a rule, a portRule or a function, to a slot's number.
func portOf(t *starlark.Thread, name string, rule starlark.Value, slot int) (int, error) {
	if p, ok := rule.(*portRule); ok {
		return p.base + slot*p.step, nil
	}
	v, err := starlark.Call(t, rule, starlark.Tuple{starlark.MakeInt(slot)}, nil)
	if err != nil {
		return 0, hint.Wrap(err, "this is the rule of port %q, called for slot %d: want a function that takes a slot's number and gives a port", name, slot)
	}
	number, err := starlark.AsInt32(v)
	if _, isInt := v.(starlark.Int); !isInt || err != nil {
		err := fmt.Errorf("the rule of port %q gives %s for slot %d: want an int", name, table.Describe(v), slot)
		return 0, pointTo(err, rule)
	}
	return number, nil
}

// pointTo makes an error point to where the rules or functions that it is about were
// made, as far as that is known: a builtin was made in no script.
func pointTo(err error, rules ...starlark.Value) error {
	var places []syntax.Position
	for _, rule := range rules {
		if at := positionOf(rule); at.IsValid() && !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	return engine.At(err, places...)
}

// positionOf is where a rule or function was made.
func positionOf(rule starlark.Value) syntax.Position {
	switch r := rule.(type) {
	case *portRule:
		return r.position
	case *starlark.Function:
		return r.Position()
	}
	return syntax.Position{}
}

// counts is a dict of names and numbers, in their order.
func counts(all []registry.Count) *starlark.Dict {
	d := starlark.NewDict(len(all))
	for _, c := range all {
		if err := d.SetKey(starlark.String(c.Name), starlark.MakeInt(c.Number)); err != nil {
			panic(err) // a new dict takes any string
		}
	}
	return d
}
