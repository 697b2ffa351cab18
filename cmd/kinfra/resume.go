package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/world"
)

// resumption is a run that goes on from its record.
type resumption struct {
	engine.Resume
	id     string
	record *journal.Record
	run    *event.Run
	layers *layer.Stack
	file   *layer.Layer // of kinfra run
	today  today        // what has become of the scripts
}

func (a *app) resumeCommand() *cobra.Command {
	var edited bool
	c := leavesReports(&cobra.Command{
		Use:   "resume [RUN]",
		Short: "Resume a run that was interrupted, or failed",
		Long: `Resume a run that was interrupted, or failed: the last one, unless another is named.

The run's own scripts are run again from the top, with its own flags and in its own
directory. Steps that were done give back their results; the others run. So do those that
were undone, and what was built on them.

With --edited it is resumed with the scripts as they are today, for whoever has fixed one.
Steps that were done count where the scripts come to them by the same names, in the same
order. If they don't, nothing is run, and the first difference is shown.

` + howToNameARun,
		Args: between(0, 1, "at most one run"), ValidArgsFunction: a.completeRun,
		RunE: func(c *cobra.Command, args []string) error { return a.resume(c, args, goingOn{edited: edited}) },
	})
	c.Flags().BoolVar(&edited, "edited", false, "with the scripts as they are today, not as they were")
	return c
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
		RunE: func(c *cobra.Command, args []string) error { return a.resume(c, args, goingOn{undo: true}) },
	})
}

// goingOn is how a run goes on.
type goingOn struct {
	undo   bool // it is taken back
	edited bool // with today's scripts
}

// resume makes a recorded run go on, or takes it back. It is executed as the command line
// that it once was, with those flags of this one that say how it is shown.
func (a *app) resume(c *cobra.Command, args []string, how goingOn) error {
	store, err := a.openRuns(c)
	if err != nil {
		return err
	}
	id, err := a.namedRun(store, args)
	if err != nil {
		return err
	}
	past, err := a.openResumption(store, id, how.undo)
	if err != nil && len(args) == 0 && !how.undo {
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
	if how.edited && !past.today.same() {
		past.Edited = again.edited(store)
	}
	a.announceScripts(past, how)
	err = again.main(c.Context())
	past.Journal.Close()
	a.run, a.printed, a.reported = again.run, again.printed, again.reported
	a.past, a.recorded = past, id
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
	if !undo {
		past.today = a.scriptsToday(copied, past.run)
	}
	past.layers, past.file = copied.Stack(a.real)
	return past, nil
}

// readScripts gives the scripts that a run is made of now. All that the record has are looked at.
func readScripts(store *journal.Store, record *journal.Record) (c layer.Copy, err error) {
	for _, name := range record.ScriptsNames() {
		if c, err = readScriptsOf(store, record, name); err != nil {
			return c, err
		}
	}
	return c, nil
}

// readScriptsOf gives those of a name, with the files that the run has asked for later.
func readScriptsOf(store *journal.Store, record *journal.Record, name string) (c layer.Copy, err error) {
	data, err := store.ScriptsOf(record, name)
	if err != nil {
		return c, err
	}
	if err = json.Unmarshal(data, &c); err == nil && len(c.Layers) == 0 {
		err = fmt.Errorf("there are none")
	}
	if err != nil {
		return c, &journal.DamagedError{Path: store.Dir(record.ID) + "/" + name, Err: err}
	}
	for _, e := range record.FilesRead(name) {
		c.Add(e.File, e.Data)
	}
	return c, nil
}
