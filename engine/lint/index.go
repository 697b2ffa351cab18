package lint

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// kind is what introduces a variable.
type kind int

const (
	assigned kind = iota // an assignment
	function             // a def
	looped               // a for, of a statement or a comprehension
	loaded               // a load
	param                // a function's parameter
)

// variable is what the identifiers that stand for one have in common.
type variable struct {
	first  *syntax.Ident // that introduces it
	kind   kind
	global bool
	owner  *scope
	turns  map[*loop]bool // those around one of its bindings, in the owner
	uses   int

	// Of a variable that is bound once, what it is bound to: a *syntax.DefStmt, the
	// right side of an assignment, or the *syntax.LoadStmt and which of its names.
	value syntax.Node
	which int
}

// scope is a function, or the file itself.
type scope struct {
	unit   *unit
	node   syntax.Node // *syntax.File, *syntax.DefStmt or *syntax.LambdaExpr
	parent *scope
	loop   *loop // the innermost one in the parent that the function is made in
	locals []*resolve.Binding

	signature *signature // once it was asked for
	capture   *capture   // the same
}

// loop is a for statement or a comprehension.
type loop struct {
	owner *scope
	outer *loop // in the same function
	inner bool  // a comprehension, which no statement stands in
}

// indexer walks through a file for what all rules need to know.
type indexer struct {
	unit    *unit
	scope   *scope
	loop    *loop
	binding map[*syntax.Ident]bool // those that bind; all others use
	uses    map[*syntax.Ident]int  // by the identifier that introduces the variable
}

func (u *unit) index() {
	module := u.tree.Module.(*resolve.Module)
	top := &scope{unit: u, node: u.tree, locals: module.Locals}
	u.scopes = append(u.scopes, top)
	x := &indexer{unit: u, scope: top, binding: map[*syntax.Ident]bool{}, uses: map[*syntax.Ident]int{}}
	x.statements(u.tree.Stmts)
	for first, v := range u.vars {
		v.uses = x.uses[first]
	}
	for _, b := range module.Globals {
		if v := u.vars[b.First]; v != nil {
			u.globals[v.first.Name] = v
		}
	}
}

func (x *indexer) statements(all []syntax.Stmt) {
	for _, s := range all {
		x.statement(s)
	}
}

func (x *indexer) statement(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.AssignStmt:
		if s.Op == syntax.EQ {
			x.bind(s.LHS, assigned, s.RHS)
		} else {
			x.bind(s.LHS, assigned, nil)
			x.use(s.LHS)
		}
		x.expr(s.LHS)
		x.expr(s.RHS)
	case *syntax.DefStmt:
		x.bind(s.Name, function, s)
		x.function(s, s.Function, s.Params, func() { x.statements(s.Body) })
	case *syntax.ForStmt:
		x.expr(s.X)
		x.inLoop(func() {
			x.unit.loops[s] = x.loop
			x.bind(s.Vars, looped, nil)
			x.expr(s.Vars)
			x.statements(s.Body)
		})
	case *syntax.WhileStmt:
		x.expr(s.Cond)
		x.inLoop(func() { x.statements(s.Body) })
	case *syntax.IfStmt:
		x.expr(s.Cond)
		x.statements(s.True)
		x.statements(s.False)
	case *syntax.ExprStmt:
		x.expr(s.X)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			x.expr(s.Result)
		}
	case *syntax.LoadStmt:
		for i, id := range s.To {
			x.bind(id, loaded, s)
			if v := x.unit.variable(id); v != nil {
				v.which = i
				x.unit.locals[id.Name] = true
			}
		}
	}
}

func (x *indexer) inLoop(body func()) {
	x.loop = &loop{owner: x.scope, outer: x.loop}
	body()
	x.loop = x.loop.outer
}

func (x *indexer) function(node syntax.Node, resolved any, params []syntax.Expr, body func()) {
	for _, p := range params {
		if withDefault, ok := p.(*syntax.BinaryExpr); ok {
			x.expr(withDefault.Y)
		}
	}
	inner := &scope{unit: x.unit, node: node, parent: x.scope, loop: x.loop}
	if f, ok := resolved.(*resolve.Function); ok {
		inner.locals = f.Locals
	}
	x.unit.scopes = append(x.unit.scopes, inner)
	x.unit.functions[node] = inner
	outerScope, outerLoop := x.scope, x.loop
	x.scope, x.loop = inner, nil
	for _, p := range params {
		switch p := p.(type) {
		case *syntax.BinaryExpr:
			x.bind(p.X, param, nil)
		case *syntax.UnaryExpr:
			if p.X != nil {
				x.bind(p.X, param, nil)
			}
		default:
			x.bind(p, param, nil)
		}
	}
	body()
	x.scope, x.loop = outerScope, outerLoop
}

// bind notes the identifiers that a target of an assignment binds.
func (x *indexer) bind(target syntax.Expr, k kind, value syntax.Node) {
	switch t := target.(type) {
	case *syntax.ParenExpr:
		x.bind(t.X, k, value)
	case *syntax.TupleExpr:
		for _, e := range t.List {
			x.bind(e, k, nil)
		}
	case *syntax.ListExpr:
		for _, e := range t.List {
			x.bind(e, k, nil)
		}
	case *syntax.Ident:
		b, ok := t.Binding.(*resolve.Binding)
		if !ok || b.First == nil {
			return
		}
		x.binding[t] = true
		v := x.unit.vars[b.First]
		if v == nil {
			v = &variable{first: b.First, kind: k, global: b.Scope == resolve.Global, owner: x.scope, value: value}
			x.unit.vars[b.First] = v
		} else {
			v.value = nil
		}
		for l := x.loop; l != nil && !v.turns[l]; l = l.outer {
			if v.turns == nil {
				v.turns = map[*loop]bool{}
			}
			v.turns[l] = true
		}
	}
}

// use counts an identifier that is read. What it stands for may be bound further down.
func (x *indexer) use(e syntax.Expr) {
	if id, ok := e.(*syntax.Ident); ok {
		if b, ok := id.Binding.(*resolve.Binding); ok && b.First != nil {
			x.uses[b.First]++
		}
	}
}

func (x *indexer) expr(e syntax.Expr) {
	syntax.Walk(e, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Ident:
			if !x.binding[n] {
				x.use(n)
			}
		case *syntax.LambdaExpr:
			x.function(n, n.Function, n.Params, func() { x.expr(n.Body) })
			return false
		case *syntax.Comprehension:
			x.comprehension(n)
			return false
		}
		return true
	})
}

// comprehension looks at the clauses in the order in which they are run, so that a
// variable is known before it is used.
func (x *indexer) comprehension(c *syntax.Comprehension) {
	outer := x.loop
	for _, clause := range c.Clauses {
		switch clause := clause.(type) {
		case *syntax.ForClause:
			x.expr(clause.X)
			x.loop = &loop{owner: x.scope, outer: x.loop, inner: true}
			x.bind(clause.Vars, looped, nil)
			x.expr(clause.Vars)
		case *syntax.IfClause:
			x.expr(clause.Cond)
		}
	}
	x.expr(c.Body)
	x.loop = outer
}

// variable is what an identifier stands for; nil for a builtin and an unknown name.
func (u *unit) variable(id *syntax.Ident) *variable {
	if b, ok := id.Binding.(*resolve.Binding); ok && b.First != nil {
		return u.vars[b.First]
	}
	return nil
}
