package engine

import (
	"sync/atomic"

	"go.starlark.net/starlark"
)

// budget is what is left of a run's limit of execution steps. Its threads share it:
// each gets a part of it at a time, and gives back what it didn't use.
type budget struct{ left atomic.Int64 }

// part is how many steps a thread gets at once at most: some milliseconds' worth, so that
// branches of parallel seldom meet here.
const part = 1 << 20

// share is the part of what is left that a thread gets at once at most, so that threads
// which use little don't keep it from others, but for the least of it.
const (
	share = 64
	least = 1 << 10
)

func (b *budget) reset(steps uint64) { b.left.Store(int64(min(steps, 1<<62))) }

// take gives a part of the budget, 0 if nothing is left.
func (b *budget) take() uint64 {
	for {
		left := b.left.Load()
		taken := min(left, part, max(left/share, least))
		if taken <= 0 || b.left.CompareAndSwap(left, left-taken) {
			return uint64(max(taken, 0))
		}
	}
}

// lend gives a thread of its own a part of the budget, another one whenever that is
// used up, and calls over when nothing is left. What the thread did not use comes back
// with giveBack. trail is told where the thread is, as it goes; it may be nil.
func (b *budget) lend(t *starlark.Thread, over func(), trail func(*starlark.Thread)) (giveBack func()) {
	lent := b.take()
	t.SetMaxExecutionSteps(untilMark(t, max(lent, 1), trail)) // 0 would be no limit
	t.OnMaxSteps = func(t *starlark.Thread) {
		if trail != nil {
			trail(t)
		}
		if t.ExecutionSteps() >= lent {
			more := b.take()
			if more == 0 {
				over()
				return
			}
			lent += more
		}
		t.SetMaxExecutionSteps(untilMark(t, lent, trail))
	}
	return func() { b.left.Add(int64(lent) - int64(t.ExecutionSteps())) }
}

const (
	// eachMarked is how many steps of a thread are marked on its trail, each.
	eachMarked = 4096

	// marked is how often, in steps, later ones are.
	marked = 16
)

// untilMark is up to which step a thread may run until it is to be told where it is.
func untilMark(t *starlark.Thread, lent uint64, trail func(*starlark.Thread)) uint64 {
	switch steps := t.ExecutionSteps(); {
	case trail == nil:
		return lent
	case steps < eachMarked:
		return min(lent, steps+1)
	default:
		return min(lent, steps+marked)
	}
}
