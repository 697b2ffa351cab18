package lint

import (
	"math/big"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// samples is values that stand for all that an expression can have: the value itself if
// it is known, some of its type if only that is, none if not even that. A type that
// accepts none of them doesn't accept the expression.
func (c *Checker) samples(u *unit, e syntax.Expr) []starlark.Value {
	return c.sampled(u, e, mostSteps)
}

func (c *Checker) sampled(u *unit, e syntax.Expr, left int) []starlark.Value {
	if left == 0 {
		return nil
	}
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return c.sampled(u, e.X, left-1)
	case *syntax.Literal:
		return literal(e)
	case *syntax.Ident:
		return c.sampledName(u, e, left)
	case *syntax.LambdaExpr:
		return aFunction()
	case *syntax.ListExpr:
		return c.sampledList(u, e.List, left)
	case *syntax.TupleExpr:
		var all []starlark.Value
		for _, list := range c.sampledList(u, e.List, left) {
			elements := []starlark.Value{}
			for v := range starlark.Elements(list.(*starlark.List)) {
				elements = append(elements, v)
			}
			all = append(all, starlark.Tuple(elements))
		}
		return all
	case *syntax.DictExpr:
		return []starlark.Value{starlark.NewDict(0)}
	case *syntax.Comprehension:
		if _, dict := e.Body.(*syntax.DictEntry); dict {
			return []starlark.Value{starlark.NewDict(0)}
		}
		if !e.Curly {
			return []starlark.Value{starlark.NewList(nil)}
		}
	case *syntax.UnaryExpr:
		return c.sampledUnary(u, e, left)
	case *syntax.BinaryExpr:
		return c.sampledBinary(u, e, left)
	}
	return nil
}

func literal(e *syntax.Literal) []starlark.Value {
	switch v := e.Value.(type) {
	case string:
		if e.Token == syntax.BYTES {
			return []starlark.Value{starlark.Bytes(v)}
		}
		return []starlark.Value{starlark.String(v)}
	case int64:
		return []starlark.Value{starlark.MakeInt64(v)}
	case *big.Int:
		return []starlark.Value{starlark.MakeBigInt(v)}
	case float64:
		return []starlark.Value{starlark.Float(v)}
	}
	return nil
}

// aText is texts of any kind: a duration is one, too.
func aText() []starlark.Value {
	return []starlark.Value{starlark.String("text"), starlark.String("1s")}
}

func aBool() []starlark.Value { return []starlark.Value{starlark.True, starlark.False} }

func aFunction() []starlark.Value {
	return []starlark.Value{starlark.NewBuiltin("function", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		return starlark.None, nil
	})}
}

// sampledName is what a name stands for: a constant, a function, or a variable that is
// bound once, to a literal.
func (c *Checker) sampledName(u *unit, id *syntax.Ident, left int) []starlark.Value {
	fn := c.follows(u, id, left)
	switch {
	case fn.language == "None":
		return []starlark.Value{starlark.None}
	case fn.language == "True":
		return []starlark.Value{starlark.True}
	case fn.language == "False":
		return []starlark.Value{starlark.False}
	case fn.language != "", fn.function != nil, fn.builtin != nil:
		return aFunction()
	}
	v := u.variable(id)
	if v == nil {
		return nil
	}
	const most = 1000 // bytes, since what is long may be looked at in each line
	value, ok := v.value.(*syntax.Literal)
	if !ok || len(value.Raw) > most {
		return nil
	}
	return literal(value)
}

// sampledList is the list of the elements if all are known, else one that is empty: every
// type that takes some lists takes that.
func (c *Checker) sampledList(u *unit, elements []syntax.Expr, left int) []starlark.Value {
	const most = 100
	if len(elements) > most {
		return []starlark.Value{starlark.NewList(nil)}
	}
	var known []starlark.Value
	for _, e := range elements {
		s := c.sampled(u, e, left-1)
		if len(s) != 1 || !isExact(e) {
			return []starlark.Value{starlark.NewList(nil)}
		}
		known = append(known, s[0])
	}
	return []starlark.Value{starlark.NewList(known)}
}

// isExact tells whether the sample of an element is all that it can be.
func isExact(e syntax.Expr) bool {
	switch e := unparen(e).(type) {
	case *syntax.DictExpr:
		return false
	case *syntax.ListExpr:
		for _, element := range e.List {
			if !isExact(element) {
				return false
			}
		}
	case *syntax.TupleExpr:
		for _, element := range e.List {
			if !isExact(element) {
				return false
			}
		}
	case *syntax.Literal, *syntax.Ident, *syntax.LambdaExpr, *syntax.UnaryExpr:
	default:
		return false
	}
	return true
}

func (c *Checker) sampledUnary(u *unit, e *syntax.UnaryExpr, left int) []starlark.Value {
	switch e.Op {
	case syntax.NOT:
		return aBool()
	case syntax.MINUS:
		for _, v := range c.sampled(u, e.X, left-1) {
			switch v := v.(type) {
			case starlark.Int:
				return []starlark.Value{starlark.MakeInt(0).Sub(v)}
			case starlark.Float:
				return []starlark.Value{-v}
			}
		}
	}
	return nil
}

func (c *Checker) sampledBinary(u *unit, e *syntax.BinaryExpr, left int) []starlark.Value {
	switch e.Op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.GT, syntax.LE, syntax.GE, syntax.IN, syntax.NOT_IN:
		return aBool()
	case syntax.PLUS, syntax.PERCENT:
		x := c.sampled(u, e.X, left-1)
		if len(x) == 0 && e.Op == syntax.PLUS {
			x = c.sampled(u, e.Y, left-1)
		}
		if len(x) > 0 && x[0].Type() == "string" {
			return aText()
		}
	}
	return nil
}
