package claim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	// envMax is the most that a file of variables may have, in bytes.
	envMax = 1 << 20

	// envTries is how often the copy is tried to be left. Another process of the same
	// worktree that claims at the same moment takes the file away that it is written to.
	envTries = 20
)

// slotEnv reads the variables of a slot, of which its holder gets a copy.
func (p *Pool) slotEnv(id int) ([]byte, error) {
	name, err := filepath.Rel(p.store.Root(), filepath.Join(slot.Dir(p.store.Root(), id), slot.EnvName))
	var data []byte
	if err == nil {
		data, err = p.files.ReadFile(name, envMax)
	}
	if world.IsSystemError(err) {
		return nil, fmt.Errorf("reading the variables of slot %d: %w", id, err)
	}
	if err != nil {
		err = fmt.Errorf("%w: slot %d: %w", ErrNotReady, id, err)
		return nil, hint.Wrap(err, "repair it: kinfra sandbox provision")
	}
	return data, nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// leaveEnv puts the copy into the worktree that has claimed. A file of that name
// is replaced, a link too, which is not followed. It isn't synced: after a loss of
// power the stack doesn't run, and the worktree's next claim puts it right.
func (p *Pool) leaveEnv(c Claim, data []byte) error {
	files := p.w.Disk.Root(c.Worktree)
	var err error
	for range envTries {
		if hasEnv(files, data) {
			return nil
		}
		err = replaceEnv(files, c.Token, data)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil && !hasEnv(files, data) {
		return fmt.Errorf("leaving %s in the worktree %s: %w", slot.EnvName, c.Worktree, err)
	}
	return nil
}

// hasEnv tells whether the copy is in the worktree as it should be.
func hasEnv(files world.Files, data []byte) bool {
	info, err := files.Lstat(slot.EnvName)
	if err != nil || info.Mode != fileMode {
		return false
	}
	have, err := files.ReadFile(slot.EnvName, envMax)
	return err == nil && bytes.Equal(have, data)
}

// replaceEnv writes the copy under a name that follows from the claim, so that what
// a killed process left under it is found and removed.
func replaceEnv(files world.Files, token string, data []byte) error {
	aside := envAside(token)
	err := files.CreateFile(aside, data, fileMode)
	if errors.Is(err, fs.ErrExist) {
		if err := files.Remove(aside); err != nil {
			return err
		}
		err = files.CreateFile(aside, data, fileMode)
	}
	if err != nil {
		return err
	}
	if err := files.Rename(aside, slot.EnvName); err != nil {
		return errors.Join(err, files.Remove(aside))
	}
	return nil
}

// envAside is the name under which the copy is written before it is put in place.
func envAside(token string) string { return asidePrefix + token[:16] }

const asidePrefix = slot.EnvName + ".tmp-"

// removeAsides removes what killed processes have left of copies that they were
// writing, also under claims that have ended since. A living one writes its own anew.
func removeAsides(files world.Files) error {
	entries, err := files.ReadDir(".")
	if err != nil {
		return err
	}
	var bad []error
	for _, e := range entries {
		token, ok := strings.CutPrefix(e.Name, asidePrefix)
		if _, err := hex.DecodeString(token); !ok || err != nil || !e.Mode.IsRegular() {
			continue
		}
		if err := files.Remove(e.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			bad = append(bad, err)
		}
	}
	return errors.Join(bad...)
}

// takeEnv removes the copy from the worktree, if it is what the claim has left
// there and nobody has changed it.
func (p *Pool) takeEnv(c Claim, hash string) error {
	info, err := p.w.Disk.Host().Lstat(c.Worktree)
	if !filepath.IsAbs(c.Worktree) || notThere(err) || err == nil && info.Mode.IsRegular() {
		return nil
	}
	files := p.w.Disk.Root(c.Worktree)
	var bad []error
	if err := removeAsides(files); err != nil {
		bad = append(bad, err)
	}
	info, err = files.Lstat(slot.EnvName)
	if err == nil && info.Mode.IsRegular() {
		var data []byte
		if data, err = files.ReadFile(slot.EnvName, envMax); err == nil && hashOf(data) == hash {
			err = files.Remove(slot.EnvName)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		bad = append(bad, err)
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("removing %s: %w", filepath.Join(c.Worktree, slot.EnvName), err)
	}
	return nil
}
