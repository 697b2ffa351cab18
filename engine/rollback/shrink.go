package rollback

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// tries is how often a case is run to see whether it goes wrong: its branches run in another
// order each time.
const tries = 6

// Shrink looks for a smaller case that goes wrong, too, for some time.
func (f *Found) Shrink(most time.Duration) *Found {
	end := time.Now().Add(most)
	best := f
	for smaller := true; smaller && time.Now().Before(end); {
		smaller = false
		for _, c := range best.Case.smaller() {
			if c.size() >= best.Case.size() {
				continue
			}
			if found := again(c, f.Seed); found != nil {
				best, smaller = found, true
				break
			}
			if time.Now().After(end) {
				break
			}
		}
	}
	return best
}

// size is how long a case is when it is printed.
func (c Case) size() int {
	text, _ := json.Marshal(c)
	return len(text)
}

func again(c Case, seed uint64) *Found {
	for range tries {
		trace := Run(c)
		if wrong := Judge(c, trace); wrong != "" {
			return &Found{seed, c, trace, wrong}
		}
	}
	return nil
}

// smaller is the cases that have a little less in them, those with much less first. What is
// taken from the program is taken from those of edits, too.
func (c Case) smaller() []Case {
	var all []Case
	for i := 1; i < len(c.Processes); i++ {
		all = append(all, Case{c.Program, slices.Delete(slices.Clone(c.Processes), i, i+1)})
	}
	for _, less := range []func(Statement) []Statement{nowhere, unwrapped, withFewerBranches, withoutUndo, withoutRetries} {
		for name := range c.names() {
			all = append(all, c.with(name, less))
		}
	}
	for i := range c.Processes {
		for _, p := range c.Processes[i].smaller() {
			processes := slices.Clone(c.Processes)
			processes[i] = p
			all = append(all, Case{c.Program, processes})
		}
	}
	return all
}

// names are those of all statements.
func (c Case) names() map[string]bool {
	names := map[string]bool{}
	note := func(s *Statement) { names[s.Name] = true }
	c.Program.Walk(note)
	for _, p := range c.Processes {
		p.Program.Walk(note)
	}
	return names
}

// with is the case with something else in place of the statement with a name.
func (c Case) with(name string, less func(Statement) []Statement) Case {
	c.Program = c.Program.with(name, less)
	c.Processes = slices.Clone(c.Processes)
	for i := range c.Processes {
		c.Processes[i].Program = c.Processes[i].Program.with(name, less)
	}
	return c
}

func (p Program) with(name string, less func(Statement) []Statement) Program {
	var all Program
	for _, s := range p {
		if s.Name == name {
			all = append(all, less(s)...)
			continue
		}
		s.Blocks = slices.Clone(s.Blocks)
		for n := range s.Blocks {
			s.Blocks[n] = Program(s.Blocks[n]).with(name, less)
		}
		all = append(all, s)
	}
	return all
}

func nowhere(Statement) []Statement { return nil }

func unwrapped(s Statement) []Statement { return slices.Concat(s.Blocks...) }

// withFewerBranches leaves the last one out.
func withFewerBranches(s Statement) []Statement {
	if len(s.Blocks) > 1 {
		s.Blocks = s.Blocks[:len(s.Blocks)-1]
	}
	return []Statement{s}
}

func withoutUndo(s Statement) []Statement {
	s.Undo = false
	return []Statement{s}
}

func withoutRetries(s Statement) []Statement {
	s.Retries = 0
	return []Statement{s}
}

func (p Process) smaller() []Process {
	var all []Process
	if p.Kill > 0 {
		less := p
		less.Kill = 0
		all = append(all, less)
		if p.Kill > 2 {
			less.Kill = p.Kill - 1
			all = append(all, less)
		}
	}
	if p.Signal > 0 {
		less := p
		less.Signal = 0
		all = append(all, less)
	}
	for name := range p.Fails {
		less := p
		less.Fails = maps.Clone(p.Fails)
		delete(less.Fails, name)
		all = append(all, less)
	}
	for name := range p.Stuck {
		less := p
		less.Stuck = maps.Clone(p.Stuck)
		delete(less.Stuck, name)
		all = append(all, less)
	}
	for name := range p.Slow {
		less := p
		less.Slow = maps.Clone(p.Slow)
		delete(less.Slow, name)
		all = append(all, less)
	}
	return all
}
