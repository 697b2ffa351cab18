package world

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
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
	return ReplaceAll(f, w, nil, Replacement{Name: name, Data: data, Mode: mode})
}

// Replacement is a file that is to be replaced.
type Replacement struct {
	Name string
	Data []byte
	Mode fs.FileMode
	Old  []byte // what is there now, to be put back where a later file can't be put in place; nil for nothing
}

// ReplaceAll is Replace of several files, put in place in their order. check,
// unless it is nil, is called last before the first of them is; its error leaves
// all as they were. What has to be synced is synced side by side, so that two
// files take less than twice the time of one.
//
// A process killed meanwhile may have replaced the first files and not the
// others; a loss of power before ReplaceAll has returned may leave any of them
// replaced and any not. Where one can't be put in place those before it are put
// back; if that fails, too, both errors are returned.
func ReplaceAll(f Files, w World, check func() error, all ...Replacement) error {
	temps, err := writeAside(f, w, all)
	if err == nil && check != nil {
		err = check()
	}
	placed := 0
	for err == nil && placed < len(all) {
		if err = f.Rename(temps[placed], all[placed].Name); err == nil {
			placed++
		}
	}
	if err != nil {
		for _, temp := range temps[placed:] {
			err = errors.Join(err, f.Remove(temp))
		}
		for _, r := range all[:placed] {
			err = errors.Join(err, putBack(f, w, r))
		}
		return fmt.Errorf("replacing %s: %w", names(all), err)
	}
	var dirs []string
	for _, r := range all {
		dirs = append(dirs, path.Dir(r.Name))
	}
	if err := syncAll(f, dirs); err != nil {
		return fmt.Errorf("replaced %s, but it may not outlast a loss of power: %w", names(all), err)
	}
	return nil
}

// writeAside writes the files under temporary names and syncs them. It returns the
// names of those that are there, also when it fails.
func writeAside(f Files, w World, all []Replacement) (temps []string, err error) {
	for _, r := range all {
		temp := TempName(w, r.Name)
		if err := f.CreateFile(temp, r.Data, r.Mode); err != nil {
			return temps, err
		}
		temps = append(temps, temp)
	}
	return temps, syncAll(f, temps)
}

// putBack undoes a replacement.
func putBack(f Files, w World, r Replacement) error {
	if r.Old == nil {
		return f.Remove(r.Name)
	}
	return Replace(f, w, r.Name, r.Old, r.Mode)
}

// syncAll syncs files side by side: the file system then writes them out together.
func syncAll(f Files, files []string) error {
	if len(files) == 1 {
		return f.Sync(files[0])
	}
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	for i, name := range files {
		wg.Go(func() { errs[i] = f.Sync(name) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func names(all []Replacement) string {
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = r.Name
	}
	return strings.Join(texts, " and ")
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
func RemoveLeftovers(f Files, dir string) error { return removeLeftovers(f, dir, "") }

// RemoveLeftoversOf is RemoveLeftovers of one file, beside which others may be written
// under other locks.
func RemoveLeftoversOf(f Files, name string) error {
	return removeLeftovers(f, path.Dir(name), "."+path.Base(name)+tempMark)
}

func removeLeftovers(f Files, dir, prefix string) error {
	entries, err := f.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for leftovers of killed processes: %w", err)
	}
	for _, entry := range entries {
		if !isTempName(entry.Name) || !strings.HasPrefix(entry.Name, prefix) {
			continue
		}
		if err := f.RemoveAll(path.Join(dir, entry.Name)); err != nil {
			return fmt.Errorf("removing a leftover of a killed process: %w", err)
		}
	}
	return nil
}

// IsTemporary tells whether a directory entry is one of a [TempName]: the work of a
// living process, or what a killed one has left.
func IsTemporary(name string) bool { return isTempName(name) }

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
