package world

import (
	"os"
	"syscall"
)

func (f *realFiles) Append(name string) (Appender, error) {
	p, err := f.at(opAppend, name)
	if err != nil {
		return nil, err
	}
	file, err := openRegular(p)
	if err != nil {
		return nil, p.fault(err)
	}
	return &realAppender{file, p}, nil
}

// openRegular opens the file at p for adding to it. A root resolves links whatever the
// flags say, so what was opened must be what the name itself stood for.
func openRegular(p place) (*os.File, error) {
	named, err := p.Lstat(p.name)
	switch {
	case err != nil:
		return nil, err
	case named.IsDir():
		return nil, syscall.EISDIR
	case !named.Mode().IsRegular():
		return nil, ErrNotRegular
	}
	file, err := p.OpenFile(p.name, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := file.Stat(); err != nil || !os.SameFile(named, opened) {
		file.Close()
		return nil, ErrNotRegular
	}
	return file, nil
}

type realAppender struct {
	file *os.File
	place
}

func (a *realAppender) Write(data []byte) (int, error) {
	n, err := a.file.Write(data)
	return n, a.fault(err)
}

func (a *realAppender) Sync() error  { return a.fault(a.file.Sync()) }
func (a *realAppender) Close() error { return a.fault(a.file.Close()) }

func (f *treeFiles) Append(name string) (Appender, error) {
	a := &treeAppender{files: f, name: name}
	err := f.visit(opAppend, name, false, func(at spot) error {
		err := f.tree.appendable(at.node)
		if err == nil {
			a.node = f.tree.own(at.node)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// treeAppender adds to a file of a tree, wherever that is moved.
type treeAppender struct {
	files *treeFiles
	name  string // for errors
	node  *node
}

func (a *treeAppender) Write(data []byte) (int, error) {
	tree := a.files.tree
	tree.mu.Lock()
	defer tree.mu.Unlock()
	if err := tree.load(a.node); err != nil {
		path, _, _ := a.files.clean(opAppend, a.name)
		return 0, pathError(opAppend, path, err)
	}
	a.node.data = append(a.node.data, data...) // what is read of it is a copy
	a.node.info.Size, a.node.info.ModTime = int64(len(a.node.data)), tree.now()
	return len(data), nil
}

func (a *treeAppender) Sync() error  { return nil }
func (a *treeAppender) Close() error { return nil }

// appendable is nil if the user may add to a file.
func (t *tree) appendable(n *node) error {
	switch {
	case n == nil:
		return syscall.ENOENT
	case n.isDir():
		return syscall.EISDIR
	case !n.info.Mode.IsRegular():
		return ErrNotRegular
	case !t.may(n, mayWrite):
		return syscall.EACCES
	}
	return nil
}

// load gives a file of the tree the content that it has below.
func (t *tree) load(file *node) error {
	if file.under == "" {
		return nil
	}
	data, err := t.below.ReadFile(file.under, file.info.Size)
	if err != nil {
		return cause(err)
	}
	file.under, file.data = "", data
	return nil
}
