package world

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// MakeDirs makes a directory, by its absolute path, and those above it that are missing.
// All of them are durable when it returns. Each one is before there is anything in it: so
// where a process is killed meanwhile, at most one directory is there that is not durable
// yet, the innermost. The next call, which can't tell, makes sure of that one.
func MakeDirs(host Files, dir string, mode fs.FileMode) error {
	missing, err := missingDirs(host, dir)
	if err != nil {
		return err
	}
	there := dir
	if len(missing) > 0 {
		there = filepath.Dir(missing[0])
	}
	err = syncEntry(host, there)
	for _, name := range missing {
		if err == nil {
			err = host.MkdirAll(name, mode)
		}
		if err == nil {
			err = syncEntry(host, name)
		}
	}
	return err
}

// missingDirs are those that aren't there of a directory and the ones above it, the
// outermost first.
func missingDirs(host Files, dir string) (missing []string, err error) {
	for {
		_, err := host.Lstat(dir)
		if err == nil {
			slices.Reverse(missing)
			return missing, nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return nil, err
		}
		missing = append(missing, dir)
		dir = parent
	}
}

// syncEntry makes a directory's own entry durable. A directory that one may write to but
// not read can't be opened, and so can't be synced, either.
func syncEntry(host Files, dir string) error {
	err := host.Sync(filepath.Dir(dir))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
