package format

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"
)

// checkSame holds a script against what it was made of. What buildifier changes by intent
// counts as the same: where load statements stand and how they are split, the order of
// arguments by their kind, the blanks of a function's docstring, a list that is to be kept
// sorted.
func checkSame(path string, before, after *syntax.File) error {
	was, is := wording(before), wording(after)
	for i, w := range was.statements {
		if i >= len(is.statements) || w != is.statements[i] {
			return damages(path, was.starts[i], "this would come out as something else")
		}
	}
	switch {
	case len(is.statements) > len(was.statements):
		return damages(path, syntax.Position{}, "there would be a statement more")
	case !slices.Equal(was.loads, is.loads):
		return damages(path, syntax.Position{}, "it would load something else")
	case !slices.Equal(was.comments, is.comments):
		return damages(path, syntax.Position{}, "a comment would be lost or changed: "+lost(was.comments, is.comments))
	}
	return nil
}

// lost is the first of some texts that isn't among others, both sorted.
func lost(was, is []string) string {
	for _, w := range was {
		if _, found := slices.BinarySearch(is, w); !found {
			return fmt.Sprintf("%.80q", w)
		}
	}
	return "one of several alike"
}

// words is all that a script says, in a form that formatting doesn't change.
type words struct {
	statements []string          // at the top level, without loads
	starts     []syntax.Position // where each begins
	loads      []string          // sorted, each once: module, name, and as what
	comments   []string          // sorted
}

func wording(tree *syntax.File) words {
	w := &writer{}
	syntax.Walk(tree, func(n syntax.Node) bool {
		if n != nil {
			w.comments(n)
		}
		return true
	})
	w.keepsSorted = slices.ContainsFunc(w.all.comments, func(c string) bool { return strings.Contains(strings.ToLower(c), "keep sorted") })
	for _, s := range tree.Stmts {
		if load, ok := s.(*syntax.LoadStmt); ok {
			w.load(load)
			continue
		}
		w.out.Reset()
		w.node(s)
		w.all.statements = append(w.all.statements, w.out.String())
		w.all.starts = append(w.all.starts, syntax.Start(s))
	}
	slices.Sort(w.all.comments)
	slices.Sort(w.all.loads)
	w.all.loads = slices.Compact(w.all.loads)
	return w.all
}

// writer writes trees as text: an opening mark, the parts, a closing one.
type writer struct {
	all         words
	out         bytes.Buffer
	keepsSorted bool // a comment asks for that somewhere
}

func (w *writer) comments(n syntax.Node) {
	c := n.Comments()
	if c == nil {
		return
	}
	for _, some := range [][]syntax.Comment{c.Before, c.Suffix, c.After} {
		for _, one := range some {
			w.all.comments = append(w.all.comments, strings.TrimSpace(one.Text))
		}
	}
}

func (w *writer) load(s *syntax.LoadStmt) {
	for i, from := range s.From {
		w.all.loads = append(w.all.loads, fmt.Sprintf("%q %s %s", s.ModuleName(), from.Name, s.To[i].Name))
	}
}

// written is a part as text of its own.
func (w *writer) written(n syntax.Node) string {
	inner := &writer{keepsSorted: w.keepsSorted}
	inner.node(n)
	return inner.out.String()
}

func (w *writer) node(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.ParenExpr: // what it groups, the tree says
		w.node(n.X)
	case *syntax.Ident:
		w.part(n.Name)
	case *syntax.Literal:
		fmt.Fprintf(&w.out, "(%s %q)", n.Token, fmt.Sprint(n.Value))
	case *syntax.BranchStmt:
		w.part(n.Token.String())
	case *syntax.ListExpr:
		w.list(n)
	case *syntax.CallExpr:
		w.call(n)
	case *syntax.DefStmt:
		w.def(n)
	case *syntax.IfStmt:
		w.open(n, "")
		w.node(n.Cond)
		w.block(n.True)
		w.block(n.False)
		w.out.WriteByte(')')
	case *syntax.SliceExpr: // whose parts may be left out
		w.open(n, "")
		for _, e := range []syntax.Expr{n.X, n.Lo, n.Hi, n.Step} {
			if w.out.WriteByte(';'); e != nil {
				w.node(e)
			}
		}
		w.out.WriteByte(')')
	default:
		w.open(n, operator(n))
		w.parts(n)
		w.out.WriteByte(')')
	}
}

// operator is what tells a node from others of its type, beside its parts.
func operator(n syntax.Node) string {
	switch n := n.(type) {
	case *syntax.AssignStmt:
		return n.Op.String()
	case *syntax.BinaryExpr:
		return n.Op.String()
	case *syntax.UnaryExpr:
		return n.Op.String()
	case *syntax.Comprehension:
		return fmt.Sprint(n.Curly)
	}
	return ""
}

func (w *writer) open(n syntax.Node, operator string) { fmt.Fprintf(&w.out, "(%T %s", n, operator) }

func (w *writer) part(text string) { fmt.Fprintf(&w.out, " %s", text) }

// parts writes what stands directly below a node.
func (w *writer) parts(n syntax.Node) {
	top := true
	syntax.Walk(n, func(below syntax.Node) bool {
		switch {
		case below == nil:
		case top:
			top = false
			return true
		default:
			w.node(below)
		}
		return false
	})
}

func (w *writer) block(all []syntax.Stmt) {
	w.out.WriteByte('{')
	for _, s := range all {
		w.node(s)
	}
	w.out.WriteByte('}')
}

// list writes the elements, sorted where that may be asked for.
func (w *writer) list(n *syntax.ListExpr) {
	if !w.keepsSorted {
		w.open(n, "")
		w.parts(n)
		w.out.WriteByte(')')
		return
	}
	var all []string
	for _, e := range n.List {
		all = append(all, w.written(e))
	}
	slices.Sort(all)
	fmt.Fprintf(&w.out, "[%s]", strings.Join(slices.Compact(all), ";"))
}

// call writes the arguments by their kinds, in which order they are evaluated other than
// positional ones.
func (w *writer) call(n *syntax.CallExpr) {
	w.open(n, "")
	w.node(n.Fn)
	args := slices.Clone(n.Args)
	slices.SortStableFunc(args, func(a, b syntax.Expr) int { return cmp.Compare(argumentKind(a), argumentKind(b)) })
	for _, arg := range args {
		w.out.WriteByte(';')
		w.node(arg)
	}
	w.out.WriteByte(')')
}

// argumentKind is by what buildifier sorts arguments.
func argumentKind(e syntax.Expr) int {
	switch e := e.(type) {
	case *syntax.UnaryExpr:
		switch e.Op {
		case syntax.STARSTAR:
			return 4
		case syntax.STAR:
			return 3
		}
	case *syntax.BinaryExpr:
		if e.Op == syntax.EQ {
			return 2
		}
	}
	return 1
}

// def writes a function. The blanks of its docstring may change with its indentation.
func (w *writer) def(n *syntax.DefStmt) {
	w.open(n, n.Name.Name)
	for _, p := range n.Params {
		w.out.WriteByte(';')
		w.node(p)
	}
	body := n.Body
	if doc, ok := docstring(body); ok {
		w.part(fmt.Sprintf("%q", strings.Fields(doc)))
		body = body[1:]
	}
	w.block(body)
	w.out.WriteByte(')')
}

// docstring is the text that a function begins with.
func docstring(body []syntax.Stmt) (string, bool) {
	if len(body) == 0 {
		return "", false
	}
	if s, ok := body[0].(*syntax.ExprStmt); ok {
		if lit, ok := s.X.(*syntax.Literal); ok && lit.Token == syntax.STRING {
			return lit.Value.(string), true
		}
	}
	return "", false
}
