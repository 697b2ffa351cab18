package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/world"
)

// interruption ends a context at Ctrl-C, at a request to terminate, or when the terminal
// is closed. A second Ctrl-C or request ends the process at once.
//
// The system is asked for signals only once there is something to be brought to an end,
// or the process has lived for a while: asking takes a tenth of a short command's time. Up
// to then the first signal ends the process, which is as safe as to kill it.
//
// A nil interruption never comes.
type interruption struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
	memory memoryWatch

	confined bool // this process is the child of one that has the terminal's signals
}

// untilAsked is how long a process lives before it asks for signals in any case.
const untilAsked = 10 * time.Millisecond

func newInterruption() *interruption {
	i := &interruption{confined: isConfined()}
	i.ctx, i.cancel = context.WithCancelCause(context.Background())
	time.AfterFunc(untilAsked, i.expect)
	i.memory = memoryWatch{end: i.cancel, urgent: make(chan struct{})}
	return i
}

// urgently is closed when what was interrupted may have no time to end.
func (i *interruption) urgently() <-chan struct{} {
	if i == nil {
		return nil
	}
	return i.memory.urgent
}

// expect makes sure that the signals are asked for.
func (i *interruption) expect() {
	if i != nil {
		i.once.Do(i.ask)
	}
}

// ask asks for the signals, and ends the context at the first one. Nothing gives them
// back, which would take time: the process ends anyway.
func (i *interruption) ask() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	if !i.confined { // else the parent tells
		signal.Notify(signals, os.Interrupt)
	}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		signal.Ignore(syscall.SIGHUP) // a terminal that is closed sends more than one
		signal.Stop(signals)
		i.cancel(engine.ErrInterrupted)
	}()
}

// explained is the error of what has ended since its context has, with why that has.
func (i *interruption) explained(err error) error {
	if i.ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(i.ctx), err)
}

// of is a world whose processes are ended with this one, when that is interrupted.
func (i *interruption) of(w world.World) world.World {
	w.Processes = interruptible{w.Processes, i}
	return w
}

type interruptible struct {
	processes    world.Processes
	interruption *interruption
}

func (p interruptible) Run(ctx context.Context, cmd world.Command) (world.Output, error) {
	p.interruption.expect()
	return p.processes.Run(ctx, cmd)
}

func (p interruptible) Attach(ctx context.Context, cmd world.Command) (int, error) {
	p.interruption.expect()
	code, err := p.processes.Attach(ctx, cmd)
	if err != nil || code == 0 {
		return code, err
	}
	select {
	case <-ctx.Done():
		return code, fmt.Errorf("running %s: %w", cmd.Args[0], ctx.Err())
	case <-time.After(untilTold):
		return code, nil
	}
}

// untilTold is how long after a process that failed this one may learn of the signal by which
// it did: a terminal sends Ctrl-C to both.
const untilTold = 50 * time.Millisecond
