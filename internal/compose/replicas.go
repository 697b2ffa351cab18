package compose

import "strconv"

// Replicas returns how many containers each active service runs under env: what
// deploy.replicas or scale says, 1 where neither does. The error is an [*Error].
func (f *File) Replicas(env map[string]string) (map[string]int, error) {
	r, err := f.Resolve(env)
	if err != nil {
		return nil, err
	}
	return r.Replicas()
}

// Replicas is [File.Replicas] of what was resolved.
func (r *Resolved) Replicas() (map[string]int, error) {
	replicas := map[string]int{}
	for _, s := range r.services {
		if !s.active {
			continue
		}
		replicas[s.name] = 1
		if s.replicas == nil {
			continue
		}
		value, _, err := r.resolver.text(s.replicas)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return nil, errorAt(s.replicas.line, "service %s: the number of replicas is %.100q, not a whole number", s.name, value)
		}
		replicas[s.name] = n
	}
	return replicas, nil
}

// ownReplicas is where a service says how many containers it runs; nil if nowhere.
func ownReplicas(f field) *node {
	if deploy := f.value.get("deploy"); deploy != nil && deploy.kind == mapping {
		if n := deploy.get("replicas"); n.isNumber() {
			return n
		}
	}
	if n := f.value.get("scale"); n.isNumber() {
		return n
	}
	return nil
}

// isNumber tells whether a value may stand for a number: a text may have variables.
func (n *node) isNumber() bool { return n != nil && (n.kind == text || n.kind == integer) }
