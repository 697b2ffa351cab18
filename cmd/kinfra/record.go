package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/registry"
)

// identify gives the run what its record says of it: how it was called, in a form that
// gives the same again. line is the flags and arguments of the command.
func (a *app) identify(line []string) {
	dir, _ := a.real.Env.WorkDir() // what needs it has asked for it, and failed
	args := slices.Clone(a.target)
	if a.globals.root != "" {
		args = append(args, "--root="+a.root())
	}
	if a.globals.scripts != "" {
		args = append(args, "--scripts="+a.path(a.globals.scripts))
	}
	a.identity = event.Run{ID: a.recorded, Line: a.line(), Args: append(args, line...), Dir: dir}
}

// record begins the record of a run, with the event that first gives.
func (a *app) record(ctx context.Context, t *starlark.Thread, loaded func() []layer.File, first func(id string) *event.Event) (*journal.Journal, error) {
	a.interruption.expect()
	store, err := a.runs(t)
	if err != nil {
		return nil, err
	}
	scripts, err := json.Marshal(a.layers.Copy(loaded()))
	if err != nil {
		return nil, err
	}
	a.describe(ctx)
	j, id, err := store.Create(scripts, first)
	a.recorded = id
	return j, err
}

// runs is the records of the pool's runs.
func (a *app) runs(t *starlark.Thread) (*journal.Store, error) {
	dir, keep, root, err := builtins.Runs(t, a.builtinOptions())
	if err != nil {
		return nil, err
	}
	if err := registry.Open(a.world, root).CheckRoot(); errors.Is(err, registry.ErrRoot) {
		return nil, err
	}
	a.identity.Root = root
	return journal.Open(a.world, dir, keep), nil
}

// presentation is the flags of this command line that say how a run is shown.
func (a *app) presentation(c *cobra.Command) []string {
	var args []string
	c.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "root", "scripts", "help", "edited":
		case "report":
			for _, r := range a.globals.reports {
				args = append(args, "--report="+r.kind+"="+a.path(r.file))
			}
		default:
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// openRuns gives the records of the pool's runs to a command that is no script. Where the
// scripts that name the pool can't be used, another pool's would be taken for them.
func (a *app) openRuns(c *cobra.Command) (*journal.Store, error) {
	if a.layersErr != nil && a.builtinOptions().Root == "" {
		return nil, a.layersErr
	}
	run := a.newRun(c.Context())
	var store *journal.Store
	err := run.With(func(t *starlark.Thread) (err error) {
		store, err = a.runs(t)
		return err
	})
	return store, err
}
