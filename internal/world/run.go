package world

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// killGrace is how long a process group has to end after SIGTERM, before
	// SIGKILL ends it.
	killGrace = 2 * time.Second

	// pipeGrace is how long the pipes of a process that has ended are still
	// read: what it left running in the background may hold them open for ever.
	pipeGrace = 250 * time.Millisecond

	// leftoverGrace is what is left of killGrace for the rest of a group once its
	// first process has ended.
	leftoverGrace = 250 * time.Millisecond

	// outputLimit is a Command's Limit unless it says otherwise.
	outputLimit = 64 << 20
)

type realProcesses struct{}

func (realProcesses) Run(ctx context.Context, cmd Command) (Output, error) {
	if err := cmd.check(); err != nil {
		return Output{}, err
	}
	program, err := cmd.lookPath()
	if err == nil {
		err = cmd.checkDir()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Output{}, cmd.fault(err)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := cmp.Or(cmd.Limit, outputLimit)
	captured := &captures{follow: cmd.Follow, limit: limit, exceeded: func() { cancel(ErrTooLarge) }}
	stdout, stderr := &capture{all: captured, stream: Stdout}, &capture{all: captured, stream: Stderr}
	proc := cmd.process(program, stdout, stderr)
	if err := proc.Start(); err != nil {
		return Output{}, cmd.fault(err)
	}
	timer := time.AfterFunc(cmd.Timeout, func() { cancel(ErrTimeout) })
	defer timer.Stop()
	killed := endGroupWhenDone(ctx, proc.Process.Pid)
	awaitExit(proc.Process.Pid)
	err = proc.Wait()
	wasKilled := killed()
	tooMuch := captured.end()
	switch {
	case tooMuch:
		err = fmt.Errorf("its output is %w, over %d bytes", ErrTooLarge, limit)
	case wasKilled && errors.Is(context.Cause(ctx), ErrTimeout):
		err = fmt.Errorf("%w after %s", ErrTimeout, cmd.Timeout)
	case wasKilled:
		err = ctx.Err()
	case isExit(err):
		err = nil
	}
	out := Output{Code: exitCode(proc.ProcessState), Stdout: stdout.buf.Bytes(), Stderr: stderr.buf.Bytes()}
	return out, cmd.fault(err)
}

// process prepares the process.
func (c Command) process(program string, stdout, stderr io.Writer) *exec.Cmd {
	proc := &exec.Cmd{
		Path:        program,
		Args:        c.Args,
		Dir:         c.Dir,
		Env:         append([]string{}, c.Env...), // not nil, which would mean this process's
		Stdout:      stdout,
		Stderr:      stderr,
		SysProcAttr: ownGroup(),
		WaitDelay:   pipeGrace,
	}
	if len(c.Stdin) > 0 {
		proc.Stdin = bytes.NewReader(c.Stdin)
	}
	return proc
}

// isExit tells whether waiting for a process failed only because of its exit
// code, which the Output has, or a pipe that is kept open in the background.
func isExit(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay)
}

// checkDir finds a missing working directory, for which the system would blame
// the program.
func (c Command) checkDir() error {
	info, err := os.Stat(c.Dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return pathError("chdir", c.Dir, err)
}

// check refuses a command that no world could run.
func (c Command) check() error {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return errors.New("running a command: it names no program")
	case !filepath.IsAbs(c.Dir):
		return c.fault(fmt.Errorf("its working directory is %q, %w", c.Dir, errRelative))
	case c.Timeout <= 0:
		return c.fault(fmt.Errorf("its timeout is %s, want a positive one", c.Timeout))
	case c.Limit < 0:
		return c.fault(fmt.Errorf("its output limit is %d, want a positive one", c.Limit))
	}
	return nil
}

func (c Command) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("running %s: %w", c.Args[0], err)
}

// lookPath finds the program. Only absolute elements of PATH count: a program
// must not be found in whatever the working directory happens to be.
func (c Command) lookPath() (string, error) {
	program := c.Args[0]
	if strings.Contains(program, "/") {
		path := program
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Dir, path)
		}
		err := executable(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w (%w)", exec.ErrNotFound, err)
		}
		return path, err
	}
	found := exec.ErrNotFound
	for _, dir := range filepath.SplitList(lookup(c.Env, "PATH")) {
		path := filepath.Join(dir, program)
		if !filepath.IsAbs(path) {
			continue
		}
		err := executable(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			found = fmt.Errorf("%w (%w)", exec.ErrNotFound, err)
		}
	}
	return "", found
}

// executable tells why the file at path can't be executed, or nil.
func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return pathError("execute", path, syscall.EACCES)
	}
	return nil
}

// lookup is a variable in a list of KEY=value, of which the last counts.
func lookup(env []string, name string) string {
	value := ""
	for _, entry := range env {
		if k, v, ok := strings.Cut(entry, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// exitCode is the code as a shell has it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// endGroupWhenDone ends the process group when ctx does. The function returned
// is called once the process has ended; it waits until the group has, if that
// is being ended, and tells whether it was.
func endGroupWhenDone(ctx context.Context, pgid int) (killed func() bool) {
	exited := make(chan struct{})
	result := make(chan bool)
	go func() {
		select {
		case <-exited:
			result <- false
		case <-ctx.Done():
			select {
			case <-exited: // it was faster
				result <- false
			default:
				endGroup(pgid, exited)
				result <- true
			}
		}
	}()
	return func() bool {
		close(exited)
		return <-result
	}
}

// endGroup asks a process group to end, and makes it. exited is closed when its
// first process has been waited for.
func endGroup(pgid int, exited <-chan struct{}) {
	adoptOrphans()
	syscall.Kill(-pgid, syscall.SIGTERM)
	syscall.Kill(-pgid, syscall.SIGCONT) // a stopped process doesn't see SIGTERM
	select {
	case <-exited:
		awaitGroup(pgid)
	case <-time.After(killGrace):
	}
	syscall.Kill(-pgid, syscall.SIGKILL)
}

// awaitGroup gives what outlived the first process of its group a moment to end
// by itself. It is a short one, since the dead look alive here until their new
// parent has taken note. That is this process where the system allows that; else it is
// process 1, which in a container may never do so.
func awaitGroup(pgid int) {
	const pause = time.Millisecond
	for waited := time.Duration(0); waited < leftoverGrace; waited += pause {
		reapGroup(pgid)
		if syscall.Kill(-pgid, 0) != nil {
			return
		}
		time.Sleep(pause)
	}
}

// captures is what a process prints on its streams.
type captures struct {
	follow   func(from Stream, piece []byte) // of the Command
	limit    int64                           // bytes of each stream
	exceeded func()                          // called when there are more

	mu    sync.Mutex // the pipe may outlive the process, and so the writer the reader
	over  bool       // there were more
	ended bool       // what comes now is not captured
}

// end ends the capturing, and tells whether there was more than the limit.
func (c *captures) end() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.over
}

// capture is one of the streams. Its buf is there to be read once the capturing has ended.
type capture struct {
	all    *captures
	stream Stream
	buf    bytes.Buffer
}

// Write never fails: the process is to be ended as a whole, not by a broken pipe.
func (c *capture) Write(b []byte) (int, error) {
	all := c.all
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.ended {
		return len(b), nil
	}
	room := all.limit - int64(c.buf.Len())
	kept := b[:min(int64(len(b)), room)]
	c.buf.Write(kept)
	if all.follow != nil && len(kept) > 0 {
		all.follow(c.stream, kept)
	}
	if len(kept) < len(b) && !all.over {
		all.over = true
		all.exceeded()
	}
	return len(b), nil
}
