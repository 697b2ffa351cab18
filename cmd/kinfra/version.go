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
			return a.print("version", map[string]string{"kinfra": version}, nil, func() {
				fmt.Fprintf(a.stdout, "kinfra %s\n", version)
			})
		},
	}
}

// print prints the result of a command that is no script and that ends with err, as text,
// or for programs with the error, too. It returns err, or why it couldn't print.
func (a *app) print(command string, result any, err error, text func()) error {
	if a.globals.output == engine.Text {
		text()
		return err
	}
	if e := a.printOutcome(engine.Outcome{Command: command, Result: result, Err: err}); e != nil {
		return e
	}
	return err
}

// printOutcome prints an outcome for programs.
func (a *app) printOutcome(o engine.Outcome) error {
	o.DryRun, o.Time, o.Code, o.Sources, o.Masks = a.globals.dryRun, a.real.Clock.Now(), classifiedCode(o.Err), a.sources, a.masks
	if a.run != nil {
		o.Events = a.run.Events()
	}
	encode := o.JSON
	if a.globals.output == engine.Events {
		encode = o.Event
	}
	data, err := encode()
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(data)
	a.printed, a.reported = true, o.Err != nil
	return err
}

func classifiedCode(err error) engine.Code { return (&engine.Config{Classify: classify}).CodeOf(err) }
