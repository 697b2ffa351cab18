package world

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
)

// treeDisk is a tree as the files of a machine.
type treeDisk struct{ tree *tree }

func (d treeDisk) Host() Files { return &treeFiles{tree: d.tree} }

func (d treeDisk) Root(dir string) Files {
	return &treeFiles{tree: d.tree, rooted: true, dir: dir}
}

// treeFiles are the files of a tree: all of them, or those below dir.
type treeFiles struct {
	tree   *tree
	rooted bool
	dir    string // the root, if rooted
}

// visit prepares op on name and does it with the tree locked. The error that it
// returns names op and the path.
func (f *treeFiles) visit(op, name string, followLast bool, do func(spot) error) error {
	path, clean, err := f.clean(op, name)
	if err != nil {
		return pathError(op, path, err)
	}
	f.tree.mu.Lock()
	defer f.tree.mu.Unlock()
	at, err := f.locate(clean, followLast)
	if err == nil {
		err = do(at)
	}
	return pathError(op, path, err)
}

// clean checks a name. It returns its absolute path and what is to be looked up.
func (f *treeFiles) clean(op, name string) (path, clean string, err error) {
	if !f.rooted {
		clean, err = hostName(name)
		if err == nil && clean == "/" {
			err = topFault(op)
		}
		return name, clean, err
	}
	clean, err = rootName(name)
	if err == nil && clean == "." {
		err = topFault(op)
	}
	return filepath.Join(f.dir, name), clean, err
}

// locate looks a clean name up.
func (f *treeFiles) locate(clean string, followLast bool) (spot, error) {
	start, err := f.start()
	if err != nil {
		return spot{}, err
	}
	return f.tree.walk(start, clean, f.rooted, followLast)
}

// start is the directory that names are relative to.
func (f *treeFiles) start() (*node, error) {
	top, err := f.tree.start()
	if err != nil || !f.rooted {
		return top, err
	}
	dir, err := hostName(f.dir)
	if err != nil {
		return nil, err
	}
	at, err := f.tree.walk(top, dir, false, true)
	switch {
	case err != nil:
		return nil, err
	case at.node == nil:
		return nil, syscall.ENOENT
	case !at.node.isDir():
		return nil, syscall.ENOTDIR
	}
	return at.node, nil
}

func (f *treeFiles) ReadFile(name string, limit int64) (data []byte, err error) {
	err = f.visit(opRead, name, true, func(at spot) error {
		data, err = f.tree.read(at.node, limit)
		return err
	})
	return data, err
}

func (t *tree) read(n *node, limit int64) ([]byte, error) {
	switch {
	case n == nil:
		return nil, syscall.ENOENT
	case !n.info.Mode.IsRegular():
		return nil, ErrNotRegular
	case n.under != "":
		data, err := t.below.ReadFile(n.under, limit)
		if err != nil {
			return nil, cause(err)
		}
		return data, nil
	case !t.may(n, mayRead):
		return nil, syscall.EACCES
	case int64(len(n.data)) > limit:
		return nil, ErrTooLarge
	}
	return append([]byte{}, n.data...), nil
}

func (f *treeFiles) Lstat(name string) (info Info, err error) {
	err = f.visit(opLstat, name, false, func(at spot) error {
		if at.node == nil {
			return syscall.ENOENT
		}
		info = at.node.infoAs(filepath.Base(name))
		return nil
	})
	return info, err
}

func (f *treeFiles) ReadDir(name string) (infos []Info, err error) {
	err = f.visit(opReadDir, name, true, func(at spot) error {
		switch {
		case at.node == nil:
			return syscall.ENOENT
		case !at.node.isDir():
			return syscall.ENOTDIR
		case at.node.under == "" && !f.tree.may(at.node, mayRead):
			return syscall.EACCES
		}
		infos, err = f.tree.list(at.node)
		return err
	})
	return infos, err
}

func (f *treeFiles) ReadLink(name string) (target string, err error) {
	err = f.visit(opReadLink, name, false, func(at spot) error {
		switch {
		case at.node == nil:
			return syscall.ENOENT
		case !at.node.isLink():
			return syscall.EINVAL
		}
		target, err = f.tree.link(at.node)
		return err
	})
	return target, err
}

func (f *treeFiles) CreateFile(name string, data []byte, mode fs.FileMode) error {
	return f.visit(opCreate, name, false, func(at spot) error {
		file := f.tree.fresh(mode.Perm())
		file.data = bytes.Clone(data)
		file.info.Size = int64(len(data))
		return f.tree.create(at, file)
	})
}

// create puts a new node where there is none.
func (t *tree) create(at spot, n *node) error {
	if at.node != nil {
		return syscall.EEXIST
	}
	if err := t.mayChange(at.dir); err != nil {
		return err
	}
	t.add(at.dir, at.name, n)
	return nil
}

func (f *treeFiles) Mkdir(name string, mode fs.FileMode) error {
	return f.visit(opMkdir, name, false, func(at spot) error {
		return f.tree.create(at, f.tree.fresh(fs.ModeDir|mode.Perm()))
	})
}

func (f *treeFiles) MkdirAll(name string, mode fs.FileMode) error {
	path, clean, err := f.clean(opMkdirAll, name)
	if err != nil {
		return pathError(opMkdirAll, path, err)
	}
	f.tree.mu.Lock()
	defer f.tree.mu.Unlock()
	if f.rooted && filepath.IsAbs(f.dir) {
		host := &treeFiles{tree: f.tree}
		if err := host.mkdirAll(filepath.Clean(f.dir), mode.Perm()); err != nil {
			return pathError(opMkdirAll, f.dir, err)
		}
	}
	return pathError(opMkdirAll, path, f.mkdirAll(clean, mode.Perm()))
}

// mkdirAll is MkdirAll of a clean name in a locked tree.
func (f *treeFiles) mkdirAll(clean string, mode fs.FileMode) error {
	isDir := func(name string) (bool, error) {
		at, err := f.locate(name, true)
		if err == nil && at.node == nil {
			err = syscall.ENOENT
		}
		return err == nil && at.node.isDir(), err
	}
	mkdir := func(name string) error {
		at, err := f.locate(name, false)
		if err != nil {
			return err
		}
		return f.tree.create(at, f.tree.fresh(fs.ModeDir|mode))
	}
	return mkdirAll(clean, isDir, mkdir)
}

func (f *treeFiles) Symlink(target, name string) error {
	return f.visit(opSymlink, name, false, func(at spot) error {
		switch {
		case target == "":
			return syscall.ENOENT
		case strings.ContainsRune(target, 0):
			return syscall.EINVAL
		}
		link := f.tree.fresh(fs.ModeSymlink | fs.ModePerm)
		link.target = target
		return f.tree.create(at, link)
	})
}

func (f *treeFiles) Rename(oldName, newName string) error {
	oldPath, oldClean, err := f.clean(opRename, oldName)
	if err != nil {
		return pathError(opRename, oldPath, err)
	}
	newPath, newClean, err := f.clean(opRename, newName)
	if err != nil {
		return pathError(opRename, newPath, err)
	}
	f.tree.mu.Lock()
	defer f.tree.mu.Unlock()
	return linkError(opRename, oldPath, newPath, f.rename(oldClean, newClean))
}

func (f *treeFiles) rename(oldName, newName string) error {
	from, err := f.locate(oldName, false)
	if err != nil {
		return err
	}
	to, err := f.locate(newName, false)
	if err != nil {
		return err
	}
	if from.node == nil {
		return syscall.ENOENT
	}
	oldPath, newPath := from.node.path(), filepath.Join(to.dir.path(), to.name)
	same := oldPath == newPath
	switch {
	case to.node != nil && to.node.isDir() && !(same && f.isAlias(oldName, newName)):
		return syscall.EEXIST
	case same:
		return nil
	case strings.HasPrefix(newPath, oldPath+"/"):
		return syscall.EINVAL
	case to.node != nil && from.node.isDir():
		return syscall.ENOTDIR
	}
	if err := f.tree.mayChange(from.dir); err != nil {
		return err
	}
	if err := f.tree.mayChange(to.dir); err != nil {
		return err
	}
	f.tree.drop(from.dir, from.name)
	f.tree.add(to.dir, to.name, from.node)
	return nil
}

// isAlias tells whether package os takes two names of one directory for different
// ones: it then has nothing to move, rather than a directory in the way. os.Root
// compares the last elements only, which for one directory are the same.
func (f *treeFiles) isAlias(oldName, newName string) bool {
	return !f.rooted && oldName != newName
}

func (f *treeFiles) Remove(name string) error {
	return f.visit(opRemove, name, false, func(at spot) error {
		if at.node == nil {
			return syscall.ENOENT
		}
		if err := f.tree.mayChange(at.dir); err != nil {
			return err
		}
		if at.node.isDir() {
			infos, err := f.tree.list(at.node)
			if err != nil {
				return err
			}
			if len(infos) > 0 {
				return syscall.ENOTEMPTY
			}
		}
		f.tree.drop(at.dir, at.name)
		return nil
	})
}

func (f *treeFiles) RemoveAll(name string) error {
	err := f.visit(opRemoveAll, name, false, func(at spot) error {
		if at.node == nil {
			return nil
		}
		if err := f.tree.mayChange(at.dir); err != nil {
			return err
		}
		if err := f.tree.removable(at.node); err != nil {
			return err
		}
		f.tree.drop(at.dir, at.name)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sync has nothing to make durable, but finds what isn't there.
func (f *treeFiles) Sync(name string) error {
	return f.visit(opSync, name, true, func(at spot) error {
		if at.node == nil {
			return syscall.ENOENT
		}
		return nil
	})
}

func (f *treeFiles) Lock(ctx context.Context, name string) (unlock func(), err error) {
	path, err := f.lockFile(name)
	if err != nil {
		return nil, err
	}
	return f.tree.acquire(ctx, path)
}

func (f *treeFiles) TryLock(name string) (unlock func(), err error) {
	path, err := f.lockFile(name)
	if err != nil {
		return nil, err
	}
	return f.tree.tryAcquire(path)
}

// lockFile makes the file of a lock, unless it is there, and returns its path.
func (f *treeFiles) lockFile(name string) (path string, err error) {
	err = f.visit(opLock, name, false, func(at spot) error {
		switch {
		case at.node != nil && !at.node.info.Mode.IsRegular():
			return ErrNotRegular
		case at.node == nil:
			if err := f.tree.mayChange(at.dir); err != nil {
				return err
			}
			if f.tree.lockFiles {
				f.tree.add(at.dir, at.name, f.tree.fresh(0o600))
			}
		}
		path = filepath.Join(at.dir.path(), at.name)
		return nil
	})
	return path, err
}
