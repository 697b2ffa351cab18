package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// makeDirs makes the root and the directory of the lock. Nothing of that is
// synced before there is a registry that needs it; above are the directories
// outside the root that got an entry.
func (s *Store) makeDirs() (above []string, err error) {
	host := s.w.Disk.Host()
	for dir := s.root; ; {
		_, err := host.Lstat(dir)
		if err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return nil, fmt.Errorf("making the root %s: %w", s.root, err)
		}
		above = append(above, parent)
		dir = parent
	}
	if err := host.MkdirAll(s.root, dirMode); errors.Is(err, fs.ErrExist) {
		return nil, s.unusable("is below a link that leads nowhere")
	} else if err != nil {
		return nil, s.elsewhere(fmt.Errorf("making the root %s: %w", s.root, err))
	}
	lockDir := path.Dir(LockFile)
	if err := s.files.Mkdir(lockDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, s.elsewhere(fmt.Errorf("making the directory %s: %w", s.path(lockDir), err))
	}
	return above, nil
}

// elsewhere says that another root would do, where this one can't be made.
func (s *Store) elsewhere(err error) error {
	return hint.Wrap(err, "choose another root with --root or KINFRA_ROOT, or see who may write there and whether there is room: "+
		"ls -ld %[1]s; df -h %[1]s", world.ShellWord(filepath.Dir(s.root)))
}

// syncAbove makes the root's own entry durable, and the entries in the directories
// above it that were made with it.
func (s *Store) syncAbove(above []string) error {
	parent := filepath.Dir(s.root)
	if !slices.Contains(above, parent) {
		above = append(above, parent)
	}
	for _, dir := range above {
		// A directory that one may write to but not read can't be opened, and so
		// can't be synced, either.
		if err := s.w.Disk.Host().Sync(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}
