package world

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"time"
)

// Planned is the world w for a dry run. It shows w's files as they are, keeps
// what is changed in an overlay in memory that later reads see, through Host and
// Root alike, and never writes anything into w. Faults that can be foreseen (what
// isn't there, what is there already, a directory that may not be written) are
// those of the real run. A full disk, or a file system mounted read-only, is not
// foreseen. Locks hold within this planned world, and create no file. Sleeping lets the
// time pass on the clock of the plan, and returns at once.
//
// It takes the files of w to hold still while the plan is made.
func Planned(w World) World {
	below := w.Disk.Host()
	w.Clock = plannedClock{w.Clock, &atomic.Int64{}}
	plan := treeDisk{&tree{below: below, now: w.Clock.Now, user: w.Env.UserID}}
	w.Disk = plan
	w.Processes = plannedProcesses{w.Processes, below, plan.Host()}
	w.Services = plannedServices{w.Services}
	w.planned = true
	return w
}

// plannedProcesses start commands that change nothing, except in a directory that only
// the real run will have made.
type plannedProcesses struct {
	processes Processes
	below     Files // those that there are
	planned   Files // those that there would be
}

func (p plannedProcesses) Run(ctx context.Context, cmd Command) (Output, error) {
	if err := cmd.check(); err != nil {
		return Output{}, err
	}
	if !cmd.ReadOnly || p.onlyPlanned(cmd.Dir) {
		return Output{}, cmd.fault(ErrPlanned)
	}
	return p.processes.Run(ctx, cmd)
}

func (p plannedProcesses) Attach(ctx context.Context, cmd Command) (int, error) {
	if err := cmd.checkAttached(); err != nil {
		return 0, err
	}
	if !cmd.ReadOnly || p.onlyPlanned(cmd.Dir) {
		return 0, cmd.fault(ErrPlanned)
	}
	return p.processes.Attach(ctx, cmd)
}

func (p plannedProcesses) onlyPlanned(path string) bool {
	_, err := p.below.Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = p.planned.Lstat(path)
	return err == nil
}

// plannedServices are sent what changes nothing.
type plannedServices struct{ services Services }

func (s plannedServices) Send(ctx context.Context, req Request) (io.ReadCloser, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	if !req.ReadOnly {
		return nil, req.fault(ErrPlanned)
	}
	return s.services.Send(ctx, req)
}

func (s plannedServices) Listening(ctx context.Context, address string) (bool, error) {
	return s.services.Listening(ctx, address)
}

// TryListen takes the address in truth, for a moment: it leaves nothing behind.
func (s plannedServices) TryListen(ctx context.Context, network, address string) error {
	return s.services.TryListen(ctx, network, address)
}

// plannedClock lets time pass without waiting for it: what a plan sleeps is added to what
// the clock below shows, so that whoever waits until a time comes to it.
type plannedClock struct {
	clock Clock
	ahead *atomic.Int64 // nanoseconds
}

func (c plannedClock) Now() time.Time { return c.clock.Now().Add(time.Duration(c.ahead.Load())) }

func (c plannedClock) BootTime() (boot string, up time.Duration, err error) {
	boot, up, err = c.clock.BootTime()
	return boot, up + time.Duration(c.ahead.Load()), err
}

func (c plannedClock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() == nil {
		c.ahead.Add(int64(max(d, 0)))
	}
	return ctx.Err()
}
