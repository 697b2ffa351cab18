package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
)

// version is that of the binary; CHANGELOG.md says what is in it.
const version = "0.1.0"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.print("version", map[string]string{"kinfra": version}, func() {
				fmt.Fprintf(a.stdout, "kinfra %s\n", version)
			})
		},
	}
}

// print prints the result of a command that is no script: as text, or as JSON.
func (a *app) print(command string, result any, text func()) error {
	var data []byte
	var err error
	switch a.globals.output {
	case engine.JSON:
		data, err = engine.ResultJSON(command, result)
	case engine.Events:
		data, err = engine.ResultEvent(command, result)
	default:
		text()
		return nil
	}
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(data)
	a.printed = true
	return err
}
