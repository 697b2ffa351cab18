package stack

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ktrdr/kinfra/internal/world"
)

// checkSecrets refuses to start what would get *** for a secret, except in a dry run,
// which has no secrets and starts nothing.
func (s Stack) checkSecrets(w world.World) error {
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		if !w.Planned() && !s.Secrets[name].Known() {
			return fmt.Errorf("starting project %s: the secret for %s was not read", s.Project, name)
		}
	}
	return nil
}

// masked is what a program has printed, without the values that must not show.
func (s Stack) masked(output []byte) []byte { return []byte(s.Masks.Text(string(output))) }
