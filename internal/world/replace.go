package world

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Replace puts a file with data at name, atomically and durably: a reader sees
// the old file or the new one, never a part, and after Replace has returned nil
// a loss of power leaves the new one. A symbolic link at name is replaced, not
// followed. The directory of name must exist.
//
// On an error the old file is as it was, and nothing is left beside it. The one
// exception is the directory's Sync, the last thing done: when that fails, the
// new file is in place, whole, and how long it stays there is unknown. A killed
// process may leave a temporary file, for [RemoveLeftovers] to collect.
func Replace(f Files, w World, name string, data []byte, mode fs.FileMode) error {
	temp := TempName(w, name)
	if err := f.CreateFile(temp, data, mode); err != nil {
		return fmt.Errorf("replacing %s: %w", name, err)
	}
	err := f.Sync(temp)
	if err == nil {
		err = f.Rename(temp, name)
	}
	if err != nil {
		if removeErr := f.Remove(temp); removeErr != nil {
			err = errors.Join(err, removeErr)
		}
		return fmt.Errorf("replacing %s: %w", name, err)
	}
	if err := f.Sync(path.Dir(name)); err != nil {
		return fmt.Errorf("replaced %s, but it may not outlast a loss of power: %w", name, err)
	}
	return nil
}

// TempName is a fresh name beside name for a file or directory that is built
// there before it is renamed into place: ".NAME.tmp-" and 16 hexadecimal digits.
// By that form RemoveLeftovers knows it.
func TempName(w World, name string) string {
	var random [tempRandom]byte
	w.Random(random[:])
	return path.Join(path.Dir(name), "."+path.Base(name)+tempMark+hex.EncodeToString(random[:]))
}

const (
	tempMark   = ".tmp-"
	tempRandom = 8 // bytes
)

// RemoveLeftovers removes from a directory what killed processes left under a
// [TempName]. It must be called under the lock under which such names are made,
// or it takes the work of a living process for that of a dead one. A directory
// that isn't there has no leftovers.
func RemoveLeftovers(f Files, dir string) error {
	entries, err := f.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for leftovers of killed processes: %w", err)
	}
	for _, entry := range entries {
		if !isTempName(entry.Name) {
			continue
		}
		if err := f.RemoveAll(path.Join(dir, entry.Name)); err != nil {
			return fmt.Errorf("removing a leftover of a killed process: %w", err)
		}
	}
	return nil
}

// isTempName tells whether a directory entry has the form of a TempName.
func isTempName(name string) bool {
	i := strings.LastIndex(name, tempMark)
	if i < 2 || name[0] != '.' {
		return false
	}
	random := name[i+len(tempMark):]
	_, err := hex.DecodeString(random)
	return err == nil && len(random) == 2*tempRandom && strings.ToLower(random) == random
}
