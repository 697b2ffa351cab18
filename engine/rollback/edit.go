package rollback

import (
	"fmt"
	"slices"
)

// edit is a program as somebody may have left it who has edited it.
func (g *generator) edit(p Program) Program {
	edits := []func([]Statement, int) []Statement{g.caught, g.inserted, g.forked, deleted, g.swapped, g.otherUndo, g.renamed}
	switch n := g.IntN(len(edits) + 2); n {
	case 0:
		return p // as it was
	case 1:
		return append(slices.Clone(p), g.added())
	default:
		return g.editBlock(p, edits[n-2])
	}
}

func (g *generator) name(kind Kind) string {
	g.names++
	return fmt.Sprintf("%c%d", kind[0], g.names)
}

// added is a step, perhaps with others inside.
func (g *generator) added() Statement {
	g.left = g.IntN(3)
	return g.statement(deepest)
}

// editBlock edits a block at a statement. Neither is shared with the program that was.
func (g *generator) editBlock(block []Statement, edit func(block []Statement, at int) []Statement) []Statement {
	if len(block) == 0 {
		return []Statement{g.added()}
	}
	at := g.IntN(len(block))
	block = slices.Clone(block)
	if s := &block[at]; len(s.Blocks) > 0 && g.IntN(3) > 0 {
		n := g.IntN(len(s.Blocks))
		if len(s.Blocks[n]) > 0 {
			s.Blocks = slices.Clone(s.Blocks)
			s.Blocks[n] = g.editBlock(s.Blocks[n], edit)
			return block
		}
	}
	return edit(block, at)
}

// The edits of a block at a statement.

func (g *generator) caught(block []Statement, at int) []Statement {
	block[at] = Statement{Kind: Attempt, Name: g.name(Attempt), Blocks: [][]Statement{{block[at]}}}
	return block
}

func (g *generator) inserted(block []Statement, at int) []Statement {
	return slices.Insert(block, at, g.added())
}

// forked has a parallel more: with new steps, or with what stood there as one of its branches.
func (g *generator) forked(block []Statement, at int) []Statement {
	s := Statement{Kind: Parallel, Name: g.name(Parallel), Limit: 2, Blocks: [][]Statement{{g.added()}, {g.added()}}}
	if g.IntN(3) > 0 {
		return slices.Insert(block, at, s)
	}
	s.Blocks[g.IntN(2)] = []Statement{block[at]}
	block[at] = s
	return block
}

func deleted(block []Statement, at int) []Statement { return slices.Delete(block, at, at+1) }

func (g *generator) swapped(block []Statement, at int) []Statement {
	other := g.IntN(len(block))
	block[at], block[other] = block[other], block[at]
	return block
}

// otherUndo gives a step an undo that had none, or takes it away.
func (g *generator) otherUndo(block []Statement, at int) []Statement {
	if s := &block[at]; s.Kind == Step {
		s.Undo = !s.Undo
	}
	return block
}

func (g *generator) renamed(block []Statement, at int) []Statement {
	block[at].Name = g.name(block[at].Kind)
	return block
}
