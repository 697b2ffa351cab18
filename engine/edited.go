package engine

import (
	"errors"
	"fmt"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/internal/world"
)

// Edited is how a run goes on with other scripts than those of its record.
type Edited struct {
	// Keep puts the scripts that the run goes on with into the record, and gives their name there.
	Keep func(loaded []layer.File) (name string, err error)

	// Source is the text of one of the scripts on record: of those of a name (see
	// [journal.ScriptsName]), by the name that positions carry. It is nil if there is none.
	Source func(scripts, file string) []byte
}

// keepScripts puts edited scripts into the record, before the run goes on with them.
func (r *Run) keepScripts() (name string, err error) {
	if r.past == nil || !r.past.edited || r.config.World.Planned() {
		return "", nil
	}
	return r.past.edit.Keep(r.loader.forRecord())
}

// comparing tells whether edited scripts are held against the record, before they run.
func (s *state) comparing() bool { return s.run.rehearsing && s.run.past.edited }

// isUnsure takes note of an error that says that a part of the scripts can't be gone through
// before they run: whether they come to all that was done, only the run can tell.
func (p *past) isUnsure(err error) {
	if p == nil || !errors.Is(err, world.ErrPlanned) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsure = true
}

// isAhead takes note of something that will run.
func (p *past) isAhead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ahead = true
}

// failsFirst tells whether edited scripts fail with err before they come to anything that
// would run: so they would again, and what was done would be taken back for nothing.
func (p *past) failsFirst(err error) bool {
	return err != nil && !p.ahead && !errors.Is(err, world.ErrPlanned) && !errors.Is(err, errRecordEnds) && !errors.Is(err, errCutOff)
}

// stands notes where edited scripts have a step or check of the record. p.mu must be held.
func (s *state) stands(n *node, before *event.Past) {
	if s.comparing() && before.HasPlace() {
		s.run.past.places = append(s.run.past.places, event.Place{Key: n.key, Branch: s.branch, Leg: n.leg})
	}
}

// moves is what stands elsewhere in edited scripts. The event with which these go on has it, so
// that all that is read from the record by numbers, such as those of calls of parallel, is
// true of them: now, and for whoever goes on after this process.
func (p *past) moves() []event.Place {
	var moves []event.Place
	last := map[location]string{} // of what the record has
	for _, place := range p.places {
		n := p.Node(place.Key)
		at := location{branch: place.Branch}
		if n.Around() != nil {
			at.parent = n.Around().Key
		}
		place.After, last[at] = last[at], n.Name()
		if !p.Stands(n, &place) {
			p.Move(&place)
			moves = append(moves, place)
		}
	}
	return moves
}

// location is where a step stands: inside another one, on a branch, behind a third.
type location struct {
	parent, branch, after string
}

// meetsNew notes a step that the record doesn't have. p.mu must be held.
func (p *past) meetsNew(s *state, n *node) {
	at := location{s.key(), s.branch, n.after}
	if n.kind == event.Step && p.newSteps[at] == nil {
		p.newSteps[at] = n
	}
}

// newInPlaceOf is the step that edited scripts have in the place of one of the record, nil if
// they have none there. p.mu must be held.
func (p *past) newInPlaceOf(step *event.Past) *node {
	parent, around := "", step.Around()
	if around != nil {
		parent = around.Key
	}
	after := ""
	if before := p.Before(around, step.Branch, step); len(before) > 0 {
		after = before[len(before)-1].Name()
	}
	return p.newSteps[location{parent, step.Branch, after}]
}

// difference is where edited scripts and those on record differ.
type difference struct {
	divergedError
	at       syntax.Position // in the edited ones; not valid if they have nothing there
	recorded *diag.Place     // nil if it isn't known
}

func (e *difference) Positions() []syntax.Position {
	if !e.at.IsValid() {
		return nil
	}
	return []syntax.Position{e.at}
}

func (e *difference) Recorded() *diag.Place { return e.recorded }

// differs is the error of edited scripts that leave the record. p.mu must be held.
func (p *past) differs(message string, step *event.Past, at syntax.Position) error {
	if n := p.newInPlaceOf(step); n != nil {
		message, at = fmt.Sprintf("it comes to the step %q, where the record has %q, which was done", n.key, step.Key), n.at
	}
	hint := "let the steps that were done keep their names and their order; kinfra resume " + p.recorded[0].Run.ID +
		" resumes it with the scripts on record"
	return &difference{divergedError: divergedError{message: message, hint: hint}, at: at, recorded: p.placeOnRecord(step)}
}

// losesUndo is the error of a script that has no undo for a step that was done with one.
func (p *past) losesUndo(n *node, step *event.Past) error {
	err := divergedError{
		message: fmt.Sprintf("the step %q has no undo function, and was done with one", n.key),
		hint:    "keep the undo function; undo = lambda _: None says that there is nothing to take back",
	}
	if !p.edited {
		return &err
	}
	return &difference{divergedError: err, at: n.at, recorded: p.placeOnRecord(step)}
}

// placeOnRecord is where a step stood in the scripts when it began.
func (p *past) placeOnRecord(step *event.Past) *diag.Place {
	var current, scripts string
	for i := range p.recorded {
		e := &p.recorded[i]
		if name := journal.ScriptsName(e); name != "" {
			current = name
		}
		if e.Type == event.Began && e.Key == step.Key {
			scripts = current
		}
	}
	at, ok := diag.ParsePlace(step.At, func(file string) []byte { return p.edit.Source(scripts, file) })
	if !ok {
		return nil
	}
	return &at
}

// firstDifference is the one of an error that is to be told before anything runs. Which
// calls led there doesn't matter then.
func firstDifference(err error) error {
	if first, ok := errors.AsType[*difference](err); ok {
		return first
	}
	return err
}
