package main

import (
	"context"
	"slices"
	"time"
)

// inTurn runs two samples in turn, after one of each that doesn't count, and changes
// which goes first: whatever else the machine does meets both alike.
func inTurn(ctx context.Context, runs int, a, b sample) (as, bs []process, err error) {
	one := func(run sample, to *[]process) {
		if err != nil {
			return
		}
		var p process
		if p, err = run(ctx); err == nil {
			*to = append(*to, p)
		}
	}
	for i := range runs + 1 {
		if i%2 == 0 {
			one(a, &as)
			one(b, &bs)
		} else {
			one(b, &bs)
			one(a, &as)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return as[1:], bs[1:], nil
}

// wallTime and userTime are the medians of many runs of one thing.
func wallTime(all []process) time.Duration {
	return median(all, func(p process) time.Duration { return p.wall })
}

func userTime(all []process) time.Duration {
	return median(all, func(p process) time.Duration { return p.user })
}

func median(all []process, of func(process) time.Duration) time.Duration {
	times := make([]time.Duration, len(all))
	for i, p := range all {
		times[i] = of(p)
	}
	return middle(times)
}

// middle is the median; of an even number, the mean of the two in the middle.
func middle(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
