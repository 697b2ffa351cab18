package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stepTimes is how long the steps of steps.star took, by the run's own clock.
type stepTimes struct {
	Count  int
	Record time.Duration // to begin the record, with a step of its own
	Steps  time.Duration // the others
	Calls  time.Duration // of their functions alone
}

// steps runs 100 steps that do nothing, on record below a root.
func (l *lab) steps(ctx context.Context, root string) (p process, times stepTimes, err error) {
	if p, err = l.onRoot(ctx, root, "--output", "json", "run", filepath.Join(l.source, "steps.star")); err != nil {
		return p, times, err
	}
	var out struct{ Result stepTimes }
	if err := json.Unmarshal([]byte(p.stdout), &out); err != nil {
		return p, times, fmt.Errorf("the result of steps.star: %w", err)
	}
	times = out.Result
	if done := strings.Count(p.stderr, "  ok    step "); times.Count != 100 || done != times.Count {
		return p, times, fmt.Errorf("steps.star: %d of %d steps done, want 100 of 100", done, times.Count)
	}
	return p, times, wantsRecorded(root, times.Count)
}

// wantsRecorded makes sure that the run has left a record with all its steps, and removes
// it: the next run begins with none.
func wantsRecorded(root string, steps int) error {
	runs := filepath.Join(root, "kinfra", "runs")
	names, err := filepath.Glob(filepath.Join(runs, "*", "journal.jsonl"))
	if err == nil && len(names) != 1 {
		err = fmt.Errorf("steps.star left %d records, want one", len(names))
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(names[0])
	if done := strings.Count(string(data), `"event":"end","key":"step `); err == nil && done != steps {
		err = fmt.Errorf("steps.star has %d steps on record, want %d", done, steps)
	}
	return errors.Join(err, os.RemoveAll(runs))
}

// recordLine is about as long as what is on record of a step.
var recordLine = []byte(strings.Repeat("x", 150) + "\n")

// appends adds lines to a file of a directory, each made durable, with lines before it
// that are not.
func appends(dir string, n, before int) (took time.Duration, err error) {
	file, err := os.CreateTemp(dir, "appends")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	start := time.Now()
	for range n {
		for range before + 1 {
			_, writeErr := file.Write(recordLine)
			err = errors.Join(err, writeErr)
		}
		err = errors.Join(err, file.Sync())
	}
	return time.Since(start), errors.Join(err, file.Close())
}

// stepsDurable compares 100 steps, and the beginning of their record, with 100 durable
// appends to a file on the same disk.
func stepsDurable(ctx context.Context, l *lab, runs int) (figure, error) {
	// What is printed goes elsewhere: a file system may have to write that first.
	quiet, out, err := l.printingInMemory()
	if err != nil {
		return figure{}, err
	}
	defer os.RemoveAll(out)
	root := filepath.Join(l.dir, "steps")
	var steps, floor []time.Duration
	for range runs + 1 {
		_, times, err := quiet.steps(ctx, root)
		if err != nil {
			return figure{}, err
		}
		took, err := appends(root, times.Count, 0)
		if err != nil {
			return figure{}, err
		}
		steps, floor = append(steps, times.Record+times.Steps), append(floor, took)
	}
	return ratio(middle(steps[1:]), middle(floor[1:])), nil
}

// memoryDir is where Linux has a file system in memory, on which making durable takes no
// time.
const memoryDir = "/dev/shm"

// inMemory makes a directory there, or where there is none, in the lab's.
func (l *lab) inMemory() (string, error) {
	dir, err := os.MkdirTemp(memoryDir, "kinfra-bench-")
	if err != nil {
		dir, err = os.MkdirTemp(l.dir, "bench-")
	}
	return dir, err
}

// printingInMemory is the lab with the output of its programs in a new directory there.
func (l *lab) printingInMemory() (quiet *lab, dir string, err error) {
	dir, err = l.inMemory()
	other := *l
	other.out = dir
	return &other, dir, err
}

// stepOverhead is what a step takes beyond the call of its function and beyond what it
// adds to the record: two lines, of which the second is made durable.
func stepOverhead(ctx context.Context, l *lab, runs int) (figure, error) {
	quiet, dir, err := l.printingInMemory()
	if err != nil {
		return figure{}, err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "root")
	var costs, added []time.Duration
	for range runs {
		_, times, err := quiet.steps(ctx, root)
		if err != nil {
			return figure{}, err
		}
		took, err := appends(root, times.Count, 1)
		if err != nil {
			return figure{}, err
		}
		count := time.Duration(times.Count)
		costs, added = append(costs, (times.Steps-times.Calls-took)/count), append(added, took/count)
	}
	from := fmt.Sprintf("%d processes; beside it %s for the record, in memory", runs, middle(added))
	return figure{float64(middle(costs)) / float64(time.Microsecond), from}, nil
}

// parallelWaits is how long 100 waits of 50 ms take side by side, by the run's own clock.
func parallelWaits(ctx context.Context, l *lab, runs int) (figure, error) {
	var took []time.Duration
	for range runs {
		p, err := l.onRoot(ctx, filepath.Join(l.dir, "parallel"), "--output", "json", "run", filepath.Join(l.source, "parallel.star"))
		if err != nil {
			return figure{}, err
		}
		var out struct {
			Result struct {
				Waits int
				Took  time.Duration
			}
		}
		if err := json.Unmarshal([]byte(p.stdout), &out); err != nil {
			return figure{}, fmt.Errorf("the result of parallel.star: %w", err)
		}
		if r := out.Result; r.Waits != 100 || r.Took < 50*time.Millisecond {
			return figure{}, fmt.Errorf("parallel.star: %d waits in %s, want 100 of 50 ms", r.Waits, r.Took)
		}
		took = append(took, out.Result.Took)
	}
	return figure{float64(middle(took)) / float64(time.Millisecond), fmt.Sprintf("%d processes", runs)}, nil
}
