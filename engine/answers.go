package engine

import (
	"maps"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
)

// asked tells questions of a run apart, but for those that are asked again and again.
type asked struct{ branch, key, identity string }

// answered is the answer that the record has to a question of a thread; nil for none. Of a
// question that is asked several times, each has its own. Inside a step the answer is part
// of what runs again with the step, so there it counts only for whoever looks for the undo
// functions of a step that was done. What is called when the run is over always asks.
func (r *Run) answered(s *state, q *event.Question) *event.Event {
	if r.past == nil || s.isOver() || s.node != nil && !s.collecting() {
		return nil
	}
	id := asked{s.branch, s.key(), q.Identity()}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.met[id]
	r.met[id]++
	if all := r.past.answers.given[id]; i < len(all) {
		return all[i]
	}
	return nil
}

// answers is what the record has of questions.
type answers struct {
	last    int // the number of the last question
	given   map[asked][]*event.Event
	refused map[string]*event.Event // by branch: a no after which nothing followed
}

// add takes note of an event.
func (a *answers) add(e *event.Event) {
	if e.Question != nil {
		a.last = max(a.last, e.Question.ID)
	}
	switch e.Type {
	case event.Began, event.Clock, event.Answered:
		a.goesOn(e.Branch)
	}
	switch e.Type {
	case event.Began, event.Retried: // what was answered inside it counts no more
		maps.DeleteFunc(a.given, func(id asked, _ []*event.Event) bool {
			return id.key == e.Key || strings.HasPrefix(id.key, e.Key+"/")
		})
	case event.Answered:
		switch {
		case e.Question == nil || e.Answer == nil: // of no version of kinfra
		case e.Question.Refused(e.Answer):
			a.refuse(e)
		default:
			a.keep(e)
		}
	}
}

// refuse keeps a no by which the run may have ended: whoever goes on with it then is asked
// again.
func (a *answers) refuse(e *event.Event) {
	if a.refused == nil {
		a.refused = map[string]*event.Event{}
	}
	a.refused[e.Branch] = e
}

// goesOn notes that something follows on a branch: the script has gone on after a no.
func (a *answers) goesOn(branch string) {
	for from, e := range a.refused {
		if _, _, below := event.Fork(from, branch); below || from == branch {
			a.keep(e)
			delete(a.refused, from)
		}
	}
}

func (a *answers) keep(e *event.Event) {
	id := asked{e.Branch, e.Key, e.Question.Identity()}
	if a.given == nil {
		a.given = map[asked][]*event.Event{}
	}
	a.given[id] = append(a.given[id], e)
}
