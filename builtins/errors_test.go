package builtins

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestErrors runs the scripts in testdata/errors/*.txtar and holds what a user sees of
// their errors against what follows each: the code of the command, the message, the
// place in the script. -update writes that anew.
//
// A script NAME.star is followed by NAME.error. Its top level is run, after it was put
// in the place of pool.star if it defines a pool: then `kinfra sandbox provision` is
// run, in which everything of a pool is looked at.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { testErrors(t, file) })
	}
}

func testErrors(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var with []txtar.File
	for i, script := range archive.Files {
		name, isScript := strings.CutSuffix(script.Name, ".star")
		if !isScript {
			continue
		}
		var want []byte
		if i+1 < len(archive.Files) && archive.Files[i+1].Name == name+".error" {
			want = archive.Files[i+1].Data
		}
		t.Run(name, func(t *testing.T) {
			got := []byte(errorOf(t, script))
			with = append(with, script, txtar.File{Name: name + ".error", Data: got})
			if changes := diff.Diff(name+".error", want, "what is shown", got); changes != nil && !*update {
				t.Errorf("%s", changes)
			}
		})
	}
	if *update && !t.Failed() {
		archive.Files = with
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func errorOf(t *testing.T, script txtar.File) string {
	m := newMachine(t)
	if bytes.Contains(script.Data, []byte("\npool = ")) {
		m.script("pool.star", string(script.Data))
		run, err := m.command("provision.star")
		if got := listTree(m.fake.World(), "/home/user"); len(got) > 0 {
			t.Errorf("it has written %q", got)
		}
		return m.explain(run, err)
	}
	m.script(script.Name, string(script.Data))
	run, err := m.top(script.Name)
	return m.explain(run, err)
}
