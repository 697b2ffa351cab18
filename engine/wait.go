package engine

import (
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/table"
)

func waitBuiltin() table.Builtin {
	return table.Builtin{
		Name: "wait_until",
		Doc: "Calls a function again and again until what it returns is true, and returns that. What the function fails with ends " +
			"the waiting; use attempt in it for what may fail meanwhile. A dry run asks once, and doesn't wait.",
		Params: []table.Param{
			{Name: "condition", Type: table.Function(), Help: "called without arguments"},
			{Name: "timeout", Type: table.Duration(), Help: "how long to wait"},
			{Name: "every", Type: table.Duration(), Named: true, Optional: true, Default: starlark.String("200ms"), Help: "the pause between two calls"},
		},
		Result: "the first value that is true; in a dry run, a value known only when it runs if there is none yet",
		Errors: "What the function fails with; the time is over (exit code 124): then what was last seen.",
		Run:    runWait,
		Example: `wait_until(lambda: fs.stat("notes.txt"), timeout = "10s").kind  # -> "file"
wait_until(lambda: 0, timeout = "1s")  # fails: last seen: 0`,
	}
}

func runWait(c *table.Call) (starlark.Value, error) {
	s, timeout, every := stateOf(c.Thread), c.Duration("timeout"), c.Duration("every")
	if timeout <= 0 || every <= 0 {
		return nil, fmt.Errorf("wait_until: want positive durations, got timeout %s and every %s", timeout, every)
	}
	w := s.world()
	var seen starlark.Value
	for start := w.Clock.Now(); ; {
		left := timeout - w.Clock.Now().Sub(start)
		limit := left
		if left <= 0 { // once more, at the end
			limit = lastLook
		}
		v, err := timed(c.Thread, limit, whatWaits, func() (starlark.Value, error) {
			return s.call(c.Thread, c.Callable("condition"))
		})
		switch {
		case errors.Is(err, ErrTimedOut) && seen != nil && s.ctx.Err() == nil:
			return nil, &waitError{timeout, seen}
		case err != nil, bool(v.Truth()):
			return v, err
		case w.Planned():
			return s.unknown("wait_until"), nil
		case left <= 0:
			return nil, &waitError{timeout, v}
		}
		seen = v
		if err := w.Clock.Sleep(s.ctx, min(every, max(timeout-w.Clock.Now().Sub(start), time.Nanosecond))); err != nil {
			return nil, err
		}
	}
}

// lastLook is how long the condition may take that is asked once more when the time is over.
const lastLook = 10 * time.Millisecond

func whatWaits() string { return "the condition of wait_until" }

// waitError says that a condition did not come true.
type waitError struct {
	timeout time.Duration
	seen    starlark.Value
}

func (e *waitError) Error() string {
	return fmt.Sprintf("wait_until: not true within %s; last seen: %s", e.timeout, e.seen)
}
func (e *waitError) Is(target error) bool { return target == ErrTimedOut }
