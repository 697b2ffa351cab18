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
	return ChangeAll(f, w, nil, Change{Name: name, Data: data, Mode: mode})
}

// Rewrite is Replace of a file that belongs to the user: where there is one already, it keeps
// its permissions, which somebody has chosen. mode is that of a new one.
func Rewrite(f Files, w World, name string, data []byte, mode fs.FileMode) error {
	info, err := f.Lstat(name)
	switch {
	case err == nil && info.Mode.IsRegular():
		mode = info.Mode.Perm()
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return Replace(f, w, name, data, mode)
}

// Change is what is to become of a file: another one takes its place, durably, or
// something is added to its end.
type Change struct {
	Name string
	Data []byte
	Mode fs.FileMode // of the one that takes its place
	Old  []byte      // what is there now, to be put back where a later change fails; nil for nothing

	Append   bool // Data is added to the file, which must be there
	Unsynced bool // what is added need not outlast a loss of power
}

// ChangeAll changes several files, in their order, each file that takes another's
// place as [Replace] has it. What has to be synced first is synced side by side, so
// that two files take less than twice the time of one. check, unless it is nil, is
// called last before the first change is to be seen, and once more before a file takes
// another's place when something was added to one before, which may have taken long; its
// error leaves all files as they were.
//
// A process killed meanwhile may have changed the first files and not the others; a
// loss of power before ChangeAll has returned may leave any of them changed and any
// not, except that what is added and synced is there before a later file is put in
// place. Where a change fails those before it are undone; if that fails, too, both
// errors are returned.
func ChangeAll(f Files, w World, check func() error, all ...Change) error {
	temps, err := writeAside(f, w, all)
	if err == nil && check != nil {
		err = check()
	}
	changed, added := 0, false
	for err == nil && changed < len(all) {
		c := all[changed]
		if added && !c.Append && check != nil {
			err = check()
			added = false
		}
		var did bool
		if err == nil {
			did, err = c.do(f, temps[changed])
		}
		if did {
			changed++
			added = c.Append
		}
	}
	if err != nil {
		for _, temp := range temps[changed:] {
			if temp != "" {
				err = errors.Join(err, f.Remove(temp))
			}
		}
		for _, c := range all[:changed] {
			err = errors.Join(err, c.undo(f, w))
		}
		return fmt.Errorf("writing %s: %w", names(all), err)
	}
	var dirs []string
	for _, c := range all {
		if !c.Append {
			dirs = append(dirs, path.Dir(c.Name))
		}
	}
	if err := syncAll(f, dirs); err != nil {
		return fmt.Errorf("wrote %s, but it may not outlast a loss of power: %w", names(all), err)
	}
	return nil
}

// writeAside writes the files that take another's place under temporary names, and
// syncs them. It returns the names of those that are there, also when it fails; "" for
// a file that is added to.
func writeAside(f Files, w World, all []Change) (temps []string, err error) {
	var unsynced []string
	for _, c := range all {
		if c.Append {
			temps = append(temps, "")
			continue
		}
		temp := TempName(w, c.Name)
		if err := f.CreateFile(temp, c.Data, c.Mode); err != nil {
			return temps, err
		}
		temps, unsynced = append(temps, temp), append(unsynced, temp)
	}
	return temps, syncAll(f, unsynced)
}

// do puts the file in place that was written aside, or adds to the one that is there.
// It tells whether there is something to be undone, which there may be also when it
// fails.
func (c Change) do(f Files, temp string) (changed bool, err error) {
	if !c.Append {
		err := f.Rename(temp, c.Name)
		return err == nil, err
	}
	file, err := f.Append(c.Name)
	if err != nil {
		return false, err
	}
	n, err := file.Write(c.Data)
	if err == nil && !c.Unsynced {
		err = file.Sync()
	}
	return n > 0, errors.Join(err, file.Close())
}

// undo makes the file what it was.
func (c Change) undo(f Files, w World) error {
	if c.Old == nil {
		return f.Remove(c.Name)
	}
	return Replace(f, w, c.Name, c.Old, c.Mode)
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

func names(all []Change) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = c.Name
	}
	return strings.Join(texts, " and ")
}

// TempName is a fresh name beside name for a file or directory that is built
// there before it is renamed into place: ".NAME.tmp-" and 16 hexadecimal digits.
// By that form RemoveLeftovers knows it.
func TempName(w World, name string) string {
	var random [tempRandom]byte
	w.Env.Random(random[:])
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
