// Package layer finds script files. They come in layers, first hit wins, a whole
// file at a time:
//
//  1. the directory given with --scripts;
//  2. the project's .kinfra/, found upwards from the working directory, once its
//     content is trusted (see [Trust]);
//  3. the user's $XDG_CONFIG_HOME/kinfra/scripts;
//  4. the files inside the binary.
//
// Only "not there" falls through to the next layer; any other error stops.
//
// A label names a file, always with slashes:
//
//   - "pool.star" goes through the layers;
//   - "./x.star" is relative to the file that names it and stays in its layer;
//   - "@kinfra//pool.star" is always the one inside the binary.
//
// Nothing leads out of a layer: not "..", not an absolute path, not a symbolic
// link.
package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

// MaxFile is the most bytes that a file of a layer may have.
const MaxFile = 1 << 20

// fileLayer is the name of a directory that a file is run from.
const fileLayer = "file"

// Layer is one place that files come from.
type Layer struct {
	Name string // "scripts", "project", "user", that of the binary, or "file" for a directory that is run from
	Dir  string // its directory, absolute; empty for the files inside the binary

	shown  string // how messages name Dir
	source source
}

// source is where a layer's bytes are.
type source interface {
	read(name string) ([]byte, error)
	list(dir string) ([]entry, error) // sorted
}

type entry struct {
	name string
	dir  bool
}

// File is a file of a layer.
type File struct {
	Layer *Layer
	Name  string // relative to the layer, with slashes
	Data  []byte
}

// ID tells files apart: no two layers have a file of the same one.
func (f File) ID() string { return f.Layer.Name + "//" + f.Name }

// OnDisk tells whether the file was read from the disk just then, where it may change, and not
// from what is kept of its layer.
func (f File) OnDisk() bool {
	switch s := f.Layer.source.(type) {
	case directory:
		return true
	case over:
		_, kept := s.first[path.Clean(f.Name)]
		return !kept
	}
	return false
}

// Path is how messages name the file: its path on disk, as "./x" where it is below
// the working directory; just its name for one inside the binary. So no two files
// share a path, by which positions in scripts are told apart.
func (f File) Path() string { return f.Layer.Path(f.Name) }

// Path is how messages name a file of the layer.
func (l *Layer) Path(name string) string {
	shown := path.Join(l.shown, name)
	if l.shown != "" && !path.IsAbs(shown) {
		return "./" + shown
	}
	return shown
}

// Read gives a file of the layer.
func (l *Layer) Read(name string) (File, error) {
	if err := CheckName(name); err != nil {
		return File{}, err
	}
	data, err := l.source.read(name)
	if err != nil {
		return File{}, describe(l.Path(name), err)
	}
	return File{l, name, data}, nil
}

// describe says what keeps a file from being read, so that errors.Is still finds
// the cause.
func describe(shown string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, world.ErrTooLarge) {
		return fmt.Errorf("%s: %w (a file of a layer has at most %d KiB)", shown, err, MaxFile>>10)
	}
	return fmt.Errorf("%s: %w", shown, err)
}

// List is the names of all files of the layer, sorted; none where its directory is
// missing.
func (l *Layer) List() ([]string, error) { return l.walk(".", true) }

// Scripts is the names of the .star files at the top of the layer, where commands
// are declared.
func (l *Layer) Scripts() ([]string, error) {
	names, err := l.walk(".", false)
	return slices.DeleteFunc(names, func(name string) bool { return path.Ext(name) != ".star" }), err
}

func (l *Layer) walk(dir string, deep bool) ([]string, error) {
	entries, err := l.source.list(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, describe(l.Path(dir), err)
	}
	var names []string
	for _, e := range entries {
		name := path.Join(dir, e.name)
		switch {
		case !e.dir:
			names = append(names, name)
		case deep:
			below, err := l.walk(name, deep)
			if err != nil {
				return nil, err
			}
			names = append(names, below...)
		}
	}
	return names, nil
}

// Stack is the layers in the order in which they are asked.
type Stack struct {
	Layers  []*Layer
	Builtin *Layer // the files inside the binary: the last of Layers, and what "@NAME//" labels mean
}

// Find gives the first file of a name.
func (s *Stack) Find(name string) (File, error) {
	for _, l := range s.Layers {
		f, err := l.Read(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return File{}, fmt.Errorf("%s is in no layer: %w", name, fs.ErrNotExist)
}

// Resolve gives the file that a label in another file means.
func (s *Stack) Resolve(label string, from File) (File, error) {
	prefix := "@" + s.Builtin.Name + "//"
	switch {
	case strings.HasPrefix(label, prefix):
		return s.Builtin.Read(strings.TrimPrefix(label, prefix))
	case strings.HasPrefix(label, "@"):
		return File{}, fmt.Errorf("%q: the only repository is %q", label, prefix)
	case strings.HasPrefix(label, "./"):
		if err := CheckName(label[2:]); err != nil {
			return File{}, err
		}
		return from.Layer.Read(path.Join(path.Dir(from.Name), label[2:]))
	}
	return s.Find(label)
}

// ErrName is returned for a label or name that can't be one of a file in a layer.
var ErrName = errors.New(`not a name within a layer: want one such as "lib/x.star", "./x.star" or "@kinfra//x.star", without ".." and not absolute`)

// CheckName returns ErrName for what can't be the name of a file in a layer: it is relative,
// with slashes, leads nowhere outside, and shows each of its characters.
func CheckName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("%q is %w", name, ErrName)
	}
	if visible.Line(name) != name { // it could look like another one, or like something else than a name
		return fmt.Errorf("%q has a character that is not seen, and is %w", name, ErrName)
	}
	return nil
}
