package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
