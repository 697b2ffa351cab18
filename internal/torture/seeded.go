package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// trySeeded puts each fault in, and wants its judge to find it.
func trySeeded(ctx context.Context, l *lab) (finding, error) {
	var f finding
	var caught []string
	for _, s := range l.seeds() {
		evidence, err := s.catch(ctx)
		if err != nil {
			return f, fmt.Errorf("%s: %w", s.fault, err)
		}
		if evidence == "" {
			f.wrong("%s: nobody noticed", s.fault)
			continue
		}
		fmt.Fprintf(l.progress, "  caught: %s: %s\n", s.fault, evidence)
		caught = append(caught, s.fault)
	}
	f.figures = fmt.Sprintf("%d faults caught: %s", len(caught), strings.Join(caught, "; "))
	return f, nil
}

// seed is a fault, and how it is looked for. What catch returns is the first thing
// that was found to be wrong, or "".
type seed struct {
	fault string
	catch func(context.Context) (evidence string, err error)
}

func (l *lab) seeds() []seed {
	underClaims := func(name string, judge func(*claimsRun) finding) seed {
		return seed{name, func(ctx context.Context) (string, error) { return l.catchInClaims(ctx, name, judge) }}
	}
	history := func(r *claimsRun) finding {
		if len(r.broken) > 0 {
			return finding{broken: r.broken}
		}
		return r.judge(time.Minute)
	}
	torn := func(r *claimsRun) finding { return finding{broken: r.torn} }
	all := []seed{
		underClaims(faultNoLock, history),
		underClaims(faultLockReplaced, history),
		underClaims(faultOutside, history),
		underClaims(faultPID, history),
		underClaims(faultPIDRace, history),
		underClaims(faultInPlace, torn),
	}
	for _, order := range unsyncedOrders() {
		all = append(all, seed{order.fault, func(ctx context.Context) (string, error) { return l.catchInPower(ctx, order) }})
	}
	for _, order := range unsyncedOrders() {
		all = append(all, seed{order.fault + ", in records", func(ctx context.Context) (string, error) { return l.catchInRecorded(ctx, order) }})
	}
	for fault, mutations := range recordMutations {
		all = append(all, seed{fault, func(ctx context.Context) (string, error) { return l.catchInWorkflow(ctx, mutations) }})
	}
	return all
}

// catchInClaims runs the workers under a fault, a slice of time after the other, until
// it shows.
func (l *lab) catchInClaims(ctx context.Context, fault string, judge func(*claimsRun) finding) (string, error) {
	const slice, slices = 800 * time.Millisecond, 20
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
