// Package hint attaches to an error what its reader can do next. A hint stands
// apart from the message, since it is shown on a line of its own.
package hint

import "fmt"

// Wrap returns err with a hint, a sentence without a full stop that says what to
// do next: "run kinfra registry restore". The message stays that of err, and
// errors.Is and errors.As see through it. Its Hint method is found by interface,
// so that whoever prints errors need not import this package.
func Wrap(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }
func (h *hinted) Hint() string  { return h.hint }
