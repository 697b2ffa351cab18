package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/gotool"
)

// How many programs of steps run, in memory and with processes that are killed.
const (
	rollbackCases      = 100000
	rollbackCasesShort = 1000
	rollbackReal       = 500
	rollbackRealShort  = 15
)

// rollbackPackage has the programs and the model, which import the engine. So they are a
// program of their own.
const rollbackPackage = "engine/rollback/try"

// tried is what that program tells.
type tried struct {
	Cases, Real, Entries int
	Deaths               struct{ Own, Other int }
	Wrong                string
}

// tryRollback runs random programs of steps, and holds what comes of them against a model.
func tryRollback(ctx context.Context, l *lab) (finding, error) {
	start := time.Now()
	r, err := l.runRollback(ctx, "", pick(l, rollbackCases, rollbackCasesShort), pick(l, rollbackReal, rollbackRealShort))
	if err != nil {
		return finding{}, err
	}
	var f finding
	if r.Wrong != "" {
		f.wrong("%s", r.Wrong)
	}
	f.figures = fmt.Sprintf("%.0f s; %d programs in memory, %d with real processes of which %d were killed at an event and %d at a moment; %d events judged",
		time.Since(start).Seconds(), r.Cases, r.Real, r.Deaths.Own, r.Deaths.Other, r.Entries)
	return f, nil
}

// runRollback runs the program, with a fault in the engine unless that is "".
func (l *lab) runRollback(ctx context.Context, fault string, cases, real int) (r tried, err error) {
	program, err := l.buildTry(ctx, fault != "")
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, program, "-cases", strconv.Itoa(cases), "-real", strconv.Itoa(real))
	cmd.Env = append(os.Environ(), faultVariable+"="+fault)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		err = nil // it found something wrong
	}
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, problems.String())
	}
	return r, json.Unmarshal(out, &r)
}

// buildTry builds the program with the engine as it is shipped, or with faults that the
// environment chooses.
func (l *lab) buildTry(ctx context.Context, faulty bool) (program string, err error) {
	if faulty {
		dir, err := l.buildAllInstrumented(ctx)
		return filepath.Join(dir, "try"), err
	}
	program = filepath.Join(l.builds.dir, "try")
	_, err = gotool.Run(ctx, "build", "-buildvcs=false", "-o", program, module+"/"+rollbackPackage)
	return program, err
}

// catchInRollback is what the model finds wrong with a faulty engine.
func (l *lab) catchInRollback(ctx context.Context, fault string) (string, error) {
	const most = 20000
	r, err := l.runRollback(ctx, fault, most, 0)
	return firstOf(r.Wrong), err
}

// rollbackFaults are the faults of rollbacks that the model has to find.
func rollbackFaults() []mutant {
	fault := func(name, file, old, new string) mutant {
		new = strings.ReplaceAll(new, "FAULT", fmt.Sprintf("seeded(%q)", name))
		return mutant{fault: name, row: "rollback", changes: []mutation{{file, old, new}}}
	}
	return []mutant{
		fault("what was built on an undone step counts as done", "engine/event/history.go",
			"n.Status == Passed && h.takenWith(n) == nil", "n.Status == Passed && (h.takenWith(n) == nil || FAULT && n.undoing == 0)"),
		fault("undone although an undo failed", "engine/undo.go", "case len(failed) > 0:", "case len(failed) > 0 && !FAULT:"),
		fault("siblings count as built on", "engine/event/past.go", "return false // siblings", "return FAULT && n.began < other.began"),
		fault("the join is not followed", "engine/event/past.go", "return callN+1 < other.leg", "return callN+1 < other.leg && !FAULT"),
		fault("an undo that was cut off is not tried again", "engine/event/history.go",
			"n.undoing, n.undo.left = e.Seq, true", "n.undoing, n.undo.left = e.Seq, !FAULT"),
		fault("a run goes on above a step whose undo failed", "engine/resume.go", "err = r.settle(undos)",
			"if !FAULT {\n\t\t\terr = r.settle(undos)\n\t\t}"),
		fault("steps that were not met again are not undone", "engine/cleanup.go", "undos = r.withUnreached(ctx, undos)",
			"if !FAULT {\n\t\t\tundos = r.withUnreached(ctx, undos)\n\t\t}"),
		fault("a step inside one that is tried again runs again", "engine/step.go", "s.doneBefore(n.key); done {", "s.doneBefore(n.key); done && !FAULT {"),
		fault("a caught failure is tried again under what came after it", "engine/event/history.go",
			"n.Status == Failed && n.wentOn && h.takenWith(n) == nil", "n.Status == Failed && n.wentOn && h.takenWith(n) == nil && !FAULT"),
		fault("oldest undo first", "engine/cleanup.go", "return q.Compare(p)", "if FAULT {\n\t\t\t\treturn p.Compare(q)\n\t\t\t}\n\t\t\treturn q.Compare(p)"),
	}
}
