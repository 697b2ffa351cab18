package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// MakeShared makes directories below a pool's root that the stacks of all slots have in
// common, for the user alone, where they are missing. Compose would have the Engine make
// them, as root, and takes a colon in their path for a separator then.
func MakeShared(w world.World, root string, dirs []string) error {
	files := w.Disk.Root(root)
	for _, dir := range dirs {
		_, err := files.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = w.Disk.Host().MkdirAll(root, dirMode)
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

// ownDirs is the directories below a root that hold what is kinfra's own: what it
// removes there, data of a stack's would go with.
var ownDirs = []string{poolDir, path.Dir(registry.File), path.Dir(registry.LockFile)}

// CheckShared tells what is wrong with such directories: an ErrInvalid.
func CheckShared(dirs []string) error {
	for _, dir := range dirs {
		if filepath.Clean(dir) == "." || !filepath.IsLocal(dir) {
			return fmt.Errorf("%w: the shared directory %q is not a path below the root", ErrInvalid, dir)
		}
		if own := ownDirOf(dir); own != "" {
			err := fmt.Errorf("%w: the shared directory %q lies in %s/, which is kinfra's own: want one beside %s",
				ErrInvalid, dir, own, strings.Join(ownDirs, ", "))
			return hint.Wrap(err, "name a directory for shared data, such as \"shared/data\"")
		}
	}
	return nil
}

// ownDirOf is the one of ownDirs that a path below the root leads into, "" for none. Some
// file systems don't tell upper from lower case.
func ownDirOf(dir string) string {
	first, _, _ := strings.Cut(filepath.ToSlash(filepath.Clean(dir)), "/")
	for _, own := range ownDirs {
		if strings.EqualFold(first, own) {
			return own
		}
	}
	return ""
}
