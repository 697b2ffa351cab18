// Package scripts holds the Starlark scripts and templates that the binary brings
// along: the innermost layer.
package scripts

import "embed"

// Files is the layer's files.
//
//go:embed *.star all:lib all:templates
var Files embed.FS
