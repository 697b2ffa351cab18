package engine

import (
	"context"
	"fmt"
	"io"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/world"
)

// local is the name of a thread's one value. It must not be set once the thread
// executes, so it is a pointer, and what changes is behind it.
const local = "kinfra.run"

// state is what connects a thread to its run.
type state struct {
	run  *Run
	ctx  context.Context // of the innermost step
	node *report.Node    // the innermost step or check; nil outside of them

	tooLong bool         // the limit of execution steps was reached
	loading []layer.File // those being evaluated, outermost first
}

// declares tells whether the thread is at the top level of the file that is run,
// where a declaration counts.
func (s *state) declares() bool {
	return len(s.loading) == 1 && s.loading[0].ID() == s.run.loader.main
}

// mayChange tells whether the thread may change something: loading only reads, so
// that help and completion have no effects.
func (s *state) mayChange() bool {
	return len(s.loading) == 0 || s.run.loader.effects && s.declares()
}

func stateOf(t *starlark.Thread) *state { return t.Local(local).(*state) }

// Current is the run of a thread.
func Current(t *starlark.Thread) *Run { return stateOf(t).run }

// Context is what calls to the outside made on a thread work under: it ends with
// the run, and with the step that is running.
func Context(t *starlark.Thread) context.Context { return stateOf(t).ctx }

// World is the world of the run. While a file is loading, it is one that can only
// be read.
func World(t *starlark.Thread) world.World {
	s := stateOf(t)
	if !s.mayChange() {
		return newLoadingWorld(s.run.config.World)
	}
	return s.run.config.World
}

// Announce tells the user what happens, as it happens: on stdout in text mode, on
// stderr otherwise.
func (r *Run) Announce(text string) {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	out := r.config.Output.Stdout
	if r.config.Output.Format != Text {
		out = r.config.Output.Stderr
	}
	r.write(out, text)
}

// Progress tells how far a long call is, on a line of stderr.
func (r *Run) Progress(text string) { r.progress("%s\n", text) }

// progress tells how far the run is, on stderr.
func (r *Run) progress(format string, args ...any) {
	r.write(r.config.Output.Stderr, fmt.Sprintf(format, args...))
}

// write prints whole lines, so that those of parallel branches don't mix.
func (r *Run) write(out io.Writer, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	io.WriteString(out, text)
}

// Color tells whether text for stdout may have escape codes for colours.
func (r *Run) Color() bool { return r.config.Output.Color }

// Resource gives the file that a label means in the script that is calling.
func Resource(t *starlark.Thread, label string) (layer.File, error) {
	r := Current(t)
	from, err := r.loader.caller(t)
	if err != nil {
		return layer.File{}, err
	}
	return r.config.Layers.Resolve(label, from)
}

// Load gives the names that a script of the layers defines, evaluating it if that
// has not been done in this run.
func Load(t *starlark.Thread, name string) (starlark.StringDict, error) {
	r := Current(t)
	file, err := r.config.Layers.Find(name)
	if err != nil {
		return nil, &Error{Code: Usage, Message: err.Error(), Err: err}
	}
	return r.loader.evaluate(t, file)
}
