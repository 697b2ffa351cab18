// Package compose reads a Compose file: its variables, its services, and the
// ports that they publish under an environment, as `docker compose config` of
// Compose v2 resolves them.
//
// It covers what decides about services and ports: YAML with anchors, aliases
// and merge keys, interpolation, profiles, extends within the file, the tags
// !reset and !override, and both notations of ports. The rest of the file is
// parsed and interpolated but not held against the Compose specification; that
// full check is left to `docker compose config`, which needs Docker's command and
// many times as long.
//
// What reaches beyond the one file (include, extends of another file, several
// YAML documents) is refused with [ErrUnsupported].
package compose

import (
	"errors"
	"fmt"

	"github.com/ktrdr/kinfra/internal/interpolate"
)

var (
	// ErrUnsupported is returned for what Compose understands and this package
	// does not.
	ErrUnsupported = errors.New("not supported")

	// ErrTooLarge is returned for a file over the limits of size, depth, or
	// what its aliases, variables and port ranges expand to.
	ErrTooLarge = errors.New("too large for a compose file")
)

// Error is a fault of a Compose file.
type Error struct {
	Line int   // where it stands, counted from 1; 0 if that isn't known
	Err  error // what is wrong
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return "compose file: " + e.Err.Error()
	}
	return fmt.Sprintf("compose file, line %d: %v", e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// errorAt returns a fault at a line, formatted as by [fmt.Errorf].
func errorAt(line int, format string, args ...any) error {
	return &Error{line, fmt.Errorf(format, args...)}
}

// File is a parsed Compose file. It isn't changed by its methods, so that
// several goroutines may use it.
type File struct {
	root       *node   // a mapping
	references []*node // the texts that have variables, in the file's order
	fallible   []*node // those of them that some environments leave unresolved
}

// Parse reads a Compose file. It checks what doesn't depend on an environment:
// that it is one YAML document, within the limits, with a mapping of services.
// The error is an [*Error].
func Parse(data []byte) (*File, error) {
	root, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	if include := root.get("include"); include != nil && include.kind != null {
		return nil, errorAt(include.line, "include of other files: %w: put their content into this file", ErrUnsupported)
	}
	services := root.get("services")
	switch {
	case services == nil:
		return nil, errorAt(root.line, "there is no services section")
	case services.kind != mapping:
		return nil, errorAt(services.line, "services must be a mapping of names to services, not %s", services.kind)
	}
	for _, s := range services.fields {
		if !isServiceName(s.key) {
			return nil, errorAt(s.line, "service %.100q: a name consists of letters, digits and . _ -", s.key)
		}
		if s.value.kind != mapping {
			return nil, errorAt(s.line, "service %s must be a mapping, not %s", s.key, s.value.kind)
		}
	}
	f := &File{root: root, references: root.references()}
	for _, n := range f.references {
		if interpolate.CanFail(n.value) {
			f.fallible = append(f.fallible, n)
		}
	}
	return f, nil
}

func isServiceName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isNameByte(c) && c != '.' && c != '-' {
			return false
		}
	}
	return name != ""
}

// Names returns the names of all services, whatever profiles they have, in the file's
// order.
func (f *File) Names() []string {
	var names []string
	for _, s := range f.root.get("services").fields {
		names = append(names, s.key)
	}
	return names
}

// Services returns the names of the services that are active under env, in the
// file's order: those without profiles, and those of the profiles that
// COMPOSE_PROFILES names. A nil env is an empty one.
func (f *File) Services(env map[string]string) ([]string, error) {
	r, err := f.Resolve(env)
	if err != nil {
		return nil, err
	}
	return r.Services(), nil
}

// Resolved is a file under an environment, for whoever asks several things of it. It
// isn't changed by its methods.
type Resolved struct {
	resolver resolver
	services []*service
}

// Resolve resolves the file under an environment. The error is an [*Error]: a variable
// that is required and not set, or a reference that isn't well-formed.
func (f *File) Resolve(env map[string]string) (*Resolved, error) {
	r := newResolver(f, env)
	services, err := r.allServices()
	if err != nil {
		return nil, err
	}
	return &Resolved{*r, services}, nil
}

// Services is [File.Services] of what was resolved.
func (r *Resolved) Services() []string {
	var names []string
	for _, s := range r.services {
		if s.active {
			names = append(names, s.name)
		}
	}
	return names
}
