package world

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// advised is an error of the system with what its reader can do. Whoever knows better
// gives a hint of their own, which stands further out and so comes first.
type advised struct {
	err  error
	path string // what the operation was at
}

// advise attaches what can be done about an error at a path, where that follows from the
// error alone.
func advise(err error, path string) error {
	if a := (&advised{err, path}); a.Hint() != "" {
		return a
	}
	return err
}

func (a *advised) Error() string { return a.err.Error() }
func (a *advised) Unwrap() error { return a.err }

// Hint says what to do next.
func (a *advised) Hint() string {
	dir, place := places(a.path)
	switch {
	case errors.Is(a.err, fs.ErrPermission):
		return "see who may read and write there: ls -ld " + place + "; take it over with chown, or allow it with chmod"
	case errors.Is(a.err, syscall.EROFS):
		return "nothing can be written to the file system of " + dir + ": choose another directory"
	case errors.Is(a.err, syscall.ENOSPC), errors.Is(a.err, syscall.EDQUOT):
		return "make room, or choose another directory; df -h " + dir + " shows what there is"
	case errors.Is(a.err, syscall.ENOTDIR):
		return "choose another path, or move away what stands where a directory is needed"
	}
	return ""
}

// places are the directory that an error at a path is about, and where to look, as
// arguments of ls: at the directory and the path, of which nothing temporary remains.
func places(path string) (dir, both string) {
	dir, both = filepath.Dir(path), filepath.Dir(path)+" "+path
	for up := path; up != "/" && up != "."; up = filepath.Dir(up) {
		if isTempName(filepath.Base(up)) {
			dir, both = filepath.Dir(up), filepath.Dir(up)
		}
	}
	return dir, both
}
