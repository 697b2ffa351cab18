package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ktrdr/kinfra/engine"
)

// trailName is what the memory of a trail is called.
const trailName = "kinfra-trail"

// isConfined tells whether this process is the child: whether it was given a trail.
func isConfined() bool {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", confinedTrail))
	return err == nil && strings.HasPrefix(name, "/memfd:"+trailName)
}

// confinable tells whether this command line can be run by a child, and isn't yet.
func (a *app) confinable() bool {
	return a.interruption != nil && !a.interruption.confined && a.stderr.file != nil && a.stdout.file != nil
}

// confined runs this command line by a child with a limit of memory, and gives the error
// with which it ends here. What the child says is said.
func (a *app) confined(ctx context.Context) error {
	runtime.LockOSThread() // the child ends with the thread that has started it
	defer runtime.UnlockOSThread()
	a.interruption.expect()
	memory, file, err := sharedMemory(trailSize)
	if err != nil {
		return fmt.Errorf("confining the tests: %w", err)
	}
	defer file.Close()
	child, died, err := a.startConfined(file)
	if err != nil {
		return fmt.Errorf("confining the tests: %w", err)
	}
	ended := make(chan struct{})
	var killed error
	var waiting sync.WaitGroup
	waiting.Go(func() { killed = endWhenOver(ctx, a.globals.timeout, child.Process, ended) })
	_ = child.Wait() // how it ended, its state says
	close(ended)
	waiting.Wait()
	if killed != nil {
		return endedFromOutside(killed)
	}
	c := crash{<-died}
	if !c.fatal() {
		a.stderr.Write(c.text)
	}
	return a.confinedOutcome(child.ProcessState, c, marks(memory))
}

// startConfined starts the child. What Go prints as the child dies comes on died.
func (a *app) startConfined(trail *os.File) (child *exec.Cmd, died <-chan []byte, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer write.Close()
	child = &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{confinedName}, a.typed...),
		Stdin: os.Stdin, Stdout: a.stdout.file, Stderr: write,
		ExtraFiles:  []*os.File{a.stderr.file, trail},
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if err := child.Start(); err != nil {
		read.Close()
		return nil, nil, err
	}
	texts := make(chan []byte, 1)
	go func() {
		defer read.Close()
		text, _ := io.ReadAll(io.LimitReader(read, mostCrash))
		io.Copy(io.Discard, read)
		texts <- text
	}()
	return child, texts, nil
}

// mostCrash is how much of what Go prints counts.
const mostCrash = 256 << 10

// endWhenOver asks the child to end when ctx does, or its time is over, and makes it. It
// gives why, if it had to. The child looks at the clock and ends by itself; Ctrl-C it
// leaves to this process, which the terminal tells as well.
func endWhenOver(ctx context.Context, timeout time.Duration, child *os.Process, ended <-chan struct{}) error {
	var late <-chan time.Time
	if timeout > 0 {
		late = time.After(timeout + endTime)
	}
	select {
	case <-ended:
		return nil
	case <-late:
		child.Kill()
		return fmt.Errorf("the tests %w after %s", engine.ErrTimedOut, timeout)
	case <-ctx.Done():
	}
	child.Signal(syscall.SIGTERM)
	child.Signal(syscall.SIGCONT) // a stopped process doesn't see it
	select {
	case <-ended:
		return nil
	case <-time.After(endTime):
		child.Kill()
		return context.Cause(ctx)
	}
}

// sharedMemory makes memory that a child can share by the file.
func sharedMemory(size int) ([]byte, *os.File, error) {
	fd, err := unix.MemfdCreate(trailName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fd), "trail")
	memory, err := mapShared(file, size)
	if err != nil {
		file.Close()
	}
	return memory, file, err
}

func mapShared(file *os.File, size int) ([]byte, error) {
	if err := unix.Ftruncate(int(file.Fd()), int64(size)); err != nil {
		return nil, err
	}
	return unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// enterConfinement makes this process the child that it was started as: it limits its memory,
// and gives its stderr and its trail.
func enterConfinement(limit size) (stderr *os.File, t *trail, err error) {
	signal.Ignore(os.Interrupt, syscall.SIGHUP) // the parent tells
	bound := unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &bound); err != nil {
		return nil, nil, fmt.Errorf("limiting the memory: %w", err)
	}
	unix.CloseOnExec(confinedStderr)
	unix.CloseOnExec(confinedTrail)
	memory, err := mapShared(os.NewFile(confinedTrail, "trail"), trailSize)
	if err != nil {
		return nil, nil, errors.Join(errors.New("sharing memory with the parent"), err)
	}
	return os.NewFile(confinedStderr, os.Stderr.Name()), newTrail(memory), nil
}
