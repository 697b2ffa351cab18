package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/visible"
)

// howToNameARun is part of the help of commands that take a run.
const howToNameARun = `RUN is a name as kinfra runs list shows it, or the beginning of one. @1 is the last run, @2
the one before that.`

// namedRun gives the run that the arguments of a command name: the last one if there are
// none. Unless the name stands there as it is, it says which run that is.
func (a *app) namedRun(store *journal.Store, args []string) (id string, err error) {
	name := "@1"
	if len(args) > 0 {
		name = args[0]
	}
	id, err = findRun(store, name)
	if err != nil {
		return "", a.unknownRun(store, err)
	}
	return id, nil
}

// findRun gives the run of a name, a beginning of one, or a number such as @2.
func findRun(store *journal.Store, name string) (string, error) {
	text, numbered := strings.CutPrefix(name, "@")
	if !numbered {
		return store.Find(name)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return "", fmt.Errorf("%q: want a number behind the @, 1 for the last run", name)
	}
	return store.Last(n)
}

func (a *app) unknownRun(store *journal.Store, err error) error {
	message := err.Error()
	if several, ok := errors.AsType[*journal.AmbiguousError](err); ok {
		message = fmt.Sprintf("%q begins the names of %d runs:", several.Text, len(several.IDs))
		if all, e := store.List(); e == nil {
			for _, entry := range slices.Backward(all) {
				if slices.Contains(several.IDs, entry.ID) {
					message += "\n  " + entry.ID + "  " + a.summary(entry)
				}
			}
		}
	}
	e := &engine.Error{Code: engine.Usage, Message: message, Err: err, Next: "kinfra runs list shows the runs"}
	if errors.Is(err, journal.ErrNone) {
		e.Next = ""
	}
	return e
}

// announceRun says which run a command is about to work on, where its name doesn't stand on the
// command line.
func (a *app) announceRun(record *journal.Record, args []string) {
	if len(args) > 0 && args[0] == record.ID {
		return
	}
	fmt.Fprintf(a.stderr, "Run %s: %s\n", record.ID, a.summary(journal.Entry{ID: record.ID, Time: record.Events[0].Time, Record: record}))
}

// summary says what ran, when, and how that ended.
func (a *app) summary(e journal.Entry) string {
	when := ago(a.real.Clock.Now().Sub(e.Time))
	if e.Record == nil {
		return when + ", damaged"
	}
	return fmt.Sprintf("%s, %s, %s", visible.Line(strings.Join(e.Record.Run().Args, " ")), when, e.Record.Status())
}

// ago says how long something is past, in the largest unit of which it is two or more.
func ago(d time.Duration) string {
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}, {"seconds", time.Second}} {
		if n := d / unit.length; n >= 2 {
			return fmt.Sprintf("%d %s ago", n, unit.name)
		}
	}
	return "just now"
}

// nameLastResumable adds to the refusal to resume a run that nobody has named which one
// can be resumed.
func (a *app) nameLastResumable(store *journal.Store, err error) error {
	refused, ok := errors.AsType[*engine.Error](err)
	if !ok || refused.Code != engine.Conflict {
		return err
	}
	all, listErr := store.List()
	if listErr != nil {
		return err
	}
	for _, e := range slices.Backward(all) {
		if e.Record == nil || e.Record.Running {
			continue
		}
		if _, err := engine.NewResume(e.Record, nil, false); err == nil {
			named := *refused
			named.Next += fmt.Sprintf("; the last run that can be resumed is %s (%s): kinfra resume %[1]s", e.ID, a.summary(e))
			return &named
		}
	}
	return err
}

// completeRun offers the recorded runs, the newest first, with what ran and how it ended.
func (a *app) completeRun(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeRuns(c, args, begun)
}

// completeRuns is completeRun for a command that takes several.
func (a *app) completeRuns(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	store, err := a.openRuns(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all, err := store.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var runs []string
	for _, e := range slices.Backward(all) {
		if strings.HasPrefix(e.ID, begun) && !slices.Contains(args, e.ID) {
			runs = append(runs, e.ID+"\t"+a.summary(e))
		}
	}
	return runs, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
