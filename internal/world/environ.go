package world

import (
	"slices"
	"strings"
)

// CleanEnv is the environment for a child process: of the caller's, the variables
// that programs need to find themselves, their configuration and the network,
// and those named in pass; sorted, as KEY=value. Everything else stays behind,
// so that a variable that happens to be set in the caller's shell can't redirect
// a command to something else.
func CleanEnv(w World, pass ...string) []string {
	values := map[string]string{} // of a name that stands twice, the first counts, as for getenv(3)
	for _, entry := range w.Env.Environ() {
		name, value, ok := strings.Cut(entry, "=")
		if _, seen := values[name]; !ok || seen {
			continue
		}
		if what := decide(name); what == passed || what == locates || slices.Contains(pass, name) {
			values[name] = value
		}
	}
	env := make([]string, 0, len(values))
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}
