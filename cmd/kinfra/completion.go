package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// complete offers completion, but where the arguments name the one command that is run.
func (a *app) complete(root *cobra.Command) {
	if a.only {
		root.CompletionOptions.DisableDefaultCmd = true
		return
	}
	completeGlobals(root)
	root.InitDefaultCompletionCmd(a.args...)
	if completion := child(root, "completion"); completion != nil {
		completion.Args, completion.RunE = cobra.ArbitraryArgs, a.group
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
