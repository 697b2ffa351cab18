package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// Record is what is known of a run.
type Record struct {
	ID      string
	Events  []event.Event // at least the first
	Dropped bool          // the end of the journal is not as it was written, and is left out

	// Unchecked is how many lines at the beginning have no hashes, which a run that began
	// under an earlier version of kinfra has: damage to them may not show.
	Unchecked int

	Running bool   // a process is at it
	Holder  string // which one, in words; "" if unknown

	scripts link // the hash of its scripts; zero if it isn't known
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

// Unfinished tells whether something is left to do about the run: it was interrupted, or
// did not end well and something of it is left to undo.
func (r *Record) Unfinished() bool {
	switch r.Status() {
	case event.Interrupted:
		return true
	case event.Failed, event.Undone: // earlier versions have called a run undone too soon
		var h event.History
		for i := range r.Events {
			h.Add(&r.Events[i])
		}
		return len(h.Left()) > 0
	}
	return false
}

// Read gives the record of a run. Where the journal can't be read, the rest is there.
func (s *Store) Read(id string) (*Record, error) {
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
	_, err = s.read(r)
	if errors.Is(err, errNoSeal) {
		_, err = s.read(r) // a process may have begun the seal of an old journal in between
	}
	return r, err
}

// read fills a record with what its journal says.
func (s *Store) read(r *Record) (*found, error) {
	f := &found{}
	// The seal first: it must not be newer than the journal.
	data, err := s.readOwn(path.Join(r.ID, sealFile), mostJournal)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if f.seal, err = parseSeal(data); err != nil {
			return nil, &DamagedError{Path: s.Dir(path.Join(r.ID, sealFile)), Err: err}
		}
	}
	name := path.Join(r.ID, journalFile)
	if f.data, err = s.readOwn(name, mostJournal); err != nil {
		return nil, err
	}
	if f.content, err = parse(s.Dir(name), f.data, f.seal); err != nil {
		return nil, err
	}
	r.Events, r.Unchecked, r.scripts = f.events, f.unchecked, f.scripts
	r.Dropped = f.whole < len(f.data)
	return f, nil
}

// found is what the files of a record hold.
type found struct {
	*content
	data []byte
	seal *sealed // nil where there is none
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
	r := &Record{ID: id}
	f, err := s.read(r)
	if err == nil {
		err = world.RemoveLeftovers(s.files, id) // of a process that was killed while it resumed the run
	}
	if err != nil {
		return nil, nil, err
	}
	name := path.Join(id, journalFile)
	if r.Dropped {
		err = world.Replace(s.files, s.world, name, f.data[:f.whole], fileMode)
	} else {
		err = s.files.Sync(name) // what a killed process has left, the seal is about to vouch for
	}
	now := mark{len(f.events), f.last}
	if err == nil {
		err = s.reseal(id, f.seal, now)
	}
	if err != nil {
		return nil, nil, err
	}
	j, err := s.open(id, unlock, linkerOf(r.Run().Version), now)
	if err != nil {
		return nil, nil, err
	}
	return r, j, nil
}

// reseal writes the seal anew: a mark that is added to must not follow a part of one. The
// first mark stays.
func (s *Store) reseal(id string, old *sealed, now mark) error {
	var text []byte
	if old != nil {
		text = appendMark(text, old.first)
	}
	return world.Replace(s.files, s.world, path.Join(id, sealFile), appendMark(text, now), fileMode)
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
