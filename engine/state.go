package engine

import (
	"context"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

// local is the name of a thread's one value. It must not be set once the thread
// executes, so it is a pointer, and what changes is behind it.
const local = "kinfra.run"

// state is what connects a thread to its run.
type state struct {
	run  *Run
	ctx  context.Context // of the innermost step
	node *node           // the innermost step or check; nil outside of them
	lane *lane           // where it announces

	branch string // of parallel; "" is the run's own thread
	forks  int    // how often it called parallel, inside the same step or check
	depth  int    // how many calls of parallel it is in
	last   string // the name of the step or check before, inside the same one and on this branch

	live     bool // of a run that goes on: it has run something that the record doesn't have as done
	closed   bool // of a run that goes on: the record went on after this branch was joined
	cutOff   bool // and what the record doesn't have of it was cut off by a failure
	retrying bool // a step around is tried again

	// event is that of the step or check that begins or ends. Its memory is used again
	// for the next one: nobody keeps events.
	event event.Event

	// recalling is what a thread sees of the world that only collects the undo functions
	// of recorded steps; nil for one that runs.
	recalling *world.World

	plan *plan // what a dry run knows; nil in another

	tooLong bool         // the limit of execution steps was reached
	loading []layer.File // those being evaluated, outermost first
}

// node is a step or check of the run.
type node struct {
	kind   event.Kind
	name   string
	key    string
	status event.Status

	undoable bool     // it has an undo function
	again    string   // why it runs again; "" if it doesn't
	changes  *changes // in a dry run: what would change in it

	// where it stands in the script; see event.Event
	after string
	leg   int
	at    syntax.Position
}

// place is where in the scripts a node is made.
func (n *node) place() string {
	if !n.at.IsValid() {
		return ""
	}
	at := make([]byte, 0, 64)
	at = append(append(at, n.at.Filename()...), ':')
	at = append(strconv.AppendInt(at, int64(n.at.Line), 10), ':')
	return string(strconv.AppendInt(at, int64(n.at.Col), 10))
}

// mainState is the state of a run's own thread.
func (r *Run) mainState() *state {
	s := &state{run: r, ctx: r.ctx, lane: &lane{live: true}, plan: r.plan}
	if r.undoing() || r.rehearsing {
		s.recalling = r.planned()
	}
	return s
}

// planned is the run's world with all changes only planned.
func (r *Run) planned() *world.World {
	plan := world.Planned(r.config.World)
	return &plan
}

// collecting tells whether the thread only goes the way of the record.
func (s *state) collecting() bool { return s.recalling != nil }

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

func (s *state) world() world.World {
	switch {
	case !s.mayChange():
		return world.FilesOnly(s.run.config.World, ErrLoading)
	case s.recalling != nil:
		return *s.recalling
	case s.plan != nil:
		return s.plan.world
	}
	return s.run.config.World
}

func stateOf(t *starlark.Thread) *state { return t.Local(local).(*state) }

// Context is what calls to the outside made on a thread work under: it ends with
// the run, and with the step that is running.
func Context(t *starlark.Thread) context.Context { return stateOf(t).ctx }

// World is the world of the run. While a file is loading, it is one that can only
// be read.
func World(t *starlark.Thread) world.World { return stateOf(t).world() }

// Caller is the branch of a run that called a builtin.
type Caller struct{ state *state }

// Current is who calls on a thread.
func Current(t *starlark.Thread) Caller { return Caller{stateOf(t)} }

// Announce tells the user what happens, as it happens: on stdout in text mode, on
// stderr otherwise. Branches of parallel are heard in the order of their items.
func (c Caller) Announce(text string) { c.state.announce(text) }

// Progress tells how far a long call is, on a line of stderr, or with the step that is
// running where that is shown live.
func (c Caller) Progress(text string) {
	if c.state.collecting() {
		return
	}
	e := event.Event{Type: event.Told, Text: text}
	if c.state.node != nil {
		e.Key = c.state.node.key
	}
	c.state.run.emit(&e)
}

// Ink colours text for stdout, where colours are wanted.
func (c Caller) Ink() visible.Ink { return c.state.run.config.Output.Ink }

// announce tells of something that has happened just now.
func (s *state) announce(text string) { s.say(text, func(*event.Event) bool { return false }) }

// print is what a script prints. What it printed on its way to where a run goes on, an
// earlier process has said.
func (s *state) print(text string) { s.say(text, s.saidBefore) }

func (s *state) say(text string, before func(*event.Event) bool) {
	if s.collecting() {
		return // it was said when it happened
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	said := event.Event{Type: event.Said, Key: s.key(), Branch: s.branch, Text: text}
	said.Replayed = before(&said)
	s.run.say(s.lane, said)
}

// saidBefore tells whether the record has an announcement outside of steps from an earlier
// process, which the thread comes to again before it does something of its own. r.mu must be
// held.
func (s *state) saidBefore(e *event.Event) bool {
	p := s.run.past
	if p == nil || s.node != nil || s.live || s.isOver() {
		return false
	}
	for _, text := range []string{e.Text, s.run.config.Masks.Text(e.Text)} { // the record has it as it was shown
		if at := (saying{e.Branch, text}); p.said[at] > 0 {
			p.said[at]--
			return true
		}
	}
	return false
}

// Resource gives the file that a label means in the script that is calling.
func Resource(t *starlark.Thread, label string) (layer.File, error) {
	r := stateOf(t).run
	from, err := r.loader.caller(t)
	if err != nil {
		return layer.File{}, err
	}
	file, err := r.config.Layers.Resolve(label, from)
	if err != nil {
		return layer.File{}, err
	}
	return r.loader.ask(file)
}

// Load gives the names that a script of the layers defines, evaluating it if that
// has not been done in this run.
func Load(t *starlark.Thread, name string) (starlark.StringDict, error) {
	r := stateOf(t).run
	file, err := r.config.Layers.Find(name)
	if err != nil {
		return nil, &Error{Code: Usage, Message: err.Error(), Err: err}
	}
	return r.loader.checked(t, name, file)
}
