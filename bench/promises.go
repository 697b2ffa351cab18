package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// promise is a row of the table: what is measured, and what it may be at most.
type promise struct {
	name  string // for -run
	what  string
	limit float64
	unit  string // "×", "µs", "ms" or "MiB"

	// share is how many of the -n runs are for one of its: what takes longer is run
	// less often.
	share   int
	measure func(ctx context.Context, l *lab, runs int) (figure, error)
}

// figure is what was measured, in the promise's unit, and from what it comes.
type figure struct {
	value float64
	from  string
}

// promises is the table of speed and memory.
func promises() []promise {
	return []promise{
		{
			name: "slots", what: "sandbox slots, pool of 6 ÷ empty program", limit: 3, unit: "×", share: 1,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				root, err := l.pool(ctx)
				if err != nil {
					return figure{}, err
				}
				return wallRatio(ctx, runs, l.slots(root, poolSize), l.emptyProgram)
			},
		},
		{
			name: "provision-new", what: "sandbox provision, from nothing ÷ empty program", limit: 10, unit: "×", share: 2,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				return wallRatio(ctx, runs, l.provisionNew(filepath.Join(l.dir, "new")), l.emptyProgram)
			},
		},
		{
			name: "provision-again", what: "sandbox provision, nothing to do ÷ empty program", limit: 3.5, unit: "×", share: 1,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				root, err := l.pool(ctx)
				if err != nil {
					return figure{}, err
				}
				return wallRatio(ctx, runs, l.provisionAgain(root), l.emptyProgram)
			},
		},
		{
			name: "claim", what: "sandbox claim ÷ (empty program + one durable replacement)", limit: 2.5, unit: "×", share: 2,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				root, err := l.pool(ctx)
				if err != nil {
					return figure{}, err
				}
				return wallRatio(ctx, runs, l.claim(root), l.emptyAndDurable)
			},
		},
		{
			name: "slots-docker", what: "sandbox slots, six stacks on the Engine ÷ empty program", limit: 4, unit: "×", share: 1,
			measure: slotsWithDocker,
		},
		{
			name: "script", what: "CPU-bound script, user time ÷ starlark's own command", limit: 1.10, unit: "×", share: 10,
			measure: scriptRatio,
		},
		{
			name: "steps-durable", what: "100 steps that do nothing, on record ÷ 100 durable appends", limit: 2, unit: "×", share: 10,
			measure: stepsDurable,
		},
		{
			name: "parallel", what: "parallel of 100 waits of 50 ms, limit 100", limit: 60, unit: "ms", share: 20,
			measure: parallelWaits,
		},
		{
			name: "late", what: "time-outs and pauses of nine kinds, the latest", limit: 20, unit: "ms", share: 20,
			measure: latest,
		},
		{
			name: "steps", what: "a step's own overhead, of 100 that do nothing", limit: 5, unit: "µs", share: 4,
			measure: stepOverhead,
		},
		{
			name: "e2e", what: "e2e ÷ sum of its child processes", limit: 1.3, unit: "×", share: 4,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				return wallRatio(ctx, runs, l.e2e, l.e2eChildren)
			},
		},
		{
			name: "registry", what: "sandbox slots, growth for a registry ten times as large", limit: 10, unit: "×", share: 10,
			measure: registryGrowth,
		},
		{
			name: "claim-growth", what: "sandbox claim, 10,000 slots ÷ 6 slots", limit: 25, unit: "×", share: 10,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				large, err := l.largeRegistry(ctx, 10_000)
				if err != nil {
					return figure{}, err
				}
				small, err := l.largeRegistry(ctx, poolSize)
				if err != nil {
					return figure{}, err
				}
				return wallRatio(ctx, runs, l.claim(large), l.claim(small))
			},
		},
		{
			name: "check", what: "check, all scripts in the binary ÷ empty program", limit: 10, unit: "×", share: 1,
			measure: func(ctx context.Context, l *lab, runs int) (figure, error) {
				return wallRatio(ctx, runs, l.checkShipped, l.emptyProgram)
			},
		},
		{
			name: "memory", what: "the most resident of all these, pool of 6", limit: 25, unit: "MiB", share: 40,
			measure: memory,
		},
	}
}

// slotsWithDocker lists a pool all of whose slots run, of which an Engine tells that
// answers at once: how long a real one thinks is not kinfra's.
func slotsWithDocker(ctx context.Context, l *lab, runs int) (figure, error) {
	root, err := l.pool(ctx)
	if err != nil {
		return figure{}, err
	}
	e, err := startEngine(root)
	if err != nil {
		return figure{}, err
	}
	defer e.stop()
	asking := *l
	asking.env = append(l.env[:len(l.env):len(l.env)], "DOCKER_HOST="+e.host)
	f, err := wallRatio(ctx, runs, asking.slotsRunning(root, poolSize), l.emptyProgram)
	if err == nil && e.requests.Load() != int64(runs+1) {
		err = fmt.Errorf("%d lists made %d requests, want one each", runs+1, e.requests.Load())
	}
	return f, err
}

// pool is the root of a provisioned pool that samples may read.
func (l *lab) pool(ctx context.Context) (root string, err error) {
	root = filepath.Join(l.dir, "pool")
	_, err = l.provisionNew(root)(ctx)
	return root, err
}

// wallRatio compares whole processes.
func wallRatio(ctx context.Context, runs int, a, b sample) (figure, error) {
	as, bs, err := inTurn(ctx, runs, a, b)
	if err != nil {
		return figure{}, err
	}
	return ratio(wallTime(as), wallTime(bs)), nil
}

// scriptRatio compares interpreters by the processor's time in user mode, which what
// else runs on the machine changes least.
func scriptRatio(ctx context.Context, l *lab, runs int) (figure, error) {
	as, bs, err := inTurn(ctx, runs, l.scriptByKinfra, l.scriptByStarlark)
	if err != nil {
		return figure{}, err
	}
	return ratio(userTime(as), userTime(bs)), nil
}

func ratio(a, b time.Duration) figure {
	return figure{float64(a) / float64(b), milliseconds(a) + " ÷ " + milliseconds(b)}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// registryGrowth compares lists of registries, each ten times as large as the one
// before; the greatest growth counts.
func registryGrowth(ctx context.Context, l *lab, runs int) (figure, error) {
	sizes := []int{10, 100, 1_000, 10_000}
	roots := make([]string, len(sizes))
	for i, n := range sizes {
		var err error
		if roots[i], err = l.largeRegistry(ctx, n); err != nil {
			return figure{}, err
		}
	}
	var most figure
	var times []string
	for i := 1; i < len(sizes); i++ {
		larger, smaller, err := inTurn(ctx, runs, l.slots(roots[i], sizes[i]), l.slots(roots[i-1], sizes[i-1]))
		if err != nil {
			return figure{}, err
		}
		if i == 1 {
			times = append(times, milliseconds(wallTime(smaller)))
		}
		times = append(times, milliseconds(wallTime(larger)))
		most.value = max(most.value, ratio(wallTime(larger), wallTime(smaller)).value)
	}
	most.from = "10 to 10,000 slots: " + strings.Join(times, ", ")
	return most, nil
}

// memory is the most that any of the others' processes has resident.
func memory(ctx context.Context, l *lab, runs int) (figure, error) {
	weighing := *l
	weighing.weighs = true
	l = &weighing
	root, err := l.pool(ctx)
	if err != nil {
		return figure{}, err
	}
	var most int64
	var each []string
	for _, row := range []struct {
		name string
		run  sample
	}{
		{"slots", l.slots(root, poolSize)},
		{"provision-new", l.provisionNew(filepath.Join(l.dir, "new"))},
		{"provision-again", l.provisionAgain(root)},
		{"claim", l.claim(root)},
		{"script", l.scriptByKinfra},
		{"steps", func(ctx context.Context) (process, error) {
			p, _, err := l.steps(ctx, filepath.Join(l.dir, "steps"))
			return p, err
		}},
		{"e2e", l.e2e},
	} {
		var peak int64
		for range runs {
			p, err := row.run(ctx)
			if err != nil {
				return figure{}, err
			}
			peak = max(peak, p.memory)
		}
		most = max(most, peak)
		each = append(each, fmt.Sprintf("%s %.1f", row.name, float64(peak)/(1<<20)))
	}
	return figure{float64(most) / (1 << 20), strings.Join(each, ", ")}, nil
}
