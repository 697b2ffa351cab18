package builtins

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// kinfraModule is the binary itself.
func (d *domain) kinfraModule() table.Module {
	return table.Module{
		Name: "kinfra", Doc: "The binary itself.",
		Builtins: []table.Builtin{
			{
				Name: "kinfra.run", Changes: true, Doc: "Runs kinfra as a user would, with the layers of this run, and waits for it. What it prints is shown as it comes, and kept with the step. KINFRA_ROOT has no effect on it.",
				Params: append([]table.Param{
					{Name: "args", Type: words(), Help: "its arguments: `[\"sandbox\", \"slots\"]`"},
					{Name: "root", Type: table.String(), Named: true, Optional: true, Help: "the root directory that it gets"},
				}, outputParams()...),
				Result:  outputResult,
				Errors:  "A time-out; with check, an exit code other than 0.",
				Run:     d.runSelf,
				Example: `kinfra.run(["sandbox", "slots"], read_only = True).code  # -> 0`,
			},
		},
		Values: []table.Value{
			{Name: "kinfra.version", Doc: "The version of the binary, as a string.", Value: starlark.String(d.options.Version)},
			{Name: "kinfra.root", Doc: "The root directory given with --root, or None; KINFRA_ROOT does not count.", Value: orNone(d.options.RootFlag)},
		},
	}
}

func (d *domain) runSelf(c *table.Call) (starlark.Value, error) {
	w := engine.World(c.Thread)
	self, err := w.Env.Executable()
	if err != nil {
		return nil, fmt.Errorf("kinfra.run: %w", err)
	}
	dir, err := w.Env.WorkDir()
	if err != nil {
		return nil, fmt.Errorf("kinfra.run: %w", err)
	}
	args := append([]string{self}, d.options.Globals...)
	if c.Has("root") {
		args = append(args, "--root", c.String("root"))
	}
	own, err := commandOf(c)
	if err != nil {
		return nil, err
	}
	return runProcess(c, world.Command{Args: append(args, own...), Dir: dir, Env: world.CleanEnv(w)}, hiddenValues{})
}
