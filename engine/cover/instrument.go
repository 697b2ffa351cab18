package cover

import (
	"strconv"

	"go.starlark.net/syntax"
)

// instrument puts calls into a file, and returns the positions of what they count.
func instrument(file *syntax.File) []syntax.Position {
	in := &instrumenter{}
	file.Stmts = in.block(file.Stmts)
	return in.positions
}

type instrumenter struct{ positions []syntax.Position }

// call is the call that counts what stands at a position.
func (in *instrumenter) call(pos syntax.Position) *syntax.CallExpr {
	n := len(in.positions)
	in.positions = append(in.positions, pos)
	return &syntax.CallExpr{
		Fn:     &syntax.Ident{NamePos: pos, Name: counter},
		Lparen: pos, Rparen: pos,
		Args: []syntax.Expr{&syntax.Literal{Token: syntax.INT, TokenPos: pos, Raw: strconv.Itoa(n), Value: int64(n)}},
	}
}

// block is statements with a call before each. The docstring of a file or function
// stays first, where it is looked for.
func (in *instrumenter) block(stmts []syntax.Stmt) []syntax.Stmt {
	counted := make([]syntax.Stmt, 0, 2*len(stmts))
	for i, stmt := range stmts {
		if _, isLoad := stmt.(*syntax.LoadStmt); !isLoad && (i > 0 || !isText(stmt)) {
			start, _ := stmt.Span()
			counted = append(counted, &syntax.ExprStmt{X: in.call(start)})
		}
		in.inside(stmt)
		counted = append(counted, stmt)
	}
	return counted
}

func isText(stmt syntax.Stmt) bool {
	expr, ok := stmt.(*syntax.ExprStmt)
	if !ok {
		return false
	}
	literal, ok := expr.X.(*syntax.Literal)
	return ok && literal.Token == syntax.STRING
}

// inside puts calls into the statements and lambdas of a statement.
func (in *instrumenter) inside(stmt syntax.Stmt) {
	switch stmt := stmt.(type) {
	case *syntax.DefStmt:
		for _, param := range stmt.Params {
			in.lambdas(param)
		}
		stmt.Body = in.block(stmt.Body)
	case *syntax.IfStmt:
		in.lambdas(stmt.Cond)
		stmt.True = in.block(stmt.True)
		stmt.False = in.block(stmt.False)
	case *syntax.ForStmt:
		in.lambdas(stmt.X)
		stmt.Body = in.block(stmt.Body)
	case *syntax.WhileStmt:
		in.lambdas(stmt.Cond)
		stmt.Body = in.block(stmt.Body)
	default:
		in.lambdas(stmt)
	}
}

// lambdas counts the lambdas below a node: "lambda: x" becomes "lambda: count(n) or x",
// where the count is False.
func (in *instrumenter) lambdas(node syntax.Node) {
	syntax.Walk(node, func(n syntax.Node) bool {
		if lambda, ok := n.(*syntax.LambdaExpr); ok {
			start, _ := lambda.Body.Span()
			inner := lambda.Body
			in.lambdas(inner)
			for _, param := range lambda.Params {
				in.lambdas(param)
			}
			lambda.Body = &syntax.BinaryExpr{X: in.call(start), OpPos: start, Op: syntax.OR, Y: inner}
			return false
		}
		return true
	})
}
