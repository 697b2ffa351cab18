package builtins

import (
	"context"
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/slot"
)

// poolsModule is the pools of this machine.
func (d *domain) poolsModule() table.Module {
	return table.Module{
		Name: "pools", Doc: "The pools of this machine, each beside the others.",
		Builtins: []table.Builtin{
			{
				Name: "pools.list", Reads: true, Doc: "Lists the pools that were provisioned on this machine by this user.",
				Result:  "`struct(pools, problems)`: pools is a list of `struct(name, root, project, source, project_directory, slots, claimed, gone, problem)` by name, in which slots and claimed are numbers, gone tells that its root has no registry any more, and problem says why that can't be read, or is None; problems is a list of what is wrong with the list itself",
				Run:     d.listPools,
				Example: `pools.list().problems  # -> []`,
			},
			{
				Name: "pools.forget", Changes: true, Doc: "Takes a pool off the list. Nothing of the pool itself is touched.",
				Params: []table.Param{{Name: "root", Type: table.String(), Help: "its root, as pools.list has it"}},
				Run: func(c *table.Call) (starlark.Value, error) {
					return starlark.None, d.pools(c.Thread).Forget(c.String("root"))
				},
				Example: `pools.forget("/home/user/.pool")
pools.list().pools  # -> []`,
			},
		},
	}
}

func (d *domain) pools(t *starlark.Thread) *pools.List {
	return pools.Open(engine.World(t), d.options.PoolsDir)
}

func (d *domain) listPools(c *table.Call) (starlark.Value, error) {
	states, problems := d.pools(c.Thread).States(engine.Context(c.Thread))
	return engine.Struct("pools", engine.List(states, poolState), "problems", engine.List(problems, errorText)), nil
}

func poolState(s pools.State) starlark.Value {
	var problem starlark.Value = starlark.None
	if s.Problem != nil {
		problem = errorText(s.Problem)
	}
	return engine.Struct("name", s.Name, "root", s.Root, "project", s.Project, "source", orNone(s.Source), "project_directory", orNone(s.ProjectDir),
		"slots", len(s.Slots), "claimed", s.Claimed(), "gone", s.Gone, "problem", problem)
}

func errorText(err error) starlark.Value { return starlark.String(err.Error()) }

// otherPorts is the ports that the other pools have registered.
func (d *domain) otherPorts(c *table.Call) (starlark.Value, error) {
	states, problems := d.pools(c.Thread).Others(engine.Context(c.Thread), c.Value("pool").(*Pool).root)
	problems = unknownPorts(states, problems)
	var rows []starlark.Value
	for _, s := range states {
		for _, one := range s.Slots {
			for _, port := range one.Ports {
				rows = append(rows, engine.Struct("pool", s.Name, "root", s.Root, "slot", one.ID, "name", port.Name, "number", port.Number))
			}
		}
	}
	return engine.Struct("ports", starlark.NewList(rows), "problems", engine.List(problems, errorText)), nil
}

// apart checks that the ports of a pool's slots, and their Compose projects, are those
// of no other pool.
func (p *Pool) apart(others []pools.State, own []ports.Claim, projects map[int]string) error {
	var theirs []ports.Claim
	for _, s := range others {
		theirs = append(theirs, s.PortClaims()...)
	}
	if err := ports.Apart(theirs, own); err != nil {
		return p.pointToRules(err)
	}
	err := pools.CheckProjects(others, projects)
	if err == nil {
		return nil
	}
	return hint.Wrap(err, `give one of the pools another project in its pool.star, such as "%s-%%d"; kinfra pools lists them`, p.name)
}

// keepApart has slot.Ensure keep a pool apart from the others, and put it on the list,
// where something is written. The list is locked meanwhile, so that of two pools that
// are provisioned at once the second one sees the first one's ports.
func (d *domain) keepApart(c *table.Call, p *Pool, o *slot.Options) {
	list := d.pools(c.Thread)
	source, project := d.options.source()
	entry := pools.Pool{Name: p.name, Root: p.root, Project: p.project, Source: source, ProjectDir: project}
	o.Check = func(ctx context.Context, change slot.Change) error {
		if err := list.CheckRoot(entry); err != nil {
			return hint.Wrap(err, "give the pool a root of its own in pool.star, and see whether KINFRA_ROOT is set; kinfra pools lists the roots")
		}
		return p.checkChange(ctx, list, change)
	}
	o.Begin = func(ctx context.Context, change slot.Change) (func(error) error, error) {
		unlock, err := list.Lock(ctx)
		if err != nil {
			return nil, err
		}
		end := func(err error) error { unlock(); return err }
		if err := o.Check(ctx, change); err != nil { // once more, now that no other can come between
			return nil, end(err)
		}
		for _, problem := range unknownPorts(list.Others(ctx, p.root)) { // which keep this pool from nothing
			engine.Current(c.Thread).Progress("warning: another pool's ports are not known: " + problem.Error())
		}
		isNew, err := list.Put(entry)
		if err != nil {
			return nil, end(err)
		}
		return func(err error) error {
			if err != nil && isNew {
				err = errors.Join(err, list.Forget(p.root))
			}
			return end(err)
		}, nil
	}
}

// unknownPorts is why the ports of other pools are not known.
func unknownPorts(states []pools.State, problems []error) []error {
	for _, s := range states {
		if s.Problem != nil {
			problems = append(problems, fmt.Errorf("pool %q at %s: %w", s.Name, s.Root, s.Problem))
		}
	}
	return problems
}

// checkChange holds the slots that are to be written against those that stay as they
// are, and against the other pools.
func (p *Pool) checkChange(ctx context.Context, list *pools.List, change slot.Change) error {
	var own, staying []ports.Claim
	projects := map[int]string{}
	for _, s := range change.Written {
		own = append(own, claimsOf(s.ID, s.Ports)...)
		projects[s.ID] = p.projectOf(s.ID)
	}
	for _, s := range change.Kept {
		for _, port := range s.Ports {
			staying = append(staying, ports.Claim{Owner: fmt.Sprintf("slot %d as it is", s.ID), Name: port.Name, Number: port.Number, Foreign: true})
		}
	}
	if err := ports.Apart(staying, own); err != nil {
		return p.pointToRules(err)
	}
	others, _ := list.Others(ctx, p.root)
	return p.apart(others, own, projects)
}

// projects is the Compose project of each slot.
func (p *Pool) projects() map[int]string {
	all := map[int]string{}
	for _, id := range p.slots {
		all[id] = p.projectOf(id)
	}
	return all
}

func (p *Pool) projectOf(id int) string { return fmt.Sprintf(p.project, id) }
