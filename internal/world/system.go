package world

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// IsSystemError tells whether err is that an operation on files failed, so that nothing
// is known of what is there: too many open files, a disk that doesn't answer, a missing
// permission. What is on disk may be whole. So it is no damage, and nothing is to be put
// in its place or moved away for it.
//
// That nothing is there, or something of the wrong kind or size, is known, and isn't such
// an error.
func IsSystemError(err error) bool {
	for _, known := range []error{fs.ErrNotExist, fs.ErrExist, ErrNotRegular, ErrTooLarge, ErrEscape, syscall.ENOTDIR, syscall.EISDIR} {
		if errors.Is(err, known) {
			return false
		}
	}
	// All errors of Files are one of these.
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	return path || link
}
