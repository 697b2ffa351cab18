// Package world is the one gate through which everything above it reaches the
// outside: files, processes, sockets, the clock, randomness and the caller's
// environment. What a program does to the outside is therefore decided by the
// world it is handed, not by the code that does it:
//
//   - [Real] acts on this machine;
//   - [Planned] wraps another world for a dry run: it reads through, keeps
//     writes in an overlay in memory that later reads see, and starts no process
//     and sends no request that would change something;
//   - [FilesOnly] wraps another world for what may only read files;
//   - [Noted] tells of each change that is made through another world;
//   - [Fake] is a machine in memory, for tests, and [Faulty] makes operations of
//     another world fail.
//
// A world is a struct of roles. One that differs from another is a copy with some of
// its roles replaced, as [In] is. A type that stands in for a role writes out each of
// its methods and embeds none, so that a new method of a role doesn't compile before
// each of them has decided what becomes of it; tests of the repository hold that, and
// that every world passes, plans or refuses every change as it says.
//
// The package imports nothing of this project.
package world

import (
	"errors"
)

// World is a machine as a program sees it, by the roles that it plays. It is passed by
// value; the copies are the same machine. Its roles may be used by several goroutines
// at once.
type World struct {
	Disk      Disk        // its files
	Processes Processes   // the programs that it runs
	Services  Services    // what is reached over sockets
	Clock     Clock       // its time
	Env       Environment // what the calling process was given

	planned bool
}

// Planned tells whether changes are only planned.
func (w World) Planned() bool { return w.planned }

var (
	// ErrPlanned is returned for what only a real run can know.
	ErrPlanned = errors.New("known only when it runs")

	// ErrTooLarge is returned for a file or an output over its limit.
	ErrTooLarge = errors.New("too large")

	// ErrNotRegular is returned for reading a directory, a device, a pipe or
	// a socket as a file, and for adding to a link.
	ErrNotRegular = errors.New("not a regular file")

	// ErrEscape is returned for a name that leads out of a root: by "..", as an
	// absolute path, or through a symbolic link.
	ErrEscape = errors.New("leads out of its root")

	// ErrHeld is returned for a lock that somebody has and that isn't waited for.
	ErrHeld = errors.New("it is held")

	// ErrTimeout is returned for a process that took longer than it may.
	ErrTimeout = errors.New("timed out")
)

// LockedError says that a lock could not be had in time, and who has it.
type LockedError struct {
	Path   string // the lock file
	Holder string // what the holder wrote of itself: "pid 4711: kinfra sandbox claim"; empty if unknown
	Err    error  // why the wait ended: the context's error, or ErrHeld
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return "waiting for the lock " + e.Path + ": " + e.Err.Error()
	}
	return "waiting for the lock " + e.Path + ", held by " + e.Holder + ": " + e.Err.Error()
}

func (e *LockedError) Unwrap() error { return e.Err }
