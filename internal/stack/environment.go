package stack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
)

// environment is that of a Compose command. To Compose, its environment goes before all
// files, so nothing of the caller's is in it that the slot's own file sets.
//
// Only a start makes images and containers, so only that gets the values of secrets. The
// other commands read the same files, which may require that the variables are set: to
// them they are ***.
func (s Stack) environment(w world.World, start bool) []string {
	env := slices.DeleteFunc(world.CleanEnv(w, s.Pass...), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return s.decides(name)
	})
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		var value secret.Value
		if start {
			value = s.Secrets[name]
		}
		env = append(env, name+"="+value.Reveal())
	}
	return append(env,
		// A file says ${PWD} of its project; the caller may stand anywhere.
		directory+"="+cmp.Or(s.BaseDir, s.Dir),
		// Compose takes its switches from the project's env files, too, unless the
		// environment has them. This one would make it refuse a start that removes orphans.
		"COMPOSE_IGNORE_ORPHANS=false")
}

const (
	directory = "PWD"
	switches  = "COMPOSE_" // what the names of Compose's own variables begin with
)

// decides tells whether a variable is not for the caller to set.
func (s Stack) decides(name string) bool {
	return CheckPass(name) != nil || slices.Contains(s.Sets, name) && !world.Locates(name)
}

// CheckPass refuses a variable that can't be the caller's to set: one of Compose's own,
// which would lead it elsewhere, or one that kinfra sets.
func CheckPass(name string) error {
	switch {
	case strings.HasPrefix(name, switches):
		return fmt.Errorf("%s is one of Compose's own, which can't be the caller's: set it in the slot's environment, or in the project's .env", name)
	case name == directory:
		return fmt.Errorf("%s is the project's directory in a stack, wherever the caller stands", name)
	}
	return nil
}

// CheckSet refuses a variable that a slot can't set for its stack, since the docker command
// finds itself and the Engine by it, or kinfra sets it.
func CheckSet(name string) error {
	switch {
	case world.Locates(name):
		return fmt.Errorf("%s decides where docker finds programs, its configuration and the Engine: want another name", name)
	case name == directory:
		return fmt.Errorf("%s is the project's directory in a stack: want another name", name)
	}
	return nil
}
