package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"
)

// finding is what came of trying a promise.
type finding struct {
	figures string   // how much was done, and what was counted
	broken  []string // how the promise was broken; empty if it wasn't
	notRun  string   // why it could not be tried here; empty if it was
}

// wrong notes how the promise was broken.
func (f *finding) wrong(format string, args ...any) {
	f.broken = append(f.broken, fmt.Sprintf(format, args...))
}

// demand is the environment variable that makes it a failure where something can't be tried,
// in tests and of the seeded faults.
const demand = "KINFRA_DEMAND_TORTURE"

// notRunError says why a promise can't be tried on this machine.
type notRunError string

func (e notRunError) Error() string { return "not run: " + string(e) }

// report is all that was tried. Its JSON form is for programs.
type report struct {
	Version int    `json:"version"` // of this form: 1
	Machine string `json:"machine"`
	Rows    []row  `json:"promises"`

	// How many of the promises hold, are broken, and could not be tried.
	Held   int `json:"held"`
	Broken int `json:"broken"`
	NotRun int `json:"not_run"`
}

// row is a promise and what came of it.
type row struct {
	Name    string   `json:"name"`
	Promise string   `json:"promise"`
	Shown   string   `json:"shown_by"`
	Figures string   `json:"figures"`
	Verdict string   `json:"verdict"` // holds, broken or not run
	Reasons []string `json:"reasons,omitempty"`
	Seconds float64  `json:"seconds"`
}

const (
	verdictHolds  = "holds"
	verdictBroken = "broken"
	verdictNotRun = "not run"
)

func newReport() *report {
	return &report{
		Version: 1,
		Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
	}
}

func (r *report) add(p promise, f finding, took time.Duration) {
	line := row{Name: p.name, Promise: p.promise, Shown: p.shown, Figures: f.figures, Verdict: verdictHolds, Reasons: f.broken}
	line.Seconds = took.Round(100 * time.Millisecond).Seconds()
	switch {
	case len(f.broken) > 0:
		line.Verdict = verdictBroken
		r.Broken++
	case f.notRun != "":
		line.Verdict, line.Figures = verdictNotRun, f.notRun
		r.NotRun++
	default:
		r.Held++
	}
	r.Rows = append(r.Rows, line)
}

// Code is 1 where a promise is broken, and 2 where none is, but one could not be tried: what
// nobody has tried doesn't hold.
func (r *report) Code() int {
	switch {
	case r.Broken > 0:
		return 1
	case r.NotRun > 0:
		return 2
	}
	return 0
}

// mostReasons is how many ways in which one promise was broken are printed.
const mostReasons = 5

// Print prints the table, or JSON.
func (r *report) Print(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	fmt.Fprintf(out, "%s\n\n", r.Machine)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "name\tpromise\tverdict\tseconds\tshown by\tfigures")
	for _, line := range r.Rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%.1f\t%s\t%s\n", line.Name, line.Promise, line.Verdict, line.Seconds, line.Shown, line.Figures)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range r.Rows {
		for i, reason := range line.Reasons {
			if i == mostReasons {
				fmt.Fprintf(out, "%s: and %d more\n", line.Name, len(line.Reasons)-i)
				break
			}
			fmt.Fprintf(out, "%s: %s\n", line.Name, reason)
		}
	}
	fmt.Fprintf(out, "\n%d held, %d broken, %d not run\n", r.Held, r.Broken, r.NotRun)
	return nil
}
