package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completionCommand is cobra's command that prints scripts for shells.
const completionCommand = "completion"

// complete offers completion, but where the arguments name the one command that is run.
func (a *app) complete(root *cobra.Command) {
	if a.only {
		root.CompletionOptions.DisableDefaultCmd = true
		return
	}
	completeGlobals(root)
	root.InitDefaultCompletionCmd(a.args...)
	if completion := child(root, completionCommand); completion != nil {
		completion.Args, completion.RunE = cobra.ArbitraryArgs, a.group
		for _, shell := range completion.Commands() {
			shell.Args = exactly(0, "no arguments")
		}
	}
}

// completeGlobals offers the words that global flags take, and directories where they
// take one. The flags are there, so registering can't fail.
func completeGlobals(root *cobra.Command) {
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		switch v := f.Value.(type) {
		case *choice:
			_ = root.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(v.words, cobra.ShellCompDirectiveNoFileComp))
		case *directory:
			_ = root.MarkPersistentFlagDirname(f.Name)
		}
	})
}

// completeScript offers the names of the scripts and templates of all layers.
func (a *app) completeScript(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || a.layers == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(a.scriptNames(), func(name string) bool { return !strings.HasPrefix(name, begun) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
