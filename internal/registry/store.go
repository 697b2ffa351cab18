package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// Where things are below the root. The registry's own place is that of the older
// tools; the lock is a file apart from it, since the registry is replaced by
// another file at each write.
const (
	File           = "sandbox/instances.json"
	LockFile       = "kinfra/registry.lock"
	GenerationsDir = "kinfra/generations"
)

const (
	dirMode  = 0o700
	fileMode = 0o600

	// lockWait is how long a transaction waits for another one. They take
	// milliseconds, so whoever holds the lock that long hangs.
	lockWait = 10 * time.Second

	// The older tools rewrite the file in place, which takes them a moment. So
	// what doesn't parse is read again before it counts as damaged.
	readRetries = 5
	readPause   = 20 * time.Millisecond
)

// Store is the registry of one root directory. It may be used by several
// goroutines at once.
type Store struct {
	w     world.World
	root  string
	files world.Files
}

// Open returns the registry below root, an absolute path. Nothing is read or made
// before it is used, and a root that isn't there has an empty registry.
func Open(w world.World, root string) *Store {
	return &Store{w: w, root: root, files: w.Disk.Root(root)}
}

// Path is the path of the registry.
func (s *Store) Path() string { return s.path(File) }

// Root is the directory below which the registry lies.
func (s *Store) Root() string { return s.root }

func (s *Store) path(name string) string { return filepath.Join(s.root, filepath.FromSlash(name)) }

// Load reads the registry, without a lock: it is replaced as a whole, so what is
// read is one state of it. Where there is no file it is empty. A file that isn't a
// registry, also after a moment's wait, is a *DamagedError ([ErrDamaged]), one of
// another user an ErrForeign. An error of the system (world.IsSystemError) is none of
// these.
func (s *Store) Load(ctx context.Context) (*Registry, error) {
	r, _, err := s.load(ctx)
	return r, err
}

// Update changes the registry: under the lock it is loaded, given to change, and
// published if change has changed it. An error of change, or of anything else,
// leaves the file as it was.
func (s *Store) Update(ctx context.Context, change func(*Registry) error) error {
	return s.Transact(ctx, func(t *Transaction) error {
		if err := change(t.Registry); err != nil {
			return err
		}
		return t.Publish()
	})
}

// Transaction is the registry while its lock is held.
type Transaction struct {
	Registry *Registry // as loaded under the lock; changes count once they are published

	ctx   context.Context
	store *Store
	file  content // what is on disk
}

// Transact calls do under the registry's lock. It is for changes that reach
// beyond the registry, and so need a say in what is done before it is published
// and what after; for all others there is Update.
func (s *Store) Transact(ctx context.Context, do func(*Transaction) error) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r, file, err := s.load(ctx)
	if err != nil {
		return err
	}
	return do(&Transaction{Registry: r, ctx: ctx, store: s, file: file})
}

// Publish writes the registry if it was changed: atomically, durably, and after a
// copy of it was added to the generations. What stands in the file and in no
// generation, because another tool wrote it, becomes one, too.
//
// An error leaves the file as it was, except where its directory can't be synced
// after it was replaced: then a reader sees the new one already.
//
// Where another tool has written the file since it was loaded, nothing is
// written and the error is ErrChanged. Such a tool takes no lock, so between this
// look and the replacement there stay some microseconds in which what it writes
// is overwritten.
func (t *Transaction) Publish() error { return t.PublishWith(nil) }

// PublishWith is Publish that changes a file beside the registry in the same step
// (see world.ChangeAll): a file in a directory just below the root, and before the
// registry, which may be unchanged. Where it isn't there yet its Old is nil.
func (t *Transaction) PublishWith(beside *world.Change) error {
	if err := t.publish(beside); err != nil {
		return fmt.Errorf("publishing the registry %s: %w", t.store.Path(), err)
	}
	return nil
}

func (t *Transaction) publish(beside *world.Change) error {
	var first []world.Change
	if beside != nil {
		first = append(first, *beside)
	}
	if len(first) == 0 && !t.Registry.changed {
		return nil
	}
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if !t.Registry.changed {
		return t.store.write(t.file, first)
	}
	data := t.Registry.JSON()
	if err := t.store.publish(t.file, data, first); err != nil {
		return err
	}
	t.file = content{exists: true, data: data, mode: t.file.newMode()}
	t.Registry.version = 2
	t.Registry.changed = false
	return nil
}

// publish replaces the registry, which holds old, by data. It costs one durable
// replacement: the copies made before are not synced where they need not be (see
// generations.add).
func (s *Store) publish(old content, data []byte, first []world.Change) error {
	if len(data) > MaxSize {
		return errors.New("it would be " + tooLarge + ", which nothing would read again")
	}
	added, err := s.keepCopies(old, data)
	if err == nil {
		err = s.write(old, append(first, old.replacedBy(data)))
	}
	if err != nil && added != "" {
		// Where this fails, too, a generation stays that was never in force.
		err = errors.Join(err, s.files.Remove(added))
	}
	return err
}

// write changes files, provided that the registry still is old. A first one is
// durable only with the entries of the directories that were made for it.
func (s *Store) write(old content, files []world.Change) error {
	fresh := false
	for _, file := range files {
		if file.Old != nil {
			continue
		}
		fresh = true
		if err := s.files.MkdirAll(path.Dir(file.Name), dirMode); err != nil {
			return err
		}
	}
	err := world.ChangeAll(s.files, s.w, func() error { return s.checkSame(old) }, files...)
	if err != nil || !fresh {
		return err
	}
	return s.files.Sync(".")
}

// checkSame is ErrChanged where the registry's file isn't what it was.
func (s *Store) checkSame(old content) error {
	now, err := s.readFile(int64(len(old.data))) // a longer one is another one
	if err != nil && !errors.Is(err, world.ErrTooLarge) {
		return err
	}
	if err != nil || now.exists != old.exists || !bytes.Equal(now.data, old.data) {
		return hint.Wrap(fmt.Errorf("%w: another tool wrote to it", ErrChanged), "try again")
	}
	return nil
}

// lock takes the registry's lock and clears away what killed processes left.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	if _, err := s.checkRoot(); err != nil {
		return nil, err
	}
	waiting, stop := context.WithTimeout(ctx, lockWait)
	defer stop()
	unlock, err = s.files.Lock(waiting, LockFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeDirs(); err != nil {
			return nil, err
		}
		unlock, err = s.files.Lock(waiting, LockFile)
	}
	if locked, ok := errors.AsType[*world.LockedError](err); ok && ctx.Err() == nil {
		err = fmt.Errorf("another process has not let go of the registry for %s: %w", lockWait, locked)
		return nil, hint.Wrap(err, "see what the holder is doing, end it if it hangs, and try again")
	}
	if errors.Is(err, syscall.EROFS) {
		return nil, s.elsewhere(fmt.Errorf("locking the registry %s: %w", s.Path(), err))
	}
	if err != nil {
		return nil, fmt.Errorf("locking the registry %s: %w", s.Path(), err)
	}
	if err := world.RemoveLeftovers(s.files, path.Dir(File)); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// content is the registry's file as it was found.
type content struct {
	exists bool // whether there is a file; an empty one is not a missing one
	data   []byte
	mode   fs.FileMode
}

// replacedBy is the registry's replacement by data.
func (c content) replacedBy(data []byte) world.Change {
	return world.Change{Name: File, Data: data, Old: c.data, Mode: c.newMode()}
}

// newMode is the mode of the file that replaces it: private, except that those
// who could read the old one still can. Nobody else may write it.
func (c content) newMode() fs.FileMode {
	if !c.exists {
		return fileMode
	}
	return fileMode | c.mode.Perm()&0o044
}

// load reads the registry and its bytes.
func (s *Store) load(ctx context.Context) (*Registry, content, error) {
	if exists, err := s.checkRoot(); err != nil {
		return nil, content{}, err
	} else if !exists {
		return newRegistry(), content{}, nil
	}
	for try := 0; ; try++ {
		file, err := s.readFile(MaxSize)
		if err != nil {
			return nil, content{}, s.withHint(err)
		}
		if !file.exists {
			return newRegistry(), content{}, nil
		}
		r, err := Parse(file.data)
		if err == nil {
			return r, file, nil
		}
		if try < readRetries && s.w.Clock.Sleep(ctx, readPause) == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, content{}, fmt.Errorf("reading the registry %s: %w", s.Path(), ctx.Err())
		}
		return nil, content{}, s.withHint(s.damaged(err)) // also where this world lets nobody wait
	}
}

// readFile reads the file's bytes; where there is none, the content doesn't exist.
func (s *Store) readFile(limit int64) (content, error) {
	info, err := s.files.Lstat(File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return content{}, nil
	case err != nil:
		return content{}, s.failed(err)
	case info.Mode&fs.ModeSymlink != 0:
		return content{}, s.unreadable("it is a symbolic link, which is not followed", world.ErrNotRegular)
	case !info.Mode.IsRegular():
		return content{}, s.unreadable("want a regular file, got "+kindOf(info.Mode), world.ErrNotRegular)
	case info.UserID != s.w.Env.UserID():
		return content{}, s.foreign(s.Path(), info)
	}
	data, err := s.files.ReadFile(File, limit)
	switch {
	case errors.Is(err, world.ErrTooLarge):
		return content{}, s.unreadable(tooLarge, err)
	case err != nil:
		return content{}, s.failed(err)
	}
	return content{exists: true, data: data, mode: info.Mode}, nil
}

func kindOf(mode fs.FileMode) string {
	if mode.IsDir() {
		return "a directory"
	}
	return "a device, a pipe or a socket"
}

// failed is the error of a file that couldn't be looked at. Only what is there can be
// damaged.
func (s *Store) failed(err error) error {
	if world.IsSystemError(err) {
		return fmt.Errorf("reading the registry: %w; nothing was changed", err)
	}
	return s.unreadable(err.Error(), err)
}

func (s *Store) unreadable(problem string, err error) error {
	return &DamagedError{File: s.Path(), Offset: -1, Problem: problem, Err: err}
}

// damaged names the file in an error of Parse.
func (s *Store) damaged(err error) error {
	if e, ok := errors.AsType[*DamagedError](err); ok {
		e.File = s.Path()
	}
	return err
}

// withHint says where the last good copy of a damaged registry is.
func (s *Store) withHint(err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	all, unknown := s.generations()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Err == nil {
			return hint.Wrap(err, "the last good copy is %s; put it back with: %s", all[i].Path, s.restoreCommand(all[i].Number))
		}
		if world.IsSystemError(all[i].Err) {
			unknown = all[i].Err
		}
	}
	if unknown != nil { // there may be a good one
		return hint.Wrap(err, "keep it as it is until the kept copies can be read (%v), then: kinfra registry restore", unknown)
	}
	return hint.Wrap(err, "there is no earlier generation of it; fix it by hand, or move it away to begin with an empty one")
}

// restoreCommand is the command that puts a generation back. It names the root: the
// pool that is meant may not be the one that the command would take by itself.
func (s *Store) restoreCommand(number int) string {
	return fmt.Sprintf("kinfra --root %s registry restore %d", world.ShellWord(s.root), number)
}

// CheckRoot refuses a root that is no directory or belongs to somebody else. One that
// isn't there is none of these.
func (s *Store) CheckRoot() error {
	_, err := s.checkRoot()
	return err
}

// checkRoot tells whether the root is there, and refuses one that is no directory
// or belongs to somebody else: who can write to it could make us do anything.
func (s *Store) checkRoot() (exists bool, err error) {
	info, err := s.files.Lstat(".")
	if errors.Is(err, fs.ErrPermission) {
		// Whose it is can be told also where it can't be entered.
		if itself, hostErr := s.w.Disk.Host().Lstat(s.root); hostErr == nil && itself.Mode.IsDir() && itself.UserID != s.w.Env.UserID() {
			info, err = itself, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, s.checkLink()
	case errors.Is(err, syscall.ENOTDIR), err == nil && !info.Mode.IsDir():
		return false, s.unusable("is not a directory")
	case err != nil:
		return false, fmt.Errorf("looking at the root %s: %w", s.root, err)
	case info.UserID != s.w.Env.UserID():
		return false, s.foreign(s.root, info)
	}
	return true, nil
}

// checkLink refuses a root that isn't there because its path is a link to nowhere.
func (s *Store) checkLink() error {
	info, err := s.w.Disk.Host().Lstat(s.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking at the root %s: %w", s.root, err)
	case info.Mode&fs.ModeSymlink != 0:
		return s.unusable("is a link that leads nowhere")
	}
	return nil // made meanwhile
}

func (s *Store) unusable(problem string) error {
	err := fmt.Errorf("%w: %s %s", ErrRoot, s.root, problem)
	return hint.Wrap(err, "name another with --root, or move what is there away")
}

func (s *Store) foreign(path string, info world.Info) error {
	err := fmt.Errorf("%w: %s belongs to user %d, this is user %d", ErrForeign, path, info.UserID, s.w.Env.UserID())
	return hint.Wrap(err, "run it as that user, or name a root of your own with --root")
}
