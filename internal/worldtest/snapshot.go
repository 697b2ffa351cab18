// Package worldtest is what tests on a world have in common; in tests only.
package worldtest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// Snapshot is all below a directory: by its path its mode, its time of change and, of a
// file, its content or, of a link, where it points. A directory that isn't there has
// nothing below it.
func Snapshot(t testing.TB, w world.World, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := w.Disk.Host().ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		all[name] = fmt.Sprint(e.Mode, " ", e.ModTime.UnixNano(), " ", content(t, w, name, e))
		if e.Mode.IsDir() {
			for name, what := range Snapshot(t, w, name) {
				all[name] = what
			}
		}
	}
	return all
}

func content(t testing.TB, w world.World, name string, info world.Info) string {
	t.Helper()
	var text string
	var err error
	switch {
	case info.Mode.IsRegular():
		var data []byte
		data, err = w.Disk.Host().ReadFile(name, info.Size)
		text = string(data)
	case info.Mode&fs.ModeSymlink != 0:
		text, err = w.Disk.Host().ReadLink(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}
