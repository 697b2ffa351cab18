package claim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// maxPath is the longest path of a worktree, in bytes. With the name of a file
// after it, it has to stay below what systems take (4096 on Linux).
const maxPath = 4000

// worktree is a worktree by all its names: the one given, and its own, in which no
// component is a symbolic link. Claims are made under the latter, so that one
// directory can't hold two slots under two names.
type worktree struct {
	given, real string
	origin      origin // of one that may claim
}

// is tells whether the claim of somebody is that worktree's.
func (t worktree) is(claimedBy string) bool { return claimedBy == t.real || claimedBy == t.given }

// findWorktree resolves a path that was checked. What isn't there any more keeps
// the name it was given from there on.
func (p *Pool) findWorktree(path string) (worktree, error) {
	if err := checkPath(path); err != nil {
		return worktree{}, err
	}
	path = filepath.Clean(path)
	real, err := resolve(p.w.Disk.Host(), path)
	if err != nil {
		return worktree{}, fmt.Errorf("%w: looking for the worktree %s: %w", ErrInvalid, path, err)
	}
	return worktree{given: path, real: real}, nil
}

// claimable is findWorktree of a directory that may claim a slot: any that is
// there, but none of the pool's own, whose files a claim would overwrite.
func (p *Pool) claimable(path string) (worktree, error) {
	t, err := p.findWorktree(path)
	if err != nil {
		return t, err
	}
	if err := checkPath(t.real); err != nil {
		return t, err
	}
	info, err := p.w.Disk.Host().Lstat(t.real)
	if errors.Is(err, fs.ErrNotExist) {
		err := fmt.Errorf("%w: the worktree %s is not there", ErrInvalid, path)
		return t, hint.Wrap(err, "make it first, or name another with --for")
	}
	if err != nil {
		return t, fmt.Errorf("%w: looking at the worktree %s: %w", ErrInvalid, path, err)
	}
	if !info.Mode.IsDir() {
		return t, fmt.Errorf("%w: the worktree %s is not a directory", ErrInvalid, path)
	}
	if err := p.store.CheckRoot(); err != nil {
		return t, err
	}
	root, err := resolve(p.w.Disk.Host(), filepath.Clean(p.store.Root()))
	if err != nil {
		return t, fmt.Errorf("looking for the root %s: %w", p.store.Root(), err)
	}
	if t.real == root || strings.HasPrefix(t.real, root+"/") {
		err := fmt.Errorf("%w: the worktree %s lies in the pool's own directory %s", ErrInvalid, path, root)
		return t, hint.Wrap(err, "name another with --for")
	}
	t.origin = findOrigin(p.w.Disk.Host(), t.real)
	return t, nil
}

// checkPath is the one place where the path of a worktree is judged by its letters.
// What passes can stand in the registry, in a line of text and in an env file.
func checkPath(path string) error {
	problem := ""
	switch {
	case !filepath.IsAbs(path):
		problem = "is not absolute"
	case len(path) > maxPath:
		return fmt.Errorf("%w: the path of the worktree has %d bytes, want at most %d: %q…", ErrInvalid, len(path), maxPath, path[:60])
	case !utf8.ValidString(path):
		problem = "is not UTF-8, so the registry can't name it"
	case strings.ContainsFunc(path, unicode.IsControl):
		problem = "has a control character, such as a newline, in it"
	default:
		return nil
	}
	return fmt.Errorf("%w: the path of the worktree %q %s", ErrInvalid, path, problem)
}

// resolve follows the symbolic links in an absolute, clean path. From a component
// that isn't there on, the path stays as it is.
func resolve(host world.Files, path string) (string, error) {
	const maxLinks = 40 // as Linux has it
	at, links := "/", 0
	todo := strings.Split(path[1:], "/")
	for len(todo) > 0 {
		component := todo[0]
		todo = todo[1:]
		next := filepath.Join(at, component)
		info, err := host.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return filepath.Join(append([]string{next}, todo...)...), nil
		case err != nil:
			return "", err
		case info.Mode&fs.ModeSymlink == 0:
			at = next
			continue
		}
		target, err := host.ReadLink(next)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: path, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}
