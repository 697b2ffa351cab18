// Command torture shows what kinfra promises about the safety of its state: it does to
// the packages that keep it what machines do to programs (kills them, fails their
// system calls, takes their power, damages their files, stops their clocks) and prints
// each promise with what was done and what came of it.
//
//	go run ./internal/torture                       # all, a few minutes
//	go run ./internal/torture -run 'power|damage'   # those whose name matches
//	go run ./internal/torture -short -json          # seconds; for programs
//
// The exit code is 1 when a promise is broken, and 2 for wrong usage or when something
// could not be tried. What a machine doesn't allow (a mount needs root, a stack a Docker
// Engine) is shown as not run, with the reason, and breaks nothing; with
// KINFRA_DEMAND_DOCKER=1 the lack of an Engine ends all.
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
	"regexp"
	"strings"
	"time"
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
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("run", "", "only the promises whose name matches this `pattern`")
	short := flags.Bool("short", false, "a form of a few seconds, that still catches the seeded faults")
	seconds := flags.Int("seconds", 60, "for how many `seconds` processes claim and are killed")
	asJSON := flags.Bool("json", false, "print one JSON object instead of a table")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	chosen, err := choose(all, *pattern)
	switch {
	case err == nil && *seconds < 1:
		err = fmt.Errorf("-seconds %d: want 1 or more", *seconds)
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q: want flags only", flags.Arg(0))
	}
	var report *report
	if err == nil {
		report, err = torture(ctx, chosen, lab{short: *short, claiming: time.Duration(*seconds) * time.Second, progress: stderr})
	}
	if err == nil {
		err = report.print(stdout, *asJSON)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	}
	if report.broken() {
		return 1
	}
	return 0
}

func choose(all []promise, pattern string) ([]promise, error) {
	matches, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var names []string
	var chosen []promise
	for _, p := range all {
		names = append(names, p.name)
		if matches.MatchString(p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-run %q matches none of: %s", pattern, strings.Join(names, ", "))
	}
	return chosen, nil
}

// torture tries the promises one after another, and says which one is under way.
func torture(ctx context.Context, chosen []promise, l lab) (*report, error) {
	dir, err := os.MkdirTemp("", "kinfra-torture-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l.dir = dir
	if l.short {
		l.claiming = min(l.claiming, shortClaiming)
	}
	r := newReport()
	for _, p := range chosen {
		fmt.Fprintf(l.progress, "%s …\n", p.name)
		start := time.Now()
		f, err := p.try(ctx, &l)
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
