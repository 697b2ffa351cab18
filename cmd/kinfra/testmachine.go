package main

import (
	"bytes"
	"context"
	"errors"
	"io"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/internal/world"
)

// setup makes what one test gets: a machine in memory, and the modules by which it says
// what that has.
func (t *testRun) setup(ctx context.Context, out io.Writer) *engine.Config {
	machine := builtins.NewTestMachine(t.command)
	child := newAppOn(machine.Fake.World(), nil, inMemory(out), inMemory(out))
	child.tests, child.layers, child.world, child.answers = t, t.layers, machine.Fake.World(), machine
	config := child.config(ctx)
	config.Modules = append(config.Modules, builtins.TestModules(child.builtinOptions(), machine)...)
	config.Timeout = t.timeout
	config.Identity, config.Record = nil, nil // a test is no command: nothing goes on from it
	return config
}

// command runs a command line of kinfra on a test's machine: all that main does, but
// for the world, the layers and who answers.
func (t *testRun) command(ctx context.Context, w world.World, asker engine.Asker, args []string) builtins.Ran {
	var stdout, stderr bytes.Buffer
	child := newAppOn(w, args, inMemory(&stdout), inMemory(&stderr))
	child.tests, child.answers = t, asker
	err := child.main(ctx)
	ran := builtins.Ran{Result: starlark.None}
	if _, spoken := errors.AsType[*engine.ExitError](err); err != nil && !spoken {
		ran.Message = child.masks.Text(diag.Of(err, child.sources)[0].Message)
	}
	if child.run != nil {
		ran.Result, ran.Err = child.run.Result()
	}
	ran.Code = int(child.conclude(err))
	ran.Stdout, ran.Stderr = stdout.Bytes(), stderr.Bytes()
	return ran
}
