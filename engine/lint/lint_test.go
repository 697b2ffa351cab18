package lint_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/lint"
	"github.com/ktrdr/kinfra/engine/table"
)

var update = flag.Bool("update", false, "rewrite the findings in testdata")

const findings = "findings"

// TestFaulty: each archive has a fault, in a script main.star and what that loads, and
// the findings in all of them.
func TestFaulty(t *testing.T) {
	paths := archives(t, "faulty")
	if len(paths) < 60 {
		t.Errorf("the corpus has %d faulty scripts, want at least 60", len(paths))
	}
	told := map[string]bool{}
	for _, path := range paths {
		t.Run(name(path), func(t *testing.T) {
			archive, files := read(t, path)
			got := check(files)
			if len(got) == 0 {
				t.Error("nothing is found")
			}
			for _, f := range got {
				told[f.Rule] = true
			}
			text := []byte(lines(got))
			if bytes.Equal(text, files[findings]) {
				return
			}
			if !*update {
				t.Fatalf("%s", diff.Diff("want", files[findings], "got", text))
			}
			archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == findings })
			archive.Files = append(archive.Files, txtar.File{Name: findings, Data: text})
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, rule := range lint.Rules() {
		if !told[rule.Name] {
			t.Errorf("no script in the corpus breaks the rule %q", rule.Name)
		}
	}
}

// TestCorrect: nothing is found in scripts that are as they should be.
func TestCorrect(t *testing.T) {
	for _, path := range archives(t, "correct") {
		t.Run(name(path), func(t *testing.T) {
			_, files := read(t, path)
			if got := check(files); len(got) > 0 {
				t.Errorf("want nothing, got\n%s", lines(got))
			}
		})
	}
}

// TestLibraries: nothing is found in libraries of plain Starlark, as others write them.
func TestLibraries(t *testing.T) {
	paths, err := filepath.Glob("testdata/libraries/*.star")
	if err != nil || len(paths) == 0 {
		t.Fatal("no libraries in testdata", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := check(map[string][]byte{"main.star": data}); len(got) > 0 {
			t.Errorf("%s: want nothing, got\n%s", path, lines(got))
		}
	}
}

// TestRules: rules are documented, each once.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range lint.Rules() {
		if r.Name == "" || r.Doc == "" || strings.HasSuffix(r.Doc, ".") || seen[r.Name] {
			t.Errorf("the rule %q (%s): want a name of its own, and a phrase", r.Name, r.Doc)
		}
		seen[r.Name] = true
	}
}

// TestCheckTwice: a checker remembers files, but not what it found in them.
func TestCheckTwice(t *testing.T) {
	layers := stack(map[string][]byte{"main.star": []byte("x = y\n")})
	checker := lint.New(config(layers))
	file, err := layers.Find("main.star")
	if err != nil {
		t.Fatal(err)
	}
	first, second := checker.Check(file), checker.Check(file)
	if len(first) != 1 || !slices.Equal(first, second) {
		t.Errorf("first %v, then %v", first, second)
	}
}

func archives(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + dir + "/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts in testdata", err)
	}
	return paths
}

func name(path string) string { return strings.TrimSuffix(filepath.Base(path), ".txtar") }

func read(t *testing.T, path string) (*txtar.Archive, map[string][]byte) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range archive.Files {
		files[f.Name] = f.Data
	}
	return archive, files
}

// check is the findings in main.star first, then in the other scripts.
func check(files map[string][]byte) []lint.Finding {
	layers := stack(files)
	checker := lint.New(config(layers))
	var all []lint.Finding
	main, err := layers.Find("main.star")
	if err != nil {
		panic(err)
	}
	all = append(all, checker.Check(main)...)
	names, _ := layers.Builtin.List()
	for _, name := range names {
		if name == "main.star" || filepath.Ext(name) != ".star" {
			continue
		}
		file, err := layers.Find(name)
		if err != nil {
			panic(err)
		}
		all = append(all, checker.Check(file)...)
	}
	return all
}

func lines(all []lint.Finding) string {
	var text strings.Builder
	for _, f := range all {
		fmt.Fprintln(&text, f)
	}
	return text.String()
}

func stack(files map[string][]byte) *layer.Stack {
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: data}
	}
	builtin := layer.Embedded("kinfra", fsys)
	return &layer.Stack{Layers: []*layer.Layer{builtin}, Builtin: builtin}
}

func config(layers *layer.Stack) lint.Config {
	return lint.Config{
		Layers: layers, Dialect: engine.Dialect(), Modules: append(engine.Modules(), diskModule(), programModule(), toolModule()),
		Commands: []string{"version"}, Flags: []string{"help", "h", "dry-run", "n"},
	}
}

// diskModule, programModule and toolModule are builtins as a binary brings them.
func diskModule() table.Module {
	path := table.Param{Name: "path", Type: table.String(), Help: "its path"}
	return table.Module{
		Name: "disk",
		Builtins: []table.Builtin{
			{Name: "disk.read", Params: []table.Param{path}},
			{Name: "disk.list", Params: []table.Param{path}},
			{Name: "disk.write", Changes: true, Params: []table.Param{
				path, {Name: "content", Type: table.String(), Help: "what is to be in it"},
				{Name: "mode", Type: table.Int(), Named: true, Optional: true, Help: "its mode"},
			}},
			{Name: "disk.remove", Changes: true, Params: []table.Param{path}},
		},
		Values: []table.Value{{Name: "disk.separator", Value: starlark.String("/")}},
	}
}

func programModule() table.Module {
	return table.Module{Name: "program", Builtins: []table.Builtin{{
		Name: "program.run", Changes: true,
		Params: []table.Param{
			{Name: "args", Type: table.Strings(), Help: "its arguments"},
			{Name: table.ReadOnly, Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "it changes nothing"},
		},
	}}}
}

func toolModule() table.Module {
	return table.Module{Builtins: []table.Builtin{
		{Name: "each", Params: []table.Param{
			{Name: "items", Type: table.List(), Help: "the items"},
			{Name: "run", Type: table.Function(1), Help: "called with each"},
		}},
		{Name: "joined", Params: []table.Param{{Name: "parts", Type: table.String(), Rest: true, Help: "the parts"}}},
		{Name: "amounts", Params: []table.Param{
			{Name: "title", Type: table.String(), Help: "a title"},
			{Name: "numbers", Type: table.Int(), Keywords: true, Help: "numbers by name"},
		}},
		{Name: "now"},
	}}
}
