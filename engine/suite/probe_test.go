package suite

import (
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
)

// countModule counts its calls.
func countModule(count *int) table.Module {
	return table.Module{Name: "probe", Builtins: []table.Builtin{{Name: "probe.count", Run: func(*table.Call) (starlark.Value, error) {
		*count++
		return starlark.MakeInt(*count), nil
	}}}}
}

// blockModule blocks until the run ends, as a process or a lock would.
func blockModule() table.Module {
	return table.Module{Name: "probe", Builtins: []table.Builtin{{Name: "probe.block", Run: func(c *table.Call) (starlark.Value, error) {
		<-engine.Context(c.Thread).Done()
		return nil, engine.Context(c.Thread).Err()
	}}}}
}
