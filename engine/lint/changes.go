package lint

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// checkChanges finds changes where none may be: outside of steps in a workflow that has
// some, and while a file with a workflow is loading.
func (c *Checker) checkChanges(u *unit, r *reporter) {
	workflows := c.workflows(u)
	if len(workflows) == 0 {
		return
	}
	left := mostFollowed
	for _, w := range workflows {
		outside := c.reach(u)
		outside.left = &left
		for _, name := range []string{"run", "show"} {
			if given := argument(w, -1, name); given != nil {
				outside.enter(c.callee(u, given).function, syntax.Start(given))
			}
		}
		if !outside.steps || left < 0 {
			continue
		}
		for _, f := range outside.changes {
			r.add(ruleChange, f.at, "%s changes something outside of a step%s, in a workflow that has steps: a run that is gone on with does it again", f.builtin, f.via)
		}
	}
	loading := c.reach(u)
	loading.recorded = true
	loading.enter(u.scopes[0], syntax.Position{})
	for _, f := range loading.changes {
		r.add(ruleLoading, f.at, "%s is called while the file is loading%s, when nothing may change: do this in the function that the workflow runs", f.builtin, f.via)
	}
}

// reached is what calls lead to, from a function on, other than through a step.
type reached struct {
	checker  *Checker
	unit     *unit // where positions are wanted
	seen     map[*scope]bool
	steps    bool
	left     *int // how many calls may be followed; nil: all
	recorded bool // what is part of the record counts as a change, too: a step, a check, a question
	changes  []change
}

// change is a call of a builtin that changes something.
type change struct {
	builtin string
	at      syntax.Position // in the file that is checked: the call, or what leads to it
	via     string          // where the call is, if that is elsewhere
}

func (c *Checker) reach(u *unit) *reached {
	return &reached{checker: c, unit: u, seen: map[*scope]bool{}}
}

// enter follows the calls of a function. From is the call in the checked file that led
// there last.
func (o *reached) enter(s *scope, from syntax.Position) {
	if s == nil || o.seen[s] {
		return
	}
	o.seen[s] = true
	for _, call := range o.checker.callsOf(s) {
		if o.left != nil {
			if *o.left--; *o.left < 0 {
				return
			}
		}
		at := from
		if s.unit == o.unit {
			at = call.at
		}
		if call.function != nil {
			o.enter(call.function, at)
			continue
		}
		o.steps = o.steps || call.builtin.Name == "step"
		if o.counts(call) {
			f := change{builtin: call.builtin.Name, at: at}
			if s.unit != o.unit {
				f.via = " (" + call.at.String() + ")"
			}
			o.changes = append(o.changes, f)
		}
	}
}

func (o *reached) counts(c call) bool {
	if o.recorded {
		switch c.builtin.Name {
		case "step", "check", "on_exit", "conclude", "evidence":
			return true
		case "ask.confirm", "ask.choose", "ask.text": // nobody is asked for a list or for help
			return true
		}
	}
	return c.builtin.Changes && !o.reads(c)
}

// reads tells whether a call may be marked as one that changes nothing: a helper passes
// on what it is told.
func (o *reached) reads(c call) bool {
	if c.expr == nil || !hasParam(c.builtin, table.ReadOnly) {
		return false
	}
	given := argument(c.expr, -1, table.ReadOnly)
	if given == nil {
		return argumentsOf(c.expr).keywords // it may be among those
	}
	lit, ok := given.(*syntax.Ident)
	return !ok || lit.Name != starlark.False.String()
}

func hasParam(b *table.Builtin, name string) bool { return indexOf(b, name) >= 0 }
