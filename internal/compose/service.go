package compose

import (
	"slices"
	"strings"
)

// service is what this package looks at of a service, with what it extends
// merged into it.
type service struct {
	name     string
	line     int
	ports    []*node // entries, as they stand in the file
	profiles []*node // texts
	replicas *node   // a text; nil: one container
	restart  *node   // nil where it is not said, as is the next
	policy   *node   // the condition in deploy.restart_policy, which goes before restart
	active   bool    // whether its profiles let it run
}

// allServices resolves the services, in the file's order. It fails where Compose
// does: for any value of the file that can't be interpolated, used or not, and
// for services of inactive profiles, too.
func (r *resolver) allServices() ([]*service, error) {
	for _, n := range r.file.fallible {
		if _, _, err := r.text(n); err != nil {
			return nil, err
		}
	}
	var services []*service
	for _, f := range r.file.root.get("services").fields {
		s, err := r.service(f)
		if err != nil {
			return nil, err
		}
		if s.active, err = r.isActive(s); err != nil {
			return nil, err
		}
		services = append(services, s)
	}
	return services, nil
}

// isActive tells whether s has no profile, or one that COMPOSE_PROFILES names.
func (r *resolver) isActive(s *service) (bool, error) {
	if len(s.profiles) == 0 {
		return true, nil
	}
	var wanted []string
	for name := range strings.SplitSeq(r.env["COMPOSE_PROFILES"], ",") {
		wanted = append(wanted, strings.TrimSpace(name))
	}
	if slices.Contains(wanted, "*") {
		return true, nil
	}
	for _, n := range s.profiles {
		name, _, err := r.text(n)
		if err != nil {
			return false, err
		}
		if slices.Contains(wanted, name) {
			return true, nil
		}
	}
	return false, nil
}

// service resolves one service. Each is resolved once, however many extend it.
func (r *resolver) service(f field) (*service, error) {
	if s, ok := r.resolved[f.key]; ok {
		return s, nil
	}
	if slices.Contains(r.chain, f.key) {
		return nil, errorAt(f.line, "service %s extends itself: %s", f.key, strings.Join(append(r.chain, f.key), " extends "))
	}
	if len(r.chain) > maxDepth {
		return nil, errorAt(f.line, "service %s: %w: more than %d services extend each other in a chain", f.key, ErrTooLarge, maxDepth)
	}
	r.chain = append(r.chain, f.key)
	base, err := r.base(f)
	if err != nil {
		return nil, err
	}
	r.chain = r.chain[:len(r.chain)-1]

	s := &service{name: f.key, line: f.line}
	if s.ports, err = mergeList(f, "ports", base.ports); err != nil {
		return nil, err
	}
	if s.profiles, err = mergeList(f, "profiles", base.profiles); err != nil {
		return nil, err
	}
	if s.replicas = ownReplicas(f); s.replicas == nil {
		s.replicas = base.replicas
	}
	if s.restart = f.value.get("restart"); s.restart == nil {
		s.restart = base.restart
	}
	if s.policy = ownPolicy(f); s.policy == nil {
		s.policy = base.policy
	}
	for _, n := range s.profiles {
		if n.kind != text {
			return nil, errorAt(n.line, "service %s: a profile must be text, not %s", f.key, n.kind)
		}
	}
	if r.ports += len(s.ports) + len(s.profiles); r.ports > maxPorts {
		return nil, errorAt(f.line, "service %s: %w: more than %d ports in the file", f.key, ErrTooLarge, maxPorts)
	}
	r.resolved[f.key] = s
	return s, nil
}

// base resolves the service that the one at f extends; without one, it is empty.
func (r *resolver) base(f field) (*service, error) {
	extends := f.value.get("extends")
	if extends == nil {
		return &service{}, nil
	}
	if extends.kind == mapping {
		if file := extends.get("file"); file != nil && file.kind != null {
			return nil, errorAt(file.line, "service %s extends one of another file: %w: put that service into this file", f.key, ErrUnsupported)
		}
		if extends = extends.get("service"); extends == nil {
			return nil, errorAt(f.line, "service %s: extends lacks the name of a service", f.key)
		}
	}
	if extends.kind != text {
		return nil, errorAt(extends.line, "service %s: extends must be a service's name, not %s", f.key, extends.kind)
	}
	name, _, err := r.text(extends)
	if err != nil {
		return nil, err
	}
	extended, ok := r.fields[name]
	if !ok {
		return nil, errorAt(extends.line, "service %s extends %.100q, which is not in the file", f.key, name)
	}
	return r.service(extended)
}

// mergeList returns the list under a key of a service, behind what the service
// extends has there.
func mergeList(f field, key string, base []*node) ([]*node, error) {
	if slices.Contains(f.value.cut, key) {
		base = nil
	}
	own := f.value.get(key)
	switch {
	case own == nil, own.kind == null && base != nil:
		return base, nil
	case own.kind != sequence:
		return nil, errorAt(own.line, "service %s: %s must be a list, not %s", f.key, key, own.kind)
	}
	return slices.Concat(base, own.items), nil
}
