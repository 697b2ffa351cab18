package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// seedsAtOnce is how many faults are looked for at the same time.
const seedsAtOnce = 3

// trySeeded puts each fault in, and wants its judge to find it.
func trySeeded(ctx context.Context, l *lab) (finding, error) {
	c := &catching{lab: l}
	var others []seed
	for _, s := range l.seeds() {
		if s.row == "claims" || s.row == "readers" {
			c.look(ctx, s) // alone: it takes the processors to race
		} else {
			others = append(others, s)
		}
	}
	c.lookSideBySide(ctx, others)
	c.figures = fmt.Sprintf("%d faults caught: %s", len(c.caught), strings.Join(c.caught, "; "))
	if len(c.untried) > 0 {
		c.figures += fmt.Sprintf("; %d not tried, since their rows can't be: %s", len(c.untried), strings.Join(c.untried, "; "))
	}
	return c.finding, c.failed
}

// lookSideBySide looks for several faults at the same time.
func (c *catching) lookSideBySide(ctx context.Context, all []seed) {
	seeds := make(chan seed)
	var group sync.WaitGroup
	for range seedsAtOnce {
		group.Go(func() {
			for s := range seeds {
				c.look(ctx, s)
			}
		})
	}
	for _, s := range all {
		seeds <- s
	}
	close(seeds)
	group.Wait()
}

// catching is the row under way.
type catching struct {
	lab *lab

	mu sync.Mutex // guards what follows
	finding
	caught, untried []string
	failed          error
}

// look looks for a fault.
func (c *catching) look(ctx context.Context, s seed) {
	evidence, err := s.catch(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, untried := errors.AsType[notRunError](err)
	switch {
	case untried && os.Getenv(demand) != "1":
		c.untried = append(c.untried, s.fault)
	case err != nil:
		c.failed = errors.Join(c.failed, fmt.Errorf("%s: %w", s.fault, err))
	case evidence == "":
		c.wrong("%s: nobody noticed", s.fault)
	default:
		fmt.Fprintf(c.lab.progress, "  caught: %s: %s\n", s.fault, evidence)
		c.caught = append(c.caught, s.fault)
	}
}

// seed is a fault, and how it is looked for. What catch returns is the first thing
// that was found to be wrong, or "".
type seed struct {
	fault string
	row   string // whose judges have to find it
	catch func(context.Context) (evidence string, err error)
}

func (l *lab) seeds() []seed {
	underClaims := func(row, name string, judge func(*claimsRun) finding) seed {
		return seed{name, row, func(ctx context.Context) (string, error) { return l.catchInClaims(ctx, name, judge) }}
	}
	history := func(r *claimsRun) finding {
		if len(r.broken) > 0 {
			return finding{broken: r.broken}
		}
		return r.judge(time.Minute)
	}
	torn := func(r *claimsRun) finding { return finding{broken: r.torn} }
	all := []seed{
		underClaims("claims", faultNoLock, history),
		underClaims("claims", faultLockReplaced, history),
		underClaims("claims", faultOutside, history),
		underClaims("claims", faultPID, history),
		underClaims("claims", faultPIDRace, history),
		underClaims("readers", faultInPlace, torn),
	}
	for _, order := range unsyncedOrders() {
		all = append(all,
			seed{order.fault, "power", func(ctx context.Context) (string, error) { return catchUnsynced(ctx, live, order) }},
			seed{order.fault + ", of records", "records", func(ctx context.Context) (string, error) { return catchUnsynced(ctx, liveRecorded, order) }})
	}
	for _, m := range mutants() {
		all = append(all, seed{m.fault, m.row, func(ctx context.Context) (string, error) { return l.catchMutant(ctx, m) }})
	}
	for _, m := range rollbackFaults() {
		all = append(all, seed{m.fault, m.row, func(ctx context.Context) (string, error) { return l.catchInRollback(ctx, m.fault) }})
	}
	return all
}

// catchInClaims runs the workers under a fault, a slice of time after the other, until
// it shows.
func (l *lab) catchInClaims(ctx context.Context, fault string, judge func(*claimsRun) finding) (string, error) {
	const slice, slices = 800 * time.Millisecond, 60
	for range slices {
		run, err := l.runClaims(ctx, fault, slice)
		if err != nil {
			return "", err
		}
		if f := judge(run); len(f.broken) > 0 {
			return f.broken[0], nil
		}
	}
	return "", nil
}

// actVariable is the environment variable that names the only act of a row to be tried.
const actVariable = "KINFRA_TORTURE_ACT"

// catchMutant tries the short form of a row with a fault in the source, and wants it to be
// broken in the way that the fault's judge tells.
func (l *lab) catchMutant(ctx context.Context, m mutant) (string, error) {
	dir, err := l.buildAllInstrumented(ctx)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "torture"), "-short", "-json", "-run", "^"+m.row+"$")
	cmd.Env = append(os.Environ(), faultVariable+"="+m.fault, programVariable+"="+filepath.Join(dir, "kinfra"), actVariable+"="+m.act)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil { // what went wrong before there was a table
		r.Rows = []row{{Reasons: []string{stderr.String()}}}
	}
	if r.NotRun > 0 {
		return "", notRunError(r.Rows[0].Figures)
	}
	judge, err := regexp.Compile(m.judge)
	if err != nil {
		return "", err
	}
	for _, reason := range r.Rows[0].Reasons {
		if judge.MatchString(reason) {
			return firstOf(reason), nil
		}
	}
	if runErr != nil {
		return "", fmt.Errorf("the row %s is broken otherwise: %s: %w", m.row, strings.Join(r.Rows[0].Reasons, "; "), runErr)
	}
	return "", nil
}

// firstOf is as much of a text as fits on a line.
func firstOf(text string) string {
	const most = 300
	text = strings.ReplaceAll(text, "\n", " ")
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
