package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/layer"
)

func (a *app) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust [DIR]",
		Short: "Show the scripts of a project and allow them",
		Long: `Show the scripts of a project and allow them.

The scripts in a project's .kinfra/ decide what kinfra's commands do there, so they
are used only once you have allowed them. So is the compose file that they name with
template_file: while it has changed, no slot is made from it. What is remembered is the
content: another worktree with the same files needs no second approval, changed files do.
On a terminal kinfra asks first; --yes answers.`,
		Args: between(0, 1, "at most one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.trust(c.Context(), dir)
		},
	}
}

func (a *app) trust(ctx context.Context, dir string) error {
	if err := isDirectory(a.real, a.path(dir)); err != nil {
		return &engine.Error{Code: engine.Usage, Message: fmt.Sprintf("trust %s: %v", dir, err), Err: err,
			Next: "name a directory of a project, whose scripts are in its " + projectDir + "/"}
	}
	project, err := findProject(a.real, dir)
	if err != nil {
		return err
	}
	if project == nil {
		return engine.UsageError("kinfra scripts eject NAME --to "+projectDir+" makes one, with a script to be changed",
			"there is no directory %s in %s or above it", projectDir, dir)
	}
	trust, err := openTrust(a.world)
	if err != nil {
		return err
	}
	named, err := namedBy(a.world, project)
	if err != nil {
		return err
	}
	if a.globals.output == engine.Text {
		a.showProject(project, named)
	}
	question := "Allow these scripts?"
	if names := named.Present(); len(names) > 0 {
		question = fmt.Sprintf("Allow these scripts, and slots made from %s?", strings.Join(names, ", "))
	}
	yes, err := a.newRun(ctx).Confirm(question)
	if _, nobody := errors.AsType[*engine.NobodyError](err); nobody {
		yes, err = true, nil // the command itself is the answer
	}
	if err != nil {
		return err
	}
	if !yes {
		return &engine.Error{Code: engine.Failed, Message: "not allowed: nothing has changed"}
	}
	if err := trust.Allow(project); err != nil {
		return err
	}
	if err := trust.AllowNamed(named); err != nil {
		return err
	}
	result := map[string]any{"dir": project.Dir, "files": project.Files(), "named": named.Names(), "digest": project.Digest}
	return a.print("trust", result, nil, func() {
		also := ""
		if names := named.Present(); len(names) > 0 {
			also = " and " + strings.Join(names, ", ")
		}
		fmt.Fprintf(a.stdout, "%s %s (%d file(s))%s\n", either(a.globals.dryRun, "Would trust", "Trusted"), project.Dir, len(project.Files()), also)
	})
}

// showProject prints all files. No name of one can look like a line of its own, or it
// would not be a name in a layer.
func (a *app) showProject(project *layer.Project, named *layer.Named) {
	show := func(name string, text []byte) {
		fmt.Fprintf(a.stdout, "--- %s\n%s\n", name, strings.TrimSuffix(string(text), "\n"))
	}
	for _, name := range project.Files() {
		show(project.Layer().Path(name), project.Read(name))
	}
	for _, name := range named.Names() {
		data, err := named.Read(name)
		if err != nil {
			fmt.Fprintf(a.stdout, "--- %s (named by the scripts, but there is none)\n", named.Shown(name))
			continue
		}
		show(named.Shown(name)+" (named by the scripts)", data)
	}
}
