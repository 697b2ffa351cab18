package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	prettytext "github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/lint"
	"github.com/ktrdr/kinfra/internal/visible"
)

func (a *app) checkCommand() *cobra.Command {
	var shipped bool
	c := &cobra.Command{
		Use:   "check [PATH…]",
		Short: "Find faults in scripts without running them",
		Long: `Find faults in scripts without running them.

A PATH is a script, or a directory: then it is all .star files below that. Without one
it is your own scripts and those of the project, trusted or not: the layers outside of
the binary, that of --scripts first. Loads lead through the layers as at run time.

Each line says where, what, and by which rule. A comment in the line, or alone in the
line above, suppresses a rule there and says why:

    # kinfra: ignore[unused-variable] because the table has this column

The exit code is 1 if anything was found. Of many findings the first 100 are shown.
--rules lists the rules.`,
		ValidArgsFunction: completeScripts,
	}
	var rules bool
	c.Flags().BoolVar(&shipped, "shipped", false, "check the scripts inside the binary, too")
	c.Flags().BoolVar(&rules, "rules", false, "list the rules instead")
	c.RunE = func(c *cobra.Command, paths []string) error {
		if rules {
			return a.listRules()
		}
		return a.check(c.Context(), paths, shipped)
	}
	return c
}

func (a *app) listRules() error {
	type rule struct {
		Name string `json:"name"`
		Doc  string `json:"doc"`
	}
	var all []rule
	for _, r := range lint.Rules() {
		all = append(all, rule{r.Name, r.Doc})
	}
	return a.print("check", map[string]any{"rules": all}, nil, func() {
		for _, r := range all {
			fmt.Fprintf(a.stdout, "%-24s %s\n", r.Name, r.Doc)
		}
	})
}

// checked is the result of `kinfra check`.
type checked struct {
	Files    int            `json:"files"`
	Findings []lint.Finding `json:"findings"`       // the first diag.Most
	More     int            `json:"more,omitempty"` // how many there are beside them
}

// add adds the findings in a file, as long as there is room for them.
func (r *checked) add(found []lint.Finding) {
	room := min(len(found), diag.Most-len(r.Findings))
	r.Findings = append(r.Findings, found[:room]...)
	r.More += len(found) - room
}

func (a *app) check(ctx context.Context, paths []string, shipped bool) error {
	layers, err := a.authoringLayers()
	if err != nil {
		return err
	}
	files, err := a.toCheck(layers, paths, shipped)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(x, y layer.File) int { return cmp.Compare(x.Path(), y.Path()) })
	check := a.checker(layers)
	result := checked{Files: len(files), Findings: []lint.Finding{}}
	faulty := 0
	for _, file := range files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		found := check(file)
		if len(found) > 0 {
			faulty++
		}
		result.add(found)
	}
	if faulty > 0 {
		err = &engine.Error{Code: engine.Failed, Message: fmt.Sprintf("%s in %d of %s", number(len(result.Findings)+result.More, "finding"), faulty, number(len(files), "file"))}
	}
	return a.print("check", result, err, func() { a.showFindings(result, len(paths) == 0 && !shipped) })
}

// toCheck is the scripts that the command line means.
func (a *app) toCheck(layers *layer.Stack, paths []string, shipped bool) ([]layer.File, error) {
	if len(paths) == 0 && !shipped {
		return ownScripts(layers)
	}
	files, err := a.namedScripts(layers, paths)
	if err != nil || !shipped {
		return files, err
	}
	more, err := scriptsOf(layers.Builtin)
	return append(files, more...), err
}

// checker finds faults in files: in tests with what only these can call.
func (a *app) checker(layers *layer.Stack) func(layer.File) []lint.Finding {
	config := lint.Config{
		Layers: layers, Dialect: engine.Dialect(),
		Modules:  slices.Concat(engine.Modules(), builtins.Modules(a.builtinOptions())),
		Commands: ownCommands(), Flags: reserved(),
	}
	scripts, tests := lint.New(config), (*lint.Checker)(nil)
	return func(file layer.File) []lint.Finding {
		if !isTestFile(file.Name) {
			return scripts.Check(file)
		}
		if tests == nil {
			config.Modules = a.allModules()
			tests = lint.New(config)
		}
		return tests.Check(file)
	}
}

// showFindings prints the findings, or that there are none.
func (a *app) showFindings(result checked, own bool) {
	var out strings.Builder
	ink := a.paint(a.stdout)
	for _, f := range result.Findings {
		place := fmt.Sprintf("%s:%d:%d:", visible.Line(f.File), f.Line, f.Column)
		fmt.Fprintf(&out, "%s %s %s\n", ink.Paint(int(prettytext.Bold), place), f.Message, ink.Paint(int(prettytext.Faint), "["+f.Rule+"]"))
	}
	switch {
	case result.More > 0:
		fmt.Fprintf(&out, "%s not shown\n", number(result.More, "more finding"))
	case len(result.Findings) > 0:
	case result.Files == 0 && own:
		out.WriteString("There are no scripts outside of the binary: name some, or check those inside it with --shipped\n")
	default:
		fmt.Fprintf(&out, "Checked %s: nothing found\n", number(result.Files, "file"))
	}
	a.stdout.Write([]byte(out.String()))
}
