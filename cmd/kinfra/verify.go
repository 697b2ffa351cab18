package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/journal"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [RUN…]",
		Short: "Look whether records of runs are damaged",
		Long: `Look whether records of runs are damaged: all of them, unless some are named.

A record is ok, or unchecked, since an earlier version of kinfra began it, which gave
lines no hashes; or it is damaged, and told is where. The exit code is 5 if any is damaged.

` + howToNameARun,
		Args: cobra.ArbitraryArgs, ValidArgsFunction: a.completeRuns,
		RunE: a.verifyRuns,
	}
}

// The verdicts on records.
const (
	verdictOK        = "ok"
	verdictUnchecked = "unchecked"
	verdictDamaged   = "damaged"
)

// verifiedRun is a record that was looked at.
type verifiedRun struct {
	ID        string `json:"id"`
	Verdict   string `json:"verdict"`
	Lines     int    `json:"lines"`               // of its journal that count
	Unchecked int    `json:"unchecked,omitempty"` // of these, those at the beginning without a hash
	Dropped   bool   `json:"dropped,omitempty"`   // the end of the journal is left out
	File      string `json:"file,omitempty"`      // that is damaged
	Line      int    `json:"line,omitempty"`      // of it
	Problem   string `json:"problem,omitempty"`   // what is wrong with it

	damage *journal.DamagedError
}

func (a *app) verifyRuns(c *cobra.Command, args []string) error {
	store, err := a.openRuns(c)
	if err != nil {
		return err
	}
	ids, err := a.runsToVerify(store, args)
	if err != nil {
		return err
	}
	all := []verifiedRun{}
	damaged := 0
	for _, id := range ids {
		v, err := verify(store, id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			continue
		case err != nil:
			return err
		case v.damage != nil:
			damaged++
		}
		all = append(all, v)
	}
	err = damagedRuns(damaged, len(all))
	return a.print("runs verify", map[string]any{"runs": all}, err, func() { a.writeVerified(all) })
}

// runsToVerify are the runs that are named, or all, the newest first.
func (a *app) runsToVerify(store *journal.Store, names []string) (ids []string, err error) {
	for _, name := range names {
		id, err := findRun(store, name)
		if err != nil {
			return nil, a.unknownRun(store, err)
		}
		ids = append(ids, id)
	}
	if len(names) > 0 {
		return ids, nil
	}
	all, err := store.List()
	for _, e := range slices.Backward(all) {
		ids = append(ids, e.ID)
	}
	return ids, err
}

// verify looks at all of a record. The error is why it could not be looked at.
func verify(store *journal.Store, id string) (verifiedRun, error) {
	v := verifiedRun{ID: id, Verdict: verdictOK}
	record, err := store.Read(id)
	if err == nil {
		v.Lines, v.Unchecked, v.Dropped = len(record.Events), record.Unchecked, record.Dropped
		_, err = readScripts(store, record)
	}
	if d, ok := errors.AsType[*journal.DamagedError](err); ok {
		v.Verdict, v.File, v.Line, v.Problem, v.damage = verdictDamaged, d.Path, d.Line, d.Err.Error(), d
		return v, nil
	}
	if v.Unchecked > 0 {
		v.Verdict = verdictUnchecked
	}
	return v, err
}

// damagedRuns is the error that some of the records are damaged, nil if none is.
func damagedRuns(damaged, of int) error {
	if damaged == 0 {
		return nil
	}
	return &engine.Error{Code: engine.Damaged, Message: fmt.Sprintf("%d of %d record(s) of runs can't be read", damaged, of), Next: journal.DamageHint}
}

func (a *app) writeVerified(all []verifiedRun) {
	if len(all) == 0 {
		io.WriteString(a.stdout, noRuns)
		return
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "Run\tVerdict\tWhat was found")
	for _, v := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\n", v.ID, v.Verdict, v.found())
	}
	table.Flush()
}

// found says in words what was found.
func (v verifiedRun) found() string {
	if v.damage != nil {
		return v.damage.Error()
	}
	text := fmt.Sprintf("%d lines", v.Lines)
	if v.Unchecked > 0 {
		text += fmt.Sprintf(", %d of them without a hash", v.Unchecked)
	}
	if v.Dropped {
		text += "; what comes after them did not reach the disk as it was written"
	}
	return text
}
