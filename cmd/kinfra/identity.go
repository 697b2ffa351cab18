package main

import (
	"context"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/revision"
	"github.com/ktrdr/kinfra/internal/world"
)

// line is the command line, so that it can be typed again.
func (a *app) line() string { return world.ShellLine(append([]string{"kinfra"}, a.typed...)) }

// describe adds to the identity of the run what takes files and processes to find out: on
// which machine it is, whose it is, and of which commits.
func (a *app) describe(ctx context.Context) {
	if a.identity.Host != "" || a.identity.User != "" {
		return
	}
	a.identity.Host, a.identity.User = a.real.Env.Hostname(), world.UserName(a.real)
	a.identity.Git = a.revisions(ctx, a.identity.Dir, a.projectOf().Dir)
}

// describeForReports is describe, with the pool's root, if reports are asked for.
func (a *app) describeForReports(ctx context.Context) {
	if len(a.globals.reports) == 0 {
		return
	}
	a.describe(ctx)
	_ = a.run.With(func(t *starlark.Thread) error { // a pool that can't be read has no root to be told
		_, _, root, err := builtins.Runs(t, a.builtinOptions())
		if err == nil {
			a.identity.Root = root
		}
		return err
	})
}

// revisions are those of directories, the same one once. Tests play their processes
// themselves, and have none.
func (a *app) revisions(ctx context.Context, dirs ...string) []event.Git {
	if a.tests != nil {
		return nil
	}
	var all []event.Git
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		r := revision.Of(ctx, a.real, dir)
		if r != nil && (len(all) == 0 || all[0].Dir != r.Dir) {
			all = append(all, event.Git(*r))
		}
	}
	return all
}
