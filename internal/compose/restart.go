package compose

// Restarted returns the services whose containers are restarted also when they have ended
// without an error: by deploy.restart_policy or else by restart.
func (r *Resolved) Restarted() (map[string]bool, error) {
	restarted := map[string]bool{}
	for _, s := range r.services {
		policy := s.policy
		if policy == nil {
			policy = s.restart
		}
		if policy == nil || policy.kind != text {
			continue
		}
		value, _, err := r.resolver.text(policy)
		if err != nil {
			return nil, err
		}
		if RestartsAlways(value) {
			restarted[s.name] = true
		}
	}
	return restarted, nil
}

// RestartsAlways tells whether a policy restarts what has ended without an error.
func RestartsAlways(policy string) bool {
	return policy == "always" || policy == "any" || policy == "unless-stopped"
}

// ownPolicy is the condition in a service's deploy.restart_policy; nil if it has none.
func ownPolicy(f field) *node {
	if deploy := f.value.get("deploy"); deploy != nil && deploy.kind == mapping {
		if policy := deploy.get("restart_policy"); policy != nil && policy.kind == mapping {
			return policy.get("condition")
		}
	}
	return nil
}
