package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/world"
)

// loadTarget loads the script of the command that the arguments name, if it is a
// script's, so that its flags are known before the command line is parsed. No other
// script is evaluated. A word that is no command is an error here, with help asked for
// or not.
func (a *app) loadTarget(ctx context.Context, root *cobra.Command) error {
	asked, words := helpWords(a.args)
	target, rest, err := root.Find(words)
	if err != nil {
		return nil // cobra will say so
	}
	if len(asked) == 0 || asked[0] == "help" {
		if err := a.refuseUnknown(target, rest); err != nil {
			return err
		}
	}
	if a.layersErr != nil {
		return nil // what the command says
	}
	isRun := target.Name() == "run" && target.Parent() == root
	if len(asked) > 0 && asked[0] == "help" && !isRun {
		if err := refuseBehind(target, rest); err != nil {
			return err
		}
	}
	if words := target.Annotations[scriptAnnotation]; words != "" {
		i := slices.IndexFunc(a.commands, func(c engine.Command) bool { return c.Words == words })
		a.target = strings.Fields(words)
		if err := a.loadScript(ctx, target, a.commands[i]); err != nil {
			return err
		}
		if w := a.bound[target]; w != nil && len(w.Args) > 0 && w.Args[0].Rest() {
			a.args = slices.Concat(asked, strings.Fields(words), endFlags(w, rest))
		}
		return nil
	}
	if isRun {
		return a.loadRun(ctx, target, asked, rest)
	}
	return nil
}

// loadRun loads the file that `kinfra run` names, and puts the name of its command in
// the arguments in place of its path.
func (a *app) loadRun(ctx context.Context, run *cobra.Command, asked, args []string) error {
	i := firstWord(args)
	typing := len(asked) > 0 && asked[0] != "help" && i == len(args)-1 // the path is what is to be completed
	if i < 0 || typing {
		return nil
	}
	c, err := a.loadFile(ctx, run, args[i])
	if err != nil {
		return err
	}
	before, after := args[:i], args[i+1:]
	if i > 0 && args[i-1] == "--" {
		before, after = args[:i-1], append([]string{"--"}, after...)
	}
	a.args = slices.Concat(asked, []string{"run"}, before, []string{c.Name()}, after)
	return nil
}

// helpWords parts the arguments from what asks for help or completion before them.
func helpWords(args []string) (asked, words []string) {
	if len(args) > 0 && (args[0] == "help" || strings.HasPrefix(args[0], "__complete")) {
		return args[:1], args[1:]
	}
	return nil, args
}

// refuseUnknown is the error of a word that isn't a command of the group before it.
func (a *app) refuseUnknown(group *cobra.Command, args []string) error {
	if !group.HasSubCommands() {
		return nil
	}
	i := firstWord(args)
	if i < 0 || new(globals).flags().Parse(args[:i]) != nil {
		return nil // a wrong flag before it is for cobra to refuse: the word may be its value
	}
	return a.group(group, args[i:])
}

// refuseBehind is the error of words behind a command whose help is asked for.
func refuseBehind(c *cobra.Command, args []string) error {
	i := firstWord(args)
	if i < 0 || c.HasSubCommands() || new(globals).flags().Parse(args[:i]) != nil {
		return nil
	}
	return engine.UsageError(c.CommandPath()+" --help shows the arguments", "%s help %s: unexpected argument %q", c.Root().Name(), relativePath(c.Root(), c), args[i])
}

// loadScript gives a script's command its flags and its function.
func (a *app) loadScript(ctx context.Context, c *cobra.Command, declared engine.Command) error {
	workflows, err := a.newRun(ctx).Load(declared.File, false)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(workflows, func(w *engine.Workflow) bool { return w.Command == declared.Words })
	if i < 0 {
		return engine.UsageError("", "%s declares the command %q, but does not make it when it is run", declared.File.Path(), declared.Words)
	}
	a.bind(c, workflows[i])
	return nil
}

// loadFile gives `kinfra run FILE` what the file declares: nothing, one workflow, or
// several, among which the next word chooses. It returns the file's command.
func (a *app) loadFile(ctx context.Context, run *cobra.Command, name string) (*cobra.Command, error) {
	file, err := a.readScript(name)
	if err != nil {
		return nil, err
	}
	a.target = []string{"run", plainPath(name)}
	c := leavesReports(&cobra.Command{Use: commandName(name), Args: cobra.ArbitraryArgs, RunE: a.group})
	run.AddCommand(c)
	declared := engine.Declared(file)
	if len(declared) == 0 {
		c.Args = exactly(0, "no arguments, since the file declares no workflow")
		c.RunE = func(c *cobra.Command, _ []string) error { return a.runTopLevel(c.Context(), file) }
		return c, nil
	}
	workflows, err := a.newRun(ctx).Load(file, false)
	if err != nil {
		return nil, err
	}
	for _, w := range workflows {
		below := c
		if len(workflows) > 1 {
			a.addScript(c, engine.Command{Words: w.Command, Help: w.Help, File: file})
			below, _, _ = c.Find(strings.Fields(w.Command))
		} else {
			c.Long = w.Help
		}
		a.bind(below, w)
		if len(workflows) > 1 {
			a.chosen(below, w)
		}
	}
	return c, nil
}

// chosen has the record of a run say which of a file's workflows it is of.
func (a *app) chosen(c *cobra.Command, w *engine.Workflow) {
	run := c.RunE
	c.RunE = func(c *cobra.Command, words []string) error {
		a.target = append(a.target, strings.Fields(w.Command)...)
		return run(c, words)
	}
}

// plainPath is a file's path that can't be taken for a flag.
func plainPath(path string) string {
	if strings.HasPrefix(path, "-") {
		return "./" + path
	}
	return path
}

// commandName is a file's path as the name of a command: cobra ends a name at a space,
// and takes one that begins with a dash for a flag.
func commandName(path string) string {
	const noBreakSpace = "\u00a0" // looks the same
	return strings.ReplaceAll(plainPath(path), " ", noBreakSpace)
}

// readScript reads a file that is run by its path. Its directory is where "./" labels
// in it lead, but no layer: neighbours change nothing.
func (a *app) readScript(name string) (layer.File, error) {
	path, err := absolute(a.real, name)
	if err != nil {
		return layer.File{}, err
	}
	dir := layer.Neighbours(a.real, filepath.Dir(path))
	if a.past != nil && a.past.file != nil && a.past.Edited == nil {
		dir = a.past.file
	}
	file, err := dir.Read(filepath.Base(path))
	if err != nil {
		e := &engine.Error{Code: engine.Usage, Message: "reading the script: " + err.Error(), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Next = "kinfra run wants the path of a file; kinfra help lists the commands"
			if a.past != nil {
				e.Next = "put the file back: the run began with " + path
			}
		}
		return layer.File{}, e
	}
	return file, nil
}

// runTopLevel evaluates a file that declares no workflow.
func (a *app) runTopLevel(ctx context.Context, file layer.File) error {
	if err := a.checkReports(); err != nil {
		return err
	}
	a.identify(nil)
	run := a.newRun(ctx)
	a.describeForReports(ctx)
	_, err := run.Load(file, true)
	err = run.Finish(err)
	switch {
	case a.globals.output == engine.Events:
		a.printed, a.reported = true, err != nil
	case err == nil:
		err = a.print("run", nil, nil, func() {})
	}
	return a.finish(err)
}

func (a *app) newRun(ctx context.Context) *engine.Run {
	a.run = engine.NewRun(ctx, a.config(ctx))
	return a.run
}

// bind makes a command run a workflow.
func (a *app) bind(c *cobra.Command, w *engine.Workflow) {
	if a.bound == nil {
		a.bound = map[*cobra.Command]*engine.Workflow{}
	}
	a.bound[c] = w
	w.AddFlags(c.Flags())
	for _, p := range w.Flags {
		if len(p.Choices) > 0 {
			// The flag is there, so this can't fail.
			_ = c.RegisterFlagCompletionFunc(p.Name, cobra.FixedCompletions(p.Choices, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	c.Use = c.Name() + " [flags]" + argumentsUsage(w.Args) // behind arg.rest, they would be its words
	c.DisableFlagsInUseLine = true
	c.Long = w.Help + argumentsHelp(w.Args)
	c.ValidArgsFunction = cobra.NoFileCompletions
	c.RunE = func(c *cobra.Command, words []string) error {
		args, err := w.Arguments(c.Flags(), words)
		if err != nil {
			return engine.UsageError(c.CommandPath()+" --help shows the arguments", "%s", err)
		}
		a.identify(w.CommandLine(c.Flags(), words))
		return a.execute(c.Context(), w, args)
	}
}

func argumentsUsage(args []*engine.Parameter) string {
	usage := ""
	for _, p := range args {
		name := strings.ToUpper(p.Name)
		switch {
		case p.Rest():
			name += "…"
		case p.Optional:
			name = "[" + name + "]"
		}
		usage += " " + name
	}
	return usage
}

func argumentsHelp(args []*engine.Parameter) string {
	help := ""
	for _, p := range args {
		help += fmt.Sprintf("\n  %-12s %s", strings.ToUpper(p.Name), p.Help)
	}
	if help != "" {
		help = "\n\nArguments:" + help
	}
	return help
}

func (a *app) execute(ctx context.Context, w *engine.Workflow, args starlark.Value) error {
	if err := a.checkReports(); err != nil {
		return err
	}
	a.describeForReports(ctx)
	err := a.run.Execute(w, args)
	a.printed = a.globals.output != engine.Text
	a.reported = a.printed && err != nil
	return a.finish(err)
}

// checkReports refuses, before anything is run, reports that couldn't be written then.
func (a *app) checkReports() error {
	for _, wanted := range a.globals.reports {
		if err := a.checkReport(wanted); err != nil {
			return err
		}
	}
	return nil
}

// checkReport refuses a report in a directory that isn't there, and one in the place of
// what is no file: it would replace a link such as /dev/stdout, or even a device.
func (a *app) checkReport(wanted reportTo) error {
	path, err := absolute(a.real, wanted.file)
	if err != nil {
		return err
	}
	if info, err := a.real.Disk.Host().Lstat(path); err == nil && !info.Mode.IsRegular() {
		return engine.UsageError("name a file that is to be written or replaced", "--report %s=%s: there is something else than a file", wanted.kind, wanted.file)
	}
	dir := filepath.Dir(path)
	_, err = a.real.Disk.Root(dir).Lstat(".") // through a link, if the directory is one
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.UsageError("make the directory first, or name a file in one that is there", "--report %s=%s: there is no directory %s", wanted.kind, wanted.file, dir)
	case errors.Is(err, syscall.ENOTDIR):
		return engine.UsageError("name a file in a directory", "--report %s=%s: %s is no directory", wanted.kind, wanted.file, dir)
	}
	return nil // what else there may be, writing it will tell
}

func (a *app) finish(err error) error { return a.writeReports(a.run.Report(), err) }

// writeReports writes the reports that were asked for of a run that ended with err.
func (a *app) writeReports(run *report.Run, err error) error {
	for _, wanted := range a.globals.reports {
		if e := a.writeReport(wanted, run); e != nil && err == nil {
			err = e
		}
	}
	return err
}

func (a *app) writeReport(wanted reportTo, run *report.Run) error {
	data, err := reportKinds()[wanted.kind](run)
	if err != nil {
		return err
	}
	path, err := absolute(a.real, wanted.file)
	if err != nil {
		return err
	}
	// Written in a dry run, too: it is what kinfra itself is asked for, as its output is.
	if err := world.Rewrite(a.real.Disk.Host(), a.real, path, data, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// endFlags puts "--" before the words that a command passes on, which may begin with
// flags that only their receiver knows: kinfra sandbox logs --follow.
func endFlags(w *engine.Workflow, args []string) []string {
	flags := new(globals).flags()
	w.AddFlags(flags)
	for i := 0; i < len(args); i++ {
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		var f *pflag.Flag
		switch {
		case strings.HasPrefix(args[i], "--"):
			f = flags.Lookup(name)
		case strings.HasPrefix(args[i], "-") && len(name) == 1:
			f = flags.ShorthandLookup(name)
		}
		if f == nil {
			if args[i] == "--" {
				return args
			}
			return slices.Insert(slices.Clone(args), i, "--")
		}
		if !hasValue && f.NoOptDefVal == "" {
			i++
		}
	}
	return args
}

// firstWord is the index of the first argument that is no global flag nor the value
// of one; -1 if there is none.
func firstWord(args []string) int {
	flags := new(globals).flags()
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			if i+1 < len(args) {
				return i + 1
			}
			return -1
		}
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			return i
		}
		name, long := strings.CutPrefix(arg, "--")
		if f := flags.Lookup(name); long && f != nil && f.NoOptDefVal == "" {
			i++ // its value
		}
	}
	return -1
}
