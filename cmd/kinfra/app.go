package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/world"
)

// app is one execution of the command line.
type app struct {
	args           []string
	typed          []string // the command line as it was given, behind the program's name
	stdout, stderr *stream
	globals        globals
	masks          *mask.Set     // the values that must not show, of the streams
	interruption   *interruption // nil: none is expected
	trail          *trail        // of the scripts that run; nil unless this process is confined
	real           world.World   // this machine
	world          world.World   // the same, or a plan of it in a dry run

	layers    *layer.Stack
	layersErr error // why not all layers can be used; commands that need none work all the same
	commands  []engine.Command
	only      bool    // they are just the one that the arguments name
	problems  []error // files that commands could not be found in

	target   []string     // the words of the script's command, or run and the path of its file
	identity event.Run    // what the record of the run says of it
	past     *resumption  // what the run goes on from; nil for a new one
	recorded string       // the ID of the run's record, once it has one
	tests    *testRun     // of which this execution is a part; nil outside of tests
	answers  engine.Asker // of the test; nil: nobody answers there

	run      *engine.Run // once a script is loaded
	bound    map[*cobra.Command]*engine.Workflow
	printed  bool // the one object of --output json has been
	reported bool // the error has been
}

func newApp(args []string, stdout, stderr *stream, in *interruption) *app {
	holder := fmt.Sprintf("pid %d: kinfra %s", os.Getpid(), strings.Join(args, " "))
	a := newAppOn(in.of(world.Real(holder)), args, stdout, stderr)
	a.interruption = in
	return a
}

// newAppOn is an execution on any machine.
func newAppOn(w world.World, args []string, stdout, stderr *stream) *app {
	if stderr.masks == nil {
		stderr.masks = new(mask.Set)
	}
	stdout.masks = stderr.masks
	a := &app{args: args, typed: slices.Clone(args), stdout: stdout, stderr: stderr, masks: stderr.masks, real: w}
	a.globals.early(args)
	return a
}

// main runs the command that the arguments name.
func (a *app) main(ctx context.Context) error {
	root, err := a.prepare(ctx)
	if err != nil {
		return err
	}
	if a.run != nil {
		defer a.run.Close()
	}
	root.SetArgs(a.args)
	a.globals.reports = nil // the command reads its flags once more
	return root.ExecuteContext(ctx)
}

// prepare finds the commands and loads the script of the one that the arguments name.
// Where that has flags of its own, the global ones may turn out to be others than a
// first look at the arguments said: then it is done again with those.
func (a *app) prepare(ctx context.Context) (*cobra.Command, error) {
	args, guess := a.args, a.globals
	root, err := a.load(ctx)
	if err != nil || reflect.DeepEqual(a.globals, guess) {
		return root, err
	}
	a.run.Close()
	a.args, a.run, a.bound = args, nil, nil
	return a.load(ctx)
}

// load finds the layers, the commands, and the script of the command that the
// arguments name.
func (a *app) load(ctx context.Context) (*cobra.Command, error) {
	a.world = a.real
	if a.globals.dryRun {
		a.world = world.Planned(a.real)
	}
	switch {
	case a.tests != nil:
		a.layers = a.tests.layers
	case a.past != nil && a.past.Edited == nil:
		a.layers = a.past.layers
	default:
		a.layers, a.layersErr = findLayers(a.real, a.globals.scripts)
	}
	if a.layers != nil {
		a.findCommands()
	}
	root := a.rootCommand()
	if err := a.loadTarget(ctx, root); err != nil {
		return nil, err
	}
	a.settle(root)
	a.stdout.structured = a.globals.output != engine.Text
	return root, nil
}

// findCommands finds the command of a script that the arguments name; or all of them,
// where they name none, or ask for help or completion.
func (a *app) findCommands() {
	asked, words := helpWords(a.args)
	if i := firstWord(words); i >= 0 && len(asked) == 0 {
		if c, ok := engine.Find(a.layers, words[i:]); ok && words[i] != completionCommand {
			a.commands, a.only = []engine.Command{c}, true
			return
		}
	}
	a.commands, a.problems = engine.Commands(a.layers)
	a.only = false
}

// settle reads the global flags again, now that those of the command itself are
// known: a value of one of these, or a word that the command passes on, is no global
// flag.
func (a *app) settle(root *cobra.Command) {
	_, words := helpWords(a.args)
	c, args, err := root.Find(words)
	w := a.bound[c]
	if err != nil || w == nil {
		return
	}
	var exact globals
	flags := exact.flags()
	w.AddFlags(flags)
	if flags.Parse(args) == nil { // what is wrong with them, the command will say
		a.globals = exact
	}
}

// config is what a run of a script gets.
func (a *app) config(ctx context.Context) *engine.Config {
	process := a.outermost()
	c := &engine.Config{
		World: a.world, Layers: a.layers, Reserved: reserved(), Classify: classify, Version: version,
		Modules: builtins.Modules(a.builtinOptions()), Checks: builtins.Checks(),
		Limits: engine.DefaultLimits(), Timeout: a.globals.timeout,
		Output: a.output(ctx), Log: a.globals.log(a.stderr),
		Identity: func() event.Run { return a.identity }, Reported: len(a.globals.reports) > 0,
		Record: func(t *starlark.Thread, loaded func() []layer.File, first func(id string) *event.Event) (*journal.Journal, error) {
			return a.record(ctx, t, loaded, first)
		},
		Masks: a.masks, Secret: builtins.Secret, ReadSecret: builtins.ReadSecret,
		Asker: a.asker(), Yes: a.globals.yes, BeforeExits: a.interruption.expect,
		Ending: a.hurry, Abandon: a.abandon, Urgent: process.interruption.urgently(),
	}
	c.Memory.Bytes, c.Memory.Err = uint64(process.globals.memory), tooMuchMemory(process.globals.memory)
	if live, ok := c.Output.Present.(*present.Live); ok {
		a.share(c, live)
	}
	if a.past != nil {
		c.Resume = &a.past.Resume
	}
	if process.trail != nil {
		c.Trail = process.trail.begin
	}
	if a.tests != nil {
		a.tests.limit(c)
	}
	return c
}

// output is how the flags, and what stdout and stderr are, want a run to be shown.
func (a *app) output(ctx context.Context) engine.Output {
	o := engine.Output{Format: a.globals.output, Stdout: a.stdout}
	if o.Format == engine.Text {
		o.Ink = a.paint(a.stdout)
	}
	lines := present.Plain{Announcements: a.stdout, Progress: a.stderr, Style: present.Style{Ink: a.paint(a.stderr)}}
	switch o.Format {
	case engine.Events:
		o.Present = &present.Lines{Out: a.stdout}
		return o
	case engine.JSON:
		lines.Announcements = a.stderr
	default:
		if live := a.live(ctx, lines); live != nil {
			o.Present = live
			return o
		}
	}
	o.Present = &lines
	return o
}

func (a *app) builtinOptions() builtins.Options {
	o := builtins.Options{Version: version, RootFlag: a.root()}
	if o.Root = o.RootFlag; o.Root == "" && a.past != nil {
		o.Root = a.past.run.Root // where the run has begun, whatever the environment says now
	}
	if o.Root == "" {
		o.Root, _ = a.real.Env.Getenv("KINFRA_ROOT")
	}
	if dir := stateDir(a.real); dir != "" {
		o.PoolsDir = filepath.Join(dir, "pools")
	}
	o.Source, o.Project = a.poolSource, a.projectOf()
	if a.globals.scripts != "" {
		o.Globals = append(o.Globals, "--scripts", a.globals.scripts)
	}
	return o
}

// root is the root of --root, absolute; "" if it wasn't given. A shell doesn't replace the
// ~ of --root=~/x, as it does that of --root ~/x.
func (a *app) root() string {
	name := a.globals.root
	below, ok := strings.CutPrefix(name, "~")
	if !ok || below != "" && below[0] != '/' {
		return a.path(name)
	}
	home, _ := a.real.Env.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return name // refused where it is used, since it is relative
	}
	return filepath.Join(home, below)
}

// path makes a path that the user has named absolute; "" stays as it is.
func (a *app) path(name string) string {
	if name == "" {
		return ""
	}
	path, err := absolute(a.real, name)
	if err != nil {
		return filepath.Clean(name) // refused where it is used, since it is relative
	}
	return path
}

// classify gives the code of an error that is none of the engine's.
func classify(err error) engine.Code {
	var untrusted *layer.UntrustedError
	if errors.As(err, &untrusted) || errors.Is(err, layer.ErrName) {
		return engine.Usage
	}
	return builtins.Classify(err)
}

// needsLayers is for commands that can't do without scripts: why they are not all
// there.
func (a *app) needsLayers(*cobra.Command, []string) error { return a.layersErr }
