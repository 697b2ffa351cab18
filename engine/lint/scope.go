package lint

import "go.starlark.net/syntax"

// body is the statements of a function or a file, or a lambda's expression.
func (s *scope) body() []syntax.Node {
	var all []syntax.Node
	for _, stmt := range s.statements() {
		all = append(all, stmt)
	}
	if lambda, ok := s.node.(*syntax.LambdaExpr); ok {
		all = append(all, lambda.Body)
	}
	return all
}

// statements is the body without that of a lambda.
func (s *scope) statements() []syntax.Stmt {
	switch n := s.node.(type) {
	case *syntax.File:
		return n.Stmts
	case *syntax.DefStmt:
		return n.Body
	}
	return nil
}

func (s *scope) params() []syntax.Expr {
	switch n := s.node.(type) {
	case *syntax.DefStmt:
		return n.Params
	case *syntax.LambdaExpr:
		return n.Params
	}
	return nil
}

// name is how messages call a function.
func (s *scope) name() string {
	if def, ok := s.node.(*syntax.DefStmt); ok {
		return def.Name.Name
	}
	return "the lambda"
}

// eachOwn calls f with the nodes that are evaluated when a function is called, or a file
// run: without the bodies of the functions in it, but with the defaults of their
// parameters.
func eachOwn(s *scope, f func(syntax.Node)) {
	for _, n := range s.body() {
		ownNodes(n, f)
	}
}

// ownNodes is eachOwn of a part of a body.
func ownNodes(n syntax.Node, f func(syntax.Node)) {
	syntax.Walk(n, func(n syntax.Node) bool {
		if n == nil {
			return false
		}
		f(n)
		var params []syntax.Expr
		switch n := n.(type) {
		case *syntax.DefStmt:
			params = n.Params
		case *syntax.LambdaExpr:
			params = n.Params
		default:
			return true
		}
		for _, p := range params {
			if withDefault, ok := p.(*syntax.BinaryExpr); ok {
				ownNodes(withDefault.Y, f)
			}
		}
		return false
	})
}
