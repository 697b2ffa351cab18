package builtins

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// TestEveryBuiltinIsTested: each builtin is called in some file of testdata, with each
// of its parameters, by its name. A new one without a test fails here.
func TestEveryBuiltinIsTested(t *testing.T) {
	called := callsIn(t)
	for _, m := range Modules(Options{}) {
		for _, b := range m.Builtins {
			names, ok := called[callName(m, b)]
			if !ok {
				t.Errorf("no file in testdata calls %s", b.Name)
				continue
			}
			for _, p := range b.Params {
				if !p.Rest && !p.Keywords && !slices.Contains(names, p.Name) {
					t.Errorf("no call of %s in testdata gives %q by its name", b.Name, p.Name)
				}
			}
		}
	}
}

// callName is how a builtin is called in a script: of a method, only the last part is
// known.
func callName(m table.Module, b table.Builtin) string {
	if m.Type {
		return b.Name[strings.LastIndex(b.Name, "."):]
	}
	return b.Name
}

// callsIn is the names by which functions are called in testdata, "fs.read" and the
// method ".read" alike, with the names of the arguments that the calls give.
func callsIn(t *testing.T) map[string][]string {
	called := map[string][]string{}
	for _, file := range testFiles(t) {
		syntax.Walk(parse(t, file), func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok {
				return true
			}
			names := []string{}
			for _, arg := range call.Args {
				if named, ok := arg.(*syntax.BinaryExpr); ok && named.Op == syntax.EQ {
					names = append(names, named.X.(*syntax.Ident).Name)
				}
			}
			for _, name := range functionNames(call.Fn) {
				called[name] = append(called[name], names...)
			}
			return true
		})
	}
	return called
}

func functionNames(fn syntax.Expr) []string {
	switch fn := fn.(type) {
	case *syntax.Ident:
		return []string{fn.Name}
	case *syntax.DotExpr:
		names := []string{"." + fn.Name.Name}
		if module, ok := fn.X.(*syntax.Ident); ok {
			names = append(names, module.Name+"."+fn.Name.Name)
		}
		return names
	}
	return nil
}

// TestAttributes: what a value's AttrNames lists, what its Attr answers, and what its
// table documents are the same names.
func TestAttributes(t *testing.T) {
	values := map[string]starlark.HasAttrs{
		"profile":    &profile{name: "p"},
		"slot.pool":  &Pool{},
		"pool.specs": &specValue{},
		"claim.take": &claimValue{},
	}
	for _, module := range Modules(Options{}) {
		for _, b := range module.Builtins {
			v, ok := values[b.Name]
			if !ok {
				continue
			}
			delete(values, b.Name)
			listed := v.AttrNames()
			if !slices.IsSorted(listed) {
				t.Errorf("AttrNames of what %s returns is not sorted: %q", b.Name, listed)
			}
			if documented := backquoted(b.Result); !slices.Equal(listed, documented) {
				t.Errorf("what %s returns lists the attributes %q, its table documents %q", b.Name, listed, documented)
			}
			if answered := casesOfAttr(t, v); !slices.Equal(listed, answered) {
				t.Errorf("what %s returns lists the attributes %q, its Attr answers %q", b.Name, listed, answered)
			}
			for _, name := range listed {
				if got, err := v.Attr(name); got == nil || err != nil {
					t.Errorf("%s of what %s returns is %v, %v", name, b.Name, got, err)
				}
			}
			if got, err := v.Attr("none"); got != nil || err != nil {
				t.Errorf("an unknown attribute of what %s returns is %v, %v, want nothing", b.Name, got, err)
			}
		}
	}
	for name := range values {
		t.Errorf("there is no builtin %s", name)
	}
}

// backquoted is the words in backquotes, sorted.
func backquoted(text string) []string {
	var names []string
	for _, found := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return names
}

// casesOfAttr is the names that the Attr method of a value's type tells apart, sorted:
// read from its source, since a method can't be asked what it would answer.
func casesOfAttr(t *testing.T, v starlark.Value) []string {
	t.Helper()
	receiver := reflect.TypeOf(v).Elem().Name()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			method, ok := decl.(*ast.FuncDecl)
			if ok && method.Name.Name == "Attr" && method.Recv != nil && typeName(method.Recv.List[0].Type) == receiver {
				names = append(names, cases(method)...)
			}
		}
	}
	slices.Sort(names)
	return names
}

// cases is the strings that the switches of a function tell apart.
func cases(function *ast.FuncDecl) []string {
	var all []string
	ast.Inspect(function.Body, func(n ast.Node) bool {
		if c, ok := n.(*ast.CaseClause); ok {
			for _, e := range c.List {
				name, _ := strconv.Unquote(e.(*ast.BasicLit).Value)
				all = append(all, name)
			}
		}
		return true
	})
	return all
}

func typeName(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	return e.(*ast.Ident).Name
}

// TestHarnessSeesWrongResults: the check that a result has the attributes which its
// table documents can fail.
func TestHarnessSeesWrongResults(t *testing.T) {
	if got := documentedAttributes("a list of `struct(b, a)`; `c` is None"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the attributes are %q", got)
	}
	for _, m := range Modules(Options{}) {
		for _, b := range m.Builtins {
			if strings.Contains(b.Result, "`struct") && documentedAttributes(b.Result) == nil {
				t.Errorf("the result of %s names no attributes in the form `struct(a, b)`: %s", b.Name, b.Result)
			}
		}
	}
}
