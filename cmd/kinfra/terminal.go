package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/internal/world"
)

// frameTime is how long what is drawn on a terminal stays as it is.
const frameTime = 100 * time.Millisecond

// live shows a run on the terminal that stderr is; nil if it is none that can be drawn on.
// Until the run has something to draw, this costs nothing.
func (a *app) live(ctx context.Context, lines present.Plain) *present.Live {
	s := a.stderr
	if !s.canDraw() {
		return nil
	}
	l := &present.Live{Plain: lines, Terminal: s.out, Size: s.size}
	var suspensions sync.Once
	l.Watch = func() func() {
		a.interruption.expect()
		suspensions.Do(func() { followSuspensions(l) })
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
// run is interrupted.
func follow(ctx context.Context, done <-chan struct{}, l *present.Live) {
	frames := time.NewTicker(frameTime)
	defer frames.Stop()
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
		}
	}
}

// followSuspensions takes away what is drawn when Ctrl-Z suspends the process, for as
// long as it lives: a signal that was once caught, Go never leaves to the system again.
func followSuspensions(l *present.Live) {
	if signal.Ignored(syscall.SIGTSTP) {
		return
	}
	suspends := make(chan os.Signal, 1)
	signal.Notify(suspends, syscall.SIGTSTP)
	go func() {
		for range suspends {
			l.Pause()
			suspend()
			l.Continue()
		}
	}()
}

// suspend stops the process until its shell continues it. Where no shell has given it a
// process group of its own, none would: there the system ignores Ctrl-Z, too.
func suspend() {
	session, err := unix.Getsid(0)
	if err != nil || session == unix.Getpgrp() {
		return
	}
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if syscall.Kill(os.Getpid(), syscall.SIGSTOP) == nil {
		<-continued
	}
}

// share lets all that writes to the terminal beside l come out above what is drawn, and
// questions and child processes have the terminal to themselves.
func (a *app) share(c *engine.Config, l *present.Live) {
	c.World = lend(c.World, l)
	c.Asker = pausing{c.Asker, l}
	c.Log = a.globals.log(l.Beside(a.stderr))
}

// pausing is an asker who has the terminal to itself.
type pausing struct {
	asker engine.Asker
	live  *present.Live
}

func (p pausing) Nobody() *engine.NobodyError { return p.asker.Nobody() }

func (p pausing) Ask(ctx context.Context, q *event.Question) (*event.Answer, error) {
	p.live.Pause()
	defer p.live.Continue()
	return p.asker.Ask(ctx, q)
}

// lend is a world whose attached processes have the terminal to themselves.
func lend(w world.World, l *present.Live) world.World {
	w.Processes = lender{w.Processes, l}
	return w
}

type lender struct {
	processes world.Processes
	live      *present.Live
}

func (p lender) Run(ctx context.Context, cmd world.Command) (world.Output, error) {
	return p.processes.Run(ctx, cmd)
}

func (p lender) Attach(ctx context.Context, cmd world.Command) (int, error) {
	p.live.Pause()
	defer p.live.Continue()
	return p.processes.Attach(ctx, cmd)
}
