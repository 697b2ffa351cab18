// Package journal keeps the records of runs. A record is a directory:
//
//	journal.jsonl   a line of JSON for each event
//	scripts.json    the scripts that the run was made of
//	lock            held by the process that runs it
//
// What an event says is durable once Sync has returned: a run acknowledges a step only
// then. So a process that is killed, or a machine that loses its power, leaves at worst
// a last line that is not whole, which nothing was built on. The first line is there before
// the directory has its name.
package journal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// Journal is where the events of a run are added. Its methods may be called by several
// goroutines at once.
type Journal struct {
	file   world.Appender
	unlock func()

	mu      sync.Mutex   // guards the three below; written may be read without it
	line    []byte       // that was written last; its memory is used again
	failed  error        // the first failure: what comes after half a line can't be read
	written atomic.Int64 // events

	syncing sync.Mutex // held while the file is synced
	synced  int64      // events, guarded by syncing
}

// keptLine is the most memory that is kept from one line to the next, in bytes.
const keptLine = 64 << 10

// Add writes an event. It outlasts the process from then on, but not yet a loss of
// power.
func (j *Journal) Add(e *event.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := event.AppendLine(j.line[:0], e)
	if err != nil {
		return fmt.Errorf("recording an event: %w", err)
	}
	if cap(line) <= keptLine {
		j.line = line
	}
	if j.failed == nil {
		_, j.failed = j.file.Write(line)
		j.written.Add(1)
	}
	return j.failed
}

// Sync makes all durable that was added before. Those who wait for it at the same time
// share one write to the disk.
func (j *Journal) Sync() error {
	mine := j.written.Load()
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= mine {
		return nil
	}
	all := j.written.Load()
	err := j.file.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil && j.failed == nil {
		j.failed = err // what became of the lines is unknown
	}
	if j.failed == nil {
		j.synced = all
	}
	return j.failed
}

// Close lets go of the record.
func (j *Journal) Close() error {
	err := j.file.Close()
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
func (e *DamagedError) Hint() string {
	return "what the run did can't be told any more; its commands can be called again, since they are safe to repeat"
}

var (
	// ErrUnknown is returned for a run that has no record.
	ErrUnknown = errors.New("there is no record of such a run")

	// errMissing and errEmpty are returned for a record of which a file, or what was in it, is gone.
	errMissing = errors.New("it is missing")
	errEmpty   = errors.New("it is empty")

	// errForeign is returned for a record that somebody else has written.
	errForeign = errors.New("it belongs to another user")

	// ErrBusy is returned for a run that a process is at.
	ErrBusy = errors.New("a process is at it")
)
