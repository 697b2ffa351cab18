package stack

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
)

// environment is that of a Compose command. Only a start makes images and containers, so
// only that gets the values of secrets. The other commands read the same files, which may
// require that the variables are set: to them they are ***.
func (s Stack) environment(w world.World, start bool) []string {
	env := world.CleanEnv(w, s.Pass...)
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		var value secret.Value
		if start {
			value = s.Secrets[name]
		}
		env = append(env, name+"="+value.Reveal())
	}
	// Compose takes its switches from the project's env files, too, unless the environment
	// has them. This one would make it refuse a start that removes orphans.
	return append(env, "COMPOSE_IGNORE_ORPHANS=false")
}

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
