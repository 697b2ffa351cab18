package slot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// found is what there is of a slot, compared with what there should be.
type found struct {
	*target
	registered bool
	have       registry.Slot // its entry; if there is none, only who holds it
	dirThere   bool
	missing    []string     // names of files
	drift      []Difference // of the entry and of the files that are there
	differing  []string     // names of files that must be replaced
}

// looker looks at slots and changes nothing.
type looker struct {
	files world.Files
	root  string
	user  int
	held  func() (map[int]Holder, error) // see [Options]
}

// look compares all targets with the registry and the disk. Slots that can't be
// dealt with are told all at once.
func (l looker) look(reg *registry.Registry, all []*target) ([]*found, error) {
	if err := l.checkPoolDir(); err != nil {
		return nil, err
	}
	var bad []error
	slots := make([]*found, len(all))
	for i, t := range all {
		f := &found{target: t}
		f.have, f.registered = reg.Slot(t.ID)
		if f.registered {
			f.drift = entryDrift(f.have, t.entry)
		}
		if err := l.lookAtDir(f); err != nil {
			bad = append(bad, fmt.Errorf("slot %d: %w", t.ID, err))
		}
		slots[i] = f
	}
	bad = append(bad, l.lookForHolders(slots))
	return slots, errors.Join(bad...)
}

// lookForHolders finds out who holds the slots that the registry has lost.
func (l looker) lookForHolders(slots []*found) error {
	lost := slices.DeleteFunc(slices.Clone(slots), func(f *found) bool { return f.registered || !f.dirThere })
	if len(lost) == 0 || l.held == nil {
		return nil
	}
	holders, err := l.held()
	for _, f := range lost {
		f.have.ClaimedBy, f.have.ClaimedAt = holders[f.ID].Worktree, holders[f.ID].Since
	}
	return err
}

// checkPoolDir refuses a link in place of the directory of all slots. A link that
// stays within the root would be safe to follow, but one that stands there was
// meant to lead out of it.
func (l looker) checkPoolDir() error {
	_, err := l.dirThere(poolDir)
	return err
}

// dirThere tells whether a directory is there, and refuses what isn't one.
func (l looker) dirThere(name string) (bool, error) {
	info, err := l.files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode.IsDir() {
		return false, l.broken(name, "a directory", info)
	}
	return true, l.checkOwner(name, info)
}

// broken is the error about something that stands where kinfra needs another
// thing, and that it neither follows nor replaces.
func (l looker) broken(name, want string, info world.Info) error {
	kind := "something else"
	switch {
	case info.Mode&fs.ModeSymlink != 0:
		kind = "a symbolic link, which is not followed"
	case info.Mode.IsDir():
		kind = "a directory"
	case info.Mode.IsRegular():
		kind = "a file"
	}
	full := path.Join(l.root, name)
	err := fmt.Errorf("%w: want %s at %s, there is %s", ErrBroken, want, full, kind)
	return hint.Wrap(err, "move %s away and try again", full)
}

func (l looker) checkOwner(name string, info world.Info) error {
	if info.UserID == l.user {
		return nil
	}
	return fmt.Errorf("%w: %s belongs to user %d, this is user %d", registry.ErrForeign, path.Join(l.root, name), info.UserID, l.user)
}

// lookAtDir looks at the slot's directory and the files in it.
func (l looker) lookAtDir(f *found) (err error) {
	if f.dirThere, err = l.dirThere(f.dir); err != nil || !f.dirThere {
		return err
	}
	if err := l.lookAtEnv(f); err != nil {
		return err
	}
	if err := l.lookAtLink(f); err != nil {
		return err
	}
	return l.lookAtCompose(f)
}

func (l looker) lookAtEnv(f *found) error {
	data, there, err := l.read(path.Join(f.dir, envName), len(f.env))
	if err != nil {
		return err
	}
	if !there {
		f.missing = append(f.missing, envName)
	} else if drift := envDrift(data, f.target); len(drift) > 0 {
		f.differ(envName, drift...)
	}
	return nil
}

func (l looker) lookAtCompose(f *found) error {
	data, there, err := l.read(path.Join(f.dir, composeName), len(f.Compose))
	if err != nil {
		return err
	}
	if !there {
		f.missing = append(f.missing, composeName)
	} else if !bytes.Equal(data, f.Compose) {
		f.differ(composeName, textDrift(composeName, data, f.Compose))
	}
	return nil
}

// lookAtLink looks at the link. Another link or a file there is replaced when the
// slot is refreshed, which follows nothing.
func (l looker) lookAtLink(f *found) error {
	name := path.Join(f.dir, linkName)
	info, err := l.files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		f.missing = append(f.missing, linkName)
		return nil
	}
	if err != nil {
		return err
	}
	have := "a file"
	switch {
	case info.Mode&fs.ModeSymlink != 0:
		to, err := l.files.ReadLink(name)
		if err != nil {
			return err
		}
		if to == envName {
			return nil
		}
		have = "a link to " + to
	case !info.Mode.IsRegular():
		return l.broken(name, "a link to "+envName, info)
	}
	f.differ(linkName, Difference{Field: linkName, Have: have, Want: "a link to " + envName})
	return nil
}

func (f *found) differ(name string, drift ...Difference) {
	f.differing = append(f.differing, name)
	f.drift = append(f.drift, drift...)
}

// read reads one of kinfra's files, of which size bytes are expected; there tells
// whether there is one. Of a much larger file only the beginning counts, since it
// differs in any case.
func (l looker) read(name string, size int) (data []byte, there bool, err error) {
	info, err := l.files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !info.Mode.IsRegular() {
		return nil, false, l.broken(name, "a file", info)
	}
	if err := l.checkOwner(name, info); err != nil {
		return nil, false, err
	}
	const slack = 1 << 20
	data, err = l.files.ReadFile(name, int64(size)+slack)
	if errors.Is(err, world.ErrTooLarge) {
		return nil, true, nil
	}
	return data, err == nil, err
}
