// Package world is the one gate through which everything above it reaches the
// outside: files, processes, sockets, the clock, randomness and the caller's
// environment. What a program does to the outside is therefore decided by the
// world it is handed, not by the code that does it:
//
//   - [Real] acts on this machine;
//   - [Planned] wraps another world for a dry run: it reads through, keeps
//     writes in an overlay in memory that later reads see, and starts no process
//     that would change something;
//   - [Fake] is a machine in memory, for tests.
//
// The package imports nothing of this project.
package world

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"time"
)

// World is a machine as a program sees it. Its methods may be called by several
// goroutines at once.
type World interface {
	// Host is the file system as the operating system shows it: names are
	// absolute paths, and symbolic links are followed.
	Host() Files

	// Root is the tree below dir, an absolute path: names are slash-separated, relative to dir
	// ("." is dir itself), and nothing leads out of it, neither "..", an
	// absolute path nor a symbolic link. The directory need not exist until
	// it is used; after that it must not be moved or replaced while the Files are
	// in use. Use it wherever a name or the tree's content comes from somebody
	// else.
	Root(dir string) Files

	// Run starts a process and waits for it. A non-zero exit is not an error: it
	// is in the Output. A program that isn't there is exec.ErrNotFound, one that
	// took too long ErrTimeout, and one cancelled the context's error; what it
	// had printed till then is in the Output. The process gets a group of its
	// own, which is ended as a whole when ctx ends or the command's time is
	// over. What it leaves running in the background is not waited for.
	//
	// In a planned world a command that isn't marked ReadOnly is not started,
	// and Run returns ErrPlanned.
	Run(ctx context.Context, cmd Command) (Output, error)

	// Listening tells whether something accepts TCP connections at address
	// ("127.0.0.1:8001").
	Listening(ctx context.Context, address string) bool

	// TryListen tells why a server could not listen at address now, or nil: it
	// takes the address, of network "tcp" or "udp", and gives it up at once. One
	// that is taken is syscall.EADDRINUSE.
	TryListen(ctx context.Context, network, address string) error

	// Dial connects to an address, of network "tcp" or "unix". In a planned world,
	// too: what is sent there must change nothing.
	Dial(ctx context.Context, network, address string) (net.Conn, error)

	// Attach starts a process that has this one's terminal, streams and process
	// group, waits for it, and returns its exit code as Output has it. The
	// command's Stdin, Timeout and Limit don't count. When ctx ends, the process is
	// asked to end, shortly after made to, and the error is the context's. Otherwise
	// it is as Run.
	Attach(ctx context.Context, cmd Command) (code int, err error)

	// Getenv is a variable of the caller's environment, and whether it is set.
	Getenv(name string) (string, bool)

	// Environ is the caller's whole environment, as KEY=value. What of it a child
	// process is to see is for [CleanEnv] to say.
	Environ() []string

	// WorkDir is the working directory, absolute.
	WorkDir() (string, error)

	// Executable is the path of the running program, absolute.
	Executable() (string, error)

	// UserID is the effective user's number.
	UserID() int

	// Now is the wall clock.
	Now() time.Time

	// BootTime is how long the machine has been up, time asleep included, and a
	// text that is another one after each start of it. No setting of the wall
	// clock changes it, so what is to end after a time is measured by it.
	BootTime() (boot string, up time.Duration, err error)

	// Sleep waits for d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error

	// Random fills b with random bytes.
	Random(b []byte)

	// Planned tells whether changes are only planned.
	Planned() bool
}

// Files is a file system, or the part of one below a root. Names are cleaned by
// their letters, as filepath.Clean does, before they are used.
//
// Errors are *fs.PathError or *os.LinkError values that hold the absolute path,
// so errors.Is finds fs.ErrNotExist, fs.ErrExist, fs.ErrPermission and system
// errors such as syscall.ENOSPC. A name that leads out of a root is ErrEscape.
// Where an error of the system alone tells what to do, the value's Err has a method
// Hint that says so.
type Files interface {
	// ReadFile returns a regular file's content, following symbolic links. One of
	// more than limit bytes is ErrTooLarge, anything but a regular file is
	// ErrNotRegular.
	ReadFile(name string, limit int64) ([]byte, error)

	// Lstat describes name itself, not what a link points to.
	Lstat(name string) (Info, error)

	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]Info, error)

	// ReadLink is where a symbolic link points.
	ReadLink(name string) (string, error)

	// CreateFile makes a new file with all of data in it; it fails with
	// fs.ErrExist where there is something of that name, and leaves nothing
	// behind when it fails. The file has exactly the permissions of mode,
	// whatever the umask. It is not durable before Sync.
	CreateFile(name string, data []byte, mode fs.FileMode) error

	// Append opens a regular file that is there, to add to its end. Anything else,
	// also a symbolic link, is ErrNotRegular; a directory is syscall.EISDIR.
	Append(name string) (Appender, error)

	// Mkdir makes one directory with exactly the permissions of mode.
	Mkdir(name string, mode fs.FileMode) error

	// MkdirAll makes a directory and those above it that are missing,
	// including, for a root, the root itself.
	MkdirAll(name string, mode fs.FileMode) error

	// Symlink makes name a symbolic link to target, which is not looked at.
	Symlink(target, name string) error

	// Rename moves a file or a tree. A file or link at the new name is replaced
	// at once; a directory there never is: that is fs.ErrExist, as os.Rename
	// has it.
	Rename(oldName, newName string) error

	// Remove removes a file, a link or an empty directory.
	Remove(name string) error

	// RemoveAll removes a tree; a name that isn't there is no error.
	RemoveAll(name string) error

	// Sync makes a file's content, or a directory's entries, durable.
	Sync(name string) error

	// Lock takes an exclusive lock on a regular file, which it creates where it
	// is missing and which must never be renamed or removed. It excludes other
	// processes and other goroutines alike. It waits until ctx ends; the error
	// is then a *LockedError. It ends with unlock, which may be called more
	// than once, or with the process, however that ends.
	Lock(ctx context.Context, name string) (unlock func(), err error)

	// TryLock is Lock that doesn't wait: where somebody has the lock, the error is
	// a *LockedError that is ErrHeld. Who has it may remove its file before the
	// unlock.
	TryLock(name string) (unlock func(), err error)
}

// Appender adds to the end of a file. Its methods may be called by several
// goroutines at once.
type Appender interface {
	// Write adds all of data in one piece: what others add comes before it or after.
	// When it fails, a part of data may have been added.
	Write(data []byte) (int, error)

	// Sync makes durable what was written before it was called.
	Sync() error

	// Close lets go of the file. What was written and not synced stays, but may not
	// outlast a loss of power.
	Close() error
}

// Info describes a file.
type Info struct {
	Name    string      // the last element of its name
	Size    int64       // bytes of a regular file; 0 for anything else
	Mode    fs.FileMode // type and permissions
	ModTime time.Time
	UserID  int    // its owner
	ID      uint64 // tells it from other files there are at the same time, by whatever name; 0 if unknown
}

// Command is a process to be run.
type Command struct {
	Args     []string      // the program, then its arguments; a program without a slash is looked for in Env's PATH
	Dir      string        // its working directory, absolute
	Env      []string      // its whole environment, as KEY=value
	Stdin    []byte        // what it reads
	ReadOnly bool          // it changes nothing: run in a dry run, too
	Timeout  time.Duration // how long it may take; must be positive, but for Attach
	Limit    int64         // the most it may print on either stream, in bytes; more is ErrTooLarge; 0 means 64 MiB
}

// Output is what a finished process left.
type Output struct {
	Code   int // exit code; 128 + the signal's number when a signal ended it
	Stdout []byte
	Stderr []byte
}

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
