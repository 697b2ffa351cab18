package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
)

// Asker is who answers the questions of a run. It is asked one question at a time.
type Asker interface {
	// Nobody is why nobody can be asked, as far as that is known before; else nil.
	Nobody() *NobodyError

	// Ask asks a question once, and waits for its answer. The error is an
	// [*event.WrongAnswer] if what came is no answer, a [*NobodyError] if nothing will
	// come, and the cause of the context's end when that ends.
	Ask(ctx context.Context, q *event.Question) (*event.Answer, error)
}

// NobodyError is why nobody could be asked.
type NobodyError struct{ Why string }

func (e *NobodyError) Error() string { return e.Why }

// mostTries is how often a question is asked until it has an answer.
const mostTries = 5

// Confirm asks the user a question of the command itself, and tells whether the answer is
// yes. It is asked as those of scripts are. The error wraps a [*NobodyError] if nobody can
// be asked.
func (r *Run) Confirm(message string) (bool, error) {
	data, err := r.mainState().ask(&event.Question{Kind: event.Confirm, Message: message})
	return string(data) == "true", err
}

// errAnswerUnknown is that only a real run asks.
var errAnswerUnknown = errors.New("the answer is known only when it runs")

// ask gives the answer to a question, once it is on record: that which the record has, or
// the one that the user gives now. A dry run asks nothing; without a default it ends in
// errAnswerUnknown.
func (s *state) ask(q *event.Question) (json.RawMessage, error) {
	if !s.mayChange() {
		return nil, ErrLoading
	}
	if e := s.run.answered(s, q); e != nil {
		if !s.collecting() {
			s.run.emit(&event.Event{Type: event.Answered, Key: s.key(), Branch: s.branch, Question: e.Question, Answer: e.Answer, Replayed: true})
		}
		return s.conclude(q, e.Answer)
	}
	switch {
	case s.collecting():
		return nil, errRecordEnds
	case s.run.config.World.Planned():
		return s.planAnswer(q)
	}
	if err := s.run.checkQuestion(q); err != nil {
		return nil, err
	}
	release, err := s.run.turn(s.ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	s.run.number(q)
	a, err := s.put(q)
	if err != nil {
		return nil, err
	}
	if err := s.run.recordAnswer(&event.Event{Type: event.Answered, Key: s.key(), Branch: s.branch, Question: q, Answer: a}); err != nil {
		return nil, err
	}
	return s.conclude(q, a)
}

// conclude gives an answer to the script. No to what can't be taken back ends the run, so
// that a script can't pass over it.
func (s *state) conclude(q *event.Question, a *event.Answer) (json.RawMessage, error) {
	if q.Refused(a) {
		return nil, &Error{Code: Failed, Message: "not confirmed, so it was not done"}
	}
	return a.Value, nil
}

// planAnswer is the answer in a dry run.
func (s *state) planAnswer(q *event.Question) (json.RawMessage, error) {
	s.announce("Would ask: " + q.Message)
	switch {
	case q.Kind == event.Confirm:
		return json.RawMessage("true"), nil
	case q.Default != nil:
		return q.Default, nil
	}
	return nil, errAnswerUnknown
}

// turn waits until no other branch asks.
func (r *Run) turn(ctx context.Context) (release func(), err error) {
	select {
	case r.asking <- struct{}{}:
		release = func() { <-r.asking }
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if ctx.Err() != nil { // both had come
		release()
		return nil, context.Cause(ctx)
	}
	return release, nil
}

func (r *Run) number(q *event.Question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.questions++
	q.ID = r.questions
}

// put has a question answered.
func (s *state) put(q *event.Question) (*event.Answer, error) {
	r := s.run
	if q.Kind == event.Confirm && r.config.Yes {
		return &event.Answer{Value: json.RawMessage("true"), By: event.ByYes}, nil
	}
	nobody := &NobodyError{"nobody can be asked"}
	if r.config.Asker != nil {
		nobody = r.config.Asker.Nobody()
	}
	if nobody != nil {
		return r.unasked(q, nobody)
	}
	for range mostTries {
		if err := r.emit(&event.Event{Type: event.Asked, Key: s.key(), Branch: s.branch, Question: q}); err != nil {
			return nil, fmt.Errorf("recording a question: %w", err)
		}
		a, err := r.config.Asker.Ask(s.ctx, q)
		if err == nil {
			err = r.checkAnswer(a)
		}
		wrong, isWrong := errors.AsType[*event.WrongAnswer](err)
		nobody, isNobody := errors.AsType[*NobodyError](err)
		switch {
		case isWrong:
			r.emit(&event.Event{Type: event.Warned, Key: s.key(), Text: wrong.Message})
		case isNobody:
			return r.unasked(q, nobody)
		default:
			return a, err
		}
	}
	return nil, &Error{Code: Usage, Message: fmt.Sprintf("no answer after %d tries: %s", mostTries, q.Message), Next: r.instead(q)}
}

// unasked is the answer to a question when nobody can be asked: its default, or an error.
func (r *Run) unasked(q *event.Question, nobody *NobodyError) (*event.Answer, error) {
	if q.Default != nil {
		return &event.Answer{Value: q.Default, By: event.ByDefault}, nil
	}
	return nil, &Error{Code: Usage, Message: nobody.Why + ". " + q.Message, Next: r.instead(q), Err: nobody}
}

// instead is what answers a question on the command line.
func (r *Run) instead(q *event.Question) string {
	switch {
	case q.Kind == event.Confirm:
		return "--yes goes ahead without asking, --dry-run shows what would be done"
	case q.Flag != "" && len(q.Choices) > 0:
		return fmt.Sprintf("%s answers: one of %s", q.Flag, strings.Join(q.Choices, ", "))
	case q.Flag != "":
		return q.Flag + " answers"
	}
	return "run it on a terminal, or answer on stdin with --output events"
}

// recordAnswer emits an answer, and waits until it is on disk if the run has a record:
// what is built on it must not outlive it.
func (r *Run) recordAnswer(e *event.Event) error {
	err := r.emit(e)
	if j := r.journal.Load(); err == nil && j != nil {
		err = j.Sync()
	}
	if err != nil {
		return fmt.Errorf("recording an answer: %w", err)
	}
	return nil
}

// key is that of the innermost step or check.
func (s *state) key() string {
	if s.node == nil {
		return ""
	}
	return s.node.key
}
