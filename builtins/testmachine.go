package builtins

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/fakedocker"
	"github.com/ktrdr/kinfra/internal/world"
)

// TestMachine is the machine in memory on which a test of scripts runs: a fake world
// with a Docker Engine, whose programs do what the test has said. The module fake is
// how a test says so.
type TestMachine struct {
	Fake    *world.Fake
	docker  *fakedocker.Engine
	command Command

	mu       sync.Mutex // guards what follows
	programs []program
	answers  *answers // nil: there is nobody to ask
}

// Command runs kinfra's command line on a world, with the layers of the test. Whom it asks
// may be nil, for nobody.
type Command func(ctx context.Context, w world.World, asker engine.Asker, args []string) Ran

// Ran is how a command line of kinfra ended.
type Ran struct {
	Code           int
	Result         starlark.Value // what the workflow returned; None if it failed
	Err            error          // why that can't be had
	Message        string         // of the error; empty without one
	Stdout, Stderr []byte
}

// program is what a command does whose arguments begin with args.
type program struct {
	args  []string
	out   world.Output
	hangs bool
}

// NewTestMachine makes a machine with an ordinary user in an empty home directory.
func NewTestMachine(command Command) *TestMachine {
	m := &TestMachine{Fake: world.NewFake(), command: command}
	m.docker = fakedocker.Install(m.Fake)
	m.Fake.Handle = m.run
	return m
}

// run plays a process: what the test has said of it, kinfra itself, or docker.
func (m *TestMachine) run(ctx context.Context, cmd world.Command) (world.Output, error) {
	if p, ok := m.program(cmd.Args); ok {
		if p.hangs {
			return p.out, world.ErrTimeout
		}
		return p.out, nil
	}
	switch {
	case cmd.Args[0] == m.Fake.Exe:
		ran := m.command(ctx, started(m.Fake.World(), cmd), nil, cmd.Args[1:])
		return world.Output{Code: ran.Code, Stdout: ran.Stdout, Stderr: ran.Stderr}, nil
	case cmd.Args[0] == "docker":
		return m.docker.Run(cmd)
	}
	return world.Output{}, fmt.Errorf("%w: this test has not said what it does: fake.process([%q], …) does", exec.ErrNotFound, cmd.Args[0])
}

// program is what was last said of a command.
func (m *TestMachine) program(args []string) (program, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range slices.Backward(m.programs) {
		if len(args) >= len(p.args) && slices.Equal(args[:len(p.args)], p.args) {
			return p, true
		}
	}
	return program{}, false
}

// started is the world as a process that was started sees it: with the directory and
// environment that it was given.
func started(w world.World, cmd world.Command) world.World {
	w.Env = child{w.Env, cmd}
	return w
}

type child struct {
	parent world.Environment
	cmd    world.Command
}

func (c child) WorkDir() (string, error)    { return c.cmd.Dir, nil }
func (c child) Environ() []string           { return slices.Clone(c.cmd.Env) }
func (c child) Executable() (string, error) { return c.parent.Executable() }
func (c child) UserID() int                 { return c.parent.UserID() }
func (c child) Hostname() string            { return c.parent.Hostname() }
func (c child) Random(b []byte)             { c.parent.Random(b) }

func (c child) Getenv(name string) (string, bool) {
	for _, entry := range slices.Backward(c.cmd.Env) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// lastWords is the end of what a command printed, for an error.
func (r Ran) lastWords() string {
	text := bytes.TrimSpace(slices.Concat(r.Stdout, r.Stderr))
	lines := strings.Split(utf8Text(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
