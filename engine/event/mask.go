package event

import (
	"slices"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/internal/mask"
)

// Masked is an event with the values of a set masked wherever a text of it may have one; e
// itself stays as it is.
//
// What a run that goes on has to find again stays as it is: the names of steps and checks, the
// results of steps, and of a run its arguments, directory and root. Who makes the events refuses
// to have a value there.
func (e *Event) Masked(m *mask.Set) *Event {
	if m.Empty() {
		return e
	}
	masked := *e
	masked.At, masked.Name, masked.Text = m.Text(e.At), m.Text(e.Name), m.Text(e.Text)
	if len(e.Result) > 0 && e.Type != Ended {
		masked.Result = m.JSON(e.Result)
	}
	masked.Problems = diag.Masked(e.Problems, m)
	masked.Changes = MaskedChanges(e.Changes, m)
	masked.Output = slices.Clone(e.Output)
	for i := range masked.Output {
		masked.Output[i].Text = m.Text(masked.Output[i].Text)
	}
	masked.Question, masked.Answer = e.Question.masked(m), e.Answer.masked(m)
	masked.Run = e.Run.masked(m)
	return &masked
}

// MaskedChanges is changes with the values of a set masked. Those that it gets stay as they are.
func MaskedChanges(changes []Change, m *mask.Set) []Change {
	if m.Empty() {
		return changes
	}
	masked := slices.Clone(changes)
	for i := range masked {
		c := &masked[i]
		for _, text := range []*string{&c.Path, &c.From, &c.Target, &c.Run, &c.Cwd, &c.To} {
			*text = m.Text(*text)
		}
	}
	return masked
}

func (q *Question) masked(m *mask.Set) *Question {
	if q == nil {
		return nil
	}
	masked := *q
	masked.Message, masked.Pattern, masked.Choices = m.Text(q.Message), m.Text(q.Pattern), m.Texts(q.Choices)
	if q.Default != nil {
		masked.Default = m.JSON(q.Default)
	}
	return &masked
}

func (a *Answer) masked(m *mask.Set) *Answer {
	if a == nil {
		return nil
	}
	return &Answer{Value: m.JSON(a.Value), By: a.By}
}

func (r *Run) masked(m *mask.Set) *Run {
	if r == nil {
		return nil
	}
	masked := *r
	masked.Command, masked.Line, masked.Host, masked.User = m.Text(r.Command), m.Text(r.Line), m.Text(r.Host), m.Text(r.User)
	masked.Git = slices.Clone(r.Git)
	for i := range masked.Git {
		masked.Git[i].Dir, masked.Git[i].Commit = m.Text(r.Git[i].Dir), m.Text(r.Git[i].Commit)
	}
	return &masked
}
