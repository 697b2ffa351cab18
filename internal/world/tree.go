package world

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A tree is a file system in memory. It may lie over another one, below: then it
// holds what differs from that, and reads through to the rest, which it never
// changes. Over nothing it is the file system of a Fake; over another world's it
// is the overlay of a planned one.
type tree struct {
	below Files // the host files beneath, or nil
	now   func() time.Time
	user  func() int

	// lockFiles tells whether taking a lock creates its file, as in reality.
	lockFiles bool

	mu    sync.Mutex // guards all below, and every node
	made  uint64     // how many nodes were
	top   *node
	locks map[string]chan struct{} // by path; whoever has put something in holds the lock
}

// A node is a file, directory or link of a tree. One that was only looked up in
// the tree below isn't linked from its parent; see own.
type node struct {
	parent *node // nil at the top
	name   string
	info   Info   // all but its Name
	under  string // the path in the tree below that its content comes from, or ""
	data   []byte // of a regular file, unless it comes from below
	target string // of a link, unless it comes from below

	// entries are what a directory has or, as nil, lacks, other than what is
	// below it at under.
	entries map[string]*node
}

func (n *node) isDir() bool  { return n.info.Mode.IsDir() }
func (n *node) isLink() bool { return n.info.Mode.Type() == fs.ModeSymlink }

// path is where the node is in the tree.
func (n *node) path() string {
	if n.parent == nil {
		return "/"
	}
	return path.Join(n.parent.path(), n.name)
}

// Permission bits as may asks for them.
const (
	mayRead   fs.FileMode = 4
	mayWrite  fs.FileMode = 2
	maySearch fs.FileMode = 1
)

// may tells whether the permissions of n allow something to the user. Of groups
// it knows nothing, and gives the benefit of the doubt.
func (t *tree) may(n *node, permission fs.FileMode) bool {
	mode := n.info.Mode.Perm()
	switch t.user() {
	case 0:
		return true
	case n.info.UserID:
		return mode>>6&permission == permission
	}
	return (mode>>3|mode)&permission == permission
}

// mayChange is nil if entries of dir can be made and removed.
func (t *tree) mayChange(dir *node) error {
	if !t.may(dir, mayWrite|maySearch) {
		return syscall.EACCES
	}
	return nil
}

// start is the top of the tree, which for an overlay is first looked at when it
// is needed.
func (t *tree) start() (*node, error) {
	if t.top == nil {
		info, err := t.below.Lstat("/")
		if err != nil {
			return nil, cause(err)
		}
		t.top = &node{info: info, under: "/"}
	}
	return t.top, nil
}

// maxName is the longest name that a directory entry can have, in bytes.
const maxName = 255

// child looks up an entry of a directory.
func (t *tree) child(dir *node, name string) (*node, error) {
	if len(name) > maxName {
		return nil, syscall.ENAMETOOLONG
	}
	if n, known := dir.entries[name]; known {
		if n == nil {
			return nil, syscall.ENOENT
		}
		return n, nil
	}
	if dir.under == "" {
		return nil, syscall.ENOENT
	}
	under := path.Join(dir.under, name)
	info, err := t.below.Lstat(under)
	if err != nil {
		return nil, cause(err)
	}
	return &node{parent: dir, name: name, info: info, under: under}, nil
}

// list is what a directory holds, sorted by name.
func (t *tree) list(dir *node) ([]Info, error) {
	var infos []Info
	if dir.under != "" {
		below, err := t.below.ReadDir(dir.under)
		if err != nil {
			return nil, cause(err)
		}
		infos = slices.DeleteFunc(below, func(info Info) bool {
			_, known := dir.entries[info.Name]
			return known
		})
	}
	for name, n := range dir.entries {
		if n != nil {
			infos = append(infos, n.infoAs(name))
		}
	}
	slices.SortFunc(infos, byName)
	return infos, nil
}

func (n *node) infoAs(name string) Info {
	info := n.info
	info.Name = name
	return info
}

// link is where a symbolic link points.
func (t *tree) link(n *node) (string, error) {
	if n.under == "" {
		return n.target, nil
	}
	target, err := t.below.ReadLink(n.under)
	if err != nil {
		return "", cause(err)
	}
	return target, nil
}

// own returns the node that stands for n in the tree, having linked it and the
// directories above it in, so that it can be changed.
func (t *tree) own(n *node) *node {
	if n.parent == nil {
		return n
	}
	parent := t.own(n.parent)
	if linked := parent.entries[n.name]; linked != nil {
		return linked
	}
	parent.set(n.name, n)
	return n
}

// set links a node into a directory, or with nil notes that the directory has no
// such entry.
func (n *node) set(name string, entry *node) {
	if n.entries == nil {
		n.entries = map[string]*node{}
	}
	n.entries[name] = entry
	if entry != nil {
		entry.parent, entry.name = n, name
	}
}

// add makes n an entry of dir.
func (t *tree) add(dir *node, name string, n *node) {
	dir = t.own(dir)
	dir.set(name, n)
	dir.info.ModTime = t.now()
}

// drop makes dir lack an entry.
func (t *tree) drop(dir *node, name string) {
	dir = t.own(dir)
	if dir.under == "" {
		delete(dir.entries, name)
	} else {
		dir.set(name, nil)
	}
	dir.info.ModTime = t.now()
}

// fresh is a new node that belongs to the user.
func (t *tree) fresh(mode fs.FileMode) *node {
	t.made++
	return &node{info: Info{Mode: mode, ModTime: t.now(), UserID: t.user(), ID: t.made}}
}

// How many symbolic links the system follows in one name: Linux's limit, and
// that of os.Root.
const (
	maxLinksHost = 40
	maxLinksRoot = 8
)

// spot is where a name leads: to an entry of a directory that may not be there.
type spot struct {
	dir  *node  // nil at the top of the tree
	name string // in dir
	node *node  // nil if there is none
}

// walk follows name from a directory, component by component as the system does.
// A missing last component is no error. In a jail, nothing leads above start, and
// an absolute link is refused.
func (t *tree) walk(start *node, name string, jail, followLast bool) (spot, error) {
	links, maxLinks := 0, maxLinksHost
	if jail {
		maxLinks = maxLinksRoot
	}
	at := start
	todo := components(name)
	for len(todo) > 0 {
		component, rest := todo[0], todo[1:]
		todo = rest
		if !at.isDir() {
			return spot{}, syscall.ENOTDIR
		}
		switch component {
		case "", ".":
			continue
		case "..":
			if jail && at == start {
				return spot{}, ErrEscape
			}
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		if !t.may(at, maySearch) {
			return spot{}, syscall.EACCES
		}
		next, err := t.child(at, component)
		last := len(rest) == 0
		switch {
		case last && errors.Is(err, fs.ErrNotExist):
			return spot{at, component, nil}, nil
		case err != nil:
			return spot{}, err
		case next.isLink() && (!last || followLast):
			target, err := t.link(next)
			if err != nil {
				return spot{}, err
			}
			if links++; links > maxLinks {
				return spot{}, syscall.ELOOP
			}
			if strings.HasPrefix(target, "/") {
				if jail {
					return spot{}, ErrEscape
				}
				at = t.top
			}
			todo = append(components(target), rest...)
		case last:
			return spot{at, component, next}, nil
		default:
			at = next
		}
	}
	return spot{at.parent, at.name, at}, nil
}

// components are the parts of a path between slashes, some of which may be empty.
func components(path string) []string {
	return strings.Split(strings.TrimPrefix(path, "/"), "/")
}

// removable is nil if the user may remove all that a directory holds.
func (t *tree) removable(dir *node) error {
	if !dir.isDir() || t.user() == 0 {
		return nil
	}
	infos, err := t.list(dir)
	if err != nil || len(infos) == 0 {
		return err
	}
	if err := t.mayChange(dir); err != nil {
		return err
	}
	for _, info := range infos {
		n, err := t.child(dir, info.Name)
		if err == nil {
			err = t.removable(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// acquire takes the lock on a path, among those who share this tree.
func (t *tree) acquire(ctx context.Context, path string) (unlock func(), err error) {
	lock := t.lockAt(path)
	if ctx.Err() != nil {
		return nil, &LockedError{Path: path, Err: ctx.Err()}
	}
	select {
	case lock <- struct{}{}:
		return sync.OnceFunc(func() { <-lock }), nil
	case <-ctx.Done():
		return nil, &LockedError{Path: path, Err: ctx.Err()}
	}
}

// tryAcquire is acquire that doesn't wait.
func (t *tree) tryAcquire(path string) (unlock func(), err error) {
	lock := t.lockAt(path)
	select {
	case lock <- struct{}{}:
		return sync.OnceFunc(func() { <-lock }), nil
	default:
		return nil, &LockedError{Path: path, Err: ErrHeld}
	}
}

// lockAt is the lock on a path: who has put something in holds it.
func (t *tree) lockAt(path string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.locks == nil {
		t.locks = map[string]chan struct{}{}
	}
	if t.locks[path] == nil {
		t.locks[path] = make(chan struct{}, 1)
	}
	return t.locks[path]
}
