package engine

import (
	"context"
	"errors"
	"fmt"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// Code is how a command ended: its exit code.
type Code int

// The codes. Scripts name them as String gives them.
const (
	OK          Code = 0   // done
	Failed      Code = 1   // the workflow failed
	Usage       Code = 2   // wrong usage, or a script that isn't there, doesn't parse or resolve, or declares what can't be
	Unavailable Code = 3   // nothing available
	Conflict    Code = 4   // claimed by another, a port taken, changed meanwhile
	Damaged     Code = 5   // state that can't be read or repaired
	Missing     Code = 6   // something that it needs is not there
	TimedOut    Code = 124 // timed out, or over a limit of execution
	Interrupted Code = 130 // interrupted by the user
)

func (c Code) String() string {
	switch c {
	case OK:
		return "ok"
	case Usage:
		return "usage"
	case Unavailable:
		return "unavailable"
	case Conflict:
		return "conflict"
	case Damaged:
		return "damaged"
	case Missing:
		return "missing"
	case TimedOut:
		return "timed out"
	case Interrupted:
		return "interrupted"
	}
	return "failed"
}

// scriptCodes are the codes that a script may end with.
var scriptCodes = [...]Code{Failed, Usage, Unavailable, Conflict, Damaged, Missing}

// codeNamed is the code of a name that a script gave.
func codeNamed(name string) (Code, error) {
	names := make([]string, len(scriptCodes))
	for i, c := range scriptCodes {
		if names[i] = c.String(); names[i] == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("code %q is not one of %q", name, names)
}

// Error is an error with what its reader needs beyond the message.
type Error struct {
	Code    Code
	Message string
	Next    string            // a hint
	At      []syntax.Position // what it is about, if not the failing call
	Err     error             // its cause, if it isn't in Message alone
}

func (e *Error) Error() string                { return e.Message }
func (e *Error) Unwrap() error                { return e.Err }
func (e *Error) Hint() string                 { return e.Next }
func (e *Error) Positions() []syntax.Position { return e.At }

// ExitError ends a command with the exit code of a process that spoke for itself: no
// message is printed.
type ExitError struct{ Exit int }

func (e *ExitError) Error() string { return fmt.Sprintf("ended with code %d", e.Exit) }

// At makes an error point to places in scripts, such as the rules that it is about.
func At(err error, positions ...syntax.Position) error {
	return &positionedError{err, positions}
}

type positionedError struct {
	error
	at []syntax.Position
}

func (e *positionedError) Unwrap() error                { return e.error }
func (e *positionedError) Positions() []syntax.Position { return e.at }

// UsageError is an error in how a command was called.
func UsageError(hint, format string, args ...any) error {
	return &Error{Code: Usage, Message: fmt.Sprintf(format, args...), Next: hint}
}

// The causes with which a run's context ends.
var (
	ErrInterrupted = errors.New("interrupted")
	ErrTimedOut    = errors.New("timed out")
	ErrMemory      = errors.New("over the limit of memory")
	errTooLong     = errors.New("over the limit of execution steps")
)

// ErrChecksFailed is the error of a run whose checks failed.
var ErrChecksFailed = errors.New("checks failed")

// CodeOf is the code with which err ends a command.
func (c *Config) CodeOf(err error) Code {
	var own *Error
	var exit *ExitError
	var damaged *journal.DamagedError
	var declaration *table.DeclarationError
	var syntaxErr syntax.Error
	var resolveErr resolve.ErrorList
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrInterrupted):
		return Interrupted
	case errors.Is(err, errTooLong), errors.Is(err, ErrTimedOut), errors.Is(err, ErrMemory):
		return TimedOut
	case errors.As(err, &exit):
		return Code(exit.Exit)
	case errors.As(err, &own):
		return own.Code
	case errors.As(err, &damaged):
		return Damaged
	case errors.Is(err, journal.ErrBusy), errors.Is(err, errDiverged):
		return Conflict
	case errors.As(err, &syntaxErr), errors.As(err, &resolveErr), errors.As(err, &declaration):
		return Usage
	}
	if c.Classify != nil {
		if code := c.Classify(err); code != Failed {
			return code
		}
	}
	if errors.Is(err, world.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return TimedOut
	}
	return Failed
}
