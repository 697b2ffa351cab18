// Command kinfra keeps a pool of slots for worktrees, by running the workflows that
// its scripts declare. This package is the only one that knows all others: it wires
// the engine, the builtins, the layers and the command line together.
package main

import (
	"context"
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
	a, err := newMainApp(stdout, in)
	if err != nil {
		return int(a.conclude(err))
	}
	context.AfterFunc(in.ctx, func() { a.hurry(context.Cause(in.ctx)) })
	in.watchMemory(a.globals.memory)
	err = in.explained(a.main(in.ctx))
	if unwritten := stdout.unwritten(err); unwritten != nil {
		err, a.printed, a.reported = unwritten, true, false // stderr is left to say so
	}
	return int(a.conclude(err))
}

// newMainApp is the execution of this process's command line.
func newMainApp(stdout *stream, in *interruption) (*app, error) {
	if !in.confined {
		return newApp(os.Args[1:], stdout, newStream(os.Stderr), in), nil
	}
	var g globals
	g.early(os.Args[1:])
	stderr, trail, err := enterConfinement(g.memory)
	if err != nil {
		stderr = os.Stderr
	}
	a := newApp(os.Args[1:], stdout, newStream(stderr), in)
	a.trail = trail
	return a, err
}

// abandon ends the process of a command that can't be brought to its end.
func (a *app) abandon(err error) {
	a = a.outermost()
	if a.run != nil {
		a.reported = a.globals.output == engine.Events // its last event has told
		err = a.finish(err)
	}
	os.Exit(int(a.conclude(err)))
}

// hurry has what is printed wait no longer for whoever reads it, since the command is to end.
func (a *app) hurry(cause error) {
	for _, s := range []*stream{a.stdout, a.stderr} {
		if s.hurry != nil {
			s.hurry(cause)
		}
	}
}

// outermost is the execution of this process's command line, of which this one is a part in
// tests of scripts.
func (a *app) outermost() *app {
	if a.tests != nil && a.tests.app != nil {
		return a.tests.app.outermost()
	}
	return a
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
	for _, d := range diag.Masked(diag.Of(err, a.sources), a.masks) {
		io.WriteString(a.stderr, d.Text())
	}
}

// sources is the text of a script that the run has loaded, or one in a file that a child
// process has run.
func (a *app) sources(file string) []byte {
	if a.run != nil {
		return a.run.Source(file)
	}
	path, err := absolute(a.real, file)
	if err != nil || a.tests != nil {
		return nil
	}
	text, _ := a.real.Disk.Host().ReadFile(path, mostSource) // else the line isn't shown
	return text
}

// mostSource is how large a script may be for a line of it to be shown with an error.
const mostSource = 1 << 20
