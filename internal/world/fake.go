package world

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Fake is a machine in memory, for tests. Its fields are to be set before it is
// used; its methods may be called by several goroutines at once.
type Fake struct {
	Env  map[string]string // the caller's environment
	User int               // the number of the effective user
	Name string            // of the machine
	Dir  string            // the working directory
	Exe  string            // the path of the running program

	// Handle plays the processes. Without it no program is found. It may tell the
	// command's Follow, which is never nil here, how what it returns comes; what it
	// doesn't tell is told when it returns, of stdout first.
	Handle func(ctx context.Context, cmd Command) (Output, error)

	// Listeners are the addresses that accept connections, and so are taken.
	Listeners map[string]bool

	// Answer plays the services: it reads of the request what it likes, and returns the
	// whole answer. Without it all connections are refused.
	Answer func(ctx context.Context, req Request) ([]byte, error)

	// Pause is how long Sleep takes in truth, so that what goes on beside it gets its
	// turn before the clock has moved on for long; not at all if 0.
	Pause time.Duration

	tree *tree

	mu       sync.Mutex // guards what follows
	now      time.Time
	boots    int           // how often it was started anew
	up       time.Duration // since then
	random   *rand.ChaCha8
	commands []Command
}

// NewFake returns a machine with an ordinary user in an empty home directory,
// and a clock that stands still until it is moved or slept by.
func NewFake() *Fake {
	f := &Fake{
		Env:    map[string]string{"HOME": "/home/user", "PATH": "/usr/bin", "USER": "user"},
		User:   1000,
		Name:   "machine",
		Dir:    "/home/user",
		Exe:    "/usr/bin/kinfra",
		now:    time.Date(2026, 2, 2, 10, 11, 12, 131415000, time.UTC),
		random: rand.NewChaCha8([32]byte{}),
	}
	f.tree = &tree{now: f.Now, user: f.UserID, lockFiles: true}
	// Everybody may write at the top, so that User can be anybody.
	f.tree.top = &node{info: Info{Mode: fs.ModeDir | 0o777, ModTime: f.now}}
	for _, dir := range []string{"/home", "/home/user", "/tmp"} {
		f.Host().Mkdir(dir, 0o777)
	}
	return f
}

// Write puts a file at an absolute path as another program would: with the
// directories above it, and in place if there is one already. It panics where
// that is impossible.
func (f *Fake) Write(path string, data []byte) {
	if err := f.Host().MkdirAll(filepath.Dir(path), 0o777); err != nil {
		panic(err)
	}
	err := (&treeFiles{tree: f.tree}).visit("write", path, true, func(at spot) error {
		file := at.node
		if file == nil {
			file = f.tree.fresh(0o644)
			f.tree.add(at.dir, at.name, file)
		}
		if !file.info.Mode.IsRegular() {
			return ErrNotRegular
		}
		file.data = bytes.Clone(data)
		file.info.Size, file.info.ModTime = int64(len(data)), f.Now()
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// Alter changes what is known of the file at an absolute path: its permissions,
// owner, time or type. It panics if there is none.
func (f *Fake) Alter(path string, change func(*Info)) {
	err := (&treeFiles{tree: f.tree}).visit("alter", path, false, func(at spot) error {
		if at.node == nil {
			return syscall.ENOENT
		}
		change(&at.node.info)
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// Advance sets the wall clock forward by d, which may be negative. The time since
// the boot doesn't change by that.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// Pass lets time pass, on all clocks.
func (f *Fake) Pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	f.up += d
}

// Listen has an address ("127.0.0.1:8001") taken, or free.
func (f *Fake) Listen(address string, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Listeners == nil {
		f.Listeners = map[string]bool{}
	}
	f.Listeners[address] = taken
}

func (f *Fake) taken(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Listeners[address]
}

// Reboot starts the machine anew. It doesn't end what runs in the test.
func (f *Fake) Reboot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boots++
	f.up = 0
}

// Commands are the commands that were run so far, in order.
func (f *Fake) Commands() []Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.commands)
}

// World is the machine as programs on it see it.
func (f *Fake) World() World {
	return World{Disk: f, Processes: f, Services: f, Clock: f, Env: f}
}

// Host implements Disk.
func (f *Fake) Host() Files { return treeDisk{f.tree}.Host() }

// Root implements Disk.
func (f *Fake) Root(dir string) Files { return treeDisk{f.tree}.Root(dir) }

// Run records the command and has Handle play it.
func (f *Fake) Run(ctx context.Context, cmd Command) (Output, error) {
	if err := cmd.check(); err != nil {
		return Output{}, err
	}
	if err := ctx.Err(); err != nil {
		return Output{}, cmd.fault(err)
	}
	f.mu.Lock()
	f.commands = append(f.commands, cmd)
	f.mu.Unlock()
	if f.Handle == nil {
		return Output{}, cmd.fault(exec.ErrNotFound)
	}
	told := map[Stream]int{}
	follow := cmd.Follow
	cmd.Follow = func(from Stream, piece []byte) {
		if told[from] += len(piece); follow != nil {
			follow(from, piece)
		}
	}
	out, err := f.Handle(ctx, cmd)
	for _, rest := range []struct {
		from Stream
		all  []byte
	}{{Stdout, out.Stdout}, {Stderr, out.Stderr}} {
		if untold := rest.all[min(told[rest.from], len(rest.all)):]; len(untold) > 0 {
			cmd.Follow(rest.from, bytes.Clone(untold))
		}
	}
	return out, cmd.fault(err)
}

// Listening implements Services.
func (f *Fake) Listening(_ context.Context, address string) (bool, error) {
	return f.taken(address), nil
}

// TryListen implements Services.
func (f *Fake) TryListen(_ context.Context, network, address string) error {
	if f.taken(address) {
		return listenError(network, address, syscall.EADDRINUSE)
	}
	return nil
}

// Send has Answer play the service.
func (f *Fake) Send(ctx context.Context, req Request) (io.ReadCloser, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, req.fault(err)
	}
	if f.Answer == nil {
		return nil, req.fault(syscall.ECONNREFUSED)
	}
	if req.Body == nil {
		req.Body = bytes.NewReader(nil)
	}
	answer, err := f.Answer(ctx, req)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(answer)), nil
}

// Attach records the command and has Handle play it. What that prints is lost.
func (f *Fake) Attach(ctx context.Context, cmd Command) (int, error) {
	if err := cmd.checkAttached(); err != nil {
		return 0, err
	}
	cmd.Timeout = attachedTimeout
	out, err := f.Run(ctx, cmd)
	return out.Code, err
}

// Getenv implements Environment.
func (f *Fake) Getenv(name string) (string, bool) {
	value, ok := f.Env[name]
	return value, ok
}

// Environ implements Environment.
func (f *Fake) Environ() []string {
	env := make([]string, 0, len(f.Env))
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		env = append(env, fmt.Sprintf("%s=%s", name, f.Env[name]))
	}
	return env
}

// WorkDir implements Environment.
func (f *Fake) WorkDir() (string, error) { return f.Dir, nil }

// Executable implements Environment.
func (f *Fake) Executable() (string, error) { return f.Exe, nil }

// UserID implements Environment.
func (f *Fake) UserID() int { return f.User }

// Hostname implements Environment.
func (f *Fake) Hostname() string { return f.Name }

// Now implements Clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// BootTime implements Clock.
func (f *Fake) BootTime() (boot string, up time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint("boot ", f.boots), f.up, nil
}

// Sleep lets the time pass and returns at once, or after the Pause.
func (f *Fake) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.Pass(max(d, 0))
	if f.Pause > 0 {
		time.Sleep(f.Pause)
	}
	return ctx.Err()
}

// Random gives the same bytes in every run.
func (f *Fake) Random(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.random.Read(b)
}
