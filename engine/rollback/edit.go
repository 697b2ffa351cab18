package rollback

import (
	"fmt"
	"reflect"
	"slices"
)

// edit is a program as it was, with a step more at its end, or with a part of it caught.
func (g *generator) edit(p Program) Program {
	edited := slices.Clone(p)
	switch g.IntN(3) {
	case 0:
		return edited // as it was
	case 1:
		return append(edited, g.added())
	}
	return g.editBlock(edited, func(block []Statement, at int) []Statement {
		around := Statement{Kind: Attempt, Name: g.name(Attempt), Blocks: [][]Statement{{block[at]}}}
		block[at] = around
		return block
	})
}

// extends tells whether a program is another one with nothing but statements at its end. A
// run must be able to go on with that, whatever it has done.
func (p Program) extends(other Program) bool {
	return len(p) >= len(other) && reflect.DeepEqual(p[:len(other)], other)
}

func (g *generator) name(kind Kind) string {
	g.names++
	return fmt.Sprintf("%c%d", kind[0], g.names)
}

func (g *generator) added() Statement {
	g.left = g.IntN(3)
	return g.statement(deepest) // steps alone: others would change what the record calls the branches
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
