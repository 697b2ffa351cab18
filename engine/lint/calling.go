package lint

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// call is a call in a function that is sure to be one of what it is about.
type call struct {
	at       syntax.Position
	expr     *syntax.CallExpr
	builtin  *table.Builtin
	function *scope
}

// callsOf is the calls that a function makes when it is called: its own, and those that
// builtins make at once of functions that it gives them. A function that is kept, such
// as in a struct, or that is called later, such as an undo, isn't among them.
func (c *Checker) callsOf(s *scope) []call {
	if known, ok := s.unit.calls[s]; ok {
		return known
	}
	var all []call
	eachOwn(s, func(n syntax.Node) {
		e, ok := n.(*syntax.CallExpr)
		if !ok {
			return
		}
		fn := c.callee(s.unit, e.Fn)
		if fn.builtin == nil && fn.function == nil && fn.language == "" {
			return
		}
		at := syntax.Start(e)
		if fn.builtin != nil || fn.function != nil {
			all = append(all, call{at, e, fn.builtin, fn.function})
		}
		for _, arg := range calledAtOnce(e, fn) {
			if given := c.callee(s.unit, arg); given.function != nil || given.builtin != nil {
				all = append(all, call{syntax.Start(arg), nil, given.builtin, given.function})
			}
		}
	})
	s.unit.calls[s] = all
	return all
}

// meantToSucceed is the functions of a file without those that a test gives to
// expect.fails, and those in them: what is wrong there is meant to be.
func (c *Checker) meantToSucceed(u *unit) []*scope {
	if u.succeeding != nil {
		return u.succeeding
	}
	failing := map[*scope]bool{}
	for _, s := range u.scopes {
		for _, call := range c.callsOf(s) {
			if call.expr != nil && call.builtin != nil && call.builtin.Name == "expect.fails" {
				if given := argument(call.expr, 0, "run"); given != nil {
					if fn := c.callee(u, given).function; fn != nil {
						failing[fn] = true
					}
				}
			}
		}
	}
	for _, s := range u.scopes { // those around a function stand before it
		if failing[s] || failing[s.parent] {
			failing[s] = true
			continue
		}
		u.succeeding = append(u.succeeding, s)
	}
	return u.succeeding
}

// calledAtOnce is the arguments of a call that the builtin calls as functions, where it
// is called itself: not those of a step, which are a part of the step.
func calledAtOnce(e *syntax.CallExpr, fn callee) []syntax.Expr {
	var all []syntax.Expr
	add := func(position int, name string) {
		if arg := argument(e, position, name); arg != nil {
			all = append(all, arg)
		}
	}
	switch {
	case fn.language == "sorted", fn.language == "min", fn.language == "max":
		add(-1, "key")
	case fn.builtin != nil:
		switch fn.builtin.Name {
		case "step", "on_exit", "workflow":
			return nil
		}
		for i, p := range fn.builtin.Params {
			if takesFunction(p.Type) {
				add(i, p.Name)
			}
		}
	}
	return all
}

func takesFunction(t table.Type) bool {
	return t.Accepts(aFunction()[0]) && !t.Accepts(starlark.String(""))
}
