package project

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// fileNames are the names under which Compose looks for its file, the preferred one
// first (compose-go, cli.DefaultFileNames).
var fileNames = [...]string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}

// overrideNames are the names of the file that Compose merges into the one that it has
// found (compose-go, cli.DefaultOverrideFileNames).
var overrideNames = [...]string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}

// ErrNoFile is returned where there is no compose file.
var ErrNoFile = errors.New("no compose file")

// Find looks for the compose file in a directory, absolute, and upwards, as Compose
// does. It returns the directory that has one, and the file's name.
func Find(w world.World, dir string) (found, name string, err error) {
	for at := dir; ; at = filepath.Dir(at) {
		for _, name := range fileNames {
			info, err := w.Disk.Host().Lstat(filepath.Join(at, name))
			if err == nil && !info.Mode.IsDir() {
				return at, name, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", "", fmt.Errorf("looking for a compose file: %w", err)
			}
		}
		if at == filepath.Dir(at) {
			err := fmt.Errorf("%w in %s or above it: looked for %s", ErrNoFile, dir, joined(fileNames[:]))
			return "", "", hint.Wrap(err, "run it in the directory of a compose project, or name the file with --file")
		}
	}
}

// overridesOf is the files beside a compose file that Compose would merge into it.
func overridesOf(w world.World, dir string) []string {
	var all []string
	for _, name := range overrideNames {
		if _, err := w.Disk.Host().Lstat(filepath.Join(dir, name)); err == nil {
			all = append(all, name)
		}
	}
	return all
}
