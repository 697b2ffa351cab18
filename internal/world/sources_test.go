package world

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// demandSources is the variable that makes TestSources fail, not skip, where the sources
// of Compose are not in the module cache (.ci/setup sees to that).
const demandSources = "KINFRA_DEMAND_SOURCES"

// TestSources looks for the variables that Compose, docker, buildx and Go read, in their
// sources, and finds each of them in the table.
func TestSources(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a thousand packages")
	}
	s, err := listSources()
	switch {
	case err != nil && os.Getenv(demandSources) == "1":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	if err := s.read(); err != nil {
		t.Fatal(err)
	}
	if len(s.found) < 150 || s.found["COMPOSE_FILE"] == "" || s.found["DOCKER_HOST"] == "" || s.found["BUILDX_BUILDER"] == "" {
		t.Errorf("the look at the sources has found only %q", slices.Sorted(maps.Keys(s.found)))
	}
	for _, name := range slices.Sorted(maps.Keys(s.found)) {
		if known := slices.ContainsFunc(variables, func(v variable) bool { return v.covers(name) }); !known && !noVariables[name] {
			t.Errorf("%s is read by %s, and not in the table", name, s.found[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.unknown)) {
		if _, known := indirect[name]; !known {
			t.Errorf("%s reads a variable of which the name is made there, in %s: say in this test which", name, s.unknown[name])
		}
	}
	for name, read := range indirect {
		if s.unknown[name] == "" {
			t.Errorf("%s reads no variable of which the name is made there any more", name)
		}
		for _, row := range read {
			if !slices.ContainsFunc(variables, func(v variable) bool { return v.name == row }) {
				t.Errorf("%s is read by %s, and not in the table", row, name)
			}
		}
	}
}

// noVariables look like those of Docker's, or are those of another system.
var noVariables = map[string]bool{
	"BAKE_CMD_CONTEXT": true, "BAKE_LOCAL_PLATFORM": true, // within a file of bake's
	"BUILDKIT_EXPORTEDPRODUCT": true, "BUILDKIT_SESSION_ID": true, "BUILDKIT_WORKERS": true, // within a build
	"BUILDKIT_INLINE_BUILDINFO_ATTRS": true, "BUILDKIT_INLINE_CACHE": true, "BUILDKIT_MULTI_PLATFORM": true, // arguments of a build
	"AppData": true, "LocalAppData": true, "SYSTEMROOT": true, "programdata": true, // Windows
	"home": true, // Plan 9
}

// indirect are the packages that read variables whose names they don't have as constants,
// with the rows of the table in which these are. Where there are none, the name is from a
// command line, a file or the package's user, or its constants are found elsewhere.
var indirect = map[string][]string{
	"github.com/docker/cli/cli/command":                                                    {"GODEBUG"},
	"github.com/docker/cli/cli/compose/loader":                                             nil, // of docker stack
	"github.com/docker/cli/opts":                                                           nil, // --env NAME
	"github.com/docker/buildx/bake":                                                        nil, // --set
	"github.com/docker/buildx/build":                                                       {"BUILDX_NO_DEFAULT_ATTESTATIONS"},
	"github.com/docker/buildx/commands":                                                    nil, // --build-arg NAME
	"github.com/docker/compose/v2/cmd/compose":                                             nil, // constants; config --variables
	"github.com/docker/compose/v2/pkg/bridge":                                              nil, // configs
	"github.com/docker/go-connections/sockets":                                             nil, // nobody asks it
	"github.com/moby/buildkit/client/llb":                                                  nil, // within a build
	"github.com/moby/buildkit/util/gitutil":                                                {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy"},
	"github.com/moby/buildkit/util/tracing/detect":                                         {"OTEL_*"},
	"github.com/moby/buildkit/session/secrets/secretsprovider":                             nil, // a file's secrets
	"github.com/moby/buildkit/frontend/dockerfile/shell":                                   nil, // within a build
	"github.com/aws/aws-sdk-go-v2/config":                                                  {"AWS_*"},
	"github.com/containerd/containerd/v2/pkg/archive/compression":                          {"CONTAINERD_*"},
	"github.com/gorilla/websocket":                                                         {"ALL_PROXY", "all_proxy"},
	"github.com/mattn/go-shellwords":                                                       nil, // nobody wants it to
	"github.com/spf13/cobra":                                                               {"DOCKER_ACTIVE_HELP", "COMPOSE_ACTIVE_HELP", "COBRA_ACTIVE_HELP"},
	"golang.org/x/net/proxy":                                                               {"ALL_PROXY", "all_proxy"},
	"golang.org/x/sys/unix":                                                                nil,
	"google.golang.org/grpc/internal/binarylog":                                            {"GRPC_*"},
	"google.golang.org/grpc/internal/envconfig":                                            {"GRPC_*"},
	"google.golang.org/protobuf/reflect/protoregistry":                                     {"GOLANG_PROTOBUF_REGISTRATION_CONFLICT"},
	"go.opentelemetry.io/auto/sdk":                                                         {"OTEL_*"},
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc/internal/envconfig": {"OTEL_*"},
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp/internal/envconfig": {"OTEL_*"},
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc/internal/envconfig":   {"OTEL_*"},
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp/internal/envconfig":   {"OTEL_*"},
	"go.opentelemetry.io/otel/sdk/internal/env":                                            {"OTEL_*"},
	"go.opentelemetry.io/otel/sdk/internal/x":                                              {"OTEL_*"},
	"go.opentelemetry.io/otel/sdk/metric":                                                  {"OTEL_*"},
	"go.opentelemetry.io/otel/sdk/metric/internal/x":                                       {"OTEL_*"},
	"go.opentelemetry.io/otel/trace":                                                       {"OTEL_*"},
	"k8s.io/client-go/features":                                                            {"KUBE_*"},
	"k8s.io/client-go/tools/clientcmd":                                                     {"KUBECONFIG"},
	"internal/testlog":                                                                     nil, "os": nil, "testing": nil,
	"vendor/golang.org/x/net/http/httpproxy": {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"},
}

// sources are packages, by their import paths, and what was found in them.
type sources struct {
	packages map[string]*sourcePackage
	found    map[string]string // by the variable's name, the import path of a package that reads it
	unknown  map[string]string // by the import path, a call of which the variable's name isn't known
	fset     *token.FileSet
}

type sourcePackage struct {
	files     []string
	parsed    map[string]*ast.File
	constants map[string]ast.Expr
}

const composeModule = "../../.ci/compose"

// listSources finds the packages that Compose consists of, those of Go included, and all of
// the commands docker and buildx.
func listSources() (*sources, error) {
	s := &sources{packages: map[string]*sourcePackage{}, found: map[string]string{}, unknown: map[string]string{}, fset: token.NewFileSet()}
	out, err := list("-deps", "-f", `{{.ImportPath}}|{{range .GoFiles}}{{$.Dir}}/{{.}},{{end}}`, "github.com/docker/compose/v2/cmd")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		name, files, _ := strings.Cut(strings.TrimSpace(line), "|")
		s.add(name, strings.Split(strings.TrimSuffix(files, ","), ",")...)
	}
	for _, module := range []string{"github.com/docker/cli", "github.com/docker/buildx", "github.com/docker/compose/v2", "github.com/compose-spec/compose-go/v2"} {
		root, err := list("-m", "-f", "{{.Dir}}", module)
		if err != nil {
			return nil, err
		}
		if err := s.walk(module, strings.TrimSpace(root)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func list(args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"list", "-mod=readonly"}, args...)...)
	cmd.Dir = composeModule
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOPROXY=off", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("the sources of Compose are not here: go list %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return string(out), nil
}

// walk adds all packages of a module but those of its tests and examples.
func (s *sources) walk(module, root string) error {
	return filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{"vendor", "e2e", "tests", "test", "testdata", "testutil", "testutils", "examples", "scripts", "docs", "hack"}, name):
			return fs.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, "_windows.go"):
			below, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				return err
			}
			s.add(path.Join(module, filepath.ToSlash(below)), file)
		}
		return nil
	})
}

func (s *sources) add(name string, files ...string) {
	p := s.packages[name]
	if p == nil {
		p = &sourcePackage{parsed: map[string]*ast.File{}}
		s.packages[name] = p
	}
	for _, file := range files {
		if file != "" && !slices.Contains(p.files, file) {
			p.files = append(p.files, file)
		}
	}
}

// ofDocker are the packages in which a constant that looks like the name of a variable is
// one, however it comes to be read.
var ofDocker = regexp.MustCompile(`^github\.com/(docker|compose-spec|moby)/`)

var (
	variableOfDocker = regexp.MustCompile(`^(COMPOSE|DOCKER|BUILDX|BUILDKIT|BAKE)_[A-Z0-9_]+[A-Z0-9]$`)
	readsVariable    = regexp.MustCompile(`(?i)^(go)?(get|lookup)env(any)?$`)
	mayReadOne       = regexp.MustCompile(`(?i)(get|lookup)env(any)?\(`)
)

func (s *sources) read() error {
	for name, p := range s.packages {
		for _, file := range p.files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if !ofDocker.MatchString(name) && !mayReadOne.Match(text) {
				continue
			}
			parsed, err := p.parse(s.fset, file)
			if err != nil {
				return err
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && ofDocker.MatchString(name) && variableOfDocker.MatchString(text) {
						s.found[text] = name
					}
				case *ast.CallExpr:
					s.call(name, parsed, text, n)
				}
				return true
			})
		}
	}
	return nil
}

// call notes the variables that a call reads, if it is one that does.
func (s *sources) call(name string, file *ast.File, text []byte, call *ast.CallExpr) {
	function := call.Fun
	if selector, ok := function.(*ast.SelectorExpr); ok {
		function = selector.Sel
	}
	if ident, ok := function.(*ast.Ident); !ok || !readsVariable.MatchString(ident.Name) {
		return
	}
	for _, argument := range call.Args {
		if value, ok := s.value(name, file, argument); ok {
			s.found[value] = name
			continue
		}
		from, to := s.fset.Position(argument.Pos()).Offset, s.fset.Position(argument.End()).Offset
		s.unknown[name] = string(text[from:to])
	}
}

// value is that of a constant expression of strings.
func (s *sources) value(name string, file *ast.File, e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.Ident:
		p := s.packages[name]
		if constant, ok := p.all(s.fset)[e.Name]; ok {
			return s.value(name, file, constant)
		}
	case *ast.BinaryExpr:
		left, ok := s.value(name, file, e.X)
		right, too := s.value(name, file, e.Y)
		return left + right, ok && too && e.Op == token.ADD
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if imported := s.imported(file, x.Name); imported != "" {
				return s.value(imported, nil, e.Sel)
			}
		}
	}
	return "", false
}

// imported is the package that a file knows by a name, if it is one of those looked at.
func (s *sources) imported(file *ast.File, name string) string {
	if file == nil {
		return ""
	}
	for _, one := range file.Imports {
		imported, _ := strconv.Unquote(one.Path.Value)
		named := one.Name != nil && one.Name.Name == name
		if s.packages[imported] != nil && (named || one.Name == nil && slices.Contains(strings.Split(imported, "/"), name)) {
			return imported
		}
	}
	return ""
}

func (p *sourcePackage) parse(fset *token.FileSet, file string) (*ast.File, error) {
	if parsed := p.parsed[file]; parsed != nil {
		return parsed, nil
	}
	parsed, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	p.parsed[file] = parsed
	return parsed, nil
}

// all are the package's constants, and variables that begin as one.
func (p *sourcePackage) all(fset *token.FileSet) map[string]ast.Expr {
	if p.constants != nil {
		return p.constants
	}
	p.constants = map[string]ast.Expr{}
	for _, file := range p.files {
		parsed, err := p.parse(fset, file)
		if err != nil {
			continue
		}
		for _, declaration := range parsed.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok || general.Tok != token.CONST && general.Tok != token.VAR {
				continue
			}
			for _, spec := range general.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if i < len(spec.Values) {
						p.constants[name.Name] = spec.Values[i]
					}
				}
			}
		}
	}
	return p.constants
}
