package stack

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ktrdr/kinfra/internal/world"
)

// LinkError says that a symbolic link in a worktree leads out of it, so that what is
// behind it is not given to a stack: a branch must not say which of the user's files
// that are. It is an ErrMount.
type LinkError struct {
	Worktree string
	Link     string // the one that leads out, relative to the worktree
	Target   string // where it leads, absolute
}

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s: the link %s in the worktree %s leads out of it, to %s", ErrMount, e.Link, e.Worktree, e.Target)
}

// Is tells that it is ErrMount.
func (e *LinkError) Is(target error) bool { return target == ErrMount }

// Hint says what can be done.
func (e *LinkError) Hint() string {
	return fmt.Sprintf("put the files themselves at %s in the worktree, or change what the pool's script takes from it", e.Link)
}

// Inside is the path, without symbolic links, of what a name relative to a worktree
// means. A link may lead to anything in the worktree; one that leads out of it is a
// *LinkError. The worktree's own path is taken as it is. What isn't there is an
// fs.ErrNotExist or syscall.ENOTDIR.
func Inside(files world.Files, worktree, name string) (string, error) {
	const most = 40 // links, as many as Linux follows
	root := world.Resolve(files, worktree)
	at, links, culprit := root, 0, ""
	todo := strings.Split(filepath.Clean(name), "/")
	for len(todo) > 0 {
		next := filepath.Join(at, todo[0])
		todo = todo[1:]
		info, err := files.Lstat(next)
		if err != nil && within(root, next) {
			return "", err
		}
		if err != nil || info.Mode&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := files.ReadLink(next)
		if err != nil {
			return "", err
		}
		if links++; links > most {
			return "", &fs.PathError{Op: "resolve", Path: filepath.Join(worktree, name), Err: syscall.ELOOP}
		}
		if within(root, next) {
			culprit, _ = filepath.Rel(root, next)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if !within(root, at) {
		return "", &LinkError{worktree, culprit, at}
	}
	return at, nil
}

// within tells whether a path is a directory, or below it.
func within(dir, path string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
