package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that was measured. Its JSON form is for programs.
type report struct {
	Version int    `json:"version"` // of this form: 1
	Machine string `json:"machine"`
	Runs    int    `json:"runs"`  // of a short command
	Floor   floor  `json:"floor"` // below which nothing can come
	Rows    []row  `json:"promises"`
}

// floor is what a machine takes at least, in milliseconds.
type floor struct {
	Empty   float64 `json:"empty_program_ms"`
	Durable float64 `json:"durable_replacement_ms"` // of a small file: write, fsync, rename, fsync of the directory
}

// row is a promise and what was measured of it.
type row struct {
	Name     string    `json:"name"`
	What     string    `json:"what"`
	Limit    float64   `json:"limit"`
	Unit     string    `json:"unit"`
	Measured []float64 `json:"measured"` // each time; the last counts
	From     string    `json:"from"`     // the medians of the last time
	Holds    bool      `json:"holds"`
}

// newReport measures the floor.
func newReport(ctx context.Context, l *lab, runs int) (*report, error) {
	empty, durable, err := inTurn(ctx, runs, l.emptyProgram, l.durable)
	if err != nil {
		return nil, err
	}
	in := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return &report{
		Version: 1,
		Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Runs:    runs,
		Floor:   floor{in(wallTime(empty)), in(wallTime(durable))},
	}, nil
}

// Code is 1 where a promise is broken.
func (r *report) Code() int {
	for _, row := range r.Rows {
		if !row.Holds {
			return 1
		}
	}
	return 0
}

// Print prints the table, or JSON.
func (r *report) Print(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	fmt.Fprintf(out, "%s; medians of %d runs, of fewer where one takes long\n", r.Machine, r.Runs)
	fmt.Fprintf(out, "floor: empty program %.1f ms, durable replacement of a small file %.2f ms\n\n", r.Floor.Empty, r.Floor.Durable)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "promise\twhat\tmeasured\tat most\tverdict\tfrom")
	for _, row := range r.Rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, row.What,
			row.amount(row.Measured[len(row.Measured)-1]), row.amount(row.Limit), row.verdict(), row.From)
	}
	return table.Flush()
}

func (r row) amount(value float64) string {
	digits := 2
	if value >= 10 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, value, r.Unit)
}

// verdict says how it ended, and of more than one try what they gave.
func (r row) verdict() string {
	word := "BROKEN"
	if r.Holds {
		word = "holds"
	}
	if len(r.Measured) == 1 {
		return word
	}
	var tries []string
	for _, value := range r.Measured {
		tries = append(tries, r.amount(value))
	}
	return fmt.Sprintf("%s (measured again: %s)", word, strings.Join(tries, ", "))
}
