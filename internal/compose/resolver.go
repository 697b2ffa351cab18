package compose

import (
	"errors"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/interpolate"
)

const (
	maxPorts = 100_000  // of all services, before double ones are left out
	maxValue = 16 << 20 // bytes that variables put into the file
)

// resolver resolves a file under an environment, once.
type resolver struct {
	file     *File
	env      map[string]string
	fields   map[string]field    // of the services section, by name
	resolved map[string]*service // the services so far
	chain    []string            // services under way, each of which extends the next
	inserted int                 // bytes of variables' values so far
	ports    int                 // entries and ports so far
}

func newResolver(f *File, env map[string]string) *resolver {
	r := &resolver{file: f, env: env, fields: map[string]field{}, resolved: map[string]*service{}}
	for _, f := range f.root.get("services").fields {
		r.fields[f.key] = f
	}
	return r
}

// text is n's text with its variables replaced, and the names of those that were
// looked up, set or not.
func (r *resolver) text(n *node) (string, []string, error) {
	return r.interpolate(n.value, n.line)
}

func (r *resolver) interpolate(s string, line int) (string, []string, error) {
	if !strings.Contains(s, "$") {
		return s, nil, nil
	}
	var names []string
	value, err := interpolate.Substitute(s, func(name string) (string, bool) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		value, ok := r.env[name]
		if r.inserted += len(value); r.inserted > maxValue {
			return "", ok
		}
		return value, ok
	})
	if r.inserted > maxValue {
		return "", nil, errorAt(line, "%w: its variables stand for more than %d bytes", ErrTooLarge, maxValue)
	}
	if missing, ok := errors.AsType[*interpolate.MissingError](err); ok {
		return "", nil, hint.Wrap(&Error{line, err}, "set %s in the environment", missing.Name)
	}
	if err != nil {
		return "", nil, hint.Wrap(errorAt(line, "%.100q is no well-formed reference to a variable", s), "write $$ for a dollar sign")
	}
	return value, names, nil
}
