package main

import (
	"fmt"
	"io"
	"path"
	"slices"

	prettytext "github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/doc"
	"github.com/ktrdr/kinfra/engine/nearest"
	"github.com/ktrdr/kinfra/engine/table"
)

func (a *app) docCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doc [NAME]",
		Short: "Tell what scripts can call, and what scripts define",
		Long: `Tell what scripts can call, and what scripts define.

NAME is a module (slot), a builtin (slot.ensure, step), a value (math.pi) or a script
(pool.star). Without one, all modules and scripts are listed.`,
		Args: between(0, 1, "at most one name"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.docOverview()
			}
			return a.docEntry(args[0])
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			r := &doc.Reference{Modules: a.allModules()}
			if a.layersErr == nil {
				r.Scripts, _ = a.docScripts()
			}
			return r.Names(), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// allModules is the tables of all that scripts can call.
func (a *app) allModules() []table.Module {
	return slices.Concat(engine.Modules(), builtins.Modules(a.builtinOptions()), builtins.TestModules(a.builtinOptions(), nil))
}

// docText writes for this terminal.
func (a *app) docText() doc.Text {
	ink := a.paint(a.stdout)
	return doc.Text{Heading: func(text string) string { return ink.Paint(int(prettytext.Bold), text) }}
}

func (a *app) docOverview() error {
	if a.layersErr != nil {
		return a.layersErr
	}
	scripts, problems := a.docScripts()
	r := &doc.Reference{Modules: a.allModules(), Scripts: scripts, Examples: builtins.ExampleMachine}
	return a.print("doc", r.JSON(), nil, func() {
		io.WriteString(a.stdout, a.docText().Overview(r))
		io.WriteString(a.stdout, "\nkinfra doc NAME tells more about one of them.\n")
		for _, err := range problems {
			fmt.Fprintf(a.stderr, "warning: %s\n", err)
		}
	})
}

// docEntry tells about one name. Scripts are read only where no builtin has it.
func (a *app) docEntry(name string) error {
	r := &doc.Reference{Modules: a.allModules()}
	entry, found := r.Find(name)
	var problems []error
	if !found {
		if a.layersErr != nil {
			return a.layersErr
		}
		r.Scripts, problems = a.docScripts()
		entry, found = r.Find(name)
	}
	if !found {
		if file, err := a.layers.Find(name); err == nil && path.Ext(name) == ".star" && len(problems) > 0 {
			_, err = doc.OfScript(file)
			return err
		}
		return engine.UsageError("kinfra doc lists the names", "there is no module, builtin or script %q%s", name, suggestName(name, r.Names()))
	}
	return a.print("doc", entry.JSON(), nil, func() { io.WriteString(a.stdout, a.docText().Entry(entry)) })
}

// suggestName is which name may have been meant; the ending of a script's may have been
// left out.
func suggestName(name string, names []string) string {
	if near := nearest.Suggest(name, names); near != "" {
		return near
	}
	return nearest.Suggest(name+".star", names)
}

// docScripts is the scripts of the layers but for their tests, those that go before
// others of their name, and why some of them can't be read.
func (a *app) docScripts() (scripts []doc.Script, problems []error) {
	seen := map[string]bool{}
	for _, l := range a.layers.Layers {
		names, err := l.List()
		if err != nil {
			problems = append(problems, err)
		}
		for _, name := range names {
			if seen[name] || path.Ext(name) != ".star" || isTestFile(name) {
				continue
			}
			seen[name] = true
			file, err := l.Read(name)
			if err == nil {
				var s doc.Script
				if s, err = doc.OfScript(file); err == nil {
					scripts = append(scripts, s)
				}
			}
			if err != nil {
				problems = append(problems, err)
			}
		}
	}
	return scripts, problems
}
