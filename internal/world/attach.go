package world

import (
	"context"
	"math"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// attachedTimeout stands where Run wants a timeout: an attached process has none.
const attachedTimeout time.Duration = math.MaxInt64

func (realProcesses) Attach(ctx context.Context, cmd Command) (int, error) {
	if err := cmd.checkAttached(); err != nil {
		return 0, err
	}
	program, err := cmd.lookPath()
	if err == nil {
		err = cmd.checkDir()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, cmd.fault(err)
	}
	proc := exec.CommandContext(ctx, program)
	proc.Args, proc.Dir = cmd.Args, cmd.Dir
	proc.Env = append([]string{}, cmd.Env...) // not nil, which would mean this process's
	proc.Stdin, proc.Stdout, proc.Stderr = os.Stdin, os.Stdout, os.Stderr
	// The process keeps this one's group: one of its own would be in the
	// background, where reading from the terminal stops it. So it is ended alone.
	proc.Cancel = func() error { return proc.Process.Signal(syscall.SIGTERM) }
	proc.WaitDelay = killGrace
	if err := proc.Run(); proc.ProcessState == nil {
		return 0, cmd.fault(err) // it wasn't started
	}
	return exitCode(proc.ProcessState), cmd.fault(ctx.Err())
}

// checkAttached is check for a command that has no timeout.
func (c Command) checkAttached() error {
	c.Timeout = attachedTimeout
	return c.check()
}
