package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// identify gives the run what its record says of it: how it was called, in a form that
// gives the same again. line is the flags and arguments of the command.
func (a *app) identify(line []string) {
	dir, _ := a.real.Env.WorkDir() // what needs it has asked for it, and failed
	args := slices.Clone(a.target)
	if a.globals.root != "" {
		args = append(args, "--root="+a.root())
	}
	if a.globals.scripts != "" {
		args = append(args, "--scripts="+a.path(a.globals.scripts))
	}
	a.identity = event.Run{ID: a.recorded, Line: a.line(), Args: append(args, line...), Dir: dir}
}

// record begins the record of a run, with the event that first gives.
func (a *app) record(ctx context.Context, t *starlark.Thread, loaded []layer.File, first func(id string) *event.Event) (*journal.Journal, error) {
	a.interruption.expect()
	store, err := a.runs(t)
	if err != nil {
		return nil, err
	}
	scripts, err := json.Marshal(a.layers.Copy(loaded))
	if err != nil {
		return nil, err
	}
	a.describe(ctx)
	j, id, err := store.Create(scripts, first)
	a.recorded = id
	return j, err
}

// runs is the records of the pool's runs.
func (a *app) runs(t *starlark.Thread) (*journal.Store, error) {
	dir, keep, root, err := builtins.Runs(t, a.builtinOptions())
	if err != nil {
		return nil, err
	}
	if err := registry.Open(a.world, root).CheckRoot(); errors.Is(err, registry.ErrRoot) {
		return nil, err
	}
	a.identity.Root = root
	return journal.Open(a.world, dir, keep), nil
}

// resumption is a run that goes on from its record.
type resumption struct {
	engine.Resume
	id     string
	record *journal.Record
	run    *event.Run
	layers *layer.Stack
	file   *layer.Layer // of kinfra run
}

func (a *app) resumeCommand() *cobra.Command {
	return leavesReports(&cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with a run that was interrupted, or failed",
		Long: `Go on with a run that was interrupted, or failed: the last one, unless another is named.

The run's own scripts are run again from the top, with its own flags and in its own
directory. Steps that were done give back their results; the others run. So do those that
were undone, and what was built on them.

` + howToNameARun,
		Args: between(0, 1, "at most one run"), ValidArgsFunction: a.completeRun,
		RunE: func(c *cobra.Command, args []string) error { return a.resume(c, args, false) },
	})
}

func (a *app) undoCommand() *cobra.Command {
	return leavesReports(&cobra.Command{
		Use:   "undo [RUN]",
		Short: "Take back what a run did",
		Long: `Take back what a run did: the last one, unless another is named.

The steps that were done and have an undo function are taken back, newest first. One that
can't be is reported, and the others are taken back all the same; the command can then be
called again, until nothing is left.

` + howToNameARun,
		Args: between(0, 1, "at most one run"), ValidArgsFunction: a.completeRun,
		RunE: func(c *cobra.Command, args []string) error { return a.resume(c, args, true) },
	})
}

// resume makes a recorded run go on, or takes it back. It is executed as the command line
// that it once was, with those flags of this one that say how it is shown.
func (a *app) resume(c *cobra.Command, args []string, undo bool) error {
	store, err := a.openRuns(c)
	if err != nil {
		return err
	}
	id, err := a.namedRun(store, args)
	if err != nil {
		return err
	}
	past, err := a.openResumption(store, id, undo)
	if err != nil && len(args) == 0 && !undo {
		err = a.nameLastResumable(store, err)
	}
	if err != nil {
		return err
	}
	a.announceRun(past.record, args)
	if past.record.Dropped {
		fmt.Fprintf(a.stderr, "The end of the record of %s did not reach the disk as it was written, and was left out\n", id)
	}
	a.interruption.expect()
	again := newApp(append(a.presentation(c), past.run.Args...), a.stdout, a.stderr, a.interruption)
	again.typed = a.typed
	again.real, again.past, again.recorded = world.In(a.real, past.run.Dir), past, id
	err = again.main(c.Context())
	past.Journal.Close()
	a.run, a.printed, a.reported = again.run, again.printed, again.reported
	return err
}

func (a *app) openResumption(store *journal.Store, id string, undo bool) (*resumption, error) {
	record, j, err := store.Resume(id)
	if err != nil {
		return nil, err
	}
	resume, err := engine.NewResume(record, j, undo)
	var copied layer.Copy
	if err == nil {
		copied, err = readScripts(store, record)
	}
	if err != nil {
		j.Close()
		return nil, err
	}
	past := &resumption{Resume: *resume, id: id, record: record, run: record.Run()}
	past.layers, past.file = copied.Stack(a.real)
	return past, nil
}

func readScripts(store *journal.Store, record *journal.Record) (layer.Copy, error) {
	var c layer.Copy
	data, err := store.Scripts(record)
	if err == nil {
		if err = json.Unmarshal(data, &c); err == nil && len(c.Layers) == 0 {
			err = fmt.Errorf("there are none")
		}
		if err != nil {
			err = &journal.DamagedError{Path: store.Dir(record.ID) + "/scripts.json", Err: err}
		}
	}
	return c, err
}

// presentation is the flags of this command line that say how a run is shown.
func (a *app) presentation(c *cobra.Command) []string {
	var args []string
	c.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "root", "scripts", "help":
		case "report":
			for _, r := range a.globals.reports {
				args = append(args, "--report="+r.kind+"="+a.path(r.file))
			}
		default:
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// openRuns gives the records of the pool's runs to a command that is no script.
func (a *app) openRuns(c *cobra.Command) (*journal.Store, error) {
	run := a.newRun(c.Context())
	var store *journal.Store
	err := run.With(func(t *starlark.Thread) (err error) {
		store, err = a.runs(t)
		return err
	})
	return store, err
}

// hintAtRecord says, after a run that left a record failed, what can be done with that.
func (a *app) hintAtRecord(err error) {
	if err == nil || a.recorded == "" || a.globals.output != engine.Text || a.past != nil && a.past.Undo {
		return
	}
	if a.run != nil && a.run.Report().Passed() { // it is something else that failed
		return
	}
	next := ""
	if rep := a.run.Report(); rep.MayResume() {
		next = "kinfra resume " + a.recorded + " goes on with it, "
	}
	fmt.Fprintf(a.stderr, "The run is recorded: %skinfra runs show %s shows it\n", next, a.recorded)
}
