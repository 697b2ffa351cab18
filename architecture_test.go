// Package kinfra_test holds the tests of the repository as a whole.
package kinfra_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ktrdr/kinfra/"

// goFiles parses all Go files of the repository but those of tests.
func goFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := allGoFiles(t)
	maps.DeleteFunc(files, func(path string, _ *ast.File) bool { return strings.HasSuffix(path, "_test.go") })
	return files
}

// allGoFiles parses all Go files of the repository.
func allGoFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".ci" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		files[filepath.ToSlash(path)], err = parser.ParseFile(set, path, nil, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d Go files found: the test does not see the repository", len(files))
	}
	return files
}

// rules says what the packages below a folder must not import. ARCHITECTURE.md
// explains why.
var rules = []struct {
	folder    string
	forbidden string // a pattern for import paths
}{
	{"engine", module + `(builtins|scripts|cmd|bench|internal/(?:[a-ln-ux-z]|m[^a]|v[^i]|w[^o]))`},
	{"engine", `docker|compose-go|gjson|cobra`},
	{"internal", module + `(engine|builtins|scripts|cmd|bench)`},
	{"internal", `go\.starlark\.net`},
	{"internal/world/", module},
	{"internal/hint", module},
	{"internal/visible", module},
	{"internal/mask", module},
	{"internal/interpolate", module},
	{"internal/envfile", module + `internal/(registry|slot|ports|compose)`},
	{"internal/compose", module + `internal/(registry|slot|ports)`},
	{"internal/ports", module + `internal/(registry|slot)`},
	{"internal/registry", module + `internal/slot`},
	{"builtins", module + `(scripts|cmd|bench)`},
	{"scripts", module},
	{"", module + `cmd/`},
}

func TestImportRules(t *testing.T) {
	for path, file := range goFiles(t) {
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			for _, rule := range rules {
				if strings.HasPrefix(path, "internal/torture/") && rule.folder == "internal" {
					continue // it tries the engine's promises, too, and nobody imports it
				}
				if strings.HasPrefix(path, rule.folder) && regexp.MustCompile(rule.forbidden).MatchString(imported) {
					t.Errorf("%s imports %s, which packages in %q must not", path, imported, rule.folder)
				}
			}
		}
	}
}

// TestNoDomainFactsInGo: what a pool is made of is data in scripts/. No profile,
// port, slot count or service stands in Go, so that changing them needs no compiler.
func TestNoDomainFactsInGo(t *testing.T) {
	names := regexp.MustCompile(`(?i)\b(backtest|training|timescale\w*|grafana|jaeger\w*|prometheus|otlp\w*|uvicorn|postgres\w*)\b|KTRDR_`)
	words := []string{"light", "standard", "heavy", "db", "backend", "api"}
	numbers := []string{"8000", "5432", "3000", "16686", "9090", "4317", "4318"}
	for path, file := range goFiles(t) {
		if strings.HasPrefix(path, "bench/") || strings.HasPrefix(path, "internal/dockertest/") || strings.HasPrefix(path, "internal/torture/") {
			continue // no parts of the binary
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok {
				return true
			}
			switch text, _ := strconv.Unquote(lit.Value); {
			case lit.Kind == token.STRING && (names.MatchString(text) || slices.Contains(words, text)),
				lit.Kind == token.INT && slices.Contains(numbers, lit.Value):
				t.Errorf("%s has the fact %s, which belongs in scripts/", path, lit.Value)
			}
			return true
		})
	}
}

// TestGateIsNotEmbedded: what stands in for a role of a world writes out each of its
// methods. Embedding the interface would let a new method through without a decision.
func TestGateIsNotEmbedded(t *testing.T) {
	files := allGoFiles(t)
	roles := map[string]bool{}
	for path, file := range files {
		if filepath.ToSlash(filepath.Dir(path)) == "internal/world" {
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok {
					if _, ok := spec.Type.(*ast.InterfaceType); ok {
						roles[spec.Name.Name] = true
					}
				}
				return true
			})
		}
	}
	for _, known := range []string{"Disk", "Files", "Appender", "Processes", "Services", "Clock", "Environment"} {
		if !roles[known] {
			t.Errorf("package world has no interface %s: the test does not see it", known)
		}
	}
	for path, file := range files {
		name := worldName(file)
		inside := strings.HasPrefix(path, "internal/world/") && file.Name.Name == "world"
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.StructType); ok {
				for _, field := range spec.Fields.List {
					if role := roleOf(field.Type, name, inside); len(field.Names) == 0 && roles[role] && ast.IsExported(role) {
						t.Errorf("%s embeds world.%s: give it a name, and write out its methods", path, role)
					}
				}
			}
			return true
		})
	}
}

// worldName is by which name a file imports package world; empty if it doesn't.
func worldName(file *ast.File) string {
	for _, spec := range file.Imports {
		if imported, _ := strconv.Unquote(spec.Path.Value); imported == module+"internal/world" {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return "world"
		}
	}
	return ""
}

// roleOf is the name of a type of package world, which is imported by a name or the
// file's own.
func roleOf(expr ast.Expr, imported string, inside bool) string {
	switch e := expr.(type) {
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && imported != "" && x.Name == imported {
			return e.Sel.Name
		}
	case *ast.Ident:
		if inside {
			return e.Name
		}
	}
	return ""
}

// TestFreezing: freezing a value of a script can overflow Go's stack, which nothing can
// catch, so engine/freeze.go looks at values before. A type that freezes others says
// which, with Held; what Go code has made itself nests no deeper than it says.
func TestFreezing(t *testing.T) {
	trees := []string{"engine/value.go:recorded", "engine/result.go:decodeResult", "engine/parameter.go:Arguments", "builtins/spec.go:environmentOf"}
	held := map[string]bool{}
	files := goFiles(t)
	for path, file := range files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "Held" {
				held[filepath.Dir(path)+receiver(f)] = true
			}
		}
	}
	for path, file := range files {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || path == "engine/freeze.go" || slices.Contains(trees, path+":"+f.Name.Name) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if ok && call.Sel.Name == "Freeze" && !(f.Recv != nil && f.Name.Name == "Freeze" && held[filepath.Dir(path)+receiver(f)]) {
					t.Errorf("%s: %s calls Freeze on what wasn't looked at: use engine's freeze, or give the type a method Held", path, f.Name.Name)
				}
				return true
			})
		}
	}
}

// receiver is the type of a method, as it is written.
func receiver(f *ast.FuncDecl) string {
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return ":" + name.Name
	}
	return ""
}
