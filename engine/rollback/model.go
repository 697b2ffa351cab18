package rollback

import (
	"fmt"
	"maps"
	"slices"
)

// Judge tells how what happened in a case differs from what must be; "" if it doesn't.
func Judge(c Case, trace Trace) string {
	m := &model{shape: newShape(c.Program), steps: map[string]*known{}, checks: map[string]string{}, added: map[string]bool{}}
	edits := c.Processes
	for i, e := range trace {
		m.now = i
		if e.What == ProcessBegan {
			m.begin(edits[0])
			edits = edits[1:]
		}
		m.add(e)
		if m.wrong != "" {
			return fmt.Sprintf("%s (entry %d, process %d: %s)", m.wrong, i, m.process, m.do)
		}
	}
	return ""
}

// status is how a step stands, as the last lines about it say.
type status string

const (
	never   status = ""
	running status = "running" // or cut off
	done    status = "done"
	failed  status = "failed"
	undone  status = "undone"
)

// known is what is known of a step. Numbers are those of entries.
type known struct {
	status   status
	began    int    // the line of that
	taken    bool   // something that it was built on was undone, or was to be, since it began
	fixed    bool   // it failed, and the script went on after that
	failedIn int    // the process; -1 once a step around it is tried again
	left     bool   // there is something to undo, or may be
	undoing  int    // the line of that; 0 for never
	cutOff   bool   // it was running when the process began
	result   string // that its function returned last
	runAt    int    // when its function was called last
	ranAt    int    // when it returned
	called   bool   // the function, since the line of the beginning or of the last failed try
	undid    bool   // the undo function returned, since the line that it was to be called
}

// model follows a case.
type model struct {
	shape   *shape
	steps   map[string]*known
	checks  map[string]string // how they ended last
	dropped bool              // an edit has left out a check, whose outcome may count or not
	added   map[string]bool   // steps that an edit has put before others
	now     int               // the number of the entry
	process int
	do      string
	wrong   string

	// Of the process.
	edited      Program // with which it is to go on
	waits       bool    // and hasn't yet
	must        bool    // it has to
	began       int     // its entry
	script      int     // when its script began in earnest; 0 if it didn't
	rollback    int     // when the first undo after that was recorded
	outcome     result
	functions   int    // that failed
	stuck       int    // undos that failed
	interrupted bool   // by a signal
	last        string // how the run is recorded to have ended; "" while it hasn't
}

func (m *model) fail(format string, args ...any) {
	if m.wrong == "" {
		m.wrong = fmt.Sprintf(format, args...)
	}
}

func (m *model) step(key string) *known {
	k := m.steps[key]
	if k == nil {
		k = &known{}
		m.steps[key] = k
	}
	return k
}

// begin is that of a process.
func (m *model) begin(p Process) {
	m.process++
	m.do, m.began, m.script, m.rollback, m.outcome = p.Do, m.now, 0, 0, passes
	m.functions, m.stuck, m.interrupted = 0, 0, false
	m.edited, m.must = p.Program, p.Do == Edited && m.allows("", m.shape.program, p.Program)
	m.waits = p.Do == Edited
	for _, k := range m.steps {
		k.cutOff = k.status == running
	}
}

func (m *model) edit(p Program) {
	old := m.shape
	m.shape = newShape(p)
	for key := range m.shape.places {
		if m.steps[key] == nil { // it may come to that now, since what kept it from it is gone
			m.added[key] = true
		}
		for other := range m.shape.places {
			if m.shape.relate(key, other) == before && old.relate(key, other) != before {
				m.added[key] = true
			}
		}
	}
	for key := range m.checks {
		m.dropped = m.dropped || m.shape.places[key] == nil
	}
	if wrong := m.otherWay(old, m.shape); wrong != "" {
		m.fail("it goes on with the edited program, and %s", wrong)
	}
}

// otherWay tells how a program does in another way what was done.
func (m *model) otherWay(old, now *shape) string {
	for _, key := range slices.Sorted(maps.Keys(m.steps)) {
		k := m.steps[key]
		counts := k.status == done && !k.taken && !m.isInDone(old, key)
		switch {
		case k.status != done || !counts && !k.left:
		case now.places[key] == nil:
			return fmt.Sprintf("%s, which was done, isn't in that", key)
		case k.left && !now.statements[key].Undo:
			return fmt.Sprintf("%s, which was done, has no undo in that", key)
		}
		if !counts {
			continue
		}
		for other, o := range m.steps {
			if o.status == done && !o.taken && old.relate(key, other) == before && old.shares(key, other) && now.relate(key, other) == after {
				return fmt.Sprintf("%s, which was done before %s, comes after it in that", key, other)
			}
		}
	}
	return ""
}

func (m *model) add(e Entry) {
	switch e.What {
	case ProcessEnded:
		m.ended(e.Arg)
	case ScriptBegan:
		m.script = m.now
	case RunBegan:
		m.run(e.Key)
	case RunDone:
		k := m.step(e.Key)
		k.result, k.ranAt = e.Arg, m.now
	case RunFailed:
		m.functions++
		m.step(e.Key).called = false
	case Passed:
		m.passed(e.Key, e.Arg)
	case UndoBegan:
		m.undo(e.Key, e.Arg)
	case UndoDone:
		m.step(e.Key).undid = true
	case UndoFailed:
		m.stuck++
	case Interrupted:
		m.interrupted = true
	case Line:
		m.line(e)
	}
}

// run is a call of a step's function.
func (m *model) run(key string) {
	k := m.step(key)
	switch {
	case k.status != running:
		m.fail("the function of %s is called, and its beginning is not on record", key)
	case k.called:
		m.fail("the function of %s is called twice", key)
	}
	k.called, k.runAt, k.ranAt = true, m.now, 0
}

// passed is that the script goes on behind a step.
func (m *model) passed(key, result string) {
	k := m.step(key)
	switch {
	case k.status != done || k.taken && m.do != Undo:
		m.fail("the script goes on behind %s, which doesn't count as done: it is %s", key, k.say())
	case result != k.result:
		m.fail("%s gave the script %q, and its function returned %q", key, result, k.result)
	}
	if m.do != Undo {
		m.wantsGround(key)
		k.left = k.left || m.shape.statements[key].Undo // an edit has added it
	}
	for other, o := range m.steps {
		if m.shape.relate(other, key) == before && m.shape.shares(other, key) && o.status == done && o.ranAt > k.runAt && !m.added[other] {
			m.fail("the script goes on behind %s, which was done before %s, that it is built on", key, other)
		}
	}
}

func (k *known) say() string {
	text := string(k.status)
	if k.status == never {
		text = "not begun"
	}
	if k.taken {
		text += ", and something that it was built on was undone"
	}
	return text
}

// undo is a call of an undo function.
func (m *model) undo(key, result string) {
	k := m.step(key)
	switch {
	case k.undoing < m.began:
		m.fail("the undo of %s is called, and that is not on record", key)
	case result != k.result:
		m.fail("the undo of %s gets %q, and its function returned %q", key, result, k.result)
	}
	k.undid = false
}

func (m *model) line(e Entry) {
	switch {
	case e.Event == "result":
		m.last = e.Status
		if m.last == "undone" {
			m.wantsNothingLeft("the run is recorded as undone")
		}
	case e.Event == "resume":
		m.last = ""
		if m.do == Edited {
			m.edit(m.edited)
			m.waits = false
		}
	case e.Kind == string(Check) && e.Event == "end":
		m.checks[e.Key] = e.Status
	case e.Kind == string(Check):
	case e.Event == "begin":
		m.beginStep(e.Key)
	case e.Event == "retry":
		m.retry(e.Key)
	case e.Event == "end":
		m.endStep(e.Key, e.Status)
	case e.Event == "undoing":
		m.undoing(e.Key)
	case e.Event == "undo":
		m.undoneStep(e.Key, e.Status)
	}
}

func (m *model) beginStep(key string) {
	k := m.step(key)
	switch {
	case k.status == done && !k.taken:
		m.fail("%s was done, and runs again", key)
	case k.status == failed && k.fixed && !k.taken:
		m.fail("%s failed, the script went on, and it runs again", key)
	}
	if m.do == Undo {
		m.wantsCutOff(key)
	} else {
		m.wantsGround(key)
		m.wantsSettled(key)
	}
	for other, o := range m.steps {
		standing := o.status == done || o.status == failed && o.fixed
		if m.do != Undo && m.shape.relate(key, other) == before && m.shape.shares(key, other) && standing && !o.taken && !m.added[key] {
			m.fail("%s runs below %s, which still counts", key, other)
		}
		if m.shape.relate(other, key) == before && m.shape.isWith(other, key) && o.status == failed && o.failedIn == m.process {
			o.fixed = true
		}
	}
	undo := k.left || m.shape.statements[key].Undo
	taken := m.do == Undo && (k.taken && k.undoing == 0 || m.isUndoneBelow(key))
	*k = known{status: running, taken: taken, began: m.now, left: undo, cutOff: k.cutOff, result: k.result}
}

// isInDone tells whether a step around one is done, which a program is then not to enter.
func (m *model) isInDone(s *shape, key string) bool {
	for other, o := range m.steps {
		if o.status == done && !o.taken && s.relate(other, key) == around {
			return true
		}
	}
	return false
}

// isUndoneBelow tells whether something that a step is built on was undone, and has not run
// again since.
func (m *model) isUndoneBelow(key string) bool {
	for other, o := range m.steps {
		if other != key && o.undoing > 0 && m.shape.carries(other, key) {
			return true
		}
	}
	return false
}

// wantsCutOff wants of a step that begins in an undo that it, or one around it, was cut off:
// these are brought to their end first.
func (m *model) wantsCutOff(key string) {
	for other, o := range m.steps {
		r := m.shape.relate(other, key)
		if (r == same || r == around) && o.cutOff && m.shape.statements[other].Undo {
			return
		}
	}
	m.fail("%s runs in an undo, and neither it nor one around it was cut off", key)
}

// wantsSettled wants nothing to be left to undo of what doesn't count, when a step begins.
func (m *model) wantsSettled(key string) {
	for other, o := range m.steps {
		if o.status == done && o.taken && o.left {
			m.fail("%s runs before %s is undone, which doesn't count any more", key, other)
		}
	}
}

// wantsGround wants that all stands that a step is built on, as far as the script comes
// through it.
func (m *model) wantsGround(key string) {
	block := m.shape.program
	at := m.shape.places[key]
	for i := 0; i < len(at); i += 2 {
		for n := range block[:at[i]] {
			if r := m.eval(&block[n], m.shape.around(at[:i])); r != passes {
				m.fail("the script comes to %s, and what stands before it, %s, %s", key, block[n].Name, r)
			}
		}
		if i+1 < len(at) {
			block = block[at[i]].Blocks[at[i+1]]
		}
	}
}

func (m *model) retry(key string) {
	m.step(key).called = false
	for other, o := range m.steps {
		if m.shape.relate(other, key) == inside && o.status == failed && !o.fixed {
			o.failedIn = -1
		}
	}
}

func (m *model) endStep(key, how string) {
	k := m.step(key)
	switch {
	case k.status != running:
		m.fail("%s ends, and was %s", key, k.say())
	case how == "passed" && (!k.called || k.ranAt == 0):
		m.fail("%s is recorded as done, and its function has not returned", key)
	}
	k.called = false
	switch {
	case how == "passed":
		k.status, k.left = done, m.shape.statements[key].Undo
	case m.do == Undo && k.cutOff && m.isOutermost(key):
		// As it was before: it could not be brought to its end.
	default:
		k.status, k.left, k.failedIn = failed, false, m.process
	}
}

// isOutermost tells whether no step around one began in this process.
func (m *model) isOutermost(key string) bool {
	for other, o := range m.steps {
		if m.shape.relate(other, key) == around && o.began > m.began {
			return false
		}
	}
	return true
}

func (m *model) undoing(key string) {
	k := m.step(key)
	if m.script > 0 && m.rollback == 0 {
		m.rollback, m.outcome = m.now, m.evalBlock(m.shape.program, "")
	}
	if !k.left && !m.shape.statements[key].Undo || k.status != done {
		m.fail("%s is undone, and there is nothing to undo: it is %s", key, k.say())
	}
	if k.undoing > max(m.began, m.script) {
		m.fail("%s is undone twice by one process", key)
	}
	for other, o := range m.steps {
		r := m.shape.relate(other, key)
		if (r == after && m.shape.shares(key, other) && k.began < o.began || r == around) && o.left && o.status == done && o.undoing <= m.began && !m.isInUnended(other) {
			m.fail("%s is undone before %s, which is built on it", key, other)
		}
	}
	k.undoing, k.undid, k.left = m.now, false, true
	for other, o := range m.steps {
		if o.status != never && m.shape.carries(key, other) {
			o.taken = true
		}
	}
	k.taken = true
}

func (m *model) undoneStep(key, how string) {
	k := m.step(key)
	switch {
	case how != "passed":
	case !k.undid:
		m.fail("%s is recorded as undone, and its undo has not returned", key)
	default:
		k.status, k.left = undone, false
	}
}

// leftToUndo is the steps that are left to undo, sorted.
func (m *model) leftToUndo() []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(m.steps)) {
		if m.steps[key].left {
			keys = append(keys, key)
		}
	}
	return keys
}

func (m *model) wantsNothingLeft(what string) {
	if left := m.leftToUndo(); len(left) > 0 {
		m.fail("%s, and left to undo are %v", what, left)
	}
}

// ended is the end of a process.
func (m *model) ended(how string) {
	switch {
	case how == EndedKilled:
	case m.waits && how != EndedNotRun:
		m.notEdited(how)
	case how == EndedOther && m.do != Undo:
		m.fail("it ended as if the script went another way than its record")
	case how == EndedNotRun:
		m.refused()
	case m.do == Undo:
		m.endedUndo(how)
	default:
		m.endedRun(how)
	}
}
