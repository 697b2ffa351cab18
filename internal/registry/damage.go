package registry

import (
	"errors"
	"fmt"
	"strings"
)

// ErrDamaged is what every error about a file that is no registry is: one that is
// damaged, of an unknown version, too large, or not a regular file. Nothing was changed
// then, and the error's hint says how to get a good one back. A file that the system
// doesn't let us read isn't damaged for that.
var ErrDamaged = errors.New("the registry can't be read")

// ErrForeign is what the errors about state of another user are. Nothing in it
// was read or changed.
var ErrForeign = errors.New("state of another user")

// ErrRoot is what the errors about a root that can't be one are: a file, say.
var ErrRoot = errors.New("unusable root")

// ErrChanged is returned for a transaction during which another tool wrote to the
// registry. It can be tried again.
var ErrChanged = errors.New("the registry has changed meanwhile")

const tooLarge = "larger than 32 MiB"

// DamagedError says what is wrong with a registry, and where.
type DamagedError struct {
	File    string // its path
	Key     string // the place in the document, like "slots.3.ports.api"; empty for the whole
	Offset  int    // the place in bytes, from 0; -1 if it is nowhere in particular
	Line    int    // the place in lines, from 1, if there is an offset
	Column  int    // the place in the line in bytes, from 1, if there is an offset
	Problem string // what is wrong
	Err     error  // the error that reading it ended with, if it ended with one
}

func (e *DamagedError) Error() string {
	var b strings.Builder
	b.WriteString("reading the registry")
	if e.File != "" {
		b.WriteString(" " + e.File)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ": line %d, column %d (byte %d)", e.Line, e.Column, e.Offset)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, ": %q", e.Key)
	}
	fmt.Fprintf(&b, ": %s; nothing was changed", e.Problem)
	return b.String()
}

// Unwrap gives ErrDamaged and the error of the system, if there is one.
func (e *DamagedError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrDamaged}
	}
	return []error{ErrDamaged, e.Err}
}
