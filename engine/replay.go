package engine

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// past is what the record of a run says of its earlier processes. Their steps are met
// again as the script runs from the top: those that were done give back their results.
type past struct {
	undo        bool
	recorded    []event.Event
	events      int  // the number of the last one
	interrupted bool // the last process did not come to its end

	undos event.Undos

	mu     sync.Mutex // guards met of all steps
	nodes  map[string]*pastNode
	order  map[string][]*pastNode // the steps of each branch, as they first began
	clocks map[string][]time.Time // what each branch read of the clock
}

// pastNode is a step or check as the record has it.
type pastNode struct {
	key     string
	kind    event.Kind
	index   int          // in the order of its branch
	status  event.Status // Running: it was interrupted
	seq     int          // of its end
	seconds float64
	result  []byte
	problem string
	stale   bool // it was done, but something of it was taken back, or may have been
	met     bool // the script has come to it again
}

// done tells whether a step was done and nothing of it taken back.
func (n *pastNode) done() bool { return n.status == event.Passed && !n.stale }

func newPast(resume *Resume) *past {
	p := &past{undo: resume.Undo, recorded: resume.Events, nodes: map[string]*pastNode{}, order: map[string][]*pastNode{}, clocks: map[string][]time.Time{}}
	for i := range resume.Events {
		p.add(&resume.Events[i])
	}
	return p
}

func (p *past) add(e *event.Event) {
	p.events = max(p.events, e.Seq)
	p.undos.Add(e)
	switch e.Type {
	case event.RunBegan, event.Resumed:
		p.interrupted = true
	case event.RunEnded:
		p.interrupted = false
	case event.Clock:
		p.clocks[e.Branch] = append(p.clocks[e.Branch], *e.Read)
	case event.Began:
		n := p.nodes[e.Key]
		if n == nil {
			n = &pastNode{key: e.Key, kind: e.Kind, index: len(p.order[e.Branch])}
			p.nodes[e.Key] = n
			if e.Kind == event.Step {
				p.order[e.Branch] = append(p.order[e.Branch], n)
			}
		}
		n.status, n.stale = event.Running, false
	case event.Ended:
		if n := p.nodes[e.Key]; n != nil {
			n.status, n.seq, n.seconds, n.result = e.Status, e.Seq, e.Seconds, e.Result
			n.problem = messages(e.Problems)
			if e.Status != event.Passed && p.undos.IsLeft(e.Key) {
				n.status = event.Running // an undo could not bring it to its end: it is as it was before
			}
		}
	case event.Undoing:
		p.spoil(e.Key)
	case event.Undid:
		if n := p.nodes[e.Key]; n != nil && e.Status == event.Passed {
			n.status = event.Undone
		}
	}
}

// spoil notes that a step is taken back, and with it those inside it, and a part of those
// around it.
func (p *past) spoil(key string) {
	for _, n := range p.nodes {
		if n.key == key || strings.HasPrefix(n.key, key+"/") || strings.HasPrefix(key, n.key+"/") {
			n.stale = true
		}
	}
}

// messages is what an error says of which the problems are on record.
func messages(problems []diag.Diagnostic) string {
	all := make([]string, len(problems))
	for i, d := range problems {
		all[i] = d.Message
	}
	return strings.Join(all, "\n")
}

// The ways in which a replay ends.
var (
	errRecordEnds = errors.New("the record ends here")
	errDiverged   = errors.New("the script goes another way than the record of the run")
)

// divergedError says where a replay left the record.
type divergedError struct{ message string }

func (e *divergedError) Error() string        { return errDiverged.Error() + ": " + e.message }
func (e *divergedError) Is(target error) bool { return target == errDiverged }
func (e *divergedError) Hint() string {
	return "what decides which steps there are must be the same each time: do it in a step, whose result is recorded"
}

// meet gives what the record has of a step that a script comes to on a branch, nil if
// it is to run now.
func (p *past) meet(branch, key string, collecting bool) (*pastNode, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.nodes[key]
	if err := p.inTurn(branch, key, own, collecting); err != nil {
		return nil, err
	}
	if own != nil {
		own.met = true
	}
	switch {
	case own != nil && (own.done() || collecting):
		return own, nil
	case collecting:
		return nil, errRecordEnds
	}
	return nil, nil
}

// inTurn fails where the record has another step as the next one of the branch.
func (p *past) inTurn(branch, key string, own *pastNode, collecting bool) error {
	for _, next := range p.order[branch] {
		switch {
		case next == own:
			return nil
		case next.met || !next.done():
		case own != nil && !own.done() && own.index < next.index && !collecting:
			return nil // it began before that one, and is to run again
		default:
			return &divergedError{fmt.Sprintf("it comes to the step %q, where the record has %q, which was done", key, next.key)}
		}
	}
	return nil
}

// skip notes that the steps inside a step were met with it.
func (p *past) skip(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if strings.HasPrefix(n.key, key+"/") {
			n.met = true
		}
	}
}

// undoableBelow tells whether there is something to take back inside a step, or may be.
func (p *past) undoableBelow(key string) bool {
	for _, n := range p.nodes {
		if (p.undos.IsLeft(n.key) || n.status == event.Running) && strings.HasPrefix(n.key, key+"/") {
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
	var first *pastNode
	for _, n := range r.past.nodes {
		if n.kind == event.Step && n.done() && !n.met && (first == nil || n.seq < first.seq) {
			first = n
		}
	}
	if first == nil {
		return nil
	}
	return &divergedError{fmt.Sprintf("it ended without coming to the step %q, which was done", first.key)}
}

// replay gives back what a step of the record returned. Its function is called only to
// have the undo functions of the steps inside it, in a world that nothing leaves.
func (s *state) replay(c *table.Call, n *node, before *pastNode) (starlark.Value, error) {
	p := s.run.past
	if before.status == event.Running && c.Callable("undo") != nil {
		return nil, s.complete(c, n)
	}
	if p.undoableBelow(n.key) {
		if err := s.collect(c, n); err != nil {
			return nil, err
		}
	} else {
		p.skip(n.key)
	}
	switch before.status {
	case event.Running:
		return nil, errRecordEnds
	case event.Failed:
		return nil, errors.New(before.problem)
	}
	result, err := decodeResult(before.result)
	if err != nil {
		return nil, &Error{Code: Damaged, Message: fmt.Sprintf("the recorded result of the step %q is damaged: %v", n.key, err), Err: err}
	}
	n.status = event.Passed
	if !s.collecting() {
		s.emitReplayed(n, before.seconds)
		if s.node != nil {
			s.keep(n.key, doneStep{result, before.seconds})
		}
	}
	if call := c.Callable("undo"); call != nil && before.status == event.Passed {
		s.run.willUndo(undo{n.key, s.branch, before.seq, call, result})
	}
	return result, nil
}

// emitReplayed shows a step that was done before.
func (s *state) emitReplayed(n *node, seconds float64) {
	s.run.emit(&event.Event{Type: event.Began, Key: n.key, Kind: n.kind, Branch: s.branch, Replayed: true})
	s.run.emit(&event.Event{Type: event.Ended, Key: n.key, Kind: n.kind, Status: event.Passed, Seconds: seconds, Replayed: true})
}

// complete runs an interrupted step to its end, in a run that is to be taken back: only
// then is it known what the step did, and all of it can be taken back. It ends the
// replay of the branch.
func (s *state) complete(c *table.Call, n *node) error {
	plan := s.plan
	s.plan = nil
	_, err := s.execute(c, n)
	s.plan = plan
	if err == nil || s.ctx.Err() != nil {
		return cmp.Or(err, errRecordEnds)
	}
	s.run.emit(&event.Event{
		Type: event.Warned, Problems: diag.Of(err, s.run.Source),
		Text: fmt.Sprintf("the step %q was interrupted, and can't be brought to its end, to be taken back as a whole", n.key),
	})
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	s.run.incomplete = append(s.run.incomplete, n.key)
	return errRecordEnds
}

// collect calls a recorded step's function for the undo functions of the steps inside.
func (s *state) collect(c *table.Call, n *node) error {
	plan, outer := s.plan, s.node
	if s.node = n; s.plan == nil {
		s.plan = s.run.planned()
	}
	_, err := starlark.Call(c.Thread, c.Callable("run"), nil, nil)
	s.plan, s.node = plan, outer
	switch {
	case err == nil, errors.Is(err, errRecordEnds), errors.Is(err, world.ErrPlanned):
		return nil
	case !catchable(s.ctx, err):
		return err
	}
	s.run.emit(&event.Event{
		Type: event.Warned, Problems: diag.Of(err, s.run.Source),
		Text: fmt.Sprintf("what was done inside the step %q can't all be found again", n.key),
	})
	return nil
}
