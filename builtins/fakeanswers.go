package builtins

import (
	"context"
	"encoding/json"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
)

// answers is what a test has said of its user.
type answers struct {
	left  []json.RawMessage
	asked []event.Question
}

func (f *fake) answers(c *table.Call) (starlark.Value, error) {
	said := &answers{}
	for _, v := range c.List("answers") {
		data, err := engine.ToJSON(v)
		if err != nil {
			return nil, named(c, err)
		}
		said.left = append(said.left, data)
	}
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	f.machine.answers = said
	return nil, nil
}

func (f *fake) questions(*table.Call) (starlark.Value, error) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	if f.machine.answers == nil {
		return starlark.NewList(nil), nil
	}
	return engine.List(f.machine.answers.asked, func(q event.Question) starlark.Value {
		var standard starlark.Value = starlark.None
		switch a := (&event.Answer{Value: q.Default}); {
		case q.Default == nil:
		case q.Kind == event.Confirm:
			standard = starlark.Bool(a.Yes())
		default:
			standard = starlark.String(a.Shown())
		}
		return engine.Struct("kind", string(q.Kind), "message", q.Message, "choices", engine.List(q.Choices, stringValue), "default", standard)
	}), nil
}

// Nobody is why nothing is asked: the test has said of no answers.
func (m *TestMachine) Nobody() *engine.NobodyError {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		return &engine.NobodyError{Why: "stdin is not a terminal to ask on"}
	}
	return nil
}

// Ask gives the next answer.
func (m *TestMachine) Ask(_ context.Context, q *event.Question) (*event.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	said := m.answers
	if len(said.left) == 0 {
		return nil, fmt.Errorf("fake.answers: no answer is left for: %s", q.Message)
	}
	given := said.left[0]
	said.left, said.asked = said.left[1:], append(said.asked, *q)
	value, err := q.FromJSON(given)
	if err != nil {
		return nil, err
	}
	return &event.Answer{Value: value, By: event.ByTest}, nil
}
