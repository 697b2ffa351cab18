package doc

import (
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
)

// Script is a script file as its author describes it.
type Script struct {
	Name      string
	Layer     string
	Doc       string   // the docstring of the file
	Commands  []string // that it declares
	Values    []string // names that it exports beside functions
	Functions []Function
}

// Function is a function that a script exports.
type Function struct {
	Name      string
	Signature string
	Doc       string // its docstring
}

// OfScript reads what a file says of itself, without running it. A file that doesn't
// parse is an error.
func OfScript(file layer.File) (Script, error) {
	parsed, err := engine.Parse(file)
	if err != nil {
		return Script{}, err
	}
	s := Script{Name: file.Name, Layer: file.Layer.Name, Doc: docstring(parsed.Stmts), Commands: engine.Declared(file)}
	source := strings.Split(string(file.Data), "\n")
	for _, stmt := range parsed.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			if exported(stmt.Name.Name) {
				s.Functions = append(s.Functions, Function{stmt.Name.Name, signature(stmt, source), docstring(stmt.Body)})
			}
		case *syntax.AssignStmt:
			s.Values = append(s.Values, assigned(stmt.LHS)...)
		}
	}
	return s, nil
}

func exported(name string) bool { return !strings.HasPrefix(name, "_") }

// assigned is the exported names on the left of an assignment.
func assigned(lhs syntax.Expr) (names []string) {
	switch lhs := lhs.(type) {
	case *syntax.Ident:
		if exported(lhs.Name) {
			names = append(names, lhs.Name)
		}
	case *syntax.ParenExpr:
		return assigned(lhs.X)
	case *syntax.TupleExpr:
		for _, e := range lhs.List {
			names = append(names, assigned(e)...)
		}
	}
	return names
}

// docstring is the text with which statements begin, without the indentation that its
// lines share.
func docstring(stmts []syntax.Stmt) string {
	if len(stmts) == 0 {
		return ""
	}
	expr, ok := stmts[0].(*syntax.ExprStmt)
	if !ok {
		return ""
	}
	literal, ok := expr.X.(*syntax.Literal)
	if !ok || literal.Token != syntax.STRING {
		return ""
	}
	return engine.Dedent(literal.Value.(string))
}

// signature is the head of a function, as it stands in the source but on one line.
func signature(def *syntax.DefStmt, source []string) string {
	parts := make([]string, len(def.Params))
	for i, param := range def.Params {
		start, end := param.Span()
		parts[i] = strings.Join(strings.Fields(between(source, start, end)), " ")
	}
	return def.Name.Name + "(" + strings.Join(parts, ", ") + ")"
}

// between is the source from one position to another.
func between(source []string, start, end syntax.Position) string {
	var b strings.Builder
	for n := start.Line; n <= end.Line; n++ {
		line, from, to := source[n-1], 0, len(source[n-1])
		if n == start.Line {
			from = offset(line, int(start.Col))
		}
		if n == end.Line {
			to = offset(line, int(end.Col))
		}
		b.WriteString(line[from:to] + "\n")
	}
	return b.String()
}

// offset is that of a column, which counts characters from 1.
func offset(line string, column int) int {
	at := 0
	for ; column > 1 && at < len(line); column-- {
		_, size := utf8.DecodeRuneInString(line[at:])
		at += size
	}
	return at
}
