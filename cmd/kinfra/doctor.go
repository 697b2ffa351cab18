package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	prettytext "github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/internal/doctor"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/world"
)

// doctorCommand stands in Go, since it is about scripts, too, and has to work where
// they don't.
func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at what kinfra needs and finds here, and say how to cure it",
		Long: `Look at what kinfra needs and finds here, and say how to cure it.

Docker, Compose and git; the layers of scripts, and whether they are trusted; the pool:
its root, its registry, stale claims, containers without a claim, and what is left of
killed processes; and the other pools of this machine. It changes nothing.

The exit code is 0 if nothing has failed, else that of the gravest failure: 5 for
damaged state, 6 for something that is missing, 2 for scripts that can't be used.`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) },
	}
}

// finding is a line of the examination as --output json prints it.
type finding struct {
	Area    string `json:"area"`
	Verdict string `json:"verdict"` // ok, warn or fail
	Text    string `json:"text"`
	Cure    string `json:"cure,omitempty"`
}

func (a *app) doctor(ctx context.Context) error {
	a.world = world.Planned(a.real) // so that it can change nothing
	all := doctor.Machine(ctx, a.world)
	all = append(all, a.examineScripts()...)
	more, root := a.examinePool(ctx)
	all = append(all, more...)
	all = append(all, doctor.Others(ctx, pools.Open(a.world, a.builtinOptions().PoolsDir), root)...)

	findings := make([]finding, len(all))
	for i, f := range all {
		findings[i] = finding{f.Area, string(f.Verdict), f.Text, f.Cure}
	}
	var err error
	if code := gravest(all); code != 0 {
		err = &engine.ExitError{Exit: int(code)}
	}
	return a.print("doctor", findings, err, func() { a.showVerdicts(findings) })
}

// gravest is the exit code of the failures, 0 if there are none.
func gravest(all []doctor.Finding) engine.Code {
	code, cause := engine.Code(0), doctor.Cause(-1)
	for _, f := range all {
		if f.Verdict != doctor.Fail || f.Cause <= cause {
			continue
		}
		cause = f.Cause
		code = map[doctor.Cause]engine.Code{
			doctor.Other: engine.Usage, doctor.System: engine.Failed, doctor.Missing: engine.Missing, doctor.Damaged: engine.Damaged,
		}[cause]
	}
	return code
}

// examineScripts looks at the layers, and at whether the files in them parse.
func (a *app) examineScripts() []doctor.Finding {
	const area = "scripts"
	problems := a.problems
	if a.layersErr != nil {
		problems = append(problems, a.layersErr)
	}
	if a.layers == nil {
		return failed(area, problems)
	}
	all := failed(area, problems)
	for _, err := range a.broken() {
		all = append(all, doctor.Failed(area, doctor.Other, err, "fix it; kinfra check finds the faults of all scripts"))
	}
	if err := a.checkNamed(); err != nil {
		f := doctor.Failed(area, doctor.Other, err, "kinfra trust shows the files that the scripts name")
		f.Verdict = doctor.Warn // the slots that there are can be used
		all = append(all, f)
	}
	var names []string
	for _, l := range a.layers.Layers {
		name := l.Name
		if l.Dir != "" {
			name += " (" + l.Dir + ")"
		}
		names = append(names, name)
	}
	return append(all, doctor.Finding{Area: area, Verdict: doctor.OK, Text: "layers, the first goes before the others: " + strings.Join(names, ", ")})
}

func failed(area string, problems []error) (all []doctor.Finding) {
	for _, err := range problems {
		all = append(all, doctor.Failed(area, doctor.Other, err, "kinfra scripts list shows which scripts there are"))
	}
	return all
}

// examinePool looks at the pool that pool.star defines, and gives its root.
func (a *app) examinePool(ctx context.Context) ([]doctor.Finding, string) {
	const area = "pool"
	if a.layers == nil {
		return nil, ""
	}
	pool, err := a.evaluatePool(ctx)
	if err != nil {
		return []doctor.Finding{doctor.Failed(area, doctor.Other, err, "kinfra scripts diff pool.star shows what was changed in it")}, ""
	}
	file, _ := a.poolSource()
	if file == "" {
		file = "inside the binary"
	}
	def := pool.Definition()
	defined := doctor.Finding{Area: area, Verdict: doctor.OK, Text: fmt.Sprintf("%s, by the pool.star %s", pool.Name(), file)}
	if o := a.builtinOptions(); o.Root != "" {
		defined.Text += "; its root by " + either(o.RootFlag != "", "--root", "KINFRA_ROOT")
	}
	return append([]doctor.Finding{defined}, doctor.Pool(ctx, a.world, def)...), def.Root
}

// evaluatePool runs pool.star.
func (a *app) evaluatePool(ctx context.Context) (*builtins.Pool, error) {
	file, err := a.layers.Find("pool.star")
	if err != nil {
		return nil, err
	}
	v, err := a.newRun(ctx).Global(file, "pool")
	if err != nil {
		text := strings.TrimPrefix(diag.Of(err, a.sources)[0].Text(), "error: ")
		return nil, errors.New(strings.TrimSuffix(text, "\n"))
	}
	pool, ok := v.(*builtins.Pool)
	if !ok {
		return nil, fmt.Errorf("%s does not define pool = slot.pool(…)", file.Path())
	}
	return pool, nil
}

// showVerdicts prints a line for each finding, its verdict in a colour where those are
// shown, and a cure below it.
func (a *app) showVerdicts(all []finding) {
	colors := map[string]prettytext.Color{"ok": prettytext.FgGreen, "warn": prettytext.FgYellow, "fail": prettytext.FgRed}
	ink := a.paint(a.stdout)
	counts := map[string]int{}
	for _, f := range all {
		counts[f.Verdict]++
		verdict := ink.Paint(int(colors[f.Verdict]), fmt.Sprintf("%-4s", f.Verdict))
		fmt.Fprintf(a.stdout, "%s  %-10s  %s\n", verdict, f.Area, strings.ReplaceAll(f.Text, "\n", "\n                  "))
		if f.Cure != "" {
			fmt.Fprintf(a.stdout, "                  cure: %s\n", f.Cure)
		}
	}
	fmt.Fprintf(a.stdout, "\n%d ok, %d to look at, %d failed\n", counts["ok"], counts["warn"], counts["fail"])
}
