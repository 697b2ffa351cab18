package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ktrdr/kinfra/internal/world"
)

// MakeShared makes directories below a pool's root that the stacks of all slots have in
// common, for the user alone, where they are missing. Compose would have the Engine make
// them, as root, and takes a colon in their path for a separator then.
func MakeShared(w world.World, root string, dirs []string) error {
	files := w.Root(root)
	for _, dir := range dirs {
		_, err := files.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = w.Host().MkdirAll(root, dirMode)
			if err == nil {
				err = files.MkdirAll(dir, dirMode)
			}
		}
		if err != nil {
			return fmt.Errorf("making a directory that all slots share: %w", err)
		}
	}
	return nil
}

// CheckShared tells what is wrong with such directories: an ErrInvalid.
func CheckShared(dirs []string) error {
	for _, dir := range dirs {
		if dir == "." || !filepath.IsLocal(dir) {
			return fmt.Errorf("%w: the shared directory %q is not a path below the root", ErrInvalid, dir)
		}
	}
	return nil
}
