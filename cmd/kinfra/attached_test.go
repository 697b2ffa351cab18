package main

import (
	"context"
	"errors"
	"testing"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/world"
)

// TestCtrlCReachesAll: Ctrl-C on a terminal reaches the process that has the terminal, too. That
// may end, in its own way, before this process has taken note. The command was interrupted all
// the same.
func TestCtrlCReachesAll(t *testing.T) {
	for range 100 {
		in := newInterruption()
		in.expect()
		p := in.of(world.Real("a test")).Processes
		_, err := p.Attach(in.ctx, world.Command{Args: []string{"/bin/sh", "-c", "kill -INT $PPID; exit 1"}, Dir: t.TempDir()})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the error is %v", err)
		}
	}
}

// TestExitCodeIsItsOwn: a process that fails by itself was not interrupted.
func TestExitCodeIsItsOwn(t *testing.T) {
	in := newInterruption()
	p := in.of(world.Real("a test")).Processes
	code, err := p.Attach(in.ctx, world.Command{Args: []string{"/bin/sh", "-c", "exit 7"}, Dir: t.TempDir()})
	if code != 7 || err != nil {
		t.Errorf("it ends with %d, %v", code, err)
	}
}

// TestCancelledIsInterrupted: what ends since its context has, says why that has.
func TestCancelledIsInterrupted(t *testing.T) {
	in := newInterruption()
	cancelled := errors.Join(errors.New("asking Docker"), context.Canceled)
	if err := in.explained(cancelled); err != cancelled {
		t.Errorf("before anything has ended, the error is %v", err)
	}
	in.cancel(engine.ErrInterrupted)
	if code := (&engine.Config{}).CodeOf(in.explained(cancelled)); code != engine.Interrupted {
		t.Errorf("the code is %s", code)
	}
	other := errors.New("something else")
	if err := in.explained(other); err != other {
		t.Errorf("the error is %v", err)
	}
}
