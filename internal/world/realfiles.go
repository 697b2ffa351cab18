package world

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// system is what package os and an *os.Root have in common.
type system interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Lstat(name string) (fs.FileInfo, error)
	Stat(name string) (fs.FileInfo, error)
	Readlink(name string) (string, error)
	Mkdir(name string, perm fs.FileMode) error
	Chmod(name string, mode fs.FileMode) error
	Symlink(target, name string) error
	Rename(oldName, newName string) error
	Remove(name string) error
	RemoveAll(name string) error
}

// realFiles are the files of this machine: all of them, or those below dir.
type realFiles struct {
	disk   *realDisk
	rooted bool
	dir    string // the root, if rooted

	mu   sync.Mutex
	root *os.Root // dir, once it was opened
}

// place is a name at which an operation is about to happen.
type place struct {
	system
	op   string
	name string // as system wants it
	path string // absolute
}

func (p place) fault(err error) error { return pathError(p.op, p.path, err) }

// at prepares op on name.
func (f *realFiles) at(op, name string) (place, error) {
	if !f.rooted {
		clean, err := hostName(name)
		if err == nil && clean == "/" {
			err = topFault(op)
		}
		return place{hostSystem{}, op, clean, clean}, pathError(op, name, err)
	}
	clean, err := rootName(name)
	if err == nil && clean == "." {
		err = topFault(op)
	}
	if err != nil {
		return place{}, pathError(op, filepath.Join(f.dir, name), err)
	}
	p := place{nil, op, clean, filepath.Join(f.dir, clean)}
	root, err := f.open()
	if err != nil {
		return place{}, p.fault(err)
	}
	p.system = root
	return p, nil
}

// open opens the root when it is first needed, since it may not exist before.
func (f *realFiles) open() (*os.Root, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.root != nil {
		return f.root, nil
	}
	if !filepath.IsAbs(f.dir) {
		return nil, errRelative
	}
	// OpenRoot would wait for a writer if dir were a pipe.
	info, err := os.Stat(f.dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	f.root, err = os.OpenRoot(f.dir)
	return f.root, err
}

func (f *realFiles) ReadFile(name string, limit int64) ([]byte, error) {
	p, err := f.at(opRead, name)
	if err != nil {
		return nil, err
	}
	// Without O_NONBLOCK, opening a pipe would wait for its writer.
	file, err := p.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EOPNOTSUPP) {
		err = ErrNotRegular // a socket
	}
	if err != nil {
		return nil, p.fault(err)
	}
	defer file.Close()
	data, err := readRegular(file, min(limit, math.MaxInt64-1))
	return data, p.fault(err)
}

func readRegular(file *os.File, limit int64) ([]byte, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, ErrNotRegular
	case info.Size() > limit:
		return nil, ErrTooLarge
	}
	// The file may grow, or not tell its size (as those in /proc don't), so the
	// size is a hint and the limit is counted.
	data := make([]byte, 0, info.Size()+1)
	for {
		room := data[len(data):min(int64(cap(data)), limit+1)]
		n, err := file.Read(room)
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, ErrTooLarge
		case err == io.EOF, err == nil && int64(len(data)) == info.Size() && n < len(room): // there was room for more
			return data, nil
		case err != nil:
			return nil, err
		}
		if len(data) == cap(data) {
			data = slices.Grow(data, 512)
		}
	}
}

func (f *realFiles) Lstat(name string) (Info, error) {
	p, err := f.at(opLstat, name)
	if err != nil {
		return Info{}, err
	}
	info, err := p.Lstat(p.name)
	if err != nil {
		return Info{}, p.fault(err)
	}
	return infoOf(info), nil
}

// infoOf converts what the system says of a file.
func infoOf(info fs.FileInfo) Info {
	i := Info{Name: info.Name(), Mode: info.Mode(), ModTime: info.ModTime()}
	if info.Mode().IsRegular() {
		i.Size = info.Size()
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		i.UserID, i.ID = int(stat.Uid), stat.Ino
	}
	return i
}

func (f *realFiles) ReadDir(name string) ([]Info, error) {
	p, err := f.at(opReadDir, name)
	if err != nil {
		return nil, err
	}
	dir, err := p.OpenFile(p.name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, p.fault(err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, p.fault(err)
	}
	infos := make([]Info, 0, len(entries))
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, p.fault(err)
		}
		infos = append(infos, infoOf(info))
	}
	slices.SortFunc(infos, byName)
	return infos, nil
}

func byName(a, b Info) int { return strings.Compare(a.Name, b.Name) }

func (f *realFiles) ReadLink(name string) (string, error) {
	p, err := f.at(opReadLink, name)
	if err != nil {
		return "", err
	}
	target, err := p.Readlink(p.name)
	return target, p.fault(err)
}

func (f *realFiles) CreateFile(name string, data []byte, mode fs.FileMode) error {
	p, err := f.at(opCreate, name)
	if err != nil {
		return err
	}
	file, err := p.OpenFile(p.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm())
	if err != nil {
		return p.fault(err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(mode.Perm())
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		p.Remove(p.name) // half a file is worse than none; the first error is the one to tell
	}
	return p.fault(err)
}

func (f *realFiles) Mkdir(name string, mode fs.FileMode) error {
	p, err := f.at(opMkdir, name)
	if err != nil {
		return err
	}
	return p.fault(p.mkdir(p.name, mode.Perm()))
}

// mkdir makes a directory of exactly that mode. The umask is undone only where it
// usually takes something away, from group and others.
func (p place) mkdir(name string, mode fs.FileMode) error {
	err := p.system.Mkdir(name, mode)
	if err == nil && mode&0o077 != 0 {
		err = p.Chmod(name, mode)
	}
	return err
}

func (f *realFiles) MkdirAll(name string, mode fs.FileMode) error {
	if f.rooted && filepath.IsAbs(f.dir) {
		host := place{hostSystem{}, opMkdirAll, f.dir, f.dir}
		if err := host.mkdirAll(filepath.Clean(f.dir), mode.Perm()); err != nil {
			return host.fault(err)
		}
	}
	p, err := f.at(opMkdirAll, name)
	if err != nil {
		return err
	}
	return p.fault(p.mkdirAll(p.name, mode.Perm()))
}

func (p place) mkdirAll(name string, mode fs.FileMode) error {
	isDir := func(name string) (bool, error) {
		info, err := p.Stat(name)
		return err == nil && info.IsDir(), err
	}
	return mkdirAll(name, isDir, func(name string) error { return p.mkdir(name, mode) })
}

// mkdirAll makes a directory and those above it that are missing. Unlike
// os.MkdirAll it lets mkdir decide about the mode of each.
func mkdirAll(name string, isDir func(name string) (bool, error), mkdir func(name string) error) error {
	dir, err := isDir(name)
	switch {
	case err == nil && !dir:
		return syscall.ENOTDIR
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if parent := filepath.Dir(name); parent != name {
		if err := mkdirAll(parent, isDir, mkdir); err != nil {
			return err
		}
	}
	err = mkdir(name)
	if errors.Is(err, fs.ErrExist) {
		// Made by somebody else meanwhile, or else a link to nowhere.
		if dir, _ := isDir(name); dir {
			return nil
		}
	}
	return err
}

func (f *realFiles) Symlink(target, name string) error {
	p, err := f.at(opSymlink, name)
	if err != nil {
		return err
	}
	return p.fault(p.system.Symlink(target, p.name))
}

func (f *realFiles) Rename(oldName, newName string) error {
	from, err := f.at(opRename, oldName)
	if err != nil {
		return err
	}
	to, err := f.at(opRename, newName)
	if err != nil {
		return err
	}
	return linkError(opRename, from.path, to.path, from.system.Rename(from.name, to.name))
}

func (f *realFiles) Remove(name string) error {
	p, err := f.at(opRemove, name)
	if err != nil {
		return err
	}
	return p.fault(p.system.Remove(p.name))
}

func (f *realFiles) RemoveAll(name string) error {
	p, err := f.at(opRemoveAll, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the root itself isn't there
	}
	if err != nil {
		return err
	}
	return p.fault(p.system.RemoveAll(p.name))
}

func (f *realFiles) Sync(name string) error {
	p, err := f.at(opSync, name)
	if err != nil {
		return err
	}
	file, err := p.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return p.fault(err)
	}
	defer file.Close()
	err = file.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		// Some file systems can't sync a directory: their renames are as durable
		// as they get.
		if info, statErr := file.Stat(); statErr == nil && info.IsDir() {
			return nil
		}
	}
	return p.fault(err)
}

func (f *realFiles) Lock(ctx context.Context, name string) (unlock func(), err error) {
	p, err := f.at(opLock, name)
	if err != nil {
		return nil, err
	}
	return lock(ctx, p, f.disk)
}

func (f *realFiles) TryLock(name string) (unlock func(), err error) {
	p, err := f.at(opLock, name)
	if err != nil {
		return nil, err
	}
	unlock, err = lockOnce(p, f.disk)
	if unlock == nil && err == nil {
		err = &LockedError{Path: p.path, Holder: readHolder(p), Err: ErrHeld}
	}
	return unlock, err
}

// hostSystem is package os as a system.
type hostSystem struct{}

func (hostSystem) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}
func (hostSystem) Lstat(name string) (fs.FileInfo, error)    { return os.Lstat(name) }
func (hostSystem) Stat(name string) (fs.FileInfo, error)     { return os.Stat(name) }
func (hostSystem) Readlink(name string) (string, error)      { return os.Readlink(name) }
func (hostSystem) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }
func (hostSystem) Chmod(name string, mode fs.FileMode) error { return os.Chmod(name, mode) }
func (hostSystem) Symlink(target, name string) error         { return os.Symlink(target, name) }
func (hostSystem) Rename(oldName, newName string) error      { return os.Rename(oldName, newName) }
func (hostSystem) Remove(name string) error                  { return os.Remove(name) }
func (hostSystem) RemoveAll(name string) error               { return os.RemoveAll(name) }
