package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// past is what the record of a run says of its earlier processes. Their steps are met
// again as the script runs from the top: those that count as done give back their results.
type past struct {
	event.History // doesn't change any more, but for what is moved

	undo        bool
	edited      bool // the scripts are others than those of the record
	edit        *Edited
	newSteps    map[location]*node // the steps of edited scripts that the record doesn't have
	places      []event.Place      // where these have what the record has, as they come to it
	unsure      bool               // what edited scripts do is not all known before they run
	ahead       bool               // edited scripts come to something that will run
	mended      bool               // those of the record were, from some process on
	recorded    []event.Event
	events      int                    // the number of the last one
	interrupted bool                   // the last process did not come to its end
	clocks      map[string][]time.Time // what each branch read of the clock

	answers answers        // to what was asked
	secrets []string       // that were read, by their references
	said    map[saying]int // how often it was announced outside of steps; guarded by the mutex of the run

	mu  sync.Mutex
	met map[*event.Past]bool // the script has come to it again
}

func newPast(resume *Resume) *past {
	p := &past{
		undo: resume.Undo, edited: resume.Edited != nil, recorded: resume.Events,
		edit: resume.Edited, newSteps: map[location]*node{}, said: map[saying]int{}, clocks: map[string][]time.Time{}, met: map[*event.Past]bool{},
	}
	for i := range resume.Events {
		p.add(&resume.Events[i])
	}
	return p
}

func (p *past) add(e *event.Event) {
	p.events = max(p.events, e.Seq)
	p.Add(e)
	p.answers.add(e)
	switch e.Type {
	case event.RunBegan, event.Resumed:
		p.interrupted, p.mended = true, p.mended || e.Scripts != ""
	case event.RunEnded:
		p.interrupted = false
	case event.Said:
		if e.Key == "" {
			p.said[saying{e.Branch, e.Text}]++
		}
	case event.Concealed:
		p.secrets = append(p.secrets, e.Text)
	case event.Clock:
		p.clocks[e.Branch] = append(p.clocks[e.Branch], *e.Read)
	}
}

// saying is an announcement on a branch.
type saying struct{ branch, text string }

// The ways in which a replay ends.
var (
	errRecordEnds = errors.New("the record ends here")
	errDiverged   = errors.New("the script goes another way than the record of the run")
	errCutOff     = errors.New("the record went on without this") // of a branch
	errNotYet     = errors.New("known only when it runs")         // a step of edited scripts that isn't on record
)

// divergedError says where a replay left the record.
type divergedError struct {
	message string
	hint    string
}

func (e *divergedError) Error() string        { return errDiverged.Error() + ": " + e.message }
func (e *divergedError) Is(target error) bool { return target == errDiverged }
func (e *divergedError) Hint() string         { return e.hint }

const hintAtSteps = "what decides which steps there are must be the same each time: do it in a step, whose result is recorded"

// diverged is the error of a script that leaves the record at a step that this has as done.
// at is where the script comes to another one, if it does.
func (p *past) diverged(message string, step *event.Past, at syntax.Position) error {
	if p.edited {
		return p.differs(message, step, at)
	}
	return &divergedError{message: message, hint: hintAtSteps}
}

// cutOffError is that of a step which a failure in another branch kept from beginning.
type cutOffError struct{ message string }

func newCutOff(n *node) error {
	return &cutOffError{fmt.Sprintf("it comes to the %s %q, where the record went on without it", n.kind, n.key)}
}

func (e *cutOffError) Error() string        { return e.message }
func (e *cutOffError) Is(target error) bool { return target == errCutOff }

// meet gives what the record has of a step that a script comes to, and whether it counts:
// it is replayed then. It is to run now if there is no error.
func (s *state) meet(n *node) (before *event.Past, counts bool, err error) {
	p := s.run.past
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.Node(n.key)
	if err := s.inTurn(n, own); err != nil {
		return nil, false, err
	}
	if own != nil {
		p.met[own] = true
		s.stands(n, own)
	}
	switch {
	case own != nil && (s.collecting() || p.CountsDone(own) || p.StaysFailed(own)):
		return own, true, nil
	case s.collecting():
		p.ahead = true
		return nil, false, s.offRecord(n)
	case s.neverBegan(own):
		return nil, false, newCutOff(n)
	}
	s.live = true
	return own, false, nil
}

// neverBegan tells whether a thread that has come to own, which is what the record has of a
// step or check, is where the record went on without it.
func (s *state) neverBegan(own *event.Past) bool {
	return own == nil && s.closed && !s.live && (s.cutOff || !s.run.past.mayHaveNew())
}

// mayHaveNew tells whether the scripts may have steps, before those of the record, that it
// doesn't have: an edit has put them there, and they have not run yet.
func (p *past) mayHaveNew() bool { return p.edited || p.mended }

// offRecord is the error of what the record doesn't have, where a script only goes the way
// of the record. Edited scripts may go on with what they don't need to know.
func (s *state) offRecord(n *node) error {
	if s.run.past.mayHaveNew() && !s.cutOff {
		return errNotYet
	}
	return s.branchEnds(n)
}

// branchEnds is the error of a branch that can't be followed further than a step or check.
// Where it was cut off the record goes on after its parallel.
func (s *state) branchEnds(n *node) error {
	if s.closed {
		return newCutOff(n)
	}
	return errRecordEnds
}

// inTurn fails where the record has another step as the next one here.
func (s *state) inTurn(n *node, own *event.Past) error {
	p := s.run.past
	switch {
	case own == nil && p.mayHaveNew():
		p.meetsNew(s, n)
		return nil // whether those behind it are met, their turn will show
	case s.node != nil && s.pastNode() == nil:
		return nil // inside a step that the record doesn't have
	}
	before := p.Before(s.pastNode(), s.branch, own)
	if p.mayHaveNew() {
		before = p.precedingAll(own)
	}
	if next := p.firstUnmet(before); next != nil {
		return p.diverged(fmt.Sprintf("it comes to the step %q, where the record has %q, which was done", n.key, next.Key), next, n.at)
	}
	return nil
}

// precedingAll is what the script comes through before a step, wherever an edit has put that:
// on other branches, too, and before the checks that the step is in.
func (p *past) precedingAll(n *event.Past) []*event.Past {
	all := p.Preceding(n)
	for n = n.Around(); n != nil && n.Kind == event.Check; n = n.Around() {
		all = append(all, p.Preceding(n)...)
	}
	return all
}

// pastNode is what the record has of the innermost step or check, nil for none.
func (s *state) pastNode() *event.Past {
	if s.node == nil {
		return nil
	}
	return s.run.past.Node(s.node.key)
}

// metAllIn fails if a step has ended without coming to one inside it that counts as done.
func (s *state) metAllIn(n *node) error {
	p := s.run.past
	if p == nil || s.collecting() && !s.comparing() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.Node(n.key); before != nil && !p.unsure {
		return p.metAll(fmt.Sprintf("the %s %q ended", n.kind, n.key), before.Inside)
	}
	return nil
}

// metAllOf fails if the branches of a call of parallel have ended without coming to a step
// of theirs that counts as done. An edit may have given the call another number: then the
// next step that was done tells, or the end of what is around.
func (s *state) metAllOf(fork int) error {
	p := s.run.past
	if p == nil || s.collecting() || p.mayHaveNew() || s.node != nil && s.pastNode() == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.metAll("parallel ended", p.InFork(s.pastNode(), s.branch, fork))
}

// firstUnmet is the first, by the script, of the steps that count as done and were not met;
// nil if there is none. p.mu must be held.
func (p *past) firstUnmet(nodes []*event.Past) *event.Past {
	var first *event.Past
	for _, n := range nodes {
		if p.CountsDone(n) && !p.met[n] && (first == nil || n.Compare(first) < 0) {
			first = n
		}
	}
	return first
}

func (p *past) metAll(what string, nodes []*event.Past) error {
	first := p.firstUnmet(nodes)
	if first == nil {
		return nil
	}
	return p.diverged(fmt.Sprintf("%s without coming to the step %q, which was done", what, first.Key), first, syntax.Position{})
}

// wentOn tells whether the record went on after a call of parallel. While edited scripts are
// held against it, that isn't known: their calls may have other numbers.
func (s *state) wentOn(fork int) bool {
	p := s.run.past
	return p != nil && !s.comparing() && (s.node == nil || s.pastNode() != nil) && p.WentOn(s.pastNode(), s.branch, fork)
}

// failedIn tells whether a call of parallel that the record went on after had failed.
func (s *state) failedIn(fork int) bool {
	for _, n := range s.run.past.InFork(s.pastNode(), s.branch, fork) {
		if s.run.past.StaysFailed(n) {
			return true
		}
	}
	return false
}

// skip notes that a step was met, and those inside it with it.
func (p *past) skip(n *event.Past) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met[n] = true
	p.meetAllIn(n)
}

func (p *past) meetAllIn(n *event.Past) {
	for _, inside := range n.Inside {
		p.met[inside] = true
		p.meetAllIn(inside)
	}
}

// failed notes of a step or check that fails that what the record has inside it was met: the
// failure, which the script may catch, can have kept it from coming to all of that again.
func (s *state) failed(n *node) {
	if p := s.run.past; p != nil && !p.undo {
		if before := p.Node(n.key); before != nil {
			p.skip(before)
		}
	}
}

// failedFork is failed for a call of parallel.
func (s *state) failedFork(fork int) {
	p := s.run.past
	if p == nil || p.undo || s.comparing() || s.node != nil && s.pastNode() == nil {
		return
	}
	for _, n := range p.InFork(s.pastNode(), s.branch, fork) {
		p.skip(n)
	}
}

// undoableIn tells whether there is something to take back inside a step, or may be.
func (p *past) undoableIn(n *event.Past) bool {
	for _, inside := range n.Inside {
		if inside.IsLeft() || inside.Status == event.Running || p.undoableIn(inside) {
			return true
		}
	}
	return false
}

// undoing tells whether the run is only to be taken back.
func (r *Run) undoing() bool { return r.past != nil && r.past.undo }

// notMet is the error of a script that came to its end without meeting a step that the
// record has as done.
func (r *Run) notMet() error {
	if r.past == nil || r.past.undo {
		return nil
	}
	r.past.mu.Lock()
	defer r.past.mu.Unlock()
	if r.past.unsure {
		return nil
	}
	return r.past.metAll("it ended", slices.Collect(maps.Values(r.past.All())))
}

// replay gives back what a step of the record returned, or fails as it did. Its function
// is called only to have the undo functions of the steps inside it, in a world that nothing
// leaves.
func (s *state) replay(c *table.Call, n *node, before *event.Past) (starlark.Value, error) {
	p, call := s.run.past, c.Callable("undo")
	if call == nil && !p.undo && before.Status == event.Passed && before.IsLeft() {
		return nil, p.losesUndo(n, before)
	}
	if before.Status == event.Running && call != nil && !s.run.rehearsing {
		return s.complete(c, n)
	}
	if p.undoableIn(before) || s.comparing() && !p.CountsDone(before) {
		if err := s.collect(c, n); err != nil {
			return nil, err
		}
	} else {
		p.skip(before)
	}
	switch {
	case s.comparing() && (before.Status == event.Running || before.Status == event.Failed && !p.StaysFailed(before)):
		p.isAhead()
		return s.unknown(n.name), nil // it will run
	case before.Status == event.Running:
		return s.isOpen(n)
	case before.Status == event.Failed:
		return nil, failureOf(before)
	}
	result, err := decodeResult(before.Result, s.run.config.Secret)
	if err != nil {
		return nil, &Error{Code: Damaged, Message: fmt.Sprintf("the recorded result of the step %q is damaged: %v", n.key, err), Err: err}
	}
	n.status = event.Passed
	if !s.collecting() {
		if err := s.replayed(n, before, result, call != nil); err != nil {
			return nil, err
		}
	}
	if call != nil && before.Status == event.Passed {
		s.run.willUndo(undo{n.key, s.branch, before.EndSeq, call, result})
	}
	return result, nil
}

// failureOf is how a step of the record failed.
func failureOf(before *event.Past) error {
	message := strings.Join(before.Problems, "\n")
	if message == errSibling.Error() {
		return errSibling // which is the failure of that one alone
	}
	return errors.New(message)
}

// replayed shows a step that was done before, and puts on record where it stands now, and
// that it has got an undo function.
func (s *state) replayed(n *node, before *event.Past, result starlark.Value, undoable bool) error {
	s.emitReplayed(n, before.Seconds)
	if s.node != nil {
		s.keep(n.key, doneStep{result, before.Seconds})
	}
	moved := s.placed(event.Moved, n)
	moved.Undoable = undoable && !before.IsLeft()
	if before.HasPlace() && (moved.Undoable || !before.IsAt(&moved)) {
		return s.run.emit(&moved)
	}
	return nil
}

// emitReplayed shows a step that was done before.
func (s *state) emitReplayed(n *node, seconds float64) {
	s.run.emit(&event.Event{Type: event.Began, Key: n.key, Kind: n.kind, Branch: s.branch, Replayed: true})
	s.run.emit(&event.Event{Type: event.Ended, Key: n.key, Kind: n.kind, Status: event.Passed, Seconds: seconds, Replayed: true})
}

// isOpen is what the script gets that goes the way of the record past an interrupted step,
// which has no result.
func (s *state) isOpen(n *node) (starlark.Value, error) {
	err := s.offRecord(n)
	if errors.Is(err, errNotYet) {
		return s.unknown(n.name), nil
	}
	return nil, err
}

// complete runs an interrupted step to its end, in a run that is to be taken back: only
// then is it known what the step did, and all of it can be taken back.
func (s *state) complete(c *table.Call, n *node) (starlark.Value, error) {
	recalling, live := s.recalling, s.live
	s.recalling, s.live = nil, true
	_, err := s.execute(c, n)
	s.recalling, s.live = recalling, live
	switch {
	case s.ctx.Err() != nil:
		return nil, cmp.Or(err, s.branchEnds(n))
	case err != nil:
		s.run.isIncomplete(n.key, err)
	}
	return s.isOpen(n)
}

// isIncomplete tells of an interrupted step that could not be brought to its end.
func (r *Run) isIncomplete(key string, err error) {
	r.emit(&event.Event{
		Type: event.Warned, Problems: diag.Of(err, r.Source),
		Text: fmt.Sprintf("the step %q was interrupted, and can't be brought to its end, to be taken back as a whole", key),
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.incomplete = append(r.incomplete, key)
}

// collect calls a recorded step's function for the undo functions of the steps inside.
func (s *state) collect(c *table.Call, n *node) error {
	recalling := s.recalling
	if s.recalling == nil {
		s.recalling = s.run.planned()
	}
	_, err := s.inside(n, func() (starlark.Value, error) { return starlark.Call(c.Thread, c.Callable("run"), nil, nil) })
	s.recalling = recalling
	if s.comparing() {
		if err == nil {
			err = s.metAllIn(n)
		}
		s.run.past.isUnsure(err)
	}
	switch {
	case err == nil, errors.Is(err, errRecordEnds), errors.Is(err, errCutOff), errors.Is(err, world.ErrPlanned):
		return nil
	case s.run.past.Node(n.key).Status == event.Failed && catchable(s.ctx, err):
		return nil // as it did then
	case !catchable(s.ctx, err):
		return err
	}
	s.run.emit(&event.Event{
		Type: event.Warned, Problems: diag.Of(err, s.run.Source),
		Text: fmt.Sprintf("what was done inside the step %q can't all be found again", n.key),
	})
	return nil
}
