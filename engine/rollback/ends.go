package rollback

import "slices"

// refused is that the run could not be resumed or undone.
func (m *model) refused() {
	left := m.leftToUndo()
	switch {
	case m.do == Undo && len(left) > 0:
		m.fail("it can't be undone, and left to undo are %v", left)
	case m.do != Undo && m.last != "passed" && m.last != "undone":
		m.fail("it can't be resumed, and the run has ended as %q", m.last)
	}
}

// notEdited is that a run didn't go on with an edited program.
func (m *model) notEdited(how string) {
	switch {
	case m.now > m.began+1 && !m.interrupted:
		m.fail("it does not go on with the edited program, and has done something")
	case how == EndedWell || m.must && !m.interrupted:
		m.fail("it has ended %s, and does not go on with the edited program", how)
	}
}

// allows tells whether a run must be able to go on with a block in place of another one, both
// inside a step or check: what was done stands there by the same names and in the same order.
// What is new may stand between that, and what wasn't done may be gone, but not moved.
func (m *model) allows(inside string, old, now []Statement) bool {
	all := now
	for i := range old {
		s := &old[i]
		same := func(t Statement) bool { return t.Name == s.Name }
		if !m.isStanding(inside, s) && !slices.ContainsFunc(all, same) {
			continue
		}
		at := slices.IndexFunc(now, same)
		if at < 0 || !m.allowsStatement(inside, s, &now[at]) {
			return false
		}
		now = now[at+1:]
	}
	return true
}

func (m *model) allowsStatement(inside string, old, now *Statement) bool {
	key := keyOf(inside, old)
	if k := m.steps[key]; old.Kind == Step && k != nil && k.left && !now.Undo || len(now.Blocks) < len(old.Blocks) {
		return false
	}
	for n, block := range old.Blocks {
		if !m.allows(key, block, now.Blocks[n]) {
			return false
		}
	}
	return true
}

// isStanding tells whether a statement is, or has in it, a step that was done.
func (m *model) isStanding(inside string, s *Statement) bool {
	key := keyOf(inside, s)
	if k := m.steps[key]; s.Kind == Step && k != nil && k.status == done {
		return true
	}
	for _, block := range s.Blocks {
		if slices.ContainsFunc(block, func(t Statement) bool { return m.isStanding(key, &t) }) {
			return true
		}
	}
	return false
}

// isBlocked tells whether something is left to undo that was cut off, and that the script
// doesn't come to now: what stands before it has been run again since, and wasn't done.
func (m *model) isBlocked() bool {
	for _, key := range m.leftToUndo() {
		for other, o := range m.steps {
			cutOff := m.steps[key].status == running
			if cutOff && (m.shape.places[key] == nil || !m.shape.statements[key].Undo) {
				return true // an edit has taken it, or its undo, from the program
			}
			if cutOff && m.shape.relate(other, key) == before && (o.status == failed || o.status == running) {
				return true
			}
		}
	}
	return false
}

func (m *model) endedUndo(how string) {
	if how == EndedWell {
		m.wantsNothingLeft("the undo has ended well")
		if m.last != "undone" {
			m.fail("the undo has ended well, and the run is recorded as %q", m.last)
		}
		return
	}
	if m.interrupted {
		return
	}
	if m.stuck+m.functions == 0 && !m.isBlocked() {
		m.fail("the undo ended %s, and none of its functions failed", how)
	}
	m.wantsAllTried(m.began)
}

// wantsAllTried wants the undos of all steps to have been called since an entry.
func (m *model) wantsAllTried(since int) {
	for _, key := range m.leftToUndo() {
		if k := m.steps[key]; k.status == done && k.undoing < since && !m.isInUnended(key) {
			m.fail("the undo of %s, which is done, was not called", key)
		}
	}
}

// isInUnended tells whether a step around one was cut off, and not brought to its end.
func (m *model) isInUnended(key string) bool {
	for other, o := range m.steps {
		if o.status == running && m.shape.relate(other, key) == around {
			return true
		}
	}
	return false
}

// endedRun is the end of a process that was not only to undo.
func (m *model) endedRun(how string) {
	if m.script == 0 {
		if m.stuck == 0 && !m.interrupted || how == EndedWell {
			m.fail("nothing was run, and no undo kept it from that")
		}
		return
	}
	if m.rollback == 0 {
		m.outcome = m.evalBlock(m.shape.program, "")
	}
	wanted := EndedFailed
	switch {
	case m.interrupted && how != EndedWell && how != EndedChecks:
		wanted = EndedSignal
		if how == EndedFailed {
			wanted = how
		}
	case m.outcome == unfinished:
		m.fail("the script has ended %s, and was not done", how)
	case m.outcome == passes && m.hasFailedCheck() && !(m.dropped && how == EndedWell):
		wanted = EndedChecks
	case m.outcome == passes:
		wanted = EndedWell
	case m.functions == 0 && !m.hasFixed():
		m.fail("it failed, and no function did")
	}
	if how != wanted {
		m.fail("it has ended %s, want %s", how, wanted)
	}
	switch {
	case how == EndedFailed || how == EndedSignal:
		m.wantsAllTried(m.script)
	case m.rollback > 0:
		m.fail("it has ended %s, and undos were called", how)
	}
}

func (m *model) hasFailedCheck() bool {
	for _, how := range m.checks {
		if how == "failed" {
			return true
		}
	}
	return false
}

// hasFixed tells whether a step has failed that isn't tried again.
func (m *model) hasFixed() bool {
	for _, k := range m.steps {
		if k.status == failed && k.fixed && !k.taken {
			return true
		}
	}
	return false
}
