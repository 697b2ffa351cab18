package lifecycle

import (
	"context"
	"errors"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/docker"
)

// SlotState is a slot as it is.
type SlotState struct {
	Slot    claim.Slot
	State   docker.State
	Problem error // why what should run isn't known: the slot's files can't be read
}

// Survey is the pool as it is.
type Survey struct {
	Slots  []SlotState        // ascending by number
	Strays []docker.Container // of this root, but of no slot

	// Engine is why the Docker Engine could not be asked; nil if it could. The states
	// of the slots are then empty, and only what the registry says is known.
	Engine error
}

// Survey tells how all slots are, with one request to the Docker Engine. It changes
// nothing.
func (m *Manager) Survey(ctx context.Context) (Survey, error) {
	slots, err := m.claims.List(ctx)
	if err != nil {
		return Survey{}, err
	}
	all := Survey{Slots: make([]SlotState, len(slots))}
	for i, s := range slots {
		all.Slots[i].Slot = s
	}
	containers, err := m.containers(ctx)
	if err != nil {
		if !errors.Is(err, docker.ErrUnavailable) {
			return Survey{}, err
		}
		all.Engine = err
		return all, nil
	}
	expected := make([]docker.Expected, len(slots))
	for i, s := range slots {
		expected[i].Project = m.Project(s.ID)
	}
	if len(containers) > 0 {
		m.expect(&all, expected)
	}
	states, strays := docker.Survey(m.w, m.def.Root, containers, expected)
	for i, state := range states {
		all.Slots[i].State = state
	}
	all.Strays = strays
	return all, nil
}

func (m *Manager) containers(ctx context.Context) ([]docker.Container, error) {
	engine, err := docker.Open(m.w)
	if err != nil {
		return nil, err
	}
	return engine.Containers(ctx)
}

// expect finds out how many containers of which service each slot should have. It is
// left out where nothing runs, since it means reading every slot's compose file.
func (m *Manager) expect(all *Survey, expected []docker.Expected) {
	for i := range expected {
		file, env, err := m.template(all.Slots[i].Slot.ID)
		if err == nil {
			expected[i].Services, err = file.Replicas(env)
		}
		all.Slots[i].Problem = err
	}
}
