package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// ProjectName is the name of the layer of a project's scripts.
const ProjectName = "project"

// Project is the scripts that a directory tree brings along: whoever may write
// to it, such as a pulled branch, decides what they do. So they are read once, and
// used only if the user has allowed that very content.
//
// Its scripts may name files outside of their directory. Those are read and trusted
// together with the scripts, but apart from them (see [Project.With]): while one of them has
// changed, the scripts are still used, only that file isn't.
type Project struct {
	Dir    string // the directory of the scripts, absolute
	Digest string // of the names and contents of all its files
	files  snapshot
	layer  *Layer
}

var (
	// ErrNoDirectory is returned for something else in the place of a project's scripts.
	ErrNoDirectory = errors.New("not a directory")

	// ErrTooMuch is returned for a project's scripts that are too many, or too large.
	ErrTooMuch = errors.New("not a directory of scripts")
)

// Files is the names of the project's files, sorted.
func (p *Project) Files() []string { return slices.Sorted(maps.Keys(p.files)) }

// Read is one of Files as it was when the project was found.
func (p *Project) Read(name string) []byte { return p.files[name] }

// Layer is the project's files as a layer.
func (p *Project) Layer() *Layer { return p.layer }

// FindProject looks for a directory of a name (".kinfra") in dir and upwards, and
// reads it. It returns nil where there is none; a symbolic link of that name, or a file,
// is an error, since its scripts would silently not count.
func FindProject(w world.World, dir, name string) (*Project, error) {
	for {
		at := filepath.Join(dir, name)
		info, err := w.Disk.Host().Lstat(at)
		switch {
		case err == nil && info.Mode.IsDir():
			return readProject(w, at)
		case err == nil && info.Mode&fs.ModeSymlink != 0: // nothing says that what it leads to belongs to the tree
			return nil, fmt.Errorf("looking for the project's scripts: %s is a symbolic link, %w", at, ErrNoDirectory)
		case err == nil:
			return nil, fmt.Errorf("looking for the project's scripts: %s is a file, %w", at, ErrNoDirectory)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("looking for the project's scripts: %w", err)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return nil, nil
		}
		dir = above
	}
}

func readProject(w world.World, dir string) (*Project, error) {
	return ProjectOf(Directory(w, ProjectName, dir))
}

// ProjectOf is the project whose scripts a layer has: as they are now, or as they were
// when a run was recorded.
func ProjectOf(l *Layer) (*Project, error) {
	files, err := takeSnapshot(l)
	if err != nil {
		return nil, fmt.Errorf("reading the project's scripts: %w", err)
	}
	frozen := *l
	frozen.source = files
	return &Project{Dir: l.Dir, Digest: files.digest(), files: files, layer: &frozen}, nil
}

// digest is a hash over all names and contents, each with its length, so that no
// two different trees have the same.
func (s snapshot) digest() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(s[name]))
		h.Write(s[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Trust remembers which contents the user has allowed, as one small file for each
// digest: another worktree with the same files needs no second word, changed files
// do.
type Trust struct {
	w     world.World
	dir   string
	files world.Files
}

// OpenTrust is the memory in a directory, which need not exist.
func OpenTrust(w world.World, dir string) *Trust {
	return &Trust{w, dir, w.Disk.Root(dir)}
}

// Allowed tells whether the user has allowed a project's scripts.
func (t *Trust) Allowed(p *Project) (bool, error) { return t.has(p.Digest) }

func (t *Trust) has(digest string) (bool, error) {
	info, err := t.files.Lstat(digest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking up what is trusted: %w", err)
	case !info.Mode.IsRegular() || info.UserID != t.w.Env.UserID():
		return false, fmt.Errorf("the record of trust %s is not a file of yours: remove it", filepath.Join(t.dir, digest))
	}
	return true, nil
}

// Allow remembers a project's scripts as allowed.
func (t *Trust) Allow(p *Project) error { return t.remember(p, p.Digest) }

func (t *Trust) remember(p *Project, digest string) error {
	err := world.MakeDirs(t.w.Disk.Host(), t.dir, 0o700)
	if err == nil {
		err = world.Replace(t.files, t.w, digest, []byte(p.Dir+"\n"+coversNamed), 0o600)
	}
	if err != nil {
		return fmt.Errorf("remembering that %s is trusted: %w", p.Dir, err)
	}
	return nil
}

// UntrustedError says that a project's scripts, or files that they name, can't be used,
// since the user hasn't allowed them.
type UntrustedError struct {
	Dir     string   // of the scripts
	Files   []string // that they name, absolute; none if it is the scripts
	Earlier bool     // the scripts were allowed when trust didn't cover such files
}

func (e *UntrustedError) Error() string {
	if len(e.Files) == 0 {
		return fmt.Sprintf("the scripts in %s are not trusted, or have changed since", e.Dir)
	}
	are, have := "is", "has"
	if len(e.Files) > 1 {
		are, have = "are", "have"
	}
	named := fmt.Sprintf("%s, which the scripts in %s name, %s not trusted", strings.Join(e.Files, ", "), e.Dir, are)
	if e.Earlier {
		return named + ": an earlier version of kinfra asked about the scripts alone"
	}
	return fmt.Sprintf("%s, or %s changed since", named, have)
}

// Hint says how to allow them.
func (e *UntrustedError) Hint() string {
	return "kinfra trust shows what they contain and allows them"
}
