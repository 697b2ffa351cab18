package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/ktrdr/kinfra/engine/format"
	"github.com/ktrdr/kinfra/scripts"
)

// formatCases is the texts to be formatted: for each name, which tells the kind of file
// by its ending, what is given.
func formatCases(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/fmt/*.in")
	if err != nil || len(paths) == 0 {
		t.Fatal("no texts in testdata/fmt", err)
	}
	cases := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cases[strings.TrimSuffix(filepath.Base(path), ".in")] = data
	}
	return cases
}

func golden(name string) string { return filepath.Join("testdata", "fmt", name+".golden") }

// TestFormat: texts get the bytes that buildifier has given them, and keep them when
// they are formatted again.
func TestFormat(t *testing.T) {
	for name, text := range formatCases(t) {
		got, err := formatText(t, name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := os.ReadFile(golden(name))
		if err != nil {
			t.Fatal(err)
		}
		if changes := diff.Diff("buildifier "+name, want, "kinfra "+name, got); changes != nil {
			t.Errorf("%s", changes)
		}
		if again, err := formatText(t, name, got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: formatted again it is %q, %v", name, again, err)
		}
	}
}

// TestShippedScriptsAreFormatted: kinfra fmt would change nothing in scripts/.
func TestShippedScriptsAreFormatted(t *testing.T) {
	for name, text := range shippedScripts(t) {
		got, err := formatText(t, name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if changes := diff.Diff("scripts/"+name, text, "formatted", got); changes != nil {
			t.Errorf("kinfra fmt scripts would change it:\n%s", changes)
		}
	}
}

func shippedScripts(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(scripts.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == scriptSuffix {
			all[path], err = fs.ReadFile(scripts.Files, path)
		}
		return err
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d scripts: %v", len(all), err)
	}
	return all
}

// TestFormatIsBuildifiers holds both the golden texts and the shipped scripts against the
// real buildifier, of the version whose library is linked. With -update the golden texts
// are written.
func TestFormatIsBuildifiers(t *testing.T) {
	if os.Getenv("KINFRA_DEMAND_BUILDIFIER") != "1" && !*update {
		t.Skip("buildifier is asked where KINFRA_DEMAND_BUILDIFIER is 1")
	}
	texts := formatCases(t)
	for name, text := range shippedScripts(t) {
		texts["shipped/"+name] = text
	}
	for name, want := range buildified(t, texts) {
		got, err := formatText(t, name, texts[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if changes := diff.Diff("buildifier "+name, want, "kinfra "+name, got); changes != nil {
			t.Errorf("%s", changes)
		}
		if strings.HasPrefix(name, "shipped/") {
			continue
		}
		if *update {
			if err := os.WriteFile(golden(name), want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if kept, err := os.ReadFile(golden(name)); err != nil || !bytes.Equal(kept, want) {
			t.Errorf("%s is not what buildifier gives (%v): go test ./cmd/kinfra -run TestFormat -update writes it", golden(name), err)
		}
	}
}

// buildified is the texts as the real buildifier formats them.
func buildified(t *testing.T, texts map[string][]byte) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]string{} // by the type that buildifier is told
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		kind := "--type=default"
		if filepath.Ext(name) == ".bzl" {
			kind = "--type=bzl"
		}
		files[kind] = append(files[kind], path)
	}
	const module = "github.com/bazelbuild/buildtools"
	version := output(t, "", "go", "list", "-m", "-f", "{{.Version}}", module)
	for kind, paths := range files {
		output(t, dir, "go", slices.Concat([]string{"run", module + "/buildifier@" + strings.TrimSpace(version), kind, "--mode=fix"}, paths)...)
	}
	formatted := map[string][]byte{}
	for name := range texts {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		formatted[name] = data
	}
	return formatted
}

func output(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

// formatText formats a script.
func formatText(t testing.TB, path string, text []byte) ([]byte, error) {
	t.Helper()
	return format.Script(t.Context(), path, text)
}

// FuzzFormat: a text is formatted or refused, and a formatted one is the same program.
// That it is, the formatter itself holds; here it must be formatted again without a
// complaint, and without an effect on the text that was given.
func FuzzFormat(f *testing.F) {
	for _, text := range formatCases(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		got, err := formatText(t, "x.star", text)
		if !bytes.Equal(given, text) {
			t.Error("the text that was given is another now")
		}
		if err != nil {
			return
		}
		if _, err := formatText(t, "x.star", got); err != nil {
			t.Errorf("%q becomes %q, which can't be formatted: %v", text, got, err)
		}
	})
}
