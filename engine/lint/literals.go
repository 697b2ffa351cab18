package lint

import (
	"fmt"
	"strings"

	"go.starlark.net/syntax"
)

// checkKeys finds dicts that have a key twice.
func (c *Checker) checkKeys(u *unit, r *reporter) {
	for _, scope := range c.meantToSucceed(u) {
		eachOwn(scope, func(n syntax.Node) {
			dict, ok := n.(*syntax.DictExpr)
			if !ok {
				return
			}
			seen := map[string]syntax.Position{}
			for _, e := range dict.List {
				entry, ok := e.(*syntax.DictEntry)
				if !ok {
					continue
				}
				key, known := keyOf(entry.Key)
				if !known {
					continue
				}
				at := syntax.Start(entry.Key)
				if first, twice := seen[key]; twice {
					r.add(ruleKey, at, "the key %s is in the dict twice: first in line %d", key, first.Line)
					continue
				}
				seen[key] = at
			}
		})
	}
}

// keyOf is a literal key as text, the same for keys that are equal.
func keyOf(e syntax.Expr) (string, bool) {
	lit, ok := unparen(e).(*syntax.Literal)
	if !ok || lit.Token == syntax.BYTES {
		return "", false
	}
	if text, ok := lit.Value.(string); ok {
		return fmt.Sprintf("%q", text), true
	}
	return fmt.Sprint(lit.Value), true // of 1.0 it is that of 1
}

// checkFormats finds texts with conversions that don't fit their values: "%s %s" % (x,).
func (c *Checker) checkFormats(u *unit, r *reporter) {
	for _, scope := range c.meantToSucceed(u) {
		eachOwn(scope, func(n syntax.Node) {
			b, ok := n.(*syntax.BinaryExpr)
			if !ok || b.Op != syntax.PERCENT {
				return
			}
			lit, ok := unparen(b.X).(*syntax.Literal)
			if !ok || lit.Token != syntax.STRING {
				return
			}
			text, _ := lit.Value.(string)
			f := conversions(text)
			switch values, known := c.valuesOf(u, b.Y); {
			case f.unknown != "":
				r.add(ruleFormat, lit.TokenPos, "there is no conversion %q: want %%s, %%r, %%d, %%i, %%o, %%x, %%X, %%e, %%f, %%g, %%c or %%%%", f.unknown)
			case known && !f.named && values != f.number:
				r.add(ruleFormat, b.OpPos, "the text has %s, and gets %s", count(f.number, "conversion"), count(values, "value"))
			}
		})
	}
}

// valuesOf is how many values a text gets.
func (c *Checker) valuesOf(u *unit, e syntax.Expr) (int, bool) {
	if tuple, ok := unparen(e).(*syntax.TupleExpr); ok {
		return len(tuple.List), true
	}
	samples := c.samples(u, e)
	if len(samples) == 0 || samples[0].Type() == "dict" || samples[0].Type() == "tuple" {
		return 0, false
	}
	return 1, true
}

// format is what a text has in it for % to replace.
type format struct {
	number  int
	named   bool   // %(name)s
	unknown string // the first conversion that there is not
}

func conversions(text string) format {
	var f format
	for {
		_, after, found := strings.Cut(text, "%")
		if !found {
			return f
		}
		text = after
		if rest, ok := strings.CutPrefix(text, "("); ok {
			f.named = true
			_, text, _ = strings.Cut(rest, ")")
		}
		switch {
		case text == "":
			f.unknown = "%"
			return f
		case text[0] == '%':
		case strings.IndexByte("srdioxXefgcEFG", text[0]) >= 0:
			f.number++
		default:
			f.unknown = "%" + string([]rune(text)[:1])
			return f
		}
		text = text[1:]
	}
}

// checkEffects finds statements that do nothing.
func (c *Checker) checkEffects(u *unit, r *reporter) {
	for _, scope := range u.scopes {
		eachOwn(scope, func(n syntax.Node) {
			s, ok := n.(*syntax.ExprStmt)
			if !ok {
				return
			}
			if what := c.idle(u, unparen(s.X)); what != "" {
				r.add(ruleNoEffect, syntax.Start(s), "%s has no effect here", what)
			}
		})
	}
}

// idle is what an expression is whose value nobody could do without; "" for others. A
// text is taken for a comment. Attributes and elements may be asked for to see that they
// are there.
func (c *Checker) idle(u *unit, e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.Literal:
		if e.Token != syntax.STRING {
			return "a value"
		}
	case *syntax.Ident:
		if c.callee(u, e).function != nil {
			return "a function that isn't called"
		}
		return "a name"
	case *syntax.DotExpr:
		if c.callee(u, e).builtin != nil {
			return "a function that isn't called"
		}
	case *syntax.LambdaExpr:
		return "a function that isn't called"
	case *syntax.UnaryExpr:
		return "an operation"
	case *syntax.BinaryExpr:
		switch e.Op {
		case syntax.AND, syntax.OR:
			return ""
		case syntax.EQL, syntax.NEQ, syntax.LT, syntax.GT, syntax.LE, syntax.GE, syntax.IN, syntax.NOT_IN:
			return "a comparison"
		}
		return "an operation"
	}
	return ""
}
