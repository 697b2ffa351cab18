package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
)

func (a *app) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust [DIR]",
		Short: "Show the scripts of a project and allow them",
		Long: `Show the scripts of a project and allow them.

The scripts in a project's .kinfra/ decide what kinfra's commands do there, so they
are used only once you have allowed them. What is remembered is their content:
another worktree with the same files needs no second word, changed files do.
On a terminal kinfra asks first; --yes answers.`,
		Args: between(0, 1, "at most one directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.trust(dir)
		},
	}
}

func (a *app) trust(dir string) error {
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
	if a.globals.output == engine.Text {
		a.showProject(project)
	}
	if !a.confirmed("Allow these scripts?") {
		return &engine.Error{Code: engine.Failed, Message: "not allowed: nothing has changed"}
	}
	if err := trust.Allow(project); err != nil {
		return err
	}
	return a.print("trust", map[string]any{"dir": project.Dir, "files": project.Files(), "digest": project.Digest}, nil, func() {
		verb := "Trusted"
		if a.globals.dryRun {
			verb = "Would trust"
		}
		fmt.Fprintf(a.stdout, "%s %s (%d file(s))\n", verb, project.Dir, len(project.Files()))
	})
}

// showProject prints all files, without what could hide a part of them on a terminal.
// Their names can't, or they would not be names in a layer.
func (a *app) showProject(project *layer.Project) {
	for _, name := range project.Files() {
		text := strings.TrimSuffix(diag.Printable(string(project.Read(name))), "\n")
		fmt.Fprintf(a.stdout, "--- %s\n%s\n", project.Layer().Path(name), text)
	}
}

// confirmed asks on a terminal; elsewhere nobody could answer, and the command itself
// is the answer.
func (a *app) confirmed(question string) bool {
	if a.globals.yes || a.globals.dryRun || a.tests != nil || !isatty.IsTerminal(os.Stdin.Fd()) {
		return true
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
