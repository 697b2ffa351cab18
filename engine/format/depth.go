package format

import (
	"fmt"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
)

// mostDepth is how deep a script may be nested. Starlark itself refuses brackets and
// blocks nested deeper, but not what its parser reads in a loop: the operators, calls and
// attributes of one expression (1 + 1 + …, a.b.c…), and elif.
const mostDepth = 1000

// checkDepth refuses a script that is nested too deep.
func checkDepth(tree *syntax.File) error {
	depth := 0
	var deepest syntax.Node
	syntax.Walk(tree, func(n syntax.Node) bool {
		if n == nil {
			depth--
			return false
		}
		if depth == mostDepth && deepest == nil {
			deepest = n
		}
		if deepest != nil {
			return false
		}
		depth++
		return true
	})
	if deepest == nil {
		return nil
	}
	return &engine.Error{
		Code: engine.Usage, Message: fmt.Sprintf("nested deeper than %d: this has more operators, calls or branches in a row than can be formatted", mostDepth),
		At: []syntax.Position{syntax.Start(deepest)}, Next: "the file stays as it is; give parts of it names of their own, or use a list or dict",
	}
}
