package world

import (
	"context"
	"errors"
	"io/fs"
)

// Planned is the world w for a dry run. It shows w's files as they are, keeps
// what is changed in an overlay in memory that later reads see, through Host and
// Root alike, and never writes anything into w. Faults that can be foreseen (what
// isn't there, what is there already, a directory that may not be written) are
// those of the real run. A full disk, or a file system mounted read-only, is not
// foreseen. Locks hold within this planned world, and create no file.
//
// It takes the files of w to hold still while the plan is made.
func Planned(w World) World {
	return &plannedWorld{World: w, tree: &tree{below: w.Host(), now: w.Now, user: w.UserID}}
}

type plannedWorld struct {
	World // for what changes nothing: the clock, the environment, …
	tree  *tree
}

func (w *plannedWorld) Host() Files { return &treeFiles{tree: w.tree} }

func (w *plannedWorld) Root(dir string) Files {
	return &treeFiles{tree: w.tree, rooted: true, dir: dir}
}

func (w *plannedWorld) Planned() bool { return true }

// Run starts commands that change nothing, except in a directory that only the
// real run will have made.
func (w *plannedWorld) Run(ctx context.Context, cmd Command) (Output, error) {
	if err := cmd.check(); err != nil {
		return Output{}, err
	}
	if !cmd.ReadOnly || w.onlyPlanned(cmd.Dir) {
		return Output{}, cmd.fault(ErrPlanned)
	}
	return w.World.Run(ctx, cmd)
}

// Attach starts commands as Run does.
func (w *plannedWorld) Attach(ctx context.Context, cmd Command) (int, error) {
	if err := cmd.checkAttached(); err != nil {
		return 0, err
	}
	if !cmd.ReadOnly || w.onlyPlanned(cmd.Dir) {
		return 0, cmd.fault(ErrPlanned)
	}
	return w.World.Attach(ctx, cmd)
}

func (w *plannedWorld) onlyPlanned(path string) bool {
	_, err := w.World.Host().Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = w.Host().Lstat(path)
	return err == nil
}
