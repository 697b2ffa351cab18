package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// Embedded is a layer of files inside the binary. Labels name it "@name//".
func Embedded(name string, files fs.FS) *Layer {
	return EmbeddedCompiled(name, files, nil)
}

// EmbeddedCompiled is such a layer with the compiled forms of its scripts, which are
// optional: each is named by [CompiledName] and made by [Seal].
func EmbeddedCompiled(name string, files, compiled fs.FS) *Layer {
	return &Layer{Name: name, source: embedded{files, compiled}}
}

type embedded struct {
	files    fs.FS
	compiled fs.FS // nil: none
}

func (s embedded) read(name string) ([]byte, error) { return fs.ReadFile(s.files, name) }

func (s embedded) list(dir string) ([]entry, error) {
	found, err := fs.ReadDir(s.files, dir)
	var all []entry
	for _, e := range found {
		all = append(all, entry{e.Name(), e.IsDir()})
	}
	return all, err
}

// Directory is a layer on disk. The directory need not exist.
func Directory(w world.World, name, dir string) *Layer {
	return &Layer{Name: name, Dir: dir, shown: show(w, dir), source: directory{w.Disk.Root(dir)}}
}

// Neighbours is the directory that a file is run from: where "./" labels in it lead.
func Neighbours(w world.World, dir string) *Layer { return Directory(w, fileLayer, dir) }

// show is a path as messages give it: relative to the working directory if it is
// below it.
func show(w world.World, dir string) string {
	work, err := w.Env.WorkDir()
	if err != nil {
		return dir
	}
	rel, err := filepath.Rel(work, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return dir
	}
	return rel
}

var errDangling = errors.New("a symbolic link that leads nowhere")

type directory struct{ files world.Files }

// read takes a link that leads nowhere for damage, not for "not there": the next
// layer's file would be something else than what the user has put here.
func (s directory) read(name string) ([]byte, error) {
	data, err := s.files.ReadFile(name, MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		if info, e := s.files.Lstat(name); e == nil && info.Mode.Type() == fs.ModeSymlink {
			return nil, errDangling
		}
	}
	return data, err
}

func (s directory) list(dir string) ([]entry, error) {
	found, err := s.files.ReadDir(dir)
	var all []entry
	for _, e := range found {
		all = append(all, entry{e.Name, e.Mode.IsDir()})
	}
	return all, err
}

// snapshot is files as they were when they were read: what was trusted is what is
// run, whatever happens to the directory in between.
type snapshot map[string][]byte

func (s snapshot) read(name string) ([]byte, error) {
	if data, ok := s[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (s snapshot) list(dir string) ([]entry, error) {
	found := map[entry]bool{}
	for name := range s {
		below := name
		if dir != "." {
			var ok bool
			if below, ok = strings.CutPrefix(name, dir+"/"); !ok {
				continue
			}
		}
		first, _, deeper := strings.Cut(below, "/")
		found[entry{first, deeper}] = true
	}
	all := make([]entry, 0, len(found))
	for e := range found {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// The most that a project's scripts may be, and the files that they name.
const mostFiles, mostBytes = 1000, 16 << 20

// takeSnapshot reads all files of a layer.
func takeSnapshot(l *Layer) (snapshot, error) {
	names, err := l.List()
	if err != nil {
		return nil, err
	}
	all, total := snapshot{}, 0
	for _, name := range names {
		f, err := l.Read(name)
		if err != nil {
			return nil, err
		}
		all[path.Clean(name)] = f.Data
		if total += len(f.Data); total > mostBytes || len(all) > mostFiles {
			return nil, describe(l.Path("."), fmt.Errorf("more than %d files or %d MiB: %w", mostFiles, mostBytes>>20, ErrTooMuch))
		}
	}
	return all, nil
}
