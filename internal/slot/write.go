package slot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// writer does what was decided, while the registry's lock is held.
type writer struct {
	ctx   context.Context
	w     world.World
	files world.Files
	store *registry.Store
}

// building is a slot's directory that is made aside and then renamed into place.
type building struct {
	job
	aside  string // where it is made
	placed bool
}

// write builds and completes the slots of work and registers them, all at once.
// When it fails, what it has built is gone again.
func (wr *writer) write(t *registry.Transaction, work []job) error {
	if len(work) == 0 {
		return nil
	}
	if err := wr.files.Mkdir(poolDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := world.RemoveLeftovers(wr.files, poolDir); err != nil {
		return err
	}
	var buildings []*building
	for _, j := range work {
		if j.action == Created {
			buildings = append(buildings, &building{job: j, aside: world.TempName(wr.w, j.dir)})
		}
	}
	err := wr.build(buildings)
	if err == nil {
		err = wr.install(t, work, buildings)
	}
	if err != nil {
		return errors.Join(err, wr.discard(buildings))
	}
	return nil
}

// install puts what was built into place, and the rest of the work in order.
//
// A slot without an entry is put into place before it is registered, so that no
// entry ever promises a directory that isn't there; killed in between, the next
// run finds a whole directory and registers it. A slot that has an entry, but no
// directory, is registered first: killed in between, it still is an entry without
// a directory, whereas a new directory beside the old entry would pass for drift.
func (wr *writer) install(t *registry.Transaction, work []job, buildings []*building) error {
	for _, j := range work {
		if j.action == Created {
			continue
		}
		if err := wr.complete(j); err != nil {
			return fmt.Errorf("slot %d: %w", j.ID, err)
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(buildings), func(b *building) bool { return b.registered })
	if err := wr.place(fresh); err != nil {
		return err
	}
	if err := put(t.Registry, work); err != nil {
		return err
	}
	if err := t.Publish(); err != nil {
		return err
	}
	return wr.place(slices.DeleteFunc(slices.Clone(buildings), func(b *building) bool { return !b.registered }))
}

// discard removes what was built: what lies aside, and what is in place without an
// entry. Whether there is one, the file is asked, since publishing may have failed
// after the registry was replaced.
func (wr *writer) discard(buildings []*building) error {
	reg, loadErr := wr.store.Load(context.WithoutCancel(wr.ctx))
	var bad []error
	for _, b := range buildings {
		switch {
		case !b.placed:
			bad = append(bad, wr.files.RemoveAll(b.aside))
		case loadErr == nil:
			if _, named := reg.Slot(b.ID); !named {
				bad = append(bad, wr.files.RemoveAll(b.dir))
			}
		}
	}
	return errors.Join(bad...)
}

// build makes the directories aside, whole and durable. All files are written
// before the first is synced, and then synced side by side: so the file system
// writes them out together, and a sync costs little more than the first one.
func (wr *writer) build(buildings []*building) error {
	var files, dirs []string
	for _, b := range buildings {
		if err := wr.ctx.Err(); err != nil {
			return err
		}
		if err := wr.buildOne(b); err != nil {
			return fmt.Errorf("slot %d: building %s: %w", b.ID, b.entry.Path, err)
		}
		files = append(files, path.Join(b.aside, envName), path.Join(b.aside, composeName))
		dirs = append(dirs, b.aside)
	}
	if err := wr.syncAll(files); err != nil {
		return err
	}
	return wr.syncAll(dirs)
}

func (wr *writer) buildOne(b *building) error {
	if err := wr.files.Mkdir(b.aside, dirMode); err != nil {
		return err
	}
	for _, name := range [...]string{envName, composeName} {
		if err := wr.files.CreateFile(path.Join(b.aside, name), b.content(name), fileMode); err != nil {
			return err
		}
	}
	return wr.files.Symlink(envName, path.Join(b.aside, linkName))
}

// syncAll makes files or directories durable. It returns the first error.
func (wr *writer) syncAll(names []string) error {
	const limit = 16
	ctx, cancel := context.WithCancelCause(wr.ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	turns := make(chan struct{}, limit)
	for _, name := range names {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := wr.files.Sync(name); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// content is what one of the slot's files has to hold.
func (t *target) content(name string) []byte {
	if name == envName {
		return t.env
	}
	return t.Compose
}

// place renames what was built into place, durably.
func (wr *writer) place(buildings []*building) error {
	if len(buildings) == 0 {
		return nil
	}
	for _, b := range buildings {
		if err := wr.files.Rename(b.aside, b.dir); err != nil {
			return fmt.Errorf("slot %d: %w", b.ID, err)
		}
		b.placed = true
	}
	if err := wr.files.Sync(poolDir); err != nil {
		return err
	}
	// It may have been made just now. If not, this costs next to nothing.
	return wr.files.Sync(path.Dir(poolDir))
}

// complete writes the files of a slot that are missing or differ, each of them
// atomically.
func (wr *writer) complete(j job) error {
	if err := world.RemoveLeftovers(wr.files, j.dir); err != nil {
		return err
	}
	for _, name := range slices.Concat(j.missing, j.differing) {
		file := path.Join(j.dir, name)
		var err error
		if name == linkName {
			err = wr.replaceLink(file)
		} else {
			err = world.Replace(wr.files, wr.w, file, j.content(name), fileMode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replaceLink is world.Replace for the link.
func (wr *writer) replaceLink(name string) error {
	aside := world.TempName(wr.w, name)
	if err := wr.files.Symlink(envName, aside); err != nil {
		return err
	}
	if err := wr.files.Rename(aside, name); err != nil {
		return errors.Join(err, wr.files.Remove(aside))
	}
	return wr.files.Sync(path.Dir(name))
}
