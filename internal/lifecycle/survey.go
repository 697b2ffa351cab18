package lifecycle

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/compose"
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
	// of the slots are then empty but for their projects, and only what the registry says is known.
	Engine error
}

// Survey tells how all slots are, with one request to the Docker Engine. It changes
// nothing.
func (m *Manager) Survey(ctx context.Context) (Survey, error) {
	slots, err := m.claims.List(ctx)
	if err != nil {
		return Survey{}, err
	}
	containers, listErr := m.containers(ctx)
	all := Survey{Slots: make([]SlotState, len(slots))}
	for i, s := range slots {
		all.Slots[i].Slot = s
		all.Slots[i].State.Project = m.defined(s.ID)
	}
	if errors.Is(listErr, docker.ErrUnavailable) {
		all.Engine = listErr
		return all, nil
	}
	if listErr != nil {
		return Survey{}, listErr
	}
	states, strays := docker.Survey(m.w, m.def.Root, containers, m.expected(&all, containers))
	for i, state := range states {
		all.Slots[i].State = state
	}
	all.Strays = strays
	return all, nil
}

// containers asks the Engine for the containers that Compose made.
func (m *Manager) containers(ctx context.Context) ([]docker.Container, error) {
	engine, err := docker.Open(m.w)
	if err != nil {
		return nil, err
	}
	return engine.Containers(ctx)
}

// expected is the stacks of all slots. How many containers of which service one should
// have is found out only for those that have containers, since it means reading the
// slot's files.
func (m *Manager) expected(all *Survey, containers []docker.Container) []docker.Expected {
	there := map[string]bool{}
	for _, c := range containers {
		there[c.Project] = true
	}
	renamed := m.renamed(all, containers)
	expected := make([]docker.Expected, len(all.Slots))
	for i := range all.Slots {
		s := &all.Slots[i]
		expected[i].Project = m.defined(s.Slot.ID)
		if started, ok := renamed[s.Slot.ID]; ok {
			expected[i].Project = started
		}
		if !there[expected[i].Project] {
			continue
		}
		file, env, err := m.template(s.Slot.ID)
		if err == nil {
			expected[i].Services, expected[i].Restarted, err = services(file, env)
		}
		s.Problem = err
	}
	return expected
}

// services are how many containers of each service there are to be, and which are restarted
// whatever they end with.
func services(file *compose.File, env map[string]string) (replicas map[string]int, restarted map[string]bool, err error) {
	r, err := file.Resolve(env)
	if err != nil {
		return nil, nil, err
	}
	if replicas, err = r.Replicas(); err != nil {
		return nil, nil, err
	}
	restarted, err = r.Restarted()
	return replicas, restarted, err
}

// renamed is the Compose projects of the slots whose containers run under another name
// than the pool's definition has for them. The files of a slot are read only where there
// are such containers.
func (m *Manager) renamed(all *Survey, containers []docker.Container) map[int]string {
	defined := make(map[string]bool, len(all.Slots))
	for _, s := range all.Slots {
		defined[m.defined(s.Slot.ID)] = true
	}
	names := map[int]string{}
	for _, c := range containers {
		if defined[c.Project] || len(c.Files) == 0 {
			continue
		}
		for _, s := range all.Slots {
			id := s.Slot.ID
			if filepath.Dir(c.Files[0]) == m.Dir(id) && m.Project(id) == c.Project {
				names[id] = c.Project
			}
		}
	}
	return names
}
