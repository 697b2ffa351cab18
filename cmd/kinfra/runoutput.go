package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/nearest"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/visible"
)

// outsideOfSteps names, in the place of a step, what processes printed that none started.
const outsideOfSteps = "."

// showOutput prints what the processes of a step or check have printed.
func (a *app) showOutput(id string, rep *report.Run, name string) error {
	key, tail, err := outputOf(rep, name)
	if err != nil {
		return err
	}
	pieces := tail.Pieces()
	if pieces == nil {
		pieces = []event.Piece{}
	}
	result := map[string]any{"run": id, "step": key, "output": pieces, "omitted": tail.Omitted}
	return a.print("runs show", result, nil, func() {
		if tail.Empty() {
			fmt.Fprintf(a.stderr, "No process has printed anything in %s%s\n", visible.Line(key), printedInside(rep, key))
			return
		}
		io.WriteString(a.stdout, tail.Missing())
		for _, p := range pieces {
			before := map[string]string{"stdout": "out | ", "stderr": "err | "}[p.Stream]
			for line := range strings.Lines(p.Text) {
				io.WriteString(a.stdout, before+strings.TrimSuffix(line, "\n")+"\n")
			}
		}
	})
}

// printedInside says in which of the steps inside a step something was printed.
func printedInside(rep *report.Run, key string) string {
	var inside []string
	rep.Walk(func(n *report.Node) {
		if !n.Output.Empty() && (key == outsideOfSteps || strings.HasPrefix(n.Key, key+"/")) {
			inside = append(inside, visible.Line(n.Key))
		}
	})
	if len(inside) == 0 {
		return ""
	}
	return " itself, but in " + strings.Join(inside, ", ")
}

// outputOf is what was printed in the step or check of a name: its key, or the last part of
// that where no other one ends so.
func outputOf(rep *report.Run, name string) (key string, tail *event.Tail, err error) {
	var keys []string
	var named []*report.Node
	var exact *report.Node
	rep.Walk(func(n *report.Node) {
		keys = append(keys, n.Key)
		if n.Key == name {
			exact = n
		}
		if strings.HasSuffix(n.Key, "/"+name) {
			named = append(named, n)
		}
	})
	switch {
	case exact != nil:
		return exact.Key, &exact.Output, nil
	case name == outsideOfSteps:
		return name, &rep.Output, nil
	case len(named) == 1:
		return named[0].Key, &named[0].Output, nil
	case len(named) > 1:
		return "", nil, engine.UsageError("name it with those around it: "+visible.Line(named[0].Key), "--output-of %q: %d steps have this name", name, len(named))
	}
	hint := "kinfra runs show lists the steps and checks; " + outsideOfSteps + " is what was printed outside of them"
	if near, ok := nearest.Name(name, keys); ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return "", nil, engine.UsageError(hint, "--output-of %q: the run has no step or check of this name", name)
}

// completeOutput offers the steps and checks of a run in which something was printed.
func (a *app) completeOutput(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	store, err := a.openRuns(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	id, err := a.namedRun(store, args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	record, err := store.Read(id)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	rep := report.Of(record.Events)
	var names []string
	offer := func(name, about string, tail event.Tail) {
		if !tail.Empty() && strings.HasPrefix(name, begun) {
			names = append(names, name+"\t"+about)
		}
	}
	rep.Walk(func(n *report.Node) { offer(n.Key, string(n.Kind)+", "+string(n.Status), n.Output) })
	offer(outsideOfSteps, "outside of steps and checks", rep.Output)
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
