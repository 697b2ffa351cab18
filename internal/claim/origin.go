package claim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// origin is what a claim knows of its worktree beside the path. Once nothing is at the
// path, it tells a worktree that was removed from one that was moved, or that is on a
// disk that isn't mounted. It is zero where nothing is known: the claims of older
// versions and of other tools have none.
type origin struct {
	GitDir string // git's administrative directory of the worktree, absolute; empty for a directory without git
	Parent uint64 // of a directory without git: the number of the directory that it is in, as world.Info has it
}

// Absence says why nothing is at the path of a worktree that may still exist, in words
// that follow its holder's name. It is empty for a worktree that is there, and for one
// that is gone.
type Absence string

// Why a worktree is absent. One that git has moved is told with its new path.
const (
	OnRecord         Absence = "its worktree is missing, but git still has a record of it"
	Locked           Absence = "its worktree is missing, and locked in git"
	RepositoryAbsent Absence = "its worktree is missing, and so is its git repository"
	ParentAbsent     Absence = "its worktree is missing, with the directory that it was in"
	NotKnown         Absence = "its worktree is missing, and may have been moved"
)

const (
	gitName    = ".git"
	gitFileMax = 1 << 20 // bytes, as git has it
)

// findOrigin looks at a worktree, whose path has no symbolic links, as git does: its
// .git is a directory, or a file that names one. What git couldn't make sense of
// either gives no origin.
func findOrigin(host world.Files, dir string) origin {
	name := filepath.Join(dir, gitName)
	info, err := host.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		parent, err := host.Lstat(filepath.Dir(dir))
		if err != nil {
			return origin{}
		}
		return origin{Parent: parent.ID}
	}
	if err == nil && info.Mode&fs.ModeSymlink != 0 {
		if name, err = resolve(host, name); err == nil {
			info, err = host.Lstat(name)
		}
	}
	if err == nil && !info.Mode.IsDir() {
		name, err = readGitFile(host, name, dir)
	}
	if err != nil || checkPath(name) != nil {
		return origin{}
	}
	return origin{GitDir: name}
}

// readGitFile is the directory that a .git file of a worktree names.
func readGitFile(host world.Files, name, worktree string) (string, error) {
	data, err := host.ReadFile(name, gitFileMax)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimRight(string(data), "\r\n"), "gitdir: ")
	if !ok || target == "" {
		return "", fmt.Errorf("%s names no directory", name)
	}
	if !filepath.IsAbs(target) {
		target = worktree + "/" + target // not cleaned: .. is behind a link where that leads to
	}
	return resolve(host, target)
}

// renewed is the origin of a claim that the worktree now at its path renews. As long as
// git has the one that claimed, it stays: another may have been made at its path.
func (o origin) renewed(host world.Files, now origin) origin {
	if now == (origin{}) || o.GitDir != "" && !isAbsent(host, o.GitDir) {
		return o
	}
	return now
}

// look tells whether a worktree is gone for good, or else why it isn't at its path.
func (o origin) look(host world.Files, worktree string) (gone bool, why Absence) {
	info, err := host.Lstat(worktree)
	switch {
	case !notThere(err) && (err != nil || !info.Mode.IsRegular()):
		return false, "" // one that can't be looked at isn't gone for that
	case o.GitDir != "":
		return o.lookAtGit(host, worktree)
	case o.Parent == 0:
		return false, NotKnown
	}
	parent, err := host.Lstat(filepath.Dir(worktree))
	if err != nil || parent.ID != o.Parent {
		return false, ParentAbsent
	}
	return true, ""
}

// lookAtGit asks the repository about a worktree that isn't at its path.
func (o origin) lookAtGit(host world.Files, worktree string) (gone bool, why Absence) {
	if !isAbsent(host, o.GitDir) {
		return false, o.onRecord(host, worktree)
	}
	repository := o.GitDir
	if parent, name := filepath.Split(filepath.Dir(o.GitDir)); name == "worktrees" {
		repository = parent
	}
	if _, err := host.Lstat(filepath.Join(repository, "HEAD")); err != nil {
		return false, RepositoryAbsent
	}
	return true, ""
}

// onRecord says what git's record tells of a worktree that isn't at its path. Where git
// last saw it, its file gitdir says.
func (o origin) onRecord(host world.Files, worktree string) Absence {
	data, err := host.ReadFile(filepath.Join(o.GitDir, "gitdir"), gitFileMax)
	if at := strings.TrimRight(string(data), "\r\n"); err == nil && filepath.Base(at) == gitName {
		if !filepath.IsAbs(at) {
			at = filepath.Join(o.GitDir, at)
		}
		if dir := filepath.Dir(at); dir != worktree && !isAbsent(host, at) {
			return Absence("its worktree was moved to " + registry.Shown(dir))
		}
	}
	if _, err := host.Lstat(filepath.Join(o.GitDir, "locked")); err == nil {
		return Locked
	}
	return OnRecord
}

// isAbsent tells whether nothing is at a path. What can't be looked at isn't absent.
func isAbsent(host world.Files, path string) bool {
	_, err := host.Lstat(path)
	return notThere(err)
}

func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
