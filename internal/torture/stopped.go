package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	// ownWait is how long kinfra waits for a lock by itself, and lateness how much later
	// than it should the end of a wait may come on a busy machine.
	ownWait  = 10 * time.Second
	lateness = 4 * time.Second
)

// tryStopped stops processes that hold something the others need.
func tryStopped(ctx context.Context, l *lab) (finding, error) {
	f := finding{}
	dir, err := l.newDir("stopped")
	if err != nil {
		return f, err
	}
	p, err := newPool(ctx, world.Real("the judge"), dir, small(1), 3)
	if err != nil {
		return f, err
	}
	held, err := p.claim(ctx, 0)
	if err != nil {
		return f, err
	}
	s := stopping{finding: &f, pool: p, dir: dir}
	if err := s.lockHolder(ctx, held, pick(l, ownWait, 0)); err != nil {
		return f, err
	}
	if err := s.slotHolder(ctx, held, pick(l, ownWait, 0)); err != nil {
		return f, err
	}
	if err := s.firstInQueue(ctx, held); err != nil {
		return f, err
	}
	f.figures = fmt.Sprintf("%d waits ended in time with the name of who was stopped; %d reads did not wait; all went on after SIGCONT", s.waits, s.reads)
	return f, nil
}

// stopping is the pool in which processes are stopped.
type stopping struct {
	*finding
	pool
	dir   string
	waits int // that ended in time
	reads int
}

// patient is an operation that has to wait for who is stopped.
type patient struct {
	what string
	do   func(context.Context) error
}

// lockHolder stops the holder of the registry's lock. The others wait for a short time
// of their own, and for as long as kinfra waits by itself unless that is 0.
func (s *stopping) lockHolder(ctx context.Context, held claim.Claim, own time.Duration) error {
	h, err := s.hold(ctx, registry.LockFile)
	if err != nil {
		return err
	}
	defer h.end()
	all := []patient{
		{"a claim", func(ctx context.Context) error { _, err := s.claim(ctx, 1); return err }},
		{"a release", func(ctx context.Context) error { return s.Release(ctx, target(held)) }},
		{"a registry write", func(ctx context.Context) error {
			return s.store.Update(ctx, func(*registry.Registry) error { return nil })
		}},
		{"a slot's creation", func(ctx context.Context) error { return s.provision(ctx, small(2)) }},
	}
	for _, o := range all {
		s.wait(ctx, o, h, 300*time.Millisecond)
	}
	if own > 0 {
		s.wait(ctx, all[0], h, own)
	}
	if _, err := s.List(ctx); err != nil {
		s.wrong("a listing fails beside a stopped process: %v", err)
	}
	s.reads++
	return s.goesOn(h, func() error { _, err := s.claim(ctx, 0); return err })
}

// slotHolder stops the process that works on a slot.
func (s *stopping) slotHolder(ctx context.Context, held claim.Claim, own time.Duration) error {
	h, err := s.hold(ctx, fmt.Sprintf("kinfra/slots/%d.lock", held.Slot))
	if err != nil {
		return err
	}
	defer h.end()
	guard := patient{"work on a slot", func(ctx context.Context) error {
		unlock, err := s.Guard(ctx, target(held))
		if err == nil {
			unlock()
		}
		return err
	}}
	s.wait(ctx, guard, h, 300*time.Millisecond)
	if own > 0 {
		s.wait(ctx, guard, h, own)
	}
	return s.goesOn(h, func() error { return guard.do(ctx) })
}

// firstInQueue stops the process that waits first for a slot. It isn't overtaken, so who
// comes after it gives up when its own wait is over.
func (s *stopping) firstInQueue(ctx context.Context, held claim.Claim) error {
	h, err := s.start(ctx, order{Role: "waiter", Dir: s.dir, Number: 1})
	if err != nil {
		return err
	}
	defer h.end()
	if err := h.stop(); err != nil {
		return err
	}
	if err := s.Release(ctx, target(held)); err != nil {
		return err
	}
	req := s.request(2)
	req.Wait = 300 * time.Millisecond
	s.wait(ctx, patient{"a claim in the queue", func(context.Context) error {
		_, _, err := s.Claim(ctx, req)
		return err
	}}, h, req.Wait)
	return s.goesOn(h, h.done)
}

// wait wants an operation to end after a time, with the name of the process for which it
// waited. A time that is kinfra's own isn't given to it.
func (s *stopping) wait(ctx context.Context, o patient, h *holderProcess, after time.Duration) {
	waiting := ctx
	if after < ownWait {
		limited, cancel := context.WithTimeout(ctx, after)
		defer cancel()
		waiting = limited
	}
	start := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- o.do(waiting) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), h.name()) {
			s.wrong("%s, beside the stopped %s: after %s %v", o.what, h.name(), time.Since(start).Round(time.Millisecond), err)
			return
		}
		s.waits++
	case <-time.After(after + lateness):
		s.wrong("%s hangs: it has not ended %s after it should", o.what, lateness)
	}
}

// goesOn lets a stopped process go on and end, and does what waited for it.
func (s *stopping) goesOn(h *holderProcess, do func() error) error {
	if err := h.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	h.in.Close()
	if err := do(); err != nil {
		s.wrong("after SIGCONT of %s: %v", h.name(), err)
	}
	return nil
}

// holderProcess is a process that holds something.
type holderProcess struct {
	order
	cmd *exec.Cmd
	in  io.WriteCloser // it ends when that does
	out *bufio.Scanner // a line once it holds what it is to hold, and another one when it has ended well
}

// name is how the process names itself in what it holds.
func (h *holderProcess) name() string { return fmt.Sprintf("pid %d: %s", h.cmd.Process.Pid, h.Role) }

// start starts a process, and waits until it holds something.
func (s *stopping) start(ctx context.Context, o order) (*holderProcess, error) {
	cmd, err := o.command(ctx)
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &holderProcess{o, cmd, in, bufio.NewScanner(out)}
	if !h.out.Scan() {
		h.end()
		return nil, fmt.Errorf("the %s ended before it held anything", o.Role)
	}
	return h, nil
}

// hold starts a process that locks a file, and stops it.
func (s *stopping) hold(ctx context.Context, name string) (*holderProcess, error) {
	h, err := s.start(ctx, order{Role: "holder", Dir: s.dir, Name: name})
	if err != nil {
		return nil, err
	}
	return h, h.stop()
}

func (h *holderProcess) stop() error { return h.cmd.Process.Signal(syscall.SIGSTOP) }

// done waits for the process to say that it has ended well.
func (h *holderProcess) done() error {
	if !h.out.Scan() {
		return errors.New("it ended with an error")
	}
	return nil
}

func (h *holderProcess) end() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// holdLock is a process that holds a lock until its input ends.
func holdLock(ctx context.Context, c child) error {
	p := openPool(c.world(), c.Dir)
	files := p.w.Disk.Root(p.root)
	if err := files.MkdirAll("kinfra/slots", 0o700); err != nil {
		return err
	}
	unlock, err := files.Lock(ctx, c.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.out.Encode("locked"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c.in)
	return err
}

// waitForSlot is a process that waits for a slot in the queue.
func waitForSlot(ctx context.Context, c child) error {
	p := openPool(c.world(), c.Dir)
	req := p.request(c.Number)
	req.Wait = time.Minute
	var told error
	req.Waiting = func(*claim.NoneFreeError) { told = c.out.Encode("waiting") }
	if _, _, err := p.Claim(ctx, req); err != nil {
		return err
	}
	return errors.Join(told, c.out.Encode("claimed"))
}
