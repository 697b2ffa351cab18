package world

import (
	"context"
	"io/fs"
	"time"
)

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
