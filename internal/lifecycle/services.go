package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/docker"
)

// ErrNoService is returned for a service that a slot doesn't have.
var ErrNoService = errors.New("no such service")

// CheckServices tells whether a slot has services of these names, in its compose file or
// as containers that were started by an earlier one; else it is an ErrNoService that says
// which there are. Where the file can't be read, it is left to Compose to say why.
func (m *Manager) CheckServices(ctx context.Context, id int, names []string) error {
	file, _, err := m.template(id)
	if err != nil {
		return nil
	}
	known := file.Names()
	isKnown := func(name string) bool { return slices.Contains(known, name) }
	if !slices.ContainsFunc(names, func(name string) bool { return !isKnown(name) }) {
		return nil
	}
	if containers, err := m.containers(ctx); err == nil {
		states, _ := docker.Survey(m.w, m.def.Root, containers, []docker.Expected{{Project: m.Project(id)}})
		for _, c := range states[0].Containers {
			known = append(known, c.Service)
		}
	}
	for _, name := range names {
		if !isKnown(name) {
			slices.Sort(known)
			return fmt.Errorf("slot %d: %w: %s; there are %s", id, ErrNoService, name, strings.Join(slices.Compact(known), ", "))
		}
	}
	return nil
}
