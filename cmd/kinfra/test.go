package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/cover"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/suite"
)

// testOptions is what the flags of kinfra test say.
type testOptions struct {
	run     string // a regular expression for the names of tests
	timeout time.Duration
	cover   bool
	listing string // where the annotated scripts go; "-" for stdout, "" for nowhere
}

func (a *app) testCommand() *cobra.Command {
	var o testOptions
	c := &cobra.Command{
		Use:   "test [PATH…]",
		Short: "Run the tests of scripts",
		Long: `Run the tests of scripts.

PATH is a file *_test.star, or a directory with such files in it or below it. By default
they are looked for below the working directory, and in the project's .kinfra/. A test is
a function test_* without parameters. Each runs on a machine of its own in memory, and
says with the module fake what that has (kinfra doc fake). Nothing outside is reached or
changed, so the scripts of a project need not be trusted.

The exit code is 1 if a test fails, and 2 if there is none, or a file doesn't load.`,
		RunE: func(c *cobra.Command, args []string) error { return a.test(c.Context(), o, args) },
	}
	leavesReports(c)
	c.Flags().StringVar(&o.run, "run", "", "only the tests whose name (file:function/case) has a match of this regular `expression`")
	o.timeout = 30 * time.Second
	c.Flags().Var((*limit)(&o.timeout), "test-timeout", "how long one test may take")
	c.Flags().BoolVar(&o.cover, "cover", false, "count which statements of the scripts run")
	c.Flags().StringVar(&o.listing, "cover-listing", "", "write the scripts with these counts to `file`, or to stdout for -")
	return c
}

// test runs the tests below the paths and prints how they ended.
func (a *app) test(ctx context.Context, o testOptions, paths []string) error {
	wanted, err := regexp.Compile(o.run)
	if err != nil {
		return engine.UsageError("the syntax is that of RE2", "--run %q: %v", o.run, err)
	}
	if err := a.checkReports(); err != nil {
		return err
	}
	if a.confinable() {
		return a.confined(ctx)
	}
	layers, err := a.authoringLayers()
	if err != nil {
		return err
	}
	if a.globals.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.globals.timeout, fmt.Errorf("the tests %w after %s", engine.ErrTimedOut, a.globals.timeout))
		defer cancel()
	}
	files, err := a.findTestFiles(layers, paths)
	if err != nil {
		return err
	}
	t := &testRun{app: a, layers: layers, timeout: o.timeout}
	if o.cover || o.listing != "" {
		t.coverage = engine.Coverage{Profile: &cover.Profile{}, Counts: countsIn(layers, files.tests)}
		t.addScripts(files.scripts)
	}
	outcome := t.run(ctx, files.tests, wanted)
	if ctx.Err() != nil {
		return cmp.Or(outcome.ended, context.Cause(ctx))
	}
	return a.concludeTests(ctx, outcome, o)
}

// countsIn tells which files the coverage is about: those of the layers on disk, and
// those beside tests; not the tests themselves, nor what tests write.
func countsIn(layers *layer.Stack, tests []layer.File) func(layer.File) bool {
	known := map[*layer.Layer]bool{}
	for _, l := range layers.Layers {
		known[l] = l != layers.Builtin
	}
	for _, file := range tests {
		known[file.Layer] = true
	}
	return func(file layer.File) bool { return known[file.Layer] && !isTestFile(file.Name) }
}

// testRun is the tests of one command under way.
type testRun struct {
	app      *app
	layers   *layer.Stack
	timeout  time.Duration
	coverage engine.Coverage
}

// addScripts has scripts count of which no test may load any. One that can't be parsed
// can't be loaded, either, so it only gives a warning.
func (t *testRun) addScripts(paths []string) {
	for _, path := range paths {
		file, err := t.app.fileAt(t.layers, path)
		if err == nil {
			var parsed *syntax.File
			if parsed, err = engine.Parse(file); err == nil {
				t.coverage.Profile.Add(file.Data, parsed)
			}
		}
		if err != nil {
			fmt.Fprintf(t.app.stderr, "warning: its statements don't count: %s\n", err)
		}
	}
}

// mostSteps is how many steps of execution a run in a test may take: half a second or so.
const mostSteps = 20_000_000

// limit has a run be one of a test.
func (t *testRun) limit(config *engine.Config) {
	config.Coverage = t.coverage
	config.Limits.Steps = mostSteps
}

// testOutcome is how the tests ended.
type testOutcome struct {
	broken   []suite.Found // files that don't load
	results  []suite.Result
	ended    error // where it was when all was ended from outside; nil: that isn't known
	coverage []cover.File
	began    time.Time
	took     time.Duration
}

func (o testOutcome) failed() int {
	n := 0
	for _, r := range o.results {
		if r.Err != nil {
			n++
		}
	}
	return n
}

// teller prints how tests end, as they do: for people, that is.
func (t *testRun) teller() *testTeller {
	if t.app.globals.output != engine.Text {
		return &testTeller{out: io.Discard}
	}
	return &testTeller{out: t.app.stdout}
}

// run runs the tests of the files whose names match, and tells how they end.
func (t *testRun) run(ctx context.Context, files []layer.File, wanted *regexp.Regexp) testOutcome {
	s := &suite.Suite{Setup: t.setup, Clock: t.app.real.Clock.Now}
	o := testOutcome{began: t.app.real.Clock.Now()}
	tell := t.teller()
	var tests []suite.Test
	s.FindAll(ctx, files, func(f suite.Found) {
		if ctx.Err() != nil {
			return
		}
		if f.Err != nil {
			o.broken = append(o.broken, f)
			tell.broken(f)
			return
		}
		for _, test := range f.Tests {
			if wanted.MatchString(test.FullName()) {
				tests = append(tests, test)
			}
		}
	})
	s.Run(ctx, tests, func(r suite.Result) {
		switch {
		case ctx.Err() == nil:
			o.results = append(o.results, r)
			tell.result(r)
		case o.ended == nil && r.Err != nil && errors.Is(r.Err, context.Cause(ctx)):
			o.ended = fmt.Errorf("%s: %w", r.FullName(), r.Err)
		}
	})
	tell.fileEnds()
	if t.coverage.Profile != nil {
		o.coverage = t.coverage.Profile.Files()
	}
	o.took = t.app.real.Clock.Now().Sub(o.began)
	return o
}
