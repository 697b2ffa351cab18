package main

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ktrdr/kinfra/internal/world"
)

// inode is a file, a directory or a link, apart from the names that it has.
type inode struct {
	mode    fs.FileMode
	data    []byte            // of a file
	target  string            // of a link
	entries map[string]*inode // of a directory
}

func newDirectory() *inode {
	return &inode{mode: fs.ModeDir | 0o755, entries: map[string]*inode{}}
}

// change is what was done to a directory: entries that it got, or with nil lost. It is
// done as a whole or not at all, as a rename within a directory is.
type change struct {
	dir     *inode
	entries map[string]*inode
}

// written is one thing that a recorder saw, in the order in which they happened.
type written struct {
	change *change
	grown  *inode // a file that got content, at its end
	size   int    // what it then has
	synced *inode // a file or directory
	adding bool   // by who was adding to it
	mark   func() // called when the replay comes by
}

// recorder is a world that notes all that reaches its files.
type recorder struct {
	world world.World
	*tape
}

// tape is what a recorder has noted.
type tape struct {
	mu  sync.Mutex // held while something is done, so that the order is that of the notes
	top *inode     // as it is now
	log []written
}

// record is the world w, whose directories that are there (empty ones) count as durable.
func record(w world.World, dirs ...string) recorder {
	j := &tape{top: newDirectory()}
	for _, dir := range dirs {
		j.makeAll(dir)
	}
	j.log = nil
	w.Disk = recordedDisk{w.Disk, j}
	return recorder{w, j}
}

// note has mark called when a replay comes to what is done after this.
func (j *tape) note(mark func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log = append(j.log, written{mark: mark})
}

type recordedDisk struct {
	disk world.Disk
	j    *tape
}

func (d recordedDisk) Host() world.Files { return recordedFiles{d.disk.Host(), "/", d.j} }

func (d recordedDisk) Root(dir string) world.Files {
	return recordedFiles{d.disk.Root(dir), dir, d.j}
}

// find is what is at a path; nil for nothing.
func (j *tape) find(name string) *inode {
	at := j.top
	for component := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if component != "" && at != nil {
			at = at.entries[component]
		}
	}
	return at
}

// put makes node the entry of that name, or with nil removes it.
func (j *tape) put(name string, node *inode) {
	j.putAll(path.Dir(name), map[string]*inode{path.Base(name): node})
}

func (j *tape) putAll(dir string, entries map[string]*inode) {
	c := &change{j.find(dir), entries}
	c.do(c.dir.entries)
	j.log = append(j.log, written{change: c})
}

func (c change) do(entries map[string]*inode) {
	for name, node := range c.entries {
		if node == nil {
			delete(entries, name)
		} else {
			entries[name] = node
		}
	}
}

func (j *tape) makeAll(dir string) {
	if j.find(dir) == nil {
		j.makeAll(path.Dir(dir))
		j.put(dir, newDirectory())
	}
}

func (j *tape) removeAll(name string) {
	node := j.find(name)
	if node == nil {
		return
	}
	for _, entry := range slices.Sorted(maps.Keys(node.entries)) {
		j.removeAll(path.Join(name, entry))
	}
	j.put(name, nil)
}

// recordedFiles are the files of a recorder.
type recordedFiles struct {
	files world.Files
	dir   string
	j     *tape
}

func (f recordedFiles) ReadFile(name string, limit int64) ([]byte, error) {
	return f.files.ReadFile(name, limit)
}

func (f recordedFiles) Lstat(name string) (world.Info, error)     { return f.files.Lstat(name) }
func (f recordedFiles) ReadDir(name string) ([]world.Info, error) { return f.files.ReadDir(name) }
func (f recordedFiles) ReadLink(name string) (string, error)      { return f.files.ReadLink(name) }

// do does something, and then notes it.
func (f recordedFiles) do(name string, act func() error, note func(path string)) error {
	f.j.mu.Lock()
	defer f.j.mu.Unlock()
	if err := act(); err != nil {
		return err
	}
	note(filepath.Join(f.dir, name))
	return nil
}

func (f recordedFiles) CreateFile(name string, data []byte, mode fs.FileMode) error {
	return f.do(name, func() error { return f.files.CreateFile(name, data, mode) }, func(path string) {
		file := &inode{mode: mode, data: bytes.Clone(data)}
		f.j.put(path, file)
		f.j.log = append(f.j.log, written{grown: file, size: len(data)})
	})
}

func (f recordedFiles) Append(name string) (world.Appender, error) {
	a, err := f.files.Append(name)
	if err != nil {
		return nil, err
	}
	f.j.mu.Lock()
	defer f.j.mu.Unlock()
	return recordedAppender{a, f, name, f.j.find(filepath.Join(f.dir, name))}, nil
}

// recordedAppender notes what is added to a file, wherever that is moved.
type recordedAppender struct {
	appender world.Appender
	files    recordedFiles
	name     string
	file     *inode
}

func (a recordedAppender) Write(data []byte) (n int, err error) {
	j := a.files.j
	err = a.files.do(a.name, func() error { n, err = a.appender.Write(data); return err }, func(string) {
		a.file.data = append(a.file.data, data...)
		j.log = append(j.log, written{grown: a.file, size: len(a.file.data)})
	})
	return n, err
}

func (a recordedAppender) Sync() error {
	j := a.files.j
	return a.files.do(a.name, a.appender.Sync, func(string) {
		j.log = append(j.log, written{synced: a.file, adding: true})
	})
}

func (a recordedAppender) Close() error { return a.appender.Close() }

func (f recordedFiles) Mkdir(name string, mode fs.FileMode) error {
	return f.do(name, func() error { return f.files.Mkdir(name, mode) }, func(path string) { f.j.put(path, newDirectory()) })
}

func (f recordedFiles) MkdirAll(name string, mode fs.FileMode) error {
	return f.do(name, func() error { return f.files.MkdirAll(name, mode) }, f.j.makeAll)
}

func (f recordedFiles) Symlink(target, name string) error {
	return f.do(name, func() error { return f.files.Symlink(target, name) }, func(path string) {
		f.j.put(path, &inode{mode: fs.ModeSymlink, target: target})
	})
}

// Rename within a directory is one change, which is all that kinfra does.
func (f recordedFiles) Rename(oldName, newName string) error {
	return f.do(newName, func() error { return f.files.Rename(oldName, newName) }, func(to string) {
		from := filepath.Join(f.dir, oldName)
		if path.Dir(from) != path.Dir(to) {
			panic("a rename from " + from + " to " + to + ", which this can't replay")
		}
		f.j.putAll(path.Dir(to), map[string]*inode{path.Base(from): nil, path.Base(to): f.j.find(from)})
	})
}

func (f recordedFiles) Remove(name string) error {
	return f.do(name, func() error { return f.files.Remove(name) }, func(path string) { f.j.put(path, nil) })
}

func (f recordedFiles) RemoveAll(name string) error {
	return f.do(name, func() error { return f.files.RemoveAll(name) }, f.j.removeAll)
}

func (f recordedFiles) Sync(name string) error {
	return f.do(name, func() error { return f.files.Sync(name) }, func(path string) {
		f.j.log = append(f.j.log, written{synced: f.j.find(path)})
	})
}

func (f recordedFiles) Lock(ctx context.Context, name string) (func(), error) {
	unlock, err := f.files.Lock(ctx, name)
	return unlock, f.locked(name, err)
}

func (f recordedFiles) TryLock(name string) (func(), error) {
	unlock, err := f.files.TryLock(name)
	return unlock, f.locked(name, err)
}

// locked notes the file that taking a lock has made.
func (f recordedFiles) locked(name string, err error) error {
	return f.do(name, func() error { return err }, func(path string) {
		if f.j.find(path) == nil {
			f.j.put(path, &inode{mode: 0o600})
		}
	})
}
