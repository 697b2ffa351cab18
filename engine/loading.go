package engine

import (
	"context"
	"errors"

	"github.com/ktrdr/kinfra/internal/world"
)

// ErrLoading is why a change is refused while a file is loading.
var ErrLoading = errors.New("a file that is loading only reads: do this in the function that the workflow runs")

// loadingWorld is a world as files see it while they are loading: it can be read, but
// nothing is changed and nothing started, so that finding a command's flags for its
// help has no effects.
type loadingWorld struct{ world.World }

func newLoadingWorld(w world.World) world.World {
	return loadingWorld{world.Faulty(w, func(op, _ string) error {
		switch op {
		case "read", "lstat", "readdir", "readlink":
			return nil
		}
		return ErrLoading
	})}
}

func (loadingWorld) Run(context.Context, world.Command) (world.Output, error) {
	return world.Output{}, ErrLoading
}
