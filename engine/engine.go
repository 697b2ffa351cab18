// Package engine runs workflows: Starlark files that declare commands with flags
// and arguments, work in steps and checks, and change the outside only through the
// world they are given. What scripts can do beyond that, the binary hands in as
// modules of builtins; the engine knows none of them.
//
// A file is loaded from the layers (package layer), evaluated once per run and
// frozen. Loading only reads: what changes something belongs into the function
// that the workflow runs. Two values of the thread, and nothing in package
// variables, connect a builtin to its run: see [Run] and [Context].
package engine

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/cover"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

// Config is what a binary sets up for a run.
type Config struct {
	World   world.World
	Layers  *layer.Stack
	Modules []table.Module // what scripts can call beside the engine's own builtins

	// Checks tells what is wrong with the names that a file of the layers defines, by
	// the label that any script loads it with: what others rely on in it.
	Checks map[string]func(layer.File, starlark.StringDict) error

	// Reserved names flags that scripts can't declare, since the binary has
	// them: their long names and their one-letter ones.
	Reserved []string

	// Classify gives the code of an error of the modules', Failed for one that
	// it doesn't know.
	Classify func(error) Code

	Coverage Coverage // of scripts that are tested

	Version string // of the binary, for reports

	// Identity gives what the first event of the run says of it, as far as only the
	// binary knows it: the arguments, and where it was called. nil: nothing.
	Identity func() event.Run

	// Reported says that a report of the run is asked for, so that the last event has the
	// result.
	Reported bool

	// Record begins the record of a run, with the files that it has loaded, when its
	// first step begins; nil for runs that leave none. The event that first gives for the
	// ID of the run is the first of the journal.
	Record func(t *starlark.Thread, loaded func() []layer.File, first func(id string) *event.Event) (*journal.Journal, error)

	// Masks is the values that are masked wherever text leaves the run; secrets that are read
	// are added. nil: a set of the run's own.
	Masks *mask.Set

	// Secret makes the value of a secret that a record has by its reference; nil: none can
	// be made.
	Secret func(reference string) (starlark.Value, error)

	// ReadSecret reads the value of a secret that an earlier process of the run has read, by
	// its reference; nil: none can be read.
	ReadSecret func(ctx context.Context, w world.World, reference string) (string, error)

	Asker Asker // whom scripts can ask; nil: nobody
	Yes   bool  // confirmations are answered with yes, and nobody is asked

	// BeforeExits is called before a function is given to on_exit, which is to be called
	// however the run ends; may be nil.
	BeforeExits func()

	// Resume makes the run go on from its record; nil for a new run.
	Resume *Resume

	Limits  Limits
	Timeout time.Duration // wall time of a run; 0: none
	Output  Output
	Log     hclog.Logger

	// Memory is how large a single value may be, in bytes, and the error of one that would
	// be larger; 0 bytes: of any size.
	Memory struct {
		Bytes uint64
		Err   error
	}

	// Ending is called when the run is to end before it is over, with the cause: it was
	// interrupted, or has used up its time or steps; nil: nobody wants to know.
	Ending func(cause error)

	// Abandon ends the process with an error, and does not return. It is called once a run
	// is to end that can't be brought to its end, since a call of the language doesn't
	// return: what it did is on record by then. nil: such a run is waited for.
	Abandon func(error)

	// Trail gives, for a thread of the run that begins on the calling goroutine, what is
	// told of the thread as it goes, so that where it is can be found out after the end of
	// the process, and what is called when the thread has ended. nil: nobody wants to know.
	Trail func() (told func(*starlark.Thread), leave func())

	// Urgent is closed when a run that is to end may have no time to do so, since the memory
	// runs out; nil: it always has.
	Urgent <-chan struct{}

	// Patience is how long a run that was interrupted may take to end before its user is told
	// that it is on its way; 0: two seconds.
	Patience time.Duration
}

// Coverage counts which statements of scripts run.
type Coverage struct {
	Profile *cover.Profile
	Counts  func(layer.File) bool // whether a file counts; nil: none does
}

// Limits guard against mistakes in scripts.
type Limits struct {
	Steps  uint64 // of execution, over all loads and branches of a run
	Result int    // bytes of a step's result, as JSON
	Value  int    // bytes of a piece of evidence; more is cut
}

// DefaultLimits is what a run may use unless it is told otherwise.
func DefaultLimits() Limits {
	return Limits{Steps: 5_000_000_000, Result: 16 << 20, Value: 1 << 20}
}

// Format is how a run prints its result.
type Format string

// The formats.
const (
	Text   Format = "text"   // what show prints
	JSON   Format = "json"   // one object
	Events Format = "events" // each event as a line of JSON, the result in the last
)

// Output is where a run prints, and how.
type Output struct {
	Format  Format
	Stdout  io.Writer   // for the one object of JSON
	Present Presenter   // shows what happens
	Ink     visible.Ink // of announcements; blank where no colours are wanted
}

// Presenter shows what happens in a run, as it happens. It is told of one event after
// the other, and must not keep them.
type Presenter interface{ Show(*event.Event) }

// Modules is the engine's own builtins, for the reference.
func Modules() []table.Module {
	return []table.Module{
		universal(), askModule(), flagModule(), argModule(), expectModule(), logModule(),
		jsonModule(), yamlModule(), timeModule(), mathModule(),
	}
}

// Dialect is the language of scripts: Starlark with sets.
func Dialect() *syntax.FileOptions { return dialect() }
