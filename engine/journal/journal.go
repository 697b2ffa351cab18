// Package journal keeps the records of runs. A record is a directory:
//
//	journal.jsonl   a line of JSON for each event
//	seal            up to which line that is durable
//	scripts.json    the scripts that the run was made of
//	scripts-….json  those with which it went on later, named by their hash
//	lock            held by the process that runs it
//
// What an event says is durable once Sync has returned: a run acknowledges a step only
// then. So a process that is killed, or a machine that loses its power, leaves at worst
// lines behind that which are not whole, and which nothing was built on. The first line
// is there before the directory has its name.
//
// Each line carries a hash over itself and the line before, and the seal says how many there
// have to be: so a journal that something was done to is not taken for one that says less.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// Journal is where the events of a run are added. Its methods may be called by several
// goroutines at once.
type Journal struct {
	file   world.Appender
	hashOf linker
	unlock func()

	mu      sync.Mutex   // guards what follows; written may be read without it
	memory  []byte       // of the line that was written last, to be used again
	last    link         // the hash of that
	at      time.Time    // that of its event
	ended   bool         // with that
	failed  error        // the first failure: what comes after half a line can't be read
	written atomic.Int64 // lines
	synced  int64        // lines; guarded by syncing, too
	told    int64        // how many a line has said to be synced

	syncing sync.Mutex // held while the file is synced
	seal    sealer     // guarded by syncing
}

// newJournal goes on behind the lines that a mark is for, which are all durable.
func newJournal(w world.World, file, seal world.Appender, unlock func(), hashOf linker, m mark) *Journal {
	j := &Journal{file: file, hashOf: hashOf, seal: sealer{world: w, file: seal}, unlock: unlock, last: m.hash, synced: int64(m.count), told: int64(m.count)}
	j.written.Store(int64(m.count))
	return j
}

// keptLine is the most memory that is kept from one line to the next, in bytes.
const keptLine = 64 << 10

// Add writes an event. It outlasts the process from then on, but not yet a loss of
// power.
func (j *Journal) Add(e *event.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var s stamps
	if j.synced > j.told {
		s.durable = int(j.synced)
	}
	line, hash, err := j.hashOf.line(j.memory, j.last, e, s)
	if err != nil {
		return fmt.Errorf("recording an event: %w", err)
	}
	if cap(line) <= keptLine {
		j.memory = line
	}
	if j.failed == nil {
		_, j.failed = j.file.Write(line[len(hash):])
	}
	if j.failed == nil {
		j.last, j.told = hash, max(j.told, int64(s.durable))
		j.at, j.ended = e.Time, e.Type == event.RunEnded
		j.written.Add(1)
	}
	return j.failed
}

// Sync makes all durable that was added before, and has it sealed. Those who wait for it
// at the same time share one write to the disk.
func (j *Journal) Sync() error {
	mine := j.written.Load()
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	m, err := mark{int(j.written.Load()), j.last}, j.failed
	at, ended := j.at, j.ended
	j.mu.Unlock()
	if err != nil || j.synced >= mine {
		return err
	}
	if err = j.file.Sync(); err == nil && (ended || j.seal.isDue(at)) {
		err = j.seal.add(m, at)
	} else if err == nil && j.seal.owe(m) {
		go j.settle()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil && j.failed == nil {
		j.failed = err // what became of the lines is unknown, or a part of a mark is there
	}
	if j.failed == nil {
		j.synced = int64(m.count)
	}
	return j.failed
}

// settle writes, a little later, the mark that the seal is owed.
func (j *Journal) settle() {
	_ = j.seal.world.Clock.Sleep(context.Background(), settleAfter)
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.seal.waits = false
	if err := j.seal.settle(); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.failed = cmp.Or(j.failed, err)
	}
}

// Close lets go of the record.
func (j *Journal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	err := errors.Join(j.seal.settle(), j.file.Close(), j.seal.close())
	j.unlock()
	return err
}

// DamagedError says that a record can't be read.
type DamagedError struct {
	Path string
	Line int // of the journal, from 1; 0 where it is another file
	Err  error
}

func (e *DamagedError) Error() string {
	switch {
	case errors.Is(e.Err, errForeign):
		return fmt.Sprintf("%s can't be trusted: %v", e.Path, e.Err)
	case e.Line == 0:
		return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s is damaged at line %d: %v", e.Path, e.Line, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says what is left to do.
func (e *DamagedError) Hint() string { return DamageHint }

// DamageHint says what is left to do about a damaged record.
const DamageHint = "put the record back from a backup if you have one; without it the run can't be resumed or undone. " +
	"Starting its workflow again does no harm where its steps are safe to repeat; the lines of the journal tell what it did"

var (
	// ErrUnknown is returned for a run that has no record.
	ErrUnknown = errors.New("there is no record of such a run")

	// errMissing and errEmpty are returned for a record of which a file, or what was in it, is gone.
	errMissing = errors.New("it is missing")
	errEmpty   = errors.New("it is empty")

	// errChanged is returned for scripts that are not those with which the run began or went on.
	errChanged = errors.New("it has changed since it was written")

	// errNoSeal is returned for a journal with hashes and without a seal.
	errNoSeal = errors.New("the file seal beside it is missing")

	// errForeign is returned for a record that somebody else has written.
	errForeign = errors.New("it belongs to another user")

	// ErrBusy is returned for a run that a process is at.
	ErrBusy = errors.New("a process is at it")
)
