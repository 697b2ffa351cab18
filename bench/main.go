// Command bench shows what kinfra promises about speed and memory: it builds kinfra
// and what it is compared with, measures whole processes from outside, and prints each
// promise with what was measured.
//
//	go run ./bench                       # all, a few minutes
//	go run ./bench -run 'slots|steps'    # those whose name matches
//	go run ./bench -n 20 -json           # fewer runs; for programs
//
// Machines differ and are noisy, so times are medians of many runs, compared as ratios
// with another program's that ran in turn. What is over its limit is measured again, up
// to twice, before the promise counts as broken; the table says so.
//
// The exit code is 1 when a promise is broken, and 2 for wrong usage or when something
// could not be measured, such as a command that failed.
//
// Unlike the rest of the project it starts processes itself, without the world: what it
// wants to know of them (their time and memory) the world doesn't tell.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/ktrdr/kinfra/internal/verdict"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], promises(), newLab, os.Stdout, os.Stderr))
}

// build makes a lab in a directory.
type build func(ctx context.Context, dir string) (*lab, error)

// run is the command, over the given promises; it returns the exit code.
func run(ctx context.Context, args []string, all []promise, b build, stdout, stderr io.Writer) int {
	var runs *int
	table := verdict.Table[promise]{
		Name: "bench", Promises: all, NameOf: func(p promise) string { return p.name },
		Declare: func(flags *flag.FlagSet) func() error {
			runs = flags.Int("n", 200, "how many `runs` of a short command; long ones are run less often")
			return func() error {
				if *runs < 1 {
					return fmt.Errorf("-n %d: want 1 or more", *runs)
				}
				return nil
			}
		},
		Try: func(ctx context.Context, chosen []promise, progress io.Writer) (verdict.Report, error) {
			return bench(ctx, b, chosen, *runs, progress)
		},
	}
	return table.Run(ctx, args, stdout, stderr)
}

// bench measures the promises, and says on progress which one is under way.
func bench(ctx context.Context, b build, chosen []promise, runs int, progress io.Writer) (*report, error) {
	dir, err := os.MkdirTemp("", "kinfra-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(progress, "building …")
	l, err := b(ctx, dir)
	if err != nil {
		return nil, err
	}
	r, err := newReport(ctx, l, runs)
	if err != nil {
		return nil, err
	}
	for _, p := range chosen {
		fmt.Fprintf(progress, "%s …\n", p.name)
		row, err := p.hold(ctx, l, runs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// mostTries is how often a promise is measured before it counts as broken.
const mostTries = 3

// hold measures a promise until it holds.
func (p promise) hold(ctx context.Context, l *lab, runs int) (row, error) {
	r := row{Name: p.name, What: p.what, Limit: p.limit, Unit: p.unit}
	for !r.Holds && len(r.Measured) < mostTries {
		f, err := p.measure(ctx, l, max(1, runs/p.share))
		if err != nil {
			return r, err
		}
		r.Measured = append(r.Measured, f.value)
		r.From, r.Holds = f.from, f.value <= p.limit
	}
	return r, nil
}
