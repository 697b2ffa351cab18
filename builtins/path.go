package builtins

import (
	"path/filepath"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/table"
)

// pathModule works on the text of paths; it doesn't look at the disk.
func pathModule() table.Module {
	one := func(name, doc, example string, f func(string) string) table.Builtin {
		return table.Builtin{
			Name: "path." + name, Doc: doc, Result: "a string", Example: example,
			Params: []table.Param{{Name: "path", Type: table.String(), Help: "the path"}},
			Run: func(c *table.Call) (starlark.Value, error) {
				return starlark.String(f(c.String("path"))), nil
			},
		}
	}
	return table.Module{
		Name: "path", Doc: "The text of paths, without a look at the disk.",
		Builtins: []table.Builtin{
			{
				Name: "path.join", Doc: "Joins parts to a path and cleans it.", Result: "a string",
				Params: []table.Param{{Name: "parts", Type: table.String(), Rest: true, Help: "the parts; empty ones don't count"}},
				Run: func(c *table.Call) (starlark.Value, error) {
					var parts []string
					for _, v := range c.Rest("parts") {
						s, _ := starlark.AsString(v)
						parts = append(parts, s)
					}
					return starlark.String(filepath.Join(parts...)), nil
				},
				Example: `path.join("a", "", "../b", "c.txt")  # -> "b/c.txt"`,
			},
			one("base", "Gives the last element of a path.", `path.base("/srv/data.tar.gz")  # -> "data.tar.gz"`, filepath.Base),
			one("dir", "Gives a path without its last element.", `path.dir("/srv/data.tar.gz")  # -> "/srv"`, filepath.Dir),
			one("ext", "Gives the ending of a path's last element, with its dot.", `path.ext("/srv/data.tar.gz")  # -> ".gz"`, filepath.Ext),
			one("clean", "Gives the shortest path that means the same.", `path.clean("a/./b/../c")  # -> "a/c"`, filepath.Clean),
		},
	}
}
