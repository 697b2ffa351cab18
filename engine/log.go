package engine

import (
	"github.com/hashicorp/go-hclog"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/table"
)

// logModule writes to the binary's log, on stderr.
func logModule() table.Module {
	m := table.Module{Name: "log", Doc: "Writes to the log, on stderr: what a user needs only when looking for a fault. --log-level says from which level on."}
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		m.Builtins = append(m.Builtins, table.Builtin{
			Name: "log." + level.String(),
			Doc:  "Writes a message of the level " + level.String() + ".",
			Params: []table.Param{
				{Name: "message", Type: table.String(), Help: "what happened"},
				{Name: "values", Type: table.Dict(), Optional: true, Help: "names and values that belong to it"},
			},
			Example: "log." + level.String() + `("looked for a slot", {"profile": "big", "found": None})`,
			Run: func(c *table.Call) (starlark.Value, error) {
				config := stateOf(c.Thread).run.config
				var pairs []any
				if values := c.Dict("values"); values != nil {
					for _, kv := range values.Items() {
						pairs = append(pairs, config.Masks.Text(TextOf(kv[0])), config.Masks.Text(TextOf(kv[1])))
					}
				}
				config.Log.Log(level, config.Masks.Text(c.String("message")), pairs...)
				return starlark.None, nil
			},
		})
	}
	return m
}
