package claim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ktrdr/kinfra/internal/world"
)

// GitTop is the top of the git worktree that a directory, absolute, is in, or the
// directory itself where it is in none. The top has an entry .git: a directory in a
// repository's main worktree, a file in the others.
func GitTop(w world.World, dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		_, err := w.Disk.Host().Lstat(filepath.Join(at, ".git"))
		switch {
		case err == nil:
			return at, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("looking for the top of the git worktree: %w", err)
		case at == filepath.Dir(at):
			return dir, nil
		}
	}
}
