package world

import (
	"context"
	"io/fs"
	"path/filepath"
)

// Faulty is the world w with faults in its file system, for tests of what happens
// when a system call fails. fail is asked before each file operation; what it
// returns, unless nil, is the operation's error (syscall.ENOSPC, say), and the
// operation isn't done.
//
// op is one of read, lstat, readdir, readlink, create, append (for opening a file to
// add to it, and for each write), mkdir, mkdirall, symlink, rename, remove, removeall,
// sync and lock; name is the absolute path, for rename the new one. fail may be called
// by several goroutines at once.
func Faulty(w World, fail func(op, name string) error) World {
	return &faultyWorld{w, fail}
}

type faultyWorld struct {
	World
	fail func(op, name string) error
}

func (w *faultyWorld) Host() Files { return &faultyFiles{w.World.Host(), "", w.fail} }

func (w *faultyWorld) Root(dir string) Files {
	return &faultyFiles{w.World.Root(dir), dir, w.fail}
}

type faultyFiles struct {
	files Files
	dir   string // of a Root
	fail  func(op, name string) error
}

func (f *faultyFiles) ask(op, name string) error {
	path := filepath.Join(f.dir, name)
	return pathError(op, path, f.fail(op, path))
}

func (f *faultyFiles) ReadFile(name string, limit int64) ([]byte, error) {
	if err := f.ask(opRead, name); err != nil {
		return nil, err
	}
	return f.files.ReadFile(name, limit)
}

func (f *faultyFiles) Lstat(name string) (Info, error) {
	if err := f.ask(opLstat, name); err != nil {
		return Info{}, err
	}
	return f.files.Lstat(name)
}

func (f *faultyFiles) ReadDir(name string) ([]Info, error) {
	if err := f.ask(opReadDir, name); err != nil {
		return nil, err
	}
	return f.files.ReadDir(name)
}

func (f *faultyFiles) ReadLink(name string) (string, error) {
	if err := f.ask(opReadLink, name); err != nil {
		return "", err
	}
	return f.files.ReadLink(name)
}

func (f *faultyFiles) CreateFile(name string, data []byte, mode fs.FileMode) error {
	if err := f.ask(opCreate, name); err != nil {
		return err
	}
	return f.files.CreateFile(name, data, mode)
}

func (f *faultyFiles) Append(name string) (Appender, error) {
	if err := f.ask(opAppend, name); err != nil {
		return nil, err
	}
	a, err := f.files.Append(name)
	if err != nil {
		return nil, err
	}
	return &faultyAppender{a, f, name}, nil
}

type faultyAppender struct {
	Appender
	files *faultyFiles
	name  string
}

func (a *faultyAppender) Write(data []byte) (int, error) {
	if err := a.files.ask(opAppend, a.name); err != nil {
		return 0, err
	}
	return a.Appender.Write(data)
}

func (a *faultyAppender) Sync() error {
	if err := a.files.ask(opSync, a.name); err != nil {
		return err
	}
	return a.Appender.Sync()
}

func (f *faultyFiles) Mkdir(name string, mode fs.FileMode) error {
	if err := f.ask(opMkdir, name); err != nil {
		return err
	}
	return f.files.Mkdir(name, mode)
}

func (f *faultyFiles) MkdirAll(name string, mode fs.FileMode) error {
	if err := f.ask(opMkdirAll, name); err != nil {
		return err
	}
	return f.files.MkdirAll(name, mode)
}

func (f *faultyFiles) Symlink(target, name string) error {
	if err := f.ask(opSymlink, name); err != nil {
		return err
	}
	return f.files.Symlink(target, name)
}

func (f *faultyFiles) Rename(oldName, newName string) error {
	if err := f.ask(opRename, newName); err != nil {
		return err
	}
	return f.files.Rename(oldName, newName)
}

func (f *faultyFiles) Remove(name string) error {
	if err := f.ask(opRemove, name); err != nil {
		return err
	}
	return f.files.Remove(name)
}

func (f *faultyFiles) RemoveAll(name string) error {
	if err := f.ask(opRemoveAll, name); err != nil {
		return err
	}
	return f.files.RemoveAll(name)
}

func (f *faultyFiles) Sync(name string) error {
	if err := f.ask(opSync, name); err != nil {
		return err
	}
	return f.files.Sync(name)
}

func (f *faultyFiles) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := f.ask(opLock, name); err != nil {
		return nil, err
	}
	return f.files.Lock(ctx, name)
}

func (f *faultyFiles) TryLock(name string) (unlock func(), err error) {
	if err := f.ask(opLock, name); err != nil {
		return nil, err
	}
	return f.files.TryLock(name)
}
