package main

import (
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
)

// runCommand is `kinfra run FILE`. What the file declares is added to it as a command
// below, once the file is known; see loadFile.
func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run FILE",
		Short: "Run any workflow file",
		Long: `Run any workflow file.

With no workflow in it, its top level is what it does; with several, the next
word chooses. load("pool.star") in it goes through the layers, load("./x.star") is
the file beside it.`,
		Args: exactly(1, "a file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if a.layersErr != nil {
				return a.layersErr
			}
			return engine.UsageError("kinfra run wants the path of a file", "kinfra run %s: no file was loaded", args[0])
		},
	}
}
