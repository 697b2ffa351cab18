package lint

import "strings"

// checkUnused finds loads, variables and functions that are never used.
func checkUnused(u *unit, r *reporter) {
	for _, v := range u.vars {
		if v.uses > 0 {
			continue
		}
		name, at := v.first.Name, v.first.NamePos
		private := strings.HasPrefix(name, "_")
		switch {
		case v.kind == loaded:
			r.add(ruleUnusedLoad, at, "%q is loaded and never used", name)
		case v.kind == param:
		case v.global && private && strings.Trim(name, "_") != "":
			r.add(ruleUnusedVariable, at, "%q is private to this file, and never used in it", name)
		case v.global || private:
		case v.kind == function:
			r.add(ruleUnusedVariable, at, "the function %q is never used", name)
		default:
			r.add(ruleUnusedVariable, at, "%q is never used: begin its name with _ if that is meant", name)
		}
	}
}
