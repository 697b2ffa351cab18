package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// makeDirs makes the root and the directory of the lock. The root is durable then; the
// other is with the first registry.
func (s *Store) makeDirs() error {
	err := world.MakeDirs(s.w.Disk.Host(), s.root, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return s.unusable("is below a link that leads nowhere")
	}
	if err != nil {
		return s.elsewhere(fmt.Errorf("making the root %s: %w", s.root, err))
	}
	lockDir := path.Dir(LockFile)
	if err := s.files.Mkdir(lockDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return s.elsewhere(fmt.Errorf("making the directory %s: %w", s.path(lockDir), err))
	}
	return nil
}

// elsewhere says that another root would do, where this one can't be made.
func (s *Store) elsewhere(err error) error {
	return hint.Wrap(err, "choose another root with --root or KINFRA_ROOT, or see who may write there and whether there is room: "+
		"ls -ld %[1]s; df -h %[1]s", world.ShellWord(filepath.Dir(s.root)))
}
