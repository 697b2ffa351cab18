// Package pools is the list of this machine's pools: where each has its root and
// where its definition came from. With it one pool can be kept apart from the
// others, and all can be shown together.
//
// The list is a directory with a small file for each pool, named by its root, so
// that two processes that add a pool each lose nothing. It is a help for memory
// and decides nothing: what a pool consists of, its own registry says, and nothing
// is ever deleted because it stands here. A root that is gone is shown as such.
package pools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// Pool is what the list says of a pool.
type Pool struct {
	Name       string `json:"name"`
	Root       string `json:"root"`              // absolute
	Project    string `json:"project"`           // the Compose project of slot %d
	Source     string `json:"source,omitempty"`  // the file that defines it; empty for the one inside the binary
	ProjectDir string `json:"project_directory"` // of the project that brings that file along; empty if none does
}

const (
	listVersion = 1
	lockName    = "lock"
	suffix      = ".json"
	maxEntry    = 64 << 10         // bytes of a file of the list
	maxPools    = 256              // that are listed
	lockWait    = 10 * time.Second // the lock is held for milliseconds: who has it longer, hangs
)

// ErrList is what the errors about a list that can't be read or written are.
var ErrList = errors.New("the list of pools")

// List is the list of pools in a directory, which need not exist.
type List struct {
	w     world.World
	dir   string
	files world.Files
}

// Open is the list in a directory. With "" there is none: it is empty, and what is
// put into it is forgotten, as for a user without a home.
func Open(w world.World, dir string) *List {
	l := &List{w: w, dir: dir}
	if dir != "" {
		l.files = w.Disk.Root(dir)
	}
	return l
}

// entry is a file of the list.
type entry struct {
	Version int `json:"version"`
	Pool
}

// fileName is the file of the pool at a root: by the root's real path, so that one
// root under two names is one pool.
func (l *List) fileName(root string) string {
	sum := sha256.Sum256([]byte(world.Resolve(l.w.Disk.Host(), root)))
	return hex.EncodeToString(sum[:16]) + suffix
}

// Lock keeps other processes from changing the list, and so from provisioning,
// until unlock is called.
func (l *List) Lock(ctx context.Context) (unlock func(), err error) {
	if l.dir == "" {
		return func() {}, nil
	}
	_, err = l.files.Lstat(lockName)
	if errors.Is(err, fs.ErrNotExist) { // whoever made that has made the directory, durably
		err = world.MakeDirs(l.w.Disk.Host(), l.dir, 0o700)
	}
	if err != nil {
		return nil, l.fault("making its directory", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if unlock, err = l.files.Lock(ctx, lockName); err != nil {
		return nil, l.fault("locking it", err)
	}
	return unlock, nil
}

// Put adds a pool, or brings what is listed of its root into line. It tells whether
// the root was not listed before. To be called under the lock.
func (l *List) Put(p Pool) (isNew bool, err error) {
	if l.dir == "" {
		return false, nil
	}
	for _, text := range []string{p.Name, p.Root, p.Project, p.Source, p.ProjectDir} {
		if !utf8.ValidString(text) {
			return false, l.fault("adding a pool", fmt.Errorf("%q is not UTF-8", text))
		}
	}
	data, err := json.MarshalIndent(entry{listVersion, p}, "", "  ")
	if err != nil {
		return false, l.fault("adding the pool "+p.Root, err)
	}
	name := l.fileName(p.Root)
	old, err := l.files.ReadFile(name, maxEntry)
	isNew = errors.Is(err, fs.ErrNotExist)
	if err == nil && string(old) == string(data) {
		return false, nil
	}
	if err := world.RemoveLeftovers(l.files, "."); err != nil {
		return false, l.fault("adding the pool "+p.Root, err)
	}
	if err := world.Replace(l.files, l.w, name, data, 0o600); err != nil {
		return false, l.fault("adding the pool "+p.Root, err)
	}
	return isNew, nil
}

// Forget takes a pool off the list, if it is there. The pool itself stays as it is.
func (l *List) Forget(root string) error {
	if l.dir == "" {
		return nil
	}
	err := l.files.Remove(l.fileName(root))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l.fault("forgetting the pool "+root, err)
	}
	return nil
}

// All is the pools, sorted by name and root. A file of the list that can't be read,
// or was not written by this user, is among the problems.
func (l *List) All() (all []Pool, problems []error) {
	if l.dir == "" {
		return nil, nil
	}
	infos, err := l.files.ReadDir(".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, []error{l.fault("reading it", err)}
	}
	for _, info := range infos {
		if !strings.HasSuffix(info.Name, suffix) || strings.HasPrefix(info.Name, ".") {
			continue
		}
		if len(all) == maxPools {
			problems = append(problems, l.fault("reading it", fmt.Errorf("more than %d pools: the others are left out", maxPools)))
			break
		}
		p, err := l.read(info)
		if err != nil {
			fault := l.fault("reading "+info.Name, err)
			if !world.IsSystemError(err) {
				fault = hint.Wrap(fault, "remove %s; provisioning the pool again adds it", filepath.Join(l.dir, info.Name))
			}
			problems = append(problems, fault)
			continue
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Pool) int {
		return slices.Compare([]string{a.Name, a.Root}, []string{b.Name, b.Root})
	})
	return all, problems
}

func (l *List) read(info world.Info) (Pool, error) {
	if !info.Mode.IsRegular() {
		return Pool{}, world.ErrNotRegular
	}
	if info.UserID != l.w.Env.UserID() {
		return Pool{}, fmt.Errorf("it belongs to user %d, this is user %d", info.UserID, l.w.Env.UserID())
	}
	data, err := l.files.ReadFile(info.Name, maxEntry)
	if err != nil {
		return Pool{}, err
	}
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Pool{}, fmt.Errorf("not JSON: %w", err)
	}
	if e.Version != listVersion {
		return Pool{}, fmt.Errorf("version %d: want %d", e.Version, listVersion)
	}
	if !filepath.IsAbs(e.Root) || e.Name == "" {
		return Pool{}, fmt.Errorf("the name is %q and the root %q: want a name and an absolute path", e.Name, e.Root)
	}
	return e.Pool, nil
}

func (l *List) fault(doing string, err error) error {
	return fmt.Errorf("%w in %s: %s: %w", ErrList, l.dir, doing, err)
}

// Same tells whether two roots are one directory.
func (l *List) Same(a, b string) bool {
	return a == b || world.Resolve(l.w.Disk.Host(), a) == world.Resolve(l.w.Disk.Host(), b)
}
