package lint

import "go.starlark.net/syntax"

// checkStepNames finds steps and checks whose name is used twice in one call of their
// function. A name that is put together, or is used in two functions, may be another
// each time, and isn't judged.
func (c *Checker) checkStepNames(u *unit, r *reporter) {
	for _, scope := range u.scopes {
		w := &stepWalk{checker: c, unit: u, report: r, seen: map[string]syntax.Position{}, reported: map[syntax.Position]bool{}}
		w.block(scope.statements())
		if lambda, ok := scope.node.(*syntax.LambdaExpr); ok {
			w.expr(lambda.Body)
		}
	}
}

// stepWalk follows the ways through a function. What is seen is the names that may have
// been used on some way to where it is. A branch takes back what it has added, by the
// log, before the next one is followed, so that the cost is that of the text.
type stepWalk struct {
	checker *Checker
	unit    *unit
	report  *reporter

	seen     map[string]syntax.Position
	log      []string // the names in seen, in the order in which they came
	loops    []*turn
	depth    int
	reported map[syntax.Position]bool
}

// turn is what one turn of a loop has used where it ended before its end.
type turn struct {
	mark      int // the length of the log at its beginning
	again     bool
	repeated  early // at a continue
	brokenOff early // at a break
}

// early is what was used at any of the ends of one kind. What stands in the log below
// the length at the last of them is in it already.
type early struct {
	used []use
	mark int
}

type use struct {
	name string
	at   syntax.Position
}

func (w *stepWalk) add(u use) {
	if _, ok := w.seen[u.name]; !ok {
		w.seen[u.name] = u.at
		w.log = append(w.log, u.name)
	}
}

// since is what was added since the log had a length.
func (w *stepWalk) since(mark int) []use {
	var all []use
	for _, name := range w.log[mark:] {
		all = append(all, use{name, w.seen[name]})
	}
	return all
}

// takeBack forgets what was added since the log had a length, and gives it.
func (w *stepWalk) takeBack(mark int) []use {
	all := w.since(mark)
	for _, u := range all {
		delete(w.seen, u.name)
	}
	w.log = w.log[:mark]
	for _, t := range w.loops {
		t.repeated.mark, t.brokenOff.mark = min(t.repeated.mark, mark), min(t.brokenOff.mark, mark)
	}
	return all
}

// block follows statements, and tells how they end.
func (w *stepWalk) block(all []syntax.Stmt) outcome {
	for _, s := range all {
		if end := w.statement(s); end != falls {
			return end
		}
	}
	return falls
}

func (w *stepWalk) statement(s syntax.Stmt) outcome {
	switch s := s.(type) {
	case *syntax.IfStmt:
		return w.nested(func() outcome { return w.branches(s) })
	case *syntax.ForStmt:
		w.expr(s.X)
		return w.nested(func() outcome {
			w.loop(func() outcome { return w.block(s.Body) })
			return falls
		})
	case *syntax.AssignStmt:
		w.expr(s.RHS)
		w.expr(s.LHS)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			w.expr(s.Result)
		}
		return leaves
	case *syntax.ExprStmt:
		w.expr(s.X)
	}
	end := w.checker.ending(w.unit, s)
	if len(w.loops) > 0 {
		switch t := w.loops[len(w.loops)-1]; end {
		case repeats:
			w.endEarly(&t.repeated)
		case breaks:
			w.endEarly(&t.brokenOff)
		}
	}
	return end
}

func (w *stepWalk) endEarly(e *early) {
	e.used = append(e.used, w.since(e.mark)...)
	e.mark = len(w.log)
}

// mostNested is how many branches and loops in each other are followed: what is used in
// one is moved by each that is around it.
const mostNested = 50

// nested follows what stands one level deeper, unless that is too deep.
func (w *stepWalk) nested(follow func() outcome) outcome {
	if w.depth == mostNested {
		return falls
	}
	w.depth++
	defer func() { w.depth-- }()
	return follow()
}

// branches follows if, elif and else, which Starlark's tree nests as deep as there are
// many.
func (w *stepWalk) branches(s *syntax.IfStmt) outcome {
	end := leaves
	var added []use
	for {
		w.expr(s.Cond)
		mark := len(w.log)
		e := w.block(s.True)
		if branch := w.takeBack(mark); e == falls {
			added = append(added, branch...)
		}
		end = min(end, e)
		next, ok := elif(s)
		if !ok {
			break
		}
		s = next
	}
	mark := len(w.log)
	e := w.block(s.False)
	if branch := w.takeBack(mark); e == falls {
		added = append(added, branch...)
	}
	for _, u := range added {
		w.add(u)
	}
	return min(end, e)
}

// elif is the if that is all of another's else.
func elif(s *syntax.IfStmt) (*syntax.IfStmt, bool) {
	if len(s.False) != 1 {
		return nil, false
	}
	next, ok := s.False[0].(*syntax.IfStmt)
	return next, ok
}

// loop follows a loop's body twice, so that what one turn uses is seen by the next. The
// loops in it are followed once in the second turn, or the cost would double with each
// level.
func (w *stepWalk) loop(body func() outcome) {
	again := len(w.loops) > 0 && w.loops[len(w.loops)-1].again
	mark := len(w.log)
	t := &turn{mark: mark, again: again, repeated: early{mark: mark}, brokenOff: early{mark: mark}}
	w.loops = append(w.loops, t)
	end := body()
	added := t.repeated.used
	if first := w.takeBack(t.mark); end == falls || end == repeats {
		added = append(added, first...)
	}
	for _, u := range added {
		w.add(u)
	}
	if !again && len(added) > 0 {
		t.again = true
		inner := len(w.log)
		body()
		w.takeBack(inner)
	}
	for _, u := range t.brokenOff.used {
		w.add(u)
	}
	w.loops = w.loops[:len(w.loops)-1]
}

// expr looks for steps and checks in an expression, in the order in which they are
// called.
func (w *stepWalk) expr(e syntax.Expr) {
	syntax.Walk(e, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.LambdaExpr:
			return false
		case *syntax.CondExpr:
			w.nested(func() outcome { return w.condition(n) })
			return false
		case *syntax.Comprehension:
			w.nested(func() outcome { return w.comprehension(n) })
			return false
		case *syntax.CallExpr:
			for _, arg := range n.Args {
				w.expr(arg)
			}
			w.expr(n.Fn)
			w.call(n)
			return false
		}
		return true
	})
}

func (w *stepWalk) condition(c *syntax.CondExpr) outcome {
	w.expr(c.Cond)
	mark := len(w.log)
	w.expr(c.True)
	added := w.takeBack(mark)
	w.expr(c.False)
	for _, u := range added {
		w.add(u)
	}
	return falls
}

func (w *stepWalk) comprehension(c *syntax.Comprehension) outcome {
	w.loop(func() outcome {
		for _, clause := range c.Clauses {
			switch clause := clause.(type) {
			case *syntax.ForClause:
				w.expr(clause.X)
			case *syntax.IfClause:
				w.expr(clause.Cond)
			}
		}
		w.expr(c.Body)
		return falls
	})
	return falls
}

// call looks at a call of step or check.
func (w *stepWalk) call(call *syntax.CallExpr) {
	fn := w.checker.callee(w.unit, call.Fn)
	if fn.builtin == nil || fn.builtin.Name != "step" && fn.builtin.Name != "check" {
		return
	}
	lit, ok := argument(call, 0, "name").(*syntax.Literal)
	if !ok {
		return
	}
	name, ok := lit.Value.(string)
	if !ok {
		return
	}
	first, twice := w.seen[name]
	switch {
	case !twice:
		w.add(use{name, lit.TokenPos})
	case w.reported[lit.TokenPos]:
	case first == lit.TokenPos:
		w.reported[lit.TokenPos] = true
		w.report.add(ruleStepName, lit.TokenPos, "the name %q is used again in each turn of the loop", name)
	default:
		w.reported[lit.TokenPos] = true
		w.report.add(ruleStepName, lit.TokenPos, "the name %q is used twice: first in line %d", name, first.Line)
	}
}

// argument is the argument of a call at a position, or by a name; nil if it has none.
func argument(call *syntax.CallExpr, i int, name string) syntax.Expr {
	args := argumentsOf(call)
	if i >= 0 && i < len(args.positional) {
		return args.positional[i]
	}
	for _, arg := range args.named {
		if arg.name.Name == name {
			return arg.value
		}
	}
	return nil
}
