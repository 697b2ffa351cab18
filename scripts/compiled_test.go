package scripts_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/scripts"
)

var update = flag.Bool("update", false, "compile the scripts")

// TestCompiled: each script has a compiled form, made from its text as it is and by the
// Starlark that go.mod names, and there are no others.
func TestCompiled(t *testing.T) {
	wanted := compileAll(t)
	if *update {
		writeAll(t, wanted)
		return
	}
	have := readAll(t)
	for name, data := range wanted {
		if !bytes.Equal(have[name], data) {
			t.Errorf("compiled/%s is not what its script compiles to; go test ./scripts -update writes it", name)
		}
	}
	for name := range have {
		if wanted[name] == nil {
			t.Errorf("compiled/%s is of no script; go test ./scripts -update removes it", name)
		}
	}
}

// sources is the scripts of a layer.
func sources(t *testing.T) []layer.File {
	t.Helper()
	shipped := layer.Embedded("kinfra", scripts.Files)
	names, err := shipped.List()
	if err != nil {
		t.Fatal(err)
	}
	var all []layer.File
	for _, name := range names {
		if path.Ext(name) != ".star" {
			continue
		}
		file, err := shipped.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, file)
	}
	if len(all) < 10 {
		t.Fatalf("only %d scripts found: the test does not see them", len(all))
	}
	return all
}

func compileAll(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, file := range sources(t) {
		program, err := engine.Compile(file, builtins.Modules(builtins.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		all[layer.CompiledName(file.Name)] = layer.Seal(file.Data, program)
	}
	return all
}

func readAll(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(scripts.Compiled(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[name], err = fs.ReadFile(scripts.Compiled(), name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writeAll(t *testing.T, wanted map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll("compiled"); err != nil {
		t.Fatal(err)
	}
	for name, data := range wanted {
		file := filepath.Join("compiled", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
