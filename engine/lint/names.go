package lint

import (
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/nearest"
)

// unknownNames gives the names that nothing defines.
func (c *Checker) unknownNames(u *unit) []Finding {
	var all []Finding
	s := &suggester{}
	for _, scope := range u.scopes {
		eachOwn(scope, func(n syntax.Node) {
			id, ok := n.(*syntax.Ident)
			if !ok {
				return
			}
			if b, ok := id.Binding.(*resolve.Binding); ok && b.Scope == resolve.Predeclared && !c.known(id.Name) {
				all = append(all, found(ruleUnknownName, id.NamePos, "undefined: %s%s", id.Name, s.suggest(id.Name, func() []string {
					return append(namesIn(scope), c.builtinNames()...)
				})))
			}
		})
	}
	return all
}

// namesIn is the variables that a function can name, the innermost first.
func namesIn(s *scope) []string {
	var names []string
	for at := s; at != nil; at = at.parent {
		for _, b := range at.locals {
			names = append(names, b.First.Name)
		}
	}
	for _, b := range s.unit.tree.Module.(*resolve.Module).Globals {
		names = append(names, b.First.Name)
	}
	return names
}

// suggester finds the nearest names, as long as that takes no time worth mentioning:
// a file may have a hundred thousand names that are unknown, or one of a hundred
// thousand letters.
type suggester struct{ compared int }

const (
	longestName  = 64
	mostCompared = 100_000
)

func (s *suggester) suggest(name string, known func() []string) string {
	if len(name) > longestName || s.compared > mostCompared {
		return ""
	}
	var near []string
	for _, k := range known() {
		s.compared++
		if len(k) <= longestName {
			near = append(near, k)
		}
	}
	return nearest.Suggest(name, near)
}

// loadedName gives what is wrong with one of the names that a statement loads.
func loadedName(target *unit, load *syntax.LoadStmt, name *syntax.Ident, s *suggester) []Finding {
	complain := func(format string, args ...any) []Finding {
		return []Finding{found(ruleLoadName, name.NamePos, format, args...)}
	}
	label := load.ModuleName()
	switch {
	case strings.HasPrefix(name.Name, "_"):
		return complain("%s is private to %s: a name that begins with _ can't be loaded", name.Name, label)
	case target == nil || target.tree == nil || target.globals[name.Name] != nil:
		return nil
	case target.locals[name.Name]:
		return complain("%s only loads %q itself, and a file doesn't pass on what it loads", label, name.Name)
	}
	return complain("%s has no %q%s", label, name.Name, s.suggest(name.Name, target.exported))
}

// exported is the names that a file defines for others.
func (u *unit) exported() []string {
	var names []string
	for _, b := range u.tree.Module.(*resolve.Module).Globals {
		if n := b.First.Name; !strings.HasPrefix(n, "_") {
			names = append(names, n)
		}
	}
	return names
}
