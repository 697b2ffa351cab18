package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/visible"
)

func (a *app) runsCommand() *cobra.Command {
	group := &cobra.Command{Use: "runs", Short: "The records of runs", Args: cobra.ArbitraryArgs, RunE: a.group}
	group.AddCommand(a.listCommand(), a.showCommand(), a.verifyCommand())
	return group
}

func (a *app) listCommand() *cobra.Command {
	var l listing
	c := &cobra.Command{
		Use: "list", Short: "List the runs that left a record, the newest first", Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return a.listRuns(c, l) },
	}
	c.Flags().IntVar(&l.limit, "limit", 20, "list at most `N` runs; 0 for all")
	c.Flags().BoolVar(&l.failed, "failed", false, "only runs that failed, were interrupted, or have something left to undo")
	return c
}

func (a *app) showCommand() *cobra.Command {
	var outputOf string
	c := leavesReports(&cobra.Command{
		Use:   "show [RUN]",
		Short: "Show the steps of a run, and how each ended",
		Long: `Show the steps of a run, and how each ended: of the last one, unless another is named.

With --report the record becomes a report, as the run itself would have written it.

With --output-of STEP it shows the end of what processes printed in a step or check, in
the order in which it came: each line says whether it was on stdout or on stderr.

` + howToNameARun,
		Args: between(0, 1, "at most one run"), ValidArgsFunction: a.completeRun,
		RunE: func(c *cobra.Command, args []string) error {
			return a.showRun(c, args, outputOf)
		},
	})
	c.Flags().StringVar(&outputOf, "output-of", "", "show what processes printed in `STEP`; "+outsideOfSteps+" is outside of steps and checks")
	// The flag is there, so this can't fail.
	_ = c.RegisterFlagCompletionFunc("output-of", a.completeOutput)
	return c
}

// listing is which runs are listed.
type listing struct {
	limit  int // 0: all
	failed bool
}

// runEntry is a run as `runs list` shows it.
type runEntry struct {
	ID      string       `json:"id"`
	Command string       `json:"command"`
	Args    []string     `json:"args,omitempty"`
	Started time.Time    `json:"started"`
	Seconds float64      `json:"seconds"`
	Status  event.Status `json:"status"`
	Done    int          `json:"steps_done"`
	Steps   int          `json:"steps"`
	Holder  string       `json:"process,omitempty"` // that is at it

	Unchecked bool `json:"unchecked,omitempty"` // lines of its journal have no hashes
}

func entryOf(r *journal.Record, now time.Time) runEntry {
	rep := report.Of(r.Events)
	e := runEntry{
		ID: r.ID, Command: rep.Command, Args: r.Run().Args, Started: rep.Started, Status: r.Status(), Holder: r.Holder, Unchecked: r.Unchecked > 0,
		Seconds: r.Events[len(r.Events)-1].Time.Sub(rep.Started).Seconds(), Done: rep.Count(event.Step, event.Passed),
	}
	rep.Walk(func(n *report.Node) {
		if n.Kind == event.Step {
			e.Steps++
		}
	})
	if e.Status == event.Running {
		e.Seconds = now.Sub(rep.Started).Seconds()
	}
	return e
}

const noRuns = "No runs are recorded: only workflows with steps leave a record.\n"

func (a *app) listRuns(c *cobra.Command, l listing) error {
	if l.limit < 0 {
		return engine.UsageError("--limit 0 lists all", "--limit %d: want 0 or more", l.limit)
	}
	store, err := a.openRuns(c)
	if err != nil {
		return err
	}
	all, err := store.List()
	if err != nil {
		return err
	}
	entries, more := []runEntry{}, 0
	for _, e := range slices.Backward(all) {
		switch {
		case e.Record == nil:
			fmt.Fprintf(a.stderr, "warning: %v\n", e.Err)
		case l.failed && !needsCare(e.Record):
		case l.limit > 0 && len(entries) == l.limit:
			more++
		default:
			entries = append(entries, entryOf(e.Record, a.real.Clock.Now()))
		}
	}
	return a.print("runs list", map[string]any{"runs": entries, "more": more}, nil, func() { a.writeRuns(entries, more, l) })
}

// needsCare tells whether a run failed, was interrupted, or has something left to undo.
func needsCare(r *journal.Record) bool { return r.Status() == event.Failed || r.Unfinished() }

func (a *app) writeRuns(entries []runEntry, more int, l listing) {
	switch {
	case len(entries) == 0 && l.failed:
		io.WriteString(a.stdout, "No run on record failed, was interrupted, or has something left to undo.\n")
		return
	case len(entries) == 0:
		io.WriteString(a.stdout, noRuns)
		return
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "Run\tStarted\tTook\tSteps\tStatus\tCommand")
	for _, e := range entries {
		took := present.Short(time.Duration(e.Seconds * float64(time.Second)))
		status := string(e.Status)
		if e.Unchecked {
			status += ", unchecked"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d/%d\t%s\t%s\n", e.ID, local(e.Started), took, e.Done, e.Steps, status, visible.Line(strings.Join(e.Args, " ")))
	}
	table.Flush()
	if more > 0 {
		fmt.Fprintf(a.stdout, "… and %d more: --limit 0 lists all\n", more)
	}
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func (a *app) showRun(c *cobra.Command, args []string, outputOf string) error {
	if err := a.checkReports(); err != nil {
		return err
	}
	store, err := a.openRuns(c)
	if err != nil {
		return err
	}
	id, err := a.namedRun(store, args)
	if err != nil {
		return err
	}
	record, err := store.Read(id)
	if err != nil {
		return err
	}
	copied, err := readScripts(store, record)
	if err != nil {
		return err
	}
	rep := report.Of(record.Events)
	rep.Status = record.Status()
	for _, wanted := range a.globals.reports {
		if err := a.writeReport(wanted, rep); err != nil {
			return err
		}
	}
	if c.Flags().Changed("output-of") {
		return a.showOutput(id, rep, outputOf)
	}
	data, err := report.JSON(rep)
	if err != nil {
		return err
	}
	result := map[string]any{"run": entryOf(record, a.real.Clock.Now()), "record": store.Dir(id), "dropped": record.Dropped, "report": json.RawMessage(data)}
	var scripts today
	if rep.MayResume() {
		scripts = a.scriptsToday(copied, record.Run())
		scripts.describe(result)
	}
	return a.print("runs show", result, nil, func() { a.writeRun(store, record, rep, scripts) })
}

func (a *app) writeRun(store *journal.Store, record *journal.Record, rep *report.Run, scripts today) {
	e := entryOf(record, a.real.Clock.Now())
	out := a.stdout
	fmt.Fprintf(out, "Run %s: kinfra %s\n", e.ID, visible.Line(strings.Join(e.Args, " ")))
	fmt.Fprintf(out, "Began %s in %s\n", local(e.Started), visible.Line(record.Run().Dir))
	style := present.Style{Ink: a.paint(out)}
	writeNodes(out, style, rep.Nodes, "  ")
	writeQuestions(out, rep)
	for _, d := range rep.Problem {
		io.WriteString(out, d.Text())
	}
	if record.Dropped {
		fmt.Fprintln(out, "The end of the journal did not reach the disk as it was written, and is left out")
	}
	if record.Unchecked > 0 {
		fmt.Fprintf(out, "Unchecked: the first %d lines of the journal have no hashes, so damage to them may not show\n", record.Unchecked)
	}
	fmt.Fprintf(out, "%s after %s: %s\n", style.Status(e.Status, statusText(e)), present.Short(time.Duration(e.Seconds*float64(time.Second))), store.Dir(e.ID))
	if rep.MayResume() {
		fmt.Fprintf(out, "%s\n", goOn(rep, e.ID))
	}
	io.WriteString(out, scripts.text(e.ID))
}

// writeQuestions writes what was asked, and the answers.
func writeQuestions(out io.Writer, rep *report.Run) {
	for _, p := range rep.Printed {
		if p.Type == event.Answered {
			io.WriteString(out, "Asked: "+p.Text)
		}
	}
	if rep.Open != nil {
		io.WriteString(out, "Asked: "+rep.Open.Line(nil)+"\n")
	}
}

// goOn says how to go on with a run that didn't end well.
func goOn(rep *report.Run, id string) string {
	next := "kinfra resume " + id + " resumes it"
	if rep.MayUndo() {
		next += ", kinfra undo " + id + " takes back what it did"
	}
	return next
}

func statusText(e runEntry) string {
	text := string(e.Status)
	if e.Status == event.Running && e.Holder != "" {
		text += " (" + e.Holder + ")"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// writeNodes writes steps and checks as a tree.
func writeNodes(out io.Writer, style present.Style, nodes []*report.Node, indent string) {
	for _, n := range nodes {
		io.WriteString(out, indent+nodeLine(style, n)+"\n")
		for _, d := range n.Problem {
			for line := range strings.Lines(d.Text()) {
				io.WriteString(out, indent+"      "+line)
			}
		}
		writeNodes(out, style, n.Children, indent+"  ")
	}
}

func nodeLine(style present.Style, n *report.Node) string {
	line := style.Mark(n.Status) + " " + visible.Line(n.Name)
	switch {
	case n.Status == event.Skipped:
		return line + ": needs " + visible.Line(strings.Join(n.Needs, ", "))
	case n.Status != event.Running:
		line += " " + style.Took(n.Took)
	}
	if n.Retries > 0 {
		line += fmt.Sprintf(", tried %d times", n.Retries+1)
	}
	if n.Again != "" {
		line += ", runs again: " + n.Again
	}
	return line
}
