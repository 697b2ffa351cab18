// Command kinfra keeps a pool of slots for worktrees, by running the workflows that
// its scripts declare. This package is the only one that knows all others: it wires
// the engine, the builtins, the layers and the command line together.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
)

func main() { os.Exit(Main()) }

// Main runs the command line and returns the exit code.
func Main() int {
	ctx := interruptible()
	stdout := newStream(os.Stdout)
	a := newApp(os.Args[1:], stdout, newStream(os.Stderr))
	err := a.main(ctx)
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

// interruptible is a context that Ctrl-C, a request to terminate, or a terminal that is
// closed ends. A second Ctrl-C or request ends the process at once. Nothing gives the
// signals back, which would take a tenth of a millisecond: the process ends anyway.
func interruptible() context.Context {
	// A write to a pipe that nobody reads is an error then, which a run survives.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		signal.Ignore(syscall.SIGHUP) // a terminal that is closed sends more than one
		signal.Stop(signals)
		cancel(engine.ErrInterrupted)
	}()
	return ctx
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
