package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/internal/world"
)

// frameTime is how long what is drawn on a terminal stays as it is.
const frameTime = 100 * time.Millisecond

// live shows a run on the terminal that stderr is; nil if it is none that can be drawn on.
// Until the run has something to draw, this costs nothing.
func (a *app) live(ctx context.Context, lines present.Plain) *present.Live {
	s, ok := a.stderr.(*stream)
	if !ok || !s.canDraw() {
		return nil
	}
	l := &present.Live{Plain: lines, Terminal: s.file, Size: s.size}
	l.Watch = func() func() {
		done := make(chan struct{})
		go follow(ctx, done, l)
		return func() { close(done) }
	}
	return l
}

// canDraw tells whether the stream is a terminal on which the cursor can be moved.
func (s *stream) canDraw() bool {
	term := os.Getenv("TERM")
	return s.terminal && term != "" && term != "dumb"
}

// size is that of the terminal; 0 while another job of the shell has it.
func (s *stream) size() (width, height int) {
	fd := int(s.file.Fd())
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil && group != unix.Getpgrp() {
		return 0, 0
	}
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 { // as on a serial line
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}

// follow has frames drawn until done is closed, and takes away what is drawn when the
// run is interrupted or Ctrl-Z suspends the process.
func follow(ctx context.Context, done <-chan struct{}, l *present.Live) {
	frames := time.NewTicker(frameTime)
	defer frames.Stop()
	suspends := make(chan os.Signal, 1)
	catchSuspends(suspends)
	defer releaseSuspends(suspends)
	interrupted := ctx.Done()
	for {
		select {
		case <-done:
			return
		case now := <-frames.C:
			l.Frame(now)
		case <-interrupted:
			l.Interrupt()
			interrupted = nil
		case <-suspends:
			l.Pause()
			suspend(suspends)
			l.Continue()
		}
	}
}

func catchSuspends(suspends chan<- os.Signal) {
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(suspends, syscall.SIGTSTP)
	}
}

// releaseSuspends leaves suspending to the system again, also what was asked for in the
// very last moment.
func releaseSuspends(suspends chan os.Signal) {
	signal.Stop(suspends)
	select {
	case <-suspends:
		suspend(nil)
	default:
	}
}

// suspend stops the process, as it would be if nobody caught the signal, and returns when
// it goes on.
func suspend(suspends chan<- os.Signal) {
	signal.Reset(syscall.SIGTSTP)
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if syscall.Kill(os.Getpid(), syscall.SIGTSTP) == nil {
		select {
		case <-continued:
		case <-time.After(frameTime): // where no shell could continue it, it isn't stopped
		}
	}
	if suspends != nil {
		catchSuspends(suspends)
	}
}

// share lets all that writes to the terminal beside l come out above what is drawn, and
// child processes have the terminal to themselves.
func (a *app) share(c *engine.Config, l *present.Live) {
	c.World = &lender{c.World, l}
	c.Log = a.globals.log(l.Beside(a.stderr))
}

// lender is a world whose attached processes have the terminal to themselves.
type lender struct {
	world.World
	live *present.Live
}

// Attach is that of the world.
func (w *lender) Attach(ctx context.Context, cmd world.Command) (int, error) {
	w.live.Pause()
	defer w.live.Continue()
	return w.World.Attach(ctx, cmd)
}
