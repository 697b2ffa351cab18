package rollback

import (
	"math/rand/v2"
)

// generator makes random cases.
type generator struct {
	*rand.Rand
	names int
	left  int // statements that the program may still get
}

// Generate gives the case of a number.
func Generate(seed uint64) Case {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	c := Case{Program: g.program()}
	names := c.Program.names(Step)
	c.Processes = []Process{g.process(Start, names)}
	program := c.Program
	for range g.IntN(5) {
		p := g.process(pick(g, Resume, Resume, Resume, Undo), names)
		if p.Do == Resume && g.IntN(4) == 0 {
			p.Do = Edited
			program = g.edit(program)
			p.Program = program
		}
		c.Processes = append(c.Processes, p)
	}
	c.Processes = append(c.Processes, Process{Do: Resume}, Process{Do: Undo})
	return c
}

// names are those of the statements of a kind.
func (p Program) names(kind Kind) []string {
	var names []string
	p.Walk(func(s *Statement) {
		if s.Kind == kind {
			names = append(names, s.Name)
		}
	})
	return names
}

func (g *generator) program() Program {
	g.left = 2 + g.IntN(12)
	var p Program
	for g.left > 0 {
		p = append(p, g.statement(0))
	}
	return p
}

// deepest is how deep statements nest.
const deepest = 4

func (g *generator) statement(depth int) Statement {
	g.left--
	s := Statement{Kind: Step}
	if depth < deepest && g.left > 0 {
		s.Kind = pick(g, Step, Step, Step, Step, Check, Attempt, Attempt, Parallel, Parallel, Parallel)
	}
	s.Name = g.name(s.Kind)
	blocks := 1
	switch s.Kind {
	case Step:
		s.Undo = g.IntN(3) > 0
		if g.IntN(6) == 0 {
			s.Retries = 1 + g.IntN(2)
		}
	case Parallel:
		blocks = 2 + g.IntN(3)
		s.Limit = 1 + g.IntN(3)
	}
	for range blocks {
		s.Blocks = append(s.Blocks, g.block(s.Kind, depth+1))
	}
	return s
}

// block is what is inside a statement.
func (g *generator) block(of Kind, depth int) []Statement {
	least, most := 1, 3
	if of == Step {
		least, most = 0, 2
		if g.IntN(2) == 0 {
			return nil
		}
	}
	var block []Statement
	for n := least + g.IntN(most); n > 0 && (g.left > 0 || len(block) == 0); n-- {
		block = append(block, g.statement(depth))
	}
	return block
}

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

func (g *generator) process(do string, names []string) Process {
	p := Process{Do: do, Fails: map[string]Failure{}, Stuck: map[string]bool{}, Slow: map[string]int{}}
	failing, stuck := pick(g, 0, 0, 5, 15, 30), pick(g, 0, 0, 10, 40)
	for _, name := range names {
		if g.IntN(100) < failing {
			p.Fails[name] = Failure{Times: 1 + g.IntN(3), Late: g.IntN(2) == 0}
		}
		if g.IntN(100) < stuck {
			p.Stuck[name] = true
		}
		if g.IntN(4) == 0 {
			p.Slow[name] = pick(g, 1, 5, 50)
		}
	}
	switch g.IntN(8) {
	case 0, 1, 2, 3:
		p.Kill = 2 + g.IntN(8*len(names)+4)
	case 4:
		p.Signal = 2 + g.IntN(8*len(names)+4)
	}
	return p
}
