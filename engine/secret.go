package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/mask"
)

// Secret is a value of a module's that stands for a secret, and has nothing of it. As a step's
// result it is kept by its reference, from which Config.Secret makes it again.
type Secret interface {
	starlark.Value
	Reference() string // where the secret is kept
}

// Conceal has the value of a secret masked from now on, wherever text leaves the run. Whoever
// reads a secret calls it before anything else is done with the value; where it fails, nothing
// may be.
//
// It refuses a value that stands in what a run must find again as it is when it goes on: the
// names of steps, and how the run was called. The error doesn't have the value.
//
// That the secret was read is put on record, so that a process that resumes the run masks
// its value, too: see concealAgain.
func (c Caller) Conceal(reference, value string) error { return c.state.run.conceal(reference, value) }

// Masks is the values of the secrets that the run has read, for text that is cut before it
// leaves the run. What is read later is added.
func (c Caller) Masks() *mask.Set { return c.state.run.config.Masks }

func (r *Run) conceal(reference, value string) error {
	called := r.identity()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.secrets[reference] && r.config.Masks.Has(value) {
		return nil // as for the last process that got it
	}
	var it mask.Set
	it.Add(value)
	if err := r.checkSecret(reference, &it, called); err != nil {
		return err
	}
	r.config.Masks.Add(value)
	if r.secrets[reference] {
		return nil
	}
	r.secrets[reference] = true
	if err := r.emitLocked(&event.Event{Type: event.Concealed, Text: reference}); err != nil {
		return fmt.Errorf("recording that the secret %s was read: %w", reference, err)
	}
	return nil
}

// checkSecret refuses a secret whose value, which is in a set, stands in what must stay as it
// is. r.mu must be held.
func (r *Run) checkSecret(reference string, value *mask.Set, called *event.Run) error {
	for key := range r.keys {
		if value.Holds(key) {
			return givenAway(fmt.Sprintf("the value of the secret %s is part of the name of a step or check, and names are shown and kept", reference), "name the step otherwise, or choose another value")
		}
	}
	if slices.ContainsFunc(howCalled(called), value.Holds) {
		return givenAway(fmt.Sprintf("the value of the secret %s is part of how the run was called (its arguments, directory or root), which is shown and kept", reference), "call it otherwise, or choose another value")
	}
	if value.Holds(reference) {
		return givenAway(fmt.Sprintf("the value of the secret %s is part of this reference, which is shown and kept", reference), "choose another value")
	}
	for other := range r.secrets {
		if value.Holds(other) {
			return givenAway(fmt.Sprintf("the value of the secret %s is part of the reference %s, which is shown and kept", reference, r.config.Masks.Text(other)), "choose another value")
		}
	}
	if r.config.Masks.Holds(reference) {
		return givenAway(fmt.Sprintf("the reference %s has the value of another secret, and references are shown and kept", r.config.Masks.Text(reference)), "keep it elsewhere, or choose another value of the other")
	}
	return nil
}

// concealAgain reads the secrets that earlier processes of the run have read: steps that were
// done don't read them again, and what runs now, such as an undo, may show their values. A dry
// run reads none.
func (r *Run) concealAgain() error {
	if r.past == nil || r.config.World.Planned() {
		return nil
	}
	for _, reference := range r.past.secrets {
		value, err := r.readSecret(reference)
		if err == nil {
			err = r.conceal(reference, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) readSecret(reference string) (string, error) {
	if r.config.ReadSecret == nil {
		return "", unreadable(errors.New("there is nobody to read secrets"))
	}
	value, err := r.config.ReadSecret(r.ctx, r.config.World, reference)
	switch {
	case r.ctx.Err() != nil:
		return "", context.Cause(r.ctx)
	case err != nil:
		return "", unreadable(err)
	}
	return value, nil
}

// unreadable is the error of a run that can't go on, since a secret that it has read before
// can't be read any more.
func unreadable(err error) *Error {
	next := ""
	if hinted := (interface{ Hint() string })(nil); !errors.As(err, &hinted) {
		next = "make it available again; if it is gone for good and nothing that is left to run needs it, any other value of 6 bytes or more will do"
	}
	return &Error{Code: Missing, Message: fmt.Sprintf("a secret that the run has read before must be masked, and can't be read again: %v", err), Err: err, Next: next}
}

// howCalled is the texts of a run that it needs to go on, and the command line.
func howCalled(run *event.Run) []string {
	return append([]string{run.Line, run.Dir, run.Root}, run.Args...)
}

// givenAway is the error of what would give away a secret that the run has read.
func givenAway(message, next string) *Error {
	return &Error{Code: Usage, Message: message, Next: next + "; a value that is a common word can't be hidden"}
}

// checkName refuses a name of a step or check that has a secret's value. r.mu must be held.
func (r *Run) checkName(kind event.Kind, name string) error {
	if !r.config.Masks.Holds(name) {
		return nil
	}
	return givenAway(fmt.Sprintf("%s: its name has the value of a secret, and names are shown and kept: %s", kind, r.config.Masks.Text(name)), "name it otherwise, or choose another value of the secret")
}

// checkQuestion refuses a question that has a secret's value: what is asked is shown and kept,
// and a run that goes on must find it again.
func (r *Run) checkQuestion(q *event.Question) error {
	if r.config.Masks.Holds(q.Identity()) || r.config.Masks.Holds(string(q.Default)) {
		return givenAway("the question has the value of a secret, and questions are shown and kept: "+r.config.Masks.Text(q.Message), "ask without it, or choose another value of the secret")
	}
	return nil
}

// checkAnswer refuses an answer that has a secret's value, as one that is no answer.
func (r *Run) checkAnswer(a *event.Answer) error {
	if r.config.Masks.Holds(a.Shown()) {
		return &event.WrongAnswer{Message: "the answer has the value of a secret, and answers are shown and kept: want another one"}
	}
	return nil
}

// errHoldsSecret is that a text has the value of a secret that the run has read.
var errHoldsSecret = errors.New("has the value of a secret in it")

// secretResult is the error of a step whose result has a secret's value at a place, such as
// ".stdout"; "" for the whole of it.
func secretResult(place string) *Error {
	if place != "" {
		place = ", at " + place
	}
	return &Error{
		Code: Failed, Message: fmt.Sprintf("a step's result %v%s: results are kept in the record as they are", errHoldsSecret, place), Err: errHoldsSecret,
		Next: "return only what is needed of it, without the value; the secret itself, as secret(…) gave it, can be returned",
	}
}

// Problems is what an error has to say, without the values of secrets that the run has read.
func (r *Run) Problems(err error) []diag.Diagnostic {
	return diag.Masked(diag.Of(err, r.Source), r.config.Masks)
}
