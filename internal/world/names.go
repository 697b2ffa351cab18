package world

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hostName checks and cleans a name given to Host's Files.
func hostName(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", syscall.EINVAL
	}
	if !filepath.IsAbs(name) {
		return "", errRelative
	}
	return filepath.Clean(name), nil
}

// rootName checks and cleans a name given to a Root's Files. Symbolic links are
// for the caller to resolve.
func rootName(name string) (string, error) {
	switch {
	case name == "" || strings.ContainsRune(name, 0):
		return "", syscall.EINVAL
	case !filepath.IsLocal(name):
		return "", ErrEscape
	}
	return filepath.Clean(name), nil
}

var errRelative = errors.New("want an absolute path")

// The operations, as errors and Faulty name them: those on files, and the others.
const (
	opRead      = "read"
	opLstat     = "lstat"
	opReadDir   = "readdir"
	opReadLink  = "readlink"
	opCreate    = "create"
	opAppend    = "append"
	opMkdir     = "mkdir"
	opMkdirAll  = "mkdirall"
	opSymlink   = "symlink"
	opRename    = "rename"
	opRemove    = "remove"
	opRemoveAll = "removeall"
	opSync      = "sync"
	opLock      = "lock"

	opRun    = "run"
	opAttach = "attach"
	opSend   = "send"
	opListen = "listen"
	opProbe  = "listening"
	opSleep  = "sleep"
)

// topFault is why op can't be done to the top of a tree itself ("/" or "."), or
// nil where it can. Systems differ in how they refuse it; worlds must not.
func topFault(op string) error {
	switch op {
	case opCreate, opMkdir, opSymlink:
		return syscall.EEXIST
	case opRename, opRemove, opRemoveAll:
		return syscall.EINVAL
	}
	return nil
}

// pathError describes how op failed at path. What err says of the operation and
// the path itself, in the words of a system call, is replaced.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: advise(cause(err), path)}
}

func linkError(op, oldPath, newPath string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: oldPath, New: newPath, Err: advise(cause(err), newPath)}
}

func cause(err error) error {
	for {
		switch e := err.(type) {
		case *fs.PathError:
			err = e.Err
		case *os.LinkError:
			err = e.Err
		case *os.SyscallError:
			err = e.Err
		case *advised:
			err = e.err
		default:
			// The os package keeps this error to itself: its text is all there is.
			if err.Error() == "path escapes from parent" {
				return ErrEscape
			}
			return err
		}
	}
}
