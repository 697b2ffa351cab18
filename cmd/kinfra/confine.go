package main

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/engine"
)

// What runs files of anybody is a process of its own, under the system's limit of memory:
// nothing in a program can see to it that a single call doesn't take all. The program is
// kinfra again, with the same command line. It has the terminal, stdin and stdout of this
// one. Its stderr is a copy; where Go itself would print why it dies, this process reads.
// The two share some memory, in which the child notes where its scripts are (trail.go).

// confinedName is the name by which kinfra is called as the child, for those who list
// processes.
const confinedName = "confined/kinfra"

const (
	// confinedStderr and confinedTrail are files that the child gets.
	confinedStderr = 3
	confinedTrail  = 4

	// endTime is how long the child may take to end once it is to: somewhat longer than it
	// takes itself before it gives up.
	endTime = 1900 * time.Millisecond
)

// crash is what Go printed as the child died.
type crash struct{ text []byte }

// fatal tells whether the child died of a fault that nothing in it could catch.
func (c crash) fatal() bool {
	return bytes.Contains(c.text, []byte("fatal error: ")) || bytes.Contains(c.text, []byte("\ngoroutine "))
}

// ofMemory tells whether it died since it got no more memory.
func (c crash) ofMemory() bool {
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to create new OS thread", "cannot map pages", "stack overflow", "pthread_create failed"} {
		if bytes.Contains(c.text, []byte(sign)) {
			return true
		}
	}
	return false
}

// goroutine is the one in which it died, 0 if that isn't told.
func (c crash) goroutine() uint64 {
	m := regexp.MustCompile(`(?m)^goroutine (\d+) .*\[running`).FindSubmatch(c.text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseUint(string(m[1]), 10, 64)
	return n
}

// outcome is the error with which the command ends whose child ended with a state.
func (a *app) confinedOutcome(state *os.ProcessState, c crash, marks []mark) error {
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case c.fatal() && (c.ofMemory() || a.wasFull(state)), status.Signaled() && status.Signal() == syscall.SIGKILL:
		err := tooMuchMemory(a.globals.memory)
		for _, m := range whereOf(marks, c.goroutine()) {
			err.At = append(err.At, m.position())
		}
		return err
	case c.fatal():
		return a.faultOf(c)
	case status.Signaled():
		return &engine.ExitError{Exit: 128 + int(status.Signal())}
	case state.ExitCode() != 0:
		return &engine.ExitError{Exit: state.ExitCode()}
	}
	return nil
}

// wasFull tells whether a child used much of the memory that it had. Where Go's own
// bookkeeping gets no memory, it dies of other faults.
func (a *app) wasFull(state *os.ProcessState) bool {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	return ok && uint64(usage.Maxrss)<<10 > uint64(a.globals.memory)/3
}

// faultOf is the error of a child that died of a fault of kinfra.
func (a *app) faultOf(c crash) error {
	a.globals.log(a.stderr).Debug("a crash", "text", string(c.text))
	first, _, _ := strings.Cut(strings.TrimSpace(string(c.text)), "\n")
	return &engine.Error{
		Code: engine.Failed, Message: "kinfra itself failed: " + first,
		Next: "this is a fault of kinfra, not of the scripts: please report it with what --log-level debug shows",
	}
}

// endedFromOutside is the error of a child that had to be ended.
func endedFromOutside(cause error) error {
	return &engine.Error{
		Code: (&engine.Config{}).CodeOf(cause), Message: cause.Error(), Err: cause,
		Next: "the tests did not end by themselves, so they were made to",
	}
}
