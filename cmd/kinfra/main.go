// Command kinfra keeps a pool of slots for worktrees, by running the workflows that
// its scripts declare. This package is the only one that knows all others: it wires
// the engine, the builtins, the layers and the command line together.
package main

import (
	"errors"
	"io"
	"os"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
)

func main() { os.Exit(Main()) }

// Main runs the command line and returns the exit code.
func Main() int {
	stdout := newStream(os.Stdout)
	in := newInterruption()
	a := newApp(os.Args[1:], stdout, newStream(os.Stderr), in)
	err := a.main(in.ctx)
	if unwritten := stdout.unwritten(err); unwritten != nil {
		err, a.printed, a.reported = unwritten, true, false // stderr is left to say so
	}
	return int(a.conclude(err))
}

// conclude says why the command failed, unless that has been said, and gives its code.
func (a *app) conclude(err error) engine.Code {
	code := (&engine.Config{Classify: classify}).CodeOf(err)
	if err != nil && !a.reported {
		a.report(err, code)
	}
	return code
}

// report prints why the command failed: to stderr, or as the one object of
// --output json if that has not been printed yet.
func (a *app) report(err error, code engine.Code) {
	if a.globals.output != engine.Text && !a.printed {
		_ = a.printOutcome(engine.Outcome{Err: err}) // what keeps it from being written, its stream knows
		return
	}
	defer a.hintAtRecord(err)
	if errors.Is(err, engine.ErrInterrupted) {
		io.WriteString(a.stderr, "interrupted\n")
		return
	}
	if _, spoken := errors.AsType[*engine.ExitError](err); spoken {
		return
	}
	for _, d := range diag.Of(err, a.sources) {
		io.WriteString(a.stderr, d.Text())
	}
}

// sources is the text of a script that the run has loaded.
func (a *app) sources(file string) []byte {
	if a.run == nil {
		return nil
	}
	return a.run.Source(file)
}
