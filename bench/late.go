package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lateness is how late one kind of time-out or pause was, and whether what it belongs to
// ended well.
type lateness struct {
	OK   bool
	Late time.Duration
}

// late measures each kind once.
func (l *lab) late(ctx context.Context) (map[string]lateness, error) {
	p, err := l.onRoot(ctx, filepath.Join(l.dir, "late"), "--output", "json", "run", filepath.Join(l.source, "late.star"))
	if err != nil {
		return nil, err
	}
	var out struct{ Result map[string]lateness }
	if err := json.Unmarshal([]byte(p.stdout), &out); err != nil {
		return nil, fmt.Errorf("the result of late.star: %w", err)
	}
	if len(out.Result) != 8 {
		return nil, fmt.Errorf("late.star has %d results, want 8", len(out.Result))
	}
	for kind, r := range out.Result {
		if r.OK != (kind == "retry") || r.Late < -time.Millisecond {
			return nil, fmt.Errorf("late.star: %s: ended well: %t, late by %s", kind, r.OK, r.Late)
		}
	}
	out.Result["--timeout"], err = l.lateRun(ctx)
	return out.Result, err
}

// lateRun is how late --timeout ends a run, which begins a little before the script's own
// clock.
func (l *lab) lateRun(ctx context.Context) (lateness, error) {
	const limit = 200 * time.Millisecond
	p, err := l.onRoot(ctx, filepath.Join(l.dir, "late"), "--timeout", limit.String(), "run", filepath.Join(l.source, "endless.star"))
	took, parseErr := strconv.ParseInt(strings.TrimSpace(p.stdout), 10, 64)
	if parseErr != nil || !strings.Contains(p.stderr, "error: the run timed out after 200ms\n") {
		return lateness{}, fmt.Errorf("endless.star ended with %v:\n%s", err, p.stderr)
	}
	return lateness{Late: time.Duration(took) - limit}, nil
}

// latest is how late the latest kind is, of each kind the median.
func latest(ctx context.Context, l *lab, runs int) (figure, error) {
	all := map[string][]time.Duration{}
	for range runs {
		kinds, err := l.late(ctx)
		if err != nil {
			return figure{}, err
		}
		for kind, r := range kinds {
			all[kind] = append(all[kind], r.Late)
		}
	}
	var most time.Duration
	var each []string
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		m := middle(all[kind])
		most = max(most, m)
		each = append(each, fmt.Sprintf("%s %.1f", kind, float64(m)/float64(time.Millisecond)))
	}
	return figure{float64(most) / float64(time.Millisecond), strings.Join(each, ", ")}, nil
}
