package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// Record is what is known of a run.
type Record struct {
	ID      string
	Events  []event.Event // at least the first
	Dropped bool          // the journal ended in a part of a line, which is left out
	Running bool          // a process is at it
	Holder  string        // which one, in words; "" if unknown

	whole int // bytes of the journal's whole lines
}

// Run is what the first event says.
func (r *Record) Run() *event.Run { return r.Events[0].Run }

// Status is how the run ended: Passed, Failed, Undone or Interrupted. One whose process
// is gone without a word is Interrupted, too; one that a process is at is Running.
func (r *Record) Status() event.Status {
	switch last := r.Events[len(r.Events)-1]; {
	case r.Running:
		return event.Running
	case last.Type == event.RunEnded:
		return last.Status
	}
	return event.Interrupted
}

// List is all records, oldest first, and what is wrong with those that can't be read.
func (s *Store) List() ([]*Record, []error, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, nil, err
	}
	var all []*Record
	var damaged []error
	for _, id := range ids {
		r, err := s.Read(id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			damaged = append(damaged, err)
		default:
			all = append(all, r)
		}
	}
	// Names have the second only.
	slices.SortStableFunc(all, func(a, b *Record) int { return a.Events[0].Time.Compare(b.Events[0].Time) })
	return all, damaged, nil
}

// Find gives the ID that begins with a text, which no other may do.
func (s *Store) Find(text string) (string, error) {
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	var found []string
	for _, id := range ids {
		if text == "" {
			break // as an unset variable of a shell has it
		}
		if id == text {
			return id, nil
		}
		if strings.HasPrefix(id, text) {
			found = append(found, id)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%q begins the names of %d runs: %s", text, len(found), strings.Join(found, ", "))
	}
	return "", fmt.Errorf("%q: %w", text, ErrUnknown)
}

// Read gives the record of a run. Where the journal can't be read, the rest is there.
func (s *Store) Read(id string) (*Record, error) {
	name := path.Join(id, journalFile)
	r := &Record{ID: id}
	// Whether a process is at it is asked first: one that ends in between has then
	// written all that is read.
	unlock, err := s.tryLock(id)
	var locked *world.LockedError
	switch {
	case errors.As(err, &locked):
		r.Running, r.Holder = true, locked.Holder
	case err != nil:
		return nil, err
	default:
		unlock()
	}
	data, err := s.readOwn(name, mostJournal)
	if err != nil {
		return nil, err
	}
	r.Events, r.whole, err = parse(s.Dir(name), data)
	r.Dropped = r.whole < len(data)
	return r, err
}

// tryLock takes the lock of a record that is there.
func (s *Store) tryLock(id string) (unlock func(), err error) {
	if err := s.look(id); err != nil {
		return nil, err // taking the lock would make its file
	}
	return s.files.TryLock(path.Join(id, lockFile))
}

// look fails where there is no record, or one that has lost its journal. Records come and
// go as a whole, so one without is damaged.
func (s *Store) look(id string) error {
	name := path.Join(id, journalFile)
	_, err := s.files.Lstat(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := s.files.Lstat(id); err != nil {
		return err
	}
	return &DamagedError{Path: s.Dir(name), Err: errMissing}
}

// Resume gives the record of a run and the journal where its events are added from now
// on. A part of a line at the end of that is cut off. Of two processes that resume a run
// at the same time one gets a *world.LockedError that names the other.
func (s *Store) Resume(id string) (*Record, *Journal, error) {
	ctx, cancel := context.WithTimeout(context.Background(), resumeTime)
	defer cancel()
	if err := s.look(id); err != nil {
		return nil, nil, err // taking the lock would make its file
	}
	unlock, err := s.files.Lock(ctx, path.Join(id, lockFile))
	if err != nil {
		return nil, nil, busy(id, err)
	}
	r, j, err := s.take(id, unlock)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return r, j, nil
}

// busy names the process that is at a run, where err says so.
func busy(id string, err error) error {
	var locked *world.LockedError
	if !errors.As(err, &locked) {
		return fmt.Errorf("the run %s: %w", id, err)
	}
	holder := cmp.Or(locked.Holder, "which one is not known")
	return fmt.Errorf("the run %s: %w: %s", id, ErrBusy, holder)
}

func (s *Store) take(id string, unlock func()) (*Record, *Journal, error) {
	name := path.Join(id, journalFile)
	data, err := s.readOwn(name, mostJournal)
	if err != nil {
		return nil, nil, err
	}
	r := &Record{ID: id}
	if r.Events, r.whole, err = parse(s.Dir(name), data); err != nil {
		return nil, nil, err
	}
	if r.Dropped = r.whole < len(data); r.Dropped {
		if err := world.Replace(s.files, s.world, name, data[:r.whole], fileMode); err != nil {
			return nil, nil, err
		}
	}
	file, err := s.files.Append(name)
	if err != nil {
		return nil, nil, err
	}
	return r, &Journal{file: file, unlock: unlock}, nil
}

// readOwn reads a file that must be the user's own: what it says is run, and undone.
func (s *Store) readOwn(name string, most int64) ([]byte, error) {
	info, err := s.files.Lstat(name)
	if err != nil {
		return nil, err
	}
	if info.UserID != s.world.Env.UserID() {
		return nil, &DamagedError{Path: s.Dir(name), Err: errForeign}
	}
	return s.files.ReadFile(name, most)
}

// Scripts is what Create was given for a run. It must be there: a record begins as a whole.
func (s *Store) Scripts(id string) ([]byte, error) {
	name := path.Join(id, scriptsFile)
	data, err := s.readOwn(name, mostScripts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DamagedError{Path: s.Dir(name), Err: errMissing}
	}
	if err != nil {
		return nil, fmt.Errorf("the scripts of the run %s: %w", id, err)
	}
	return data, nil
}
