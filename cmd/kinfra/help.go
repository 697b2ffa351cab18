package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
)

// setHelp makes the help of the root and of groups a flat list of the commands below
// them, each with its words; that of other commands stays cobra's.
func (a *app) setHelp(root *cobra.Command) {
	standard := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if !c.HasAvailableSubCommands() {
			standard(c, args)
			return
		}
		if c.Long != "" {
			fmt.Fprintf(a.stdout, "%s\n\n", strings.TrimSpace(c.Long))
		}
		fmt.Fprintf(a.stdout, "Usage:\n  %s COMMAND [flags] [arguments]\n\nCommands:\n", c.CommandPath())
		commands := leaves(c)
		width := 0
		for _, leaf := range commands {
			width = max(width, len(relativePath(c, leaf)))
		}
		for _, leaf := range commands {
			line := fmt.Sprintf("  %-*s  %s", width, relativePath(c, leaf), leaf.Short)
			fmt.Fprintln(a.stdout, strings.TrimRight(line, " "))
		}
		fmt.Fprintf(a.stdout, "\nGlobal flags:\n%s\n%s COMMAND --help tells more about a command.\n",
			root.PersistentFlags().FlagUsages(), c.CommandPath())
		a.warn()
	})
}

// leaves is the commands below c that do something, sorted by their words.
func leaves(c *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range c.Commands() {
		switch {
		case sub.Hidden || sub.Name() == "help":
		case sub.Name() == "completion" || !sub.HasAvailableSubCommands():
			all = append(all, sub)
		default:
			all = append(all, leaves(sub)...)
		}
	}
	slices.SortFunc(all, func(x, y *cobra.Command) int { return strings.Compare(x.CommandPath(), y.CommandPath()) })
	return all
}

func relativePath(from, to *cobra.Command) string {
	return strings.TrimPrefix(to.CommandPath(), from.CommandPath()+" ")
}

// warn says which scripts could not be listed, on stderr: the rest has been.
func (a *app) warn() {
	problems := a.problems
	if a.layersErr != nil {
		problems = append(problems, a.layersErr)
	}
	if a.layers != nil {
		problems = append(problems, a.broken()...)
	}
	for _, err := range problems {
		fmt.Fprintf(a.stderr, "warning: %s\n", err)
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) && hinted.Hint() != "" {
			fmt.Fprintf(a.stderr, "hint: %s\n", hinted.Hint())
		}
	}
}

// broken parses the scripts of the layers on disk.
func (a *app) broken() []error {
	var all []error
	for _, l := range a.layers.Layers {
		if l == a.layers.Builtin {
			continue
		}
		names, _ := l.Scripts() // what can't be listed is among the problems already
		for _, name := range names {
			file, err := l.Read(name)
			if err != nil {
				continue
			}
			if _, err := engine.Parse(file); err != nil {
				all = append(all, err)
			}
		}
	}
	return all
}
