package rollback

import (
	"fmt"
	"strings"
)

// Kind says what a statement does.
type Kind string

// The kinds of statements.
const (
	Step     Kind = "step"
	Check    Kind = "check"
	Attempt  Kind = "attempt"
	Parallel Kind = "parallel"
)

// Statement is one of a program. Its blocks are what it does: one of most kinds, and those of
// the branches of a parallel.
type Statement struct {
	Kind    Kind          `json:"kind"`
	Name    string        `json:"name"` // in one program no two have the same
	Undo    bool          `json:"undo,omitempty"`
	Retries int           `json:"retries,omitempty"`
	Limit   int           `json:"limit,omitempty"`
	Blocks  [][]Statement `json:"blocks,omitempty"`
}

// Program is statements, one after another.
type Program []Statement

// Walk calls f for all statements, those around others first.
func (p Program) Walk(f func(*Statement)) {
	for i := range p {
		f(&p[i])
		for _, block := range p[i].Blocks {
			Program(block).Walk(f)
		}
	}
}

// keyOf is the key of a statement, or of the step or check around one that has none.
func keyOf(around string, s *Statement) string {
	switch {
	case s.Kind != Step && s.Kind != Check:
		return around
	case around == "":
		return s.Name
	}
	return around + "/" + s.Name
}

// String is the program as a script. What its functions tell is either the builtins of the
// module outside, or defined in a prelude.
func (p Program) String() string {
	var b strings.Builder
	write(&b, "", p)
	b.WriteString("def run(_args):\n    outside.begins()\n")
	writeBlock(&b, "", p)
	b.WriteString("\nworkflow(command = \"test\", run = run)\n")
	return b.String()
}

// write writes the functions that a block needs.
func write(b *strings.Builder, around string, block []Statement) {
	for i := range block {
		s := &block[i]
		key := keyOf(around, s)
		for n, inner := range s.Blocks {
			write(b, key, inner)
			fmt.Fprintf(b, "def %s():\n", s.function(n))
			if s.Kind == Step {
				fmt.Fprintf(b, "    outside.run(%q)\n", key)
			}
			writeBlock(b, key, inner)
			if s.Kind == Step {
				fmt.Fprintf(b, "    return outside.ran(%q)\n", key)
			}
			b.WriteString("\n")
		}
	}
}

func (s *Statement) function(n int) string {
	if s.Kind == Parallel {
		return fmt.Sprintf("%s_%d", s.Name, n)
	}
	return s.Name
}

func writeBlock(b *strings.Builder, around string, block []Statement) {
	for i := range block {
		s := &block[i]
		switch s.Kind {
		case Step:
			key := keyOf(around, s)
			call := fmt.Sprintf("step(%q, %s", s.Name, s.Name)
			if s.Undo {
				call += fmt.Sprintf(", undo = lambda result: outside.undo(%q, result)", key)
			}
			if s.Retries > 0 {
				call += fmt.Sprintf(", retries = %d", s.Retries)
			}
			fmt.Fprintf(b, "    outside.passed(%q, %s))\n", key, call)
		case Check:
			fmt.Fprintf(b, "    check(%q, %s)\n", s.Name, s.Name)
		case Attempt:
			fmt.Fprintf(b, "    attempt(%s)\n", s.Name)
		case Parallel:
			var names []string
			for n := range s.Blocks {
				names = append(names, s.function(n))
			}
			fmt.Fprintf(b, "    parallel([%s], lambda branch: branch(), limit = %d)\n", strings.Join(names, ", "), s.Limit)
		}
	}
	if len(block) == 0 {
		b.WriteString("    pass\n")
	}
}
