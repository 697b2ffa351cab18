// Command torture shows what kinfra promises about the safety of its state: it does to
// the packages that keep it what machines do to programs (kills them, fails their
// system calls, takes their power, damages their files, stops their clocks) and prints
// each promise with what was done and what came of it.
//
//	go run ./internal/torture                       # all, a few minutes
//	go run ./internal/torture -run 'power|damage'   # those whose name matches
//	go run ./internal/torture -short -json          # seconds; for programs
//
// The exit code is 1 when a promise is broken, and 2 for wrong usage, when something went
// wrong, or when a promise could not be tried: what a machine doesn't allow (a mount needs
// root, a stack a Docker Engine) is shown as not run, with the reason. Leave it out with -run.
// With KINFRA_DEMAND_DOCKER=1 the lack of an Engine ends all, and with
// KINFRA_DEMAND_TORTURE=1, in tests, any lack is a failure.
//
// Unlike the rest of the project it starts and kills processes itself, without the
// world: what it does to them the world is there to prevent. These processes are this
// program again, see child.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/ktrdr/kinfra/internal/verdict"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if text, ok := os.LookupEnv(childVariable); ok {
		os.Exit(runChild(ctx, text, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(ctx, os.Args[1:], promises(), os.Stdout, os.Stderr))
}

// run is the command, over the given promises; it returns the exit code.
func run(ctx context.Context, args []string, all []promise, stdout, stderr io.Writer) int {
	var short *bool
	var seconds *int
	table := verdict.Table[promise]{
		Name: "torture", Promises: all, NameOf: func(p promise) string { return p.name },
		Declare: func(flags *flag.FlagSet) func() error {
			short = flags.Bool("short", false, "a form of a few seconds, that still catches the seeded faults")
			seconds = flags.Int("seconds", 60, "for how many `seconds` processes claim and are killed")
			return func() error {
				if *seconds < 1 {
					return fmt.Errorf("-seconds %d: want 1 or more", *seconds)
				}
				return nil
			}
		},
		Try: func(ctx context.Context, chosen []promise, progress io.Writer) (verdict.Report, error) {
			return torture(ctx, chosen, &lab{short: *short, claiming: time.Duration(*seconds) * time.Second, progress: progress})
		},
	}
	return table.Run(ctx, args, stdout, stderr)
}

// torture tries the promises one after another, and says which one is under way.
func torture(ctx context.Context, chosen []promise, l *lab) (*report, error) {
	dir, err := os.MkdirTemp("", "kinfra-torture-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l.dir, l.builds = dir, &builds{dir: dir}
	if l.short {
		l.claiming = min(l.claiming, shortClaiming)
	}
	r := newReport()
	for _, p := range chosen {
		fmt.Fprintf(l.progress, "%s …\n", p.name)
		start := time.Now()
		f, err := p.try(ctx, l)
		if reason, ok := errors.AsType[notRunError](err); ok {
			f, err = finding{notRun: string(reason)}, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		r.add(p, f, time.Since(start))
	}
	return r, nil
}
