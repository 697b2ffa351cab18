package lint

import "go.starlark.net/syntax"

// outcome is how a list of statements ends.
type outcome int

const (
	falls   outcome = iota // it may reach the next statement
	repeats                // it goes on with the loop: continue
	breaks                 // it leaves the loop: break
	leaves                 // it leaves the function: return, fail
)

// ending is how a statement ends, if it is sure to end other than by reaching the next.
func (c *Checker) ending(u *unit, s syntax.Stmt) outcome {
	switch s := s.(type) {
	case *syntax.ReturnStmt:
		return leaves
	case *syntax.BranchStmt:
		switch s.Token {
		case syntax.BREAK:
			return breaks
		case syntax.CONTINUE:
			return repeats
		}
	case *syntax.ExprStmt:
		if call, ok := s.X.(*syntax.CallExpr); ok {
			if fn := c.callee(u, call.Fn); fn.builtin != nil && fn.builtin.Name == "fail" {
				return leaves
			}
		}
	case *syntax.IfStmt:
		if known, ok := u.ends[s]; ok {
			return known
		}
		u.ends[s] = min(c.endingOf(u, s.True), c.endingOf(u, s.False))
		return u.ends[s]
	}
	return falls
}

// endingOf is how a list of statements ends. Of two branches, the one counts that does
// less: what leaves in one and falls through in the other may fall through.
func (c *Checker) endingOf(u *unit, all []syntax.Stmt) outcome {
	for _, s := range all {
		if e := c.ending(u, s); e != falls {
			return e
		}
	}
	return falls
}

// checkUnreachable finds statements that are never reached.
func (c *Checker) checkUnreachable(u *unit, r *reporter) {
	for _, scope := range u.scopes {
		c.unreachable(u, r, scope.statements())
	}
}

func (c *Checker) unreachable(u *unit, r *reporter, all []syntax.Stmt) {
	for i, s := range all {
		switch s := s.(type) {
		case *syntax.IfStmt:
			c.unreachable(u, r, s.True)
			c.unreachable(u, r, s.False)
		case *syntax.ForStmt:
			c.unreachable(u, r, s.Body)
		}
		if i+1 < len(all) && c.ending(u, s) != falls {
			r.add(ruleUnreachable, syntax.Start(all[i+1]), "never reached: what stands before it doesn't go on")
			return
		}
	}
}
