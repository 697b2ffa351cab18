package lint

import (
	"maps"
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// callee is what an expression is known to stand for. All is nil where it isn't known.
type callee struct {
	builtin  *table.Builtin
	function *scope
	module   string                 // a module's name
	fields   map[string]syntax.Expr // a struct's fields
	of       *unit                  // the file that the fields stand in
	language string                 // one of Starlark's own functions
}

// mostSteps is how many names are followed to what they stand for: x = y, y = z.
const mostSteps = 8

// callee finds what an expression of a file stands for.
func (c *Checker) callee(u *unit, e syntax.Expr) callee { return c.follows(u, e, mostSteps) }

func (c *Checker) follows(u *unit, e syntax.Node, left int) callee {
	if left == 0 {
		return callee{}
	}
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return c.follows(u, e.X, left-1)
	case *syntax.LambdaExpr, *syntax.DefStmt:
		return callee{function: u.scopeOf(e)}
	case *syntax.Ident:
		return c.named(u, e, left)
	case *syntax.DotExpr:
		switch of := c.follows(u, e.X, left-1); {
		case of.module != "":
			return callee{builtin: c.modules[of.module].builtins[e.Name.Name]}
		case of.fields[e.Name.Name] != nil:
			return c.follows(of.of, of.fields[e.Name.Name], left-1)
		}
	case *syntax.CallExpr:
		if fn := c.follows(u, e.Fn, left-1); fn.builtin != nil && fn.builtin.Name == "struct" {
			return callee{fields: u.fields(e), of: u}
		}
	}
	return callee{}
}

func (c *Checker) named(u *unit, id *syntax.Ident, left int) callee {
	b, ok := id.Binding.(*resolve.Binding)
	if !ok {
		return callee{}
	}
	switch {
	case b.Scope == resolve.Universal:
		return callee{language: id.Name}
	case b.Scope == resolve.Predeclared && c.modules[id.Name] != nil:
		return callee{module: id.Name}
	case b.Scope == resolve.Predeclared:
		return callee{builtin: c.bare[id.Name]}
	}
	v := u.variable(id)
	if v == nil || v.value == nil {
		return callee{}
	}
	load, ok := v.value.(*syntax.LoadStmt)
	if !ok {
		return c.follows(u, v.value, left-1)
	}
	target := u.loads[load]
	if target == nil || v.which >= len(load.From) {
		return callee{}
	}
	defined := target.globals[load.From[v.which].Name]
	if defined == nil || defined.value == nil {
		return callee{}
	}
	return c.follows(target, defined.value, left-1)
}

// scopeOf is the function that a def or lambda makes.
func (u *unit) scopeOf(n syntax.Node) *scope { return u.functions[n] }

// fields is what a call of struct makes, by name; nil where that isn't all known.
func (u *unit) fields(call *syntax.CallExpr) map[string]syntax.Expr {
	if known, ok := u.structs[call]; ok {
		return known
	}
	fields := map[string]syntax.Expr{}
	for _, arg := range call.Args {
		named, ok := arg.(*syntax.BinaryExpr)
		if !ok || named.Op != syntax.EQ {
			fields = nil
			break
		}
		if id, ok := named.X.(*syntax.Ident); ok {
			fields[id.Name] = named.Y
		}
	}
	u.structs[call] = fields
	return fields
}

// checkAttributes finds attributes that modules and known structs lack.
func (c *Checker) checkAttributes(u *unit, r *reporter) {
	for _, scope := range c.meantToSucceed(u) {
		eachOwn(scope, func(n syntax.Node) {
			dot, ok := n.(*syntax.DotExpr)
			if !ok {
				return
			}
			name := dot.Name.Name
			switch of := c.callee(u, dot.X); {
			case of.module != "":
				if m := c.modules[of.module]; !m.has(name) && !u.asked()[name] {
					r.add(ruleAttribute, dot.Name.NamePos, "%s has no %q%s", of.module, name, r.names.suggest(name, func() []string { return m.names }))
				}
			case of.fields != nil && of.fields[name] == nil && !u.asked()[name]:
				r.add(ruleAttribute, dot.Name.NamePos, "the struct %s has no %q%s", textOf(dot.X), name, r.names.suggest(name, func() []string { return sortedKeys(of.fields) }))
			}
		})
	}
}

// asked is the attributes that a file asks for by hasattr: what it then does with those
// that aren't there isn't known.
func (u *unit) asked() map[string]bool {
	if u.attributes != nil {
		return u.attributes
	}
	u.attributes = map[string]bool{}
	syntax.Walk(u.tree, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		fn, isName := call.Fn.(*syntax.Ident)
		if !isName || fn.Name != "hasattr" {
			return true
		}
		if name, ok := argument(call, 1, "name").(*syntax.Literal); ok {
			if text, ok := name.Value.(string); ok {
				u.attributes[text] = true
			}
		}
		return true
	})
	return u.attributes
}

func (m *members) has(name string) bool {
	return m.builtins[name] != nil || slices.Contains(m.names, name)
}

// textOf is a name as it stands in the script, or what it is.
func textOf(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.Ident:
		return e.Name
	case *syntax.DotExpr:
		return textOf(e.X) + "." + e.Name.Name
	case *syntax.ParenExpr:
		return textOf(e.X)
	}
	return "made here"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
