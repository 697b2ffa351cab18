package builtins

import (
	"errors"
	"fmt"
	"slices"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/registry"
)

func (d *domain) portsModule() table.Module {
	pool := table.Param{Name: "pool", Type: table.Of[*Pool]("a pool"), Help: "the pool"}
	return table.Module{
		Name: "ports", Doc: "The ports of a pool.",
		Builtins: []table.Builtin{
			{
				Name: "ports.verify", Reads: true,
				Doc: "Checks the ports of the whole pool before anything is written: no port twice (within a slot, between slots, " +
					"with slot 0), every port in 1024–65535, and the compose file publishing, under the slot's environment, all of them and no other.",
				Params: []table.Param{pool, {Name: "published", Type: table.Bool(), Named: true, Optional: true, Default: starlark.True, Help: "also what the compose file publishes, for which that has to be read"}, {Name: "others", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "also that no port and no Compose project is one that another pool of this machine has registered; slot.ensure looks at that by itself where it writes something. Not so with --root, which is for trying things out"}},
				Errors: "A violation, which names both claimants of a port and points to the lines of their rules.",
				Run:    d.verifyPorts,
				Example: `load("pool.star", "pool")

ports.verify(pool)`,
			},
			{
				Name: "ports.others", Reads: true, Doc: "Gives the ports that the other pools of this machine have registered.",
				Params: []table.Param{pool},
				Result: "`struct(ports, problems)`: ports is a list of `struct(pool, root, slot, name, number)`, by pool, problems a list of why a pool's ports are not known",
				Run:    d.otherPorts,
				Example: `load("pool.star", "pool")

ports.others(pool).ports  # -> []`,
			},
			{
				Name: "ports.table", Doc: "Gives every port of the pool, that of slot 0 included.",
				Params: []table.Param{pool},
				Result: "a list of `struct(slot, name, number)`, by slot and in the order of the rules",
				Run:    portTable,
				Example: `load("pool.star", "pool")

[p.number for p in ports.table(pool) if p.name == "web"]
# -> [7000, 7001, 7002, 7003]`,
			},
			{
				Name: "ports.listening", Reads: true, Doc: "Tells whether something accepts connections on a port of this machine now.",
				Params: []table.Param{{Name: "number", Type: table.Int(), Help: "the port"}},
				Result: "a bool",
				Errors: "A file that is still loading.",
				Run: func(c *table.Call) (starlark.Value, error) {
					if engine.Loading(c.Thread) {
						return nil, named(c, engine.ErrLoading)
					}
					address := fmt.Sprintf("127.0.0.1:%d", c.Int("number"))
					listening, err := engine.World(c.Thread).Services.Listening(engine.Context(c.Thread), address)
					return starlark.Bool(listening), err
				},
				Example: "ports.listening(7001)  # -> False",
			},
		},
	}
}

func portTable(c *table.Call) (starlark.Value, error) {
	p := c.Value("pool").(*Pool)
	var rows []starlark.Value
	for _, id := range append([]int{0}, p.slots...) {
		all, err := p.portsOf(c.Thread, id)
		if err != nil {
			return nil, err
		}
		for _, port := range all {
			rows = append(rows, engine.Struct("slot", id, "name", port.Name, "number", port.Number))
		}
	}
	return starlark.NewList(rows), nil
}

func (d *domain) verifyPorts(c *table.Call) (starlark.Value, error) {
	p := c.Value("pool").(*Pool)
	reserved, err := p.portsOf(c.Thread, 0)
	if err != nil {
		return nil, err
	}
	claims := claimsOf(0, reserved)
	// Slot 0 is no slot of the pool: its stack may well use port 80.
	claims = slices.DeleteFunc(claims, func(c ports.Claim) bool { return c.Number < ports.Min || c.Number > ports.Max })
	var specs []*specValue
	for _, id := range p.slots {
		s, err := p.spec(c.Thread, id)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
		claims = append(claims, claimsOf(id, s.spec.Ports)...)
	}
	if err := ports.Verify(claims); err != nil {
		return nil, p.pointToRules(err)
	}
	if c.Bool("published") {
		if err := p.verifyPublished(specs); err != nil {
			return nil, err
		}
	}
	if !c.Bool("others") || d.options.RootFlag != "" {
		return starlark.None, nil
	}
	others, _ := d.pools(c.Thread).Others(engine.Context(c.Thread), p.root)
	return starlark.None, p.apart(others, claims, p.projects())
}

func claimsOf(id int, all []registry.Count) []ports.Claim {
	claims := make([]ports.Claim, len(all))
	for i, port := range all {
		claims[i] = ports.Claim{Owner: fmt.Sprintf("slot %d", id), Name: port.Name, Number: port.Number}
	}
	return claims
}

// pointToRules makes the violations of an error point to the rules of their ports.
func (p *Pool) pointToRules(err error) error {
	rule := func(c ports.Claim) starlark.Value {
		if i := slices.Index(p.portNames, c.Name); i >= 0 && !c.Foreign {
			return p.portRules[i]
		}
		return nil
	}
	point := func(err error) error {
		var collision *ports.Collision
		var out *ports.OutOfRange
		switch {
		case errors.As(err, &collision):
			return pointTo(err, rule(collision.B), rule(collision.A))
		case errors.As(err, &out):
			return pointTo(err, rule(out.Claim))
		}
		return err
	}
	next := portsHint
	if foreign(err) {
		next = foreignHint
	}
	joined, many := err.(interface{ Unwrap() []error })
	if !many {
		return hint.Wrap(point(err), "%s", next)
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, point(e))
	}
	return hint.Wrap(errors.Join(all...), "%s", next)
}

const (
	portsHint   = "kinfra ports shows the whole table"
	foreignHint = "give the port another rule in pool.star; kinfra ports shows the ports of all pools"
)

// foreign tells whether a violation is one with what the pool's rules have not made.
func foreign(err error) bool {
	var collision *ports.Collision
	return errors.As(err, &collision) && collision.A.Foreign
}

// verifyPublished checks that the template publishes the ports of each slot under its
// environment, and no others.
func (p *Pool) verifyPublished(specs []*specValue) error {
	file, err := p.compose()
	if err != nil {
		return err
	}
	for _, s := range specs {
		env := p.withSecrets(s.spec.Env)
		if p.projectDir != "" { // the rest is in the holder's own file
			env = file.Complete(env)
		}
		published, err := file.Published(env)
		if err != nil {
			return p.inTemplate(fmt.Sprintf(" under the environment of slot %d", s.spec.ID), err)
		}
		if err := s.checkPublished(published); err != nil {
			return p.inTemplate("", &engine.Error{Code: engine.Conflict, Message: err.Error(),
				Next: "let the template take each port from a variable, and set that in the environment function of pool.star"})
		}
		if err := s.checkAllPublished(published); err != nil {
			return p.inTemplate("", &engine.Error{Code: engine.Conflict, Message: err.Error(),
				Next: "let a service of the template publish it, or take its rule out of pool.star"})
		}
	}
	return nil
}

// checkAllPublished holds the slot's ports against what the template publishes: a
// port that no service has is a sign of one that is missing.
func (s *specValue) checkAllPublished(published []compose.Port) error {
	for _, own := range s.spec.Ports {
		if !slices.ContainsFunc(published, func(p compose.Port) bool { return p.Published == own.Number }) {
			return fmt.Errorf("no service publishes %d, the port %q of slot %d", own.Number, own.Name, s.spec.ID)
		}
	}
	return nil
}

// checkPublished holds what the template publishes under the slot's environment
// against the slot's ports.
func (s *specValue) checkPublished(published []compose.Port) error {
	type socket struct {
		address, protocol string
		number            int
	}
	taken := map[socket]compose.Port{}
	for _, port := range published {
		what := fmt.Sprintf("line %d: the service %q publishes port %d", port.Line, port.Service, port.Published)
		if port.Published == 0 || port.Last != port.Published {
			return fmt.Errorf("line %d: the service %q publishes a port that Docker chooses, not one of slot %d", port.Line, port.Service, s.spec.ID)
		}
		own := slices.ContainsFunc(s.spec.Ports, func(c registry.Count) bool { return c.Number == port.Published })
		switch {
		case !own && len(port.Variables) == 0:
			return fmt.Errorf("%s, which is fixed and no port of slot %d", what, s.spec.ID)
		case !own:
			return fmt.Errorf("%s from %s, which is no port of slot %d", what, quoted(port.Variables), s.spec.ID)
		}
		at := socket{port.HostIP, port.Protocol, port.Published}
		if first, twice := taken[at]; twice {
			return fmt.Errorf("%s, as %q does on line %d", what, first.Service, first.Line)
		}
		taken[at] = port
	}
	return nil
}
