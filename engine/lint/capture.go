package lint

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// checkCaptures finds functions that are called at the end of the run or later, where
// a variable that a loop binds anew in each turn has its last value.
func (c *Checker) checkCaptures(u *unit, r *reporter) {
	for _, scope := range u.scopes {
		w := &captureWalk{checker: c, unit: u, report: r, scope: scope}
		w.block(scope.statements(), nil, falls)
		if lambda, ok := scope.node.(*syntax.LambdaExpr); ok {
			w.expr(lambda.Body, nil, falls)
		}
	}
}

// captureWalk goes through a function, and knows of each statement which loop it is in
// and how what follows in that ends: in a loop that is left there is no other turn.
type captureWalk struct {
	checker *Checker
	unit    *unit
	report  *reporter
	scope   *scope
}

func (w *captureWalk) block(all []syntax.Stmt, in *loop, after outcome) {
	for i := len(all) - 1; i >= 0; i-- {
		w.statement(all[i], in, after)
		if end := w.checker.ending(w.unit, all[i]); end != falls {
			after = end
		}
	}
}

func (w *captureWalk) statement(s syntax.Stmt, in *loop, after outcome) {
	switch s := s.(type) {
	case *syntax.IfStmt:
		w.expr(s.Cond, in, falls)
		w.block(s.True, in, after)
		w.block(s.False, in, after)
	case *syntax.ForStmt:
		w.expr(s.X, in, after)
		w.block(s.Body, w.unit.loops[s], falls)
	case *syntax.AssignStmt:
		w.expr(s.RHS, in, after)
	case *syntax.ExprStmt:
		w.expr(s.X, in, after)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			w.expr(s.Result, in, leaves)
		}
	}
}

func (w *captureWalk) expr(e syntax.Expr, in *loop, after outcome) {
	ownNodes(e, func(n syntax.Node) {
		if call, ok := n.(*syntax.CallExpr); ok {
			w.call(call, in, after)
		}
	})
}

func (w *captureWalk) call(call *syntax.CallExpr, in *loop, after outcome) {
	fn := w.checker.callee(w.unit, call.Fn)
	if fn.builtin == nil {
		return
	}
	var given syntax.Expr
	instead := ""
	switch fn.builtin.Name {
	case "step":
		given, instead = argument(call, -1, "undo"), "take it from the step's result, with which undo is called"
	case "on_exit":
		given, instead = argument(call, 0, "run"), "call on_exit in a function of its own that gets it as an argument"
	}
	if given == nil {
		return
	}
	name, around := w.captured(given)
	if around == nil || !w.turns(around, in) || after == leaves && in.in(around) || after == breaks && in == around {
		return
	}
	w.report.add(ruleCapture, syntax.Start(given), "when this is called, %q has the value of the last turn of the loop: %s", name, instead)
}

// turns tells whether a statement in a loop is run again in each turn of another.
func (w *captureWalk) turns(around, in *loop) bool {
	if around.inner {
		return true
	}
	for s, l := w.scope, in; s != nil; s, l = s.parent, s.loop {
		if l.in(around) {
			return true
		}
	}
	return false
}

// captured gives a variable that a function captures, and the loop around the function
// that binds it anew in each turn; nil if there is none.
func (w *captureWalk) captured(given syntax.Expr) (name string, around *loop) {
	fn := w.checker.callee(w.unit, given).function
	if fn == nil || fn.unit != w.unit {
		return "", nil
	}
	if fn.capture == nil {
		name, around := w.capturedBy(fn)
		fn.capture = &capture{name, around}
	}
	return fn.capture.name, fn.capture.around
}

// capture is a variable that a function captures; see captured.
type capture struct {
	name   string
	around *loop
}

func (w *captureWalk) capturedBy(fn *scope) (name string, around *loop) {
	for _, b := range freeVariables(fn.node) {
		v := w.unit.vars[b.First]
		if v == nil || v.global {
			continue
		}
		at := fn
		for at.parent != nil && at.parent != v.owner {
			at = at.parent
		}
		for around := at.loop; around != nil; around = around.outer {
			if v.turns[around] {
				return v.first.Name, around
			}
		}
	}
	return "", nil
}

func freeVariables(fn syntax.Node) []*resolve.Binding {
	var resolved any
	switch n := fn.(type) {
	case *syntax.DefStmt:
		resolved = n.Function
	case *syntax.LambdaExpr:
		resolved = n.Function
	}
	if f, ok := resolved.(*resolve.Function); ok {
		return f.FreeVars
	}
	return nil
}

// in tells whether a loop is another, or stands in it.
func (l *loop) in(other *loop) bool {
	for at := l; at != nil; at = at.outer {
		if at == other {
			return true
		}
	}
	return false
}
