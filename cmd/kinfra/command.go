package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/nearest"
	"github.com/ktrdr/kinfra/internal/world"
)

// rootCommand is the tree of all commands: those of the scripts, of which only the
// words are known yet, and those in Go.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "kinfra",
		Long:          "kinfra keeps a pool of slots, each a running copy of a Docker Compose stack on ports of its own, for worktrees to claim.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          a.group,
	}
	root.Version = version // kinfra --version
	root.SetVersionTemplate("kinfra {{.Version}}\n")
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	given := a.globals
	a.globals = globals{} // what they are when they are declared is what the help calls default
	root.PersistentFlags().AddFlagSet(a.globals.flags())
	a.globals = given
	root.SetFlagErrorFunc(a.flagError)
	root.PersistentPreRunE = a.refuseReport
	root.AddCommand(
		a.runCommand(),
		a.runsCommand(),
		a.resumeCommand(),
		a.undoCommand(),
		a.checkCommand(),
		a.fmtCommand(),
		a.docCommand(),
		a.testCommand(),
		a.initCommand(),
		a.doctorCommand(),
		a.scriptsCommand(),
		a.trustCommand(),
		a.versionCommand(),
	)
	root.InitDefaultHelpCmd()
	a.complete(root)
	for _, c := range a.commands {
		a.addScript(root, c)
	}
	a.setHelp(root)
	if a.layersErr != nil {
		a.acceptUnknown(root)
	}
	return root
}

// ownCommands is the commands in Go, each by its words: "runs", "runs list".
func ownCommands() []string {
	root := newAppOn(world.World{}, nil, inMemory(io.Discard), inMemory(io.Discard)).rootCommand()
	var all []string
	var add func(*cobra.Command)
	add = func(parent *cobra.Command) {
		for _, c := range parent.Commands() {
			all = append(all, relativePath(root, c))
			add(c)
		}
	}
	add(root)
	return all
}

// acceptUnknown lets the commands of scripts take any flags and words where not all
// layers can be used: what they would take isn't known, and why is what they say.
func (a *app) acceptUnknown(c *cobra.Command) {
	if c.Annotations[scriptAnnotation] != "" || c.Name() == "run" || c.HasSubCommands() {
		c.FParseErrWhitelist.UnknownFlags = true
		c.Args = cobra.ArbitraryArgs
	}
	for _, sub := range c.Commands() {
		a.acceptUnknown(sub)
	}
}

// addScript adds the command that a script declares, and the groups above it. A
// command in Go goes before a script's.
func (a *app) addScript(parent *cobra.Command, c engine.Command) {
	words := strings.Fields(c.Words)
	for _, word := range words[:len(words)-1] {
		group := child(parent, word)
		if group == nil {
			group = &cobra.Command{Use: word, Args: cobra.ArbitraryArgs, RunE: a.group}
			parent.AddCommand(group)
		}
		parent = group
	}
	last := words[len(words)-1]
	if child(parent, last) != nil {
		a.problems = append(a.problems, fmt.Errorf("%s: the command %q is one of kinfra's own", c.File.Path(), c.Words))
		return
	}
	parent.AddCommand(&cobra.Command{
		Use: last, Short: c.Summary(), Long: c.Help, Args: cobra.ArbitraryArgs,
		Annotations: map[string]string{scriptAnnotation: c.Words},
		RunE:        func(*cobra.Command, []string) error { return a.layersErr },
	})
}

// reportAnnotation marks a command in Go that leaves reports of steps and checks.
const reportAnnotation = "report"

// leavesReports marks a command as one that does.
func leavesReports(c *cobra.Command) *cobra.Command {
	c.Annotations = map[string]string{reportAnnotation: "yes"}
	return c
}

// refuseReport refuses --report of a command that has nothing to report.
func (a *app) refuseReport(c *cobra.Command, _ []string) error {
	if len(a.globals.reports) == 0 || a.bound[c] != nil || c.Annotations[scriptAnnotation] != "" || c.Annotations[reportAnnotation] != "" {
		return nil
	}
	return engine.UsageError("--report is for what has steps, checks or tests", "%s leaves no report", c.CommandPath())
}

// scriptAnnotation marks the command of a script with its words.
const scriptAnnotation = "script"

func child(parent *cobra.Command, name string) *cobra.Command {
	for _, c := range parent.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// group is what a command does that only has others below it.
func (a *app) group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	if a.layersErr != nil { // the word may well be a command of the layer that is missing
		return a.layersErr
	}
	if child(c, args[0]) != nil { // only "--" keeps it from being found
		return engine.UsageError(c.CommandPath()+" "+args[0]+" --help shows how", "%s: a command stands before \"--\", got %q after it", c.CommandPath(), args[0])
	}
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	suggestion := nearest.Suggest(args[0], names)
	if longer := a.commandEnding(c, args[0]); longer != "" {
		suggestion = fmt.Sprintf(" (did you mean %q?)", longer)
	}
	return engine.UsageError(c.CommandPath()+" --help lists the commands", "%s has no command %q%s", c.CommandPath(), args[0], suggestion)
}

// commandEnding is the one command of a script below a group whose last word is a word:
// "sandbox claim" for claim.
func (a *app) commandEnding(group *cobra.Command, word string) string {
	found := ""
	for _, c := range a.commands {
		if strings.HasSuffix(c.Words, " "+word) && group == group.Root() {
			if found != "" {
				return ""
			}
			found = c.Words
		}
	}
	return found
}

// flagError says what is wrong with a flag, and which one may have been meant. A digit
// may have been meant for a number below 0, which the argument then can't be.
func (a *app) flagError(c *cobra.Command, err error) error {
	suggestion, hint := "", c.CommandPath()+" --help lists the flags"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		name := unknown.GetSpecifiedName()
		if near, ok := nearest.Name(name, names); ok {
			suggestion = fmt.Sprintf(" (did you mean --%s?)", near)
		}
		if number := a.numberOf(c); number != "" && strings.Trim(name, "0123456789") == "" {
			hint = number + ` wants a positive number; one below 0 would stand after "--"`
		}
	}
	return engine.UsageError(hint, "%s: %s%s", c.CommandPath(), err, suggestion)
}

// numberOf is the name of the argument of a script's command that is a number, "" if it
// has none.
func (a *app) numberOf(c *cobra.Command) string {
	if w := a.bound[c]; w != nil {
		for _, p := range w.Args {
			if p.Number() {
				return strings.ToUpper(p.Name)
			}
		}
	}
	return ""
}

// exactly is cobra.ExactArgs with an error of our own.
func exactly(n int, what string) cobra.PositionalArgs { return between(n, n, what) }

// between refuses fewer or more arguments; what names them.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return engine.UsageError(c.CommandPath()+" --help shows how", "%s wants %s, got %d argument(s)", c.CommandPath(), what, len(args))
		}
		return nil
	}
}
