// Package verdict is the command line that the tables of promises have in common, bench
// and internal/torture: which promises, as a table or as JSON, and with which exit code.
// It is no part of the binary.
package verdict

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Table is a program that tries promises and prints what came of it.
type Table[P any] struct {
	Name     string // of the program
	Promises []P
	NameOf   func(P) string

	// Declare declares flags beside -run and -json, and gives what checks them once they
	// are parsed.
	Declare func(*flag.FlagSet) (check func() error)

	// Try tries the promises that were chosen, and tells on progress which one is under
	// way. An error is for what could not be tried.
	Try func(ctx context.Context, chosen []P, progress io.Writer) (Report, error)
}

// Report is what came of trying promises.
type Report interface {
	Code() int // the exit code: 0 where all promises hold, 1 where one is broken, 2 where one could not be tried
	Print(out io.Writer, asJSON bool) error
}

// Run is the program. It returns its exit code: that of the report, and 2 for wrong usage or
// when something went wrong on the way.
func (t Table[P]) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	report, err := t.try(ctx, args, stdout, stderr)
	if err != nil {
		if err != errUsage {
			fmt.Fprintf(stderr, "error: %v\n", err)
		}
		return 2
	}
	return report.Code()
}

// errUsage is the error of flags, of which package flag has told already.
var errUsage = errors.New("wrong usage")

func (t Table[P]) try(ctx context.Context, args []string, stdout, stderr io.Writer) (Report, error) {
	flags := flag.NewFlagSet(t.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("run", "", "only the promises whose name matches this `pattern`")
	asJSON := flags.Bool("json", false, "print one JSON object instead of a table")
	check := t.Declare(flags)
	if flags.Parse(args) != nil {
		return nil, errUsage
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q: want flags only", flags.Arg(0))
	}
	if err := check(); err != nil {
		return nil, err
	}
	chosen, err := t.choose(*pattern)
	if err != nil {
		return nil, err
	}
	report, err := t.Try(ctx, chosen, stderr)
	if err != nil {
		return nil, err
	}
	return report, report.Print(stdout, *asJSON)
}

func (t Table[P]) choose(pattern string) ([]P, error) {
	matches, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var names []string
	var chosen []P
	for _, p := range t.Promises {
		name := t.NameOf(p)
		names = append(names, name)
		if matches.MatchString(name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-run %q matches none of: %s", pattern, strings.Join(names, ", "))
	}
	return chosen, nil
}
