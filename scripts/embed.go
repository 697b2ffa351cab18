// Package scripts holds the Starlark scripts and templates that the binary brings
// along: the innermost layer.
package scripts

import (
	"embed"
	"io/fs"
)

// Files is the layer's files.
//
//go:embed *.star all:lib all:templates
var Files embed.FS

//go:embed all:compiled
var compiled embed.FS

// Compiled is the scripts' compiled forms, which save each process the parsing of its
// scripts. `go test ./scripts -update` makes them; one that is older than its script
// isn't used.
func Compiled() fs.FS {
	below, err := fs.Sub(compiled, "compiled")
	if err != nil {
		panic(err) // only for a name that is none
	}
	return below
}
