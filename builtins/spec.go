package builtins

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
)

func poolMethods() table.Module {
	return table.Module{Name: "pool", Type: true, Doc: "What slot.pool returns.", Builtins: []table.Builtin{specsMethod(), atMethod()}}
}

func specsMethod() table.Builtin {
	return table.Builtin{
		Name: "pool.specs",
		Doc:  "Gives the slots as the scripts want them, ascending by number.",
		Params: []table.Param{
			{Name: "only", Type: table.Ints(), Named: true, Optional: true, Help: "only these slots; all if empty"},
		},
		Result: "a list of specs: `id`, `profile`, `workers` (dict), `ports` (dict), `project`, `dir`, `env` (dict of strings)",
		Errors: "A number that is no slot of the pool, or is given twice; whatever the port rules and the environment function fail with.",
		Run:    poolSpecs,
		Example: `load("pool.star", "pool")

first = pool.specs(only = [1])[0]
first.profile  # -> "small"
first.ports  # -> {"web": 7001, "metrics": 7102}`,
	}
}

func atMethod() table.Builtin {
	return table.Builtin{
		Name:   "pool.at",
		Doc:    "Gives the same pool below another root.",
		Params: []table.Param{{Name: "root", Type: table.String(), Help: "the root directory, absolute"}},
		Result: "a pool",
		Errors: "A path that isn't absolute, or is that of the whole file system.",
		Run: func(c *table.Call) (starlark.Value, error) {
			root := c.String("root")
			if !filepath.IsAbs(root) {
				return nil, fmt.Errorf("pool.at: root is %q: want an absolute path", root)
			}
			if err := pools.CheckRoot(root, filepath.Clean(root)); err != nil {
				return nil, fmt.Errorf("pool.at: %w", err)
			}
			return c.Receiver.(*Pool).at(filepath.Clean(root)), nil
		},
		Example: `load("pool.star", "pool")

pool.at("/tmp/trial").specs(only = [1])[0].dir
# -> "/tmp/trial/sandboxes/slot-1"`,
	}
}

func poolSpecs(c *table.Call) (starlark.Value, error) {
	p := c.Receiver.(*Pool)
	only := c.Ints("only")
	for i, id := range only {
		if !slices.Contains(p.slots, id) {
			return nil, engine.UsageError("the slots of a pool are set in its pool.star",
				"pool %q has no slot %d: %s", p.name, id, numbers(p.slots))
		}
		if slices.Contains(only[:i], id) {
			return nil, engine.UsageError("name each slot once", "slot %d is given twice", id)
		}
	}
	var all []*specValue
	for _, id := range p.slots {
		if len(only) > 0 && !slices.Contains(only, id) {
			continue
		}
		s, err := p.spec(c.Thread, id)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return engine.List(all, func(s *specValue) starlark.Value { return s }), nil
}

// numbers says which slots there are, with neighbours as ranges: "its slots are 1-4, 6".
func numbers(ids []int) string {
	if len(ids) == 0 {
		return "it has none at all"
	}
	text := ""
	for i := 0; i < len(ids); {
		j := i
		for j+1 < len(ids) && ids[j+1] == ids[j]+1 {
			j++
		}
		if text != "" {
			text += ", "
		}
		if text += fmt.Sprint(ids[i]); j > i {
			text += fmt.Sprintf("-%d", ids[j])
		}
		i = j + 1
	}
	return "its slots are " + text
}

// specValue is a slot as the scripts want it, in a script.
type specValue struct {
	spec    slot.Spec
	project string
	dir     string
}

// spec makes the spec of a slot, once.
func (p *Pool) spec(t *starlark.Thread, id int) (*specValue, error) {
	p.mu.Lock()
	known := p.specs[id]
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	ports, err := p.portsOf(t, id)
	if err != nil {
		return nil, err
	}
	text, err := p.template.read()
	if err != nil {
		return nil, err
	}
	s := &specValue{project: fmt.Sprintf(p.project, id), dir: slot.Dir(p.root, id)}
	s.spec = slot.Spec{ID: id, Profile: p.profileOf[id], Workers: p.workersOf(id), Ports: ports, Compose: []byte(text)}
	if s.spec.Env, err = p.environmentOf(t, s); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.specs[id] = s
	p.mu.Unlock()
	return s, nil
}

func (p *Pool) workersOf(id int) []registry.Count {
	for _, one := range p.profiles {
		if one.name == p.profileOf[id] {
			return one.workers
		}
	}
	return nil
}

// portsOf applies the port rules to a slot's number.
func (p *Pool) portsOf(t *starlark.Thread, id int) ([]registry.Count, error) {
	ports := make([]registry.Count, len(p.portNames))
	for i, name := range p.portNames {
		number, err := portOf(t, name, p.portRules[i], id)
		if err != nil {
			return nil, err
		}
		ports[i] = registry.Count{Name: name, Number: number}
	}
	return ports, nil
}

// environmentOf calls the pool's environment function.
func (p *Pool) environmentOf(t *starlark.Thread, s *specValue) (map[string]string, error) {
	arg := engine.Struct("id", s.spec.ID, "profile", s.spec.Profile, "workers", counts(s.spec.Workers),
		"ports", counts(s.spec.Ports), "project", s.project, "dir", s.dir, "root", p.root)
	arg.Freeze()
	v, err := starlark.Call(t, p.environment, starlark.Tuple{arg}, nil)
	if err != nil {
		return nil, err
	}
	dict, ok := v.(starlark.IterableMapping)
	if !ok {
		err := fmt.Errorf("the environment of slot %d is %s: want a dict of names and values", s.spec.ID, table.Describe(v))
		return nil, pointTo(err, p.environment)
	}
	if err := p.checkNoSecrets(dict); err != nil {
		return nil, pointTo(fmt.Errorf("the environment of slot %d: %w", s.spec.ID, err), p.environment)
	}
	env, err := stringMap(dict)
	if err != nil {
		return nil, pointTo(fmt.Errorf("the environment of slot %d: %w", s.spec.ID, err), p.environment)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if err := stack.CheckSet(name); err != nil {
			return nil, pointTo(fmt.Errorf("the environment of slot %d: %w", s.spec.ID, err), p.environment)
		}
	}
	if err := s.checkOwn(env); err != nil {
		return nil, pointTo(err, p.environment)
	}
	return env, nil
}

// checkOwn holds the variables that tell a slot from the others to what is the slot's,
// where the environment has them. Two slots with one Compose project would be one stack.
func (s *specValue) checkOwn(env map[string]string) error {
	for _, own := range []struct{ name, want, from string }{
		{"COMPOSE_PROJECT_NAME", s.project, "slot.project"},
		{"SLOT_ID", fmt.Sprint(s.spec.ID), "slot.id"},
	} {
		if given, ok := env[own.name]; ok && given != own.want {
			return engine.UsageError(fmt.Sprintf("give %s the value of %s, or leave it out", own.name, own.from),
				"the environment of slot %d: %s is %q: want %q", s.spec.ID, own.name, given, own.want)
		}
	}
	return nil
}

// stringMap is a dict of strings, or of ints, which are written as such.
func stringMap(dict starlark.IterableMapping) (map[string]string, error) {
	all := map[string]string{}
	if dict == nil {
		return all, nil
	}
	for _, kv := range dict.Items() {
		name, ok := starlark.AsString(kv[0])
		if !ok {
			return nil, fmt.Errorf("the name %s is not a string", kv[0])
		}
		switch v := kv[1].(type) {
		case starlark.String:
			all[name] = string(v)
		case starlark.Int:
			all[name] = v.String()
		default:
			return nil, fmt.Errorf("%s is %s: want a string or an int", name, table.Describe(v))
		}
	}
	return all, nil
}

func (s *specValue) String() string        { return fmt.Sprintf("<slot %d (%s)>", s.spec.ID, s.spec.Profile) }
func (s *specValue) Type() string          { return "spec" }
func (s *specValue) Freeze()               {}
func (s *specValue) Truth() starlark.Bool  { return true }
func (s *specValue) Hash() (uint32, error) { return uint32(s.spec.ID), nil }
func (s *specValue) AttrNames() []string {
	return []string{"dir", "env", "id", "ports", "profile", "project", "workers"}
}

// Attr gives what the table of pool.specs documents.
func (s *specValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "id":
		return starlark.MakeInt(s.spec.ID), nil
	case "profile":
		return starlark.String(s.spec.Profile), nil
	case "workers":
		return counts(s.spec.Workers), nil
	case "ports":
		return counts(s.spec.Ports), nil
	case "project":
		return starlark.String(s.project), nil
	case "dir":
		return starlark.String(s.dir), nil
	case "env":
		return stringDict(s.spec.Env), nil
	}
	return nil, nil
}

// stringDict is a dict of strings, sorted by name.
func stringDict(all map[string]string) *starlark.Dict {
	d := starlark.NewDict(len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := d.SetKey(starlark.String(name), starlark.String(all[name])); err != nil {
			panic(err) // a new dict takes any string
		}
	}
	return d
}
