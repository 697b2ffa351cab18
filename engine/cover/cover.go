// Package cover counts which statements of scripts run, by a call that it puts before
// each of them. The positions of what stands in the file stay as they are, so errors
// and their frames are the same as without. (But for a function that calls itself, which
// is refused before it begins: that is said to be at its first statement.)
//
// A statement counts once for each place where it stands. The expression of a lambda
// is one, too. Docstrings and loads are none: the one does nothing, the other is done
// before anything else.
package cover

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Profile is which statements of files have run, over any number of runs. Its methods
// may be called by several goroutines at once.
type Profile struct {
	mu    sync.Mutex
	files map[string]*counted // by path
}

// counted is a file with its statements and how often each has run.
type counted struct {
	source     []byte
	statements []syntax.Position
	counts     []atomic.Int64
}

// counter is the name of the call that is put before statements: no script can write it.
const counter = "cover·count"

// Instrument puts a call before each statement of a parsed file, whose path is that of
// its positions. It returns the names that the file then sees: those given, and the
// counter.
func (p *Profile) Instrument(source []byte, parsed *syntax.File, names starlark.StringDict) starlark.StringDict {
	positions := instrument(parsed)
	file := p.file(parsed.Path, source, positions)
	names = maps.Clone(names)
	names[counter] = starlark.NewBuiltin(counter, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		n, _ := starlark.AsInt32(args[0])
		file.counts[n].Add(1)
		return starlark.False, nil
	})
	return names
}

// Add has a file in the profile whose statements have not run, unless it is there.
func (p *Profile) Add(source []byte, parsed *syntax.File) {
	p.file(parsed.Path, source, instrument(parsed))
}

// file is the counts of a file, which all runs share.
func (p *Profile) file(path string, source []byte, positions []syntax.Position) *counted {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.files[path]; ok && string(known.source) == string(source) {
		return known
	}
	if p.files == nil {
		p.files = map[string]*counted{}
	}
	file := &counted{source: source, statements: positions, counts: make([]atomic.Int64, len(positions))}
	p.files[path] = file
	return file
}

// File is what a profile knows of a file.
type File struct {
	Path       string
	Source     []byte
	Statements []Statement // in the order of their places
}

// Statement is one that counts.
type Statement struct {
	Line, Column int // from 1, the column in characters
	Count        int64
}

// Covered is how many of the statements have run.
func (f File) Covered() int {
	n := 0
	for _, s := range f.Statements {
		if s.Count > 0 {
			n++
		}
	}
	return n
}

// Files is what is known of the files, sorted by path.
func (p *Profile) Files() []File {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []File
	for _, path := range slices.Sorted(maps.Keys(p.files)) {
		file := p.files[path]
		f := File{Path: path, Source: file.source}
		for i, pos := range file.statements {
			f.Statements = append(f.Statements, Statement{int(pos.Line), int(pos.Col), file.counts[i].Load()})
		}
		slices.SortFunc(f.Statements, func(a, b Statement) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		all = append(all, f)
	}
	return all
}
