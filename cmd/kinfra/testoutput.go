package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/cover"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/suite"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

// concludeTests prints how tests ended, writes what was asked for, and gives the error
// with which the command ends.
func (a *app) concludeTests(ctx context.Context, o testOutcome, opts testOptions) error {
	err := o.err()
	if len(a.globals.reports) > 0 {
		a.target = []string{"test"}
		a.identify(nil)
		a.describe(ctx)
		if e := a.writeReports(o.report(err, a.identity), nil); e != nil {
			return e
		}
	}
	if a.globals.output != engine.Text {
		if e := a.printOutcome(engine.Outcome{Command: "test", Result: o.json(), Err: err}); e != nil {
			return e
		}
	} else {
		fmt.Fprintf(a.stdout, "%d of %d tests passed\n", len(o.results)-o.failed(), len(o.results))
		o.coverageText(a.stdout)
	}
	if e := a.writeListing(o.coverage, opts.listing); e != nil {
		return e
	}
	return err
}

// err is why the command ends with another code than 0.
func (o testOutcome) err() error {
	failed := o.failed()
	switch {
	case len(o.broken) > 0:
		return &engine.Error{Code: engine.Usage, Message: fmt.Sprintf("%d file(s) with tests don't load", len(o.broken))}
	case len(o.results) == 0:
		return engine.UsageError("--run is matched with names such as x_test.star:test_join/case", "no test matches")
	case failed > 0:
		return &engine.Error{Code: engine.Failed, Message: fmt.Sprintf("%d of %d tests failed", failed, len(o.results))}
	}
	return nil
}

// testTeller prints what is wrong with tests that fail, and a line for each file.
type testTeller struct {
	out    io.Writer
	file   string // of the last result
	passed int    // of that file
}

func (t *testTeller) broken(f suite.Found) {
	fmt.Fprintf(t.out, "FAIL  %s: it does not load\n", f.File.Path())
	for _, d := range diag.Of(f.Err, f.Sources) {
		io.WriteString(t.out, indented(d.Text()))
	}
}

func (t *testTeller) result(r suite.Result) {
	if file := r.File.Path(); file != t.file {
		t.fileEnds()
		t.file = file
	}
	if r.Err == nil {
		t.passed++
		return
	}
	fmt.Fprintf(t.out, "FAIL  %s\n", visible.Line(r.FullName()))
	for _, d := range r.Problem {
		io.WriteString(t.out, indented(d.Text()))
	}
	if r.Output != "" {
		io.WriteString(t.out, indented("it printed:\n"+indented(r.Output)))
	}
}

// fileEnds says how many tests of a file passed, once all have been told of.
func (t *testTeller) fileEnds() {
	if t.passed > 0 {
		fmt.Fprintf(t.out, "ok    %s: %d passed\n", t.file, t.passed)
	}
	t.passed = 0
}

func indented(text string) string {
	const by = "      "
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}

// coverageText prints which part of each script's statements ran.
func (o testOutcome) coverageText(out io.Writer) {
	if len(o.coverage) == 0 {
		return
	}
	longest := len("in total")
	for _, f := range o.coverage {
		longest = max(longest, len(f.Path))
	}
	fmt.Fprintf(out, "Statements that ran:\n")
	covered, statements := coverageTotal(o.coverage)
	for _, f := range o.coverage {
		fmt.Fprintf(out, "  %-*s  %s\n", longest, f.Path, cover.Figure(f.Covered(), len(f.Statements)))
	}
	fmt.Fprintf(out, "  %-*s  %s\n", longest, "in total", cover.Figure(covered, statements))
}

func coverageTotal(files []cover.File) (covered, statements int) {
	for _, f := range files {
		covered, statements = covered+f.Covered(), statements+len(f.Statements)
	}
	return covered, statements
}

// writeListing writes the scripts with their counts.
func (a *app) writeListing(files []cover.File, to string) error {
	if to == "" {
		return nil
	}
	var b strings.Builder
	for i, f := range files {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(f.Listing())
	}
	if to == "-" {
		_, err := io.WriteString(a.stdout, b.String())
		return err
	}
	path, err := absolute(a.real, to)
	if err != nil {
		return err
	}
	if err := world.Rewrite(a.world.Disk.Host(), a.world, path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("writing the listing: %w", err)
	}
	return nil
}

// report is the tests as the checks of a run.
func (o testOutcome) report(err error, about event.Run) *report.Run {
	run := &report.Run{Command: "test", Version: version, About: about, Started: o.began, Took: o.took, Status: event.Passed}
	if err != nil {
		run.Status = event.Failed
	}
	for _, r := range o.results {
		n := &report.Node{Kind: event.Check, Name: r.Name(), Key: r.FullName(), Status: event.Passed, Took: r.Took, Problem: r.Problem}
		if r.Err != nil {
			n.Status = event.Failed
		}
		if r.Output != "" {
			n.Evidence = []report.Evidence{{Name: "output", Value: r.Output}}
		}
		run.Nodes = append(run.Nodes, n)
	}
	for _, f := range o.broken {
		run.Problem = append(run.Problem, diag.Of(f.Err, f.Sources)...)
	}
	return run
}
