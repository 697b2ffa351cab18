package event

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// History follows, by the events of a run, what of it counts as done. The zero History is
// ready to use.
//
// A step that was undone takes with it what was built on it: the steps that come later in
// its branch of the script, those after the join of the parallel that it stands in, those
// around it and those inside it. Siblings in other branches are not built on it, whenever
// they ran. A step that failed stays failed where the script went on after it.
type History struct {
	undos  undos
	nodes  map[string]*Past
	outer  []*Past // those that are in no other
	rows   map[scope]*row
	taken  []taking // those that reach farthest
	failed []*Past  // in this process, while nothing came after them
}

// scope is where nodes follow each other: in one node, on one branch.
type scope struct {
	parent *Past
	branch string
}

// row is the nodes of a scope, in the order of the script.
type row struct {
	scope
	nodes []*Past
}

// taking is that a step is taken back, by the number of the event with which that began.
type taking struct {
	step *Past
	seq  int
}

// Add takes note of an event, and gives the step or check that it is about, nil if it is
// about none. Those of a run must come in their order.
func (h *History) Add(e *Event) *Past {
	if e.Type == Began && !e.Replayed {
		return h.begin(e)
	}
	n := h.nodes[e.Key]
	if !e.Replayed {
		h.add(n, e)
	}
	return n
}

// add takes note of an event about a node, nil if it is about none.
func (h *History) add(n *Past, e *Event) {
	switch e.Type {
	case RunBegan, Resumed:
		h.undos.process++
		h.undos.undoing = e.Undo
		h.failed = nil
		for i := range e.Places {
			h.Move(&e.Places[i])
		}
	case Undoing:
		h.undos.begun = true
		h.failed = nil // the run is over
	}
	if n == nil {
		return
	}
	switch e.Type {
	case Moved:
		h.place(n, e)
		n.undo.left = n.undo.left || e.Undoable
	case Retried:
		h.forget(n) // what failed inside it is tried again
	case Ended:
		h.end(n, e)
	case Undoing:
		h.takeBack(n, e)
	case Undid:
		n.undo.end(e)
		if e.Status == Passed {
			n.Status = Undone
		}
	}
}

func (h *History) begin(e *Event) *Past {
	n := h.nodes[e.Key]
	if n == nil {
		n = h.make(e)
	}
	h.beginUndoable(n, e)
	h.forget(n)
	h.failed = slices.DeleteFunc(h.failed, func(f *Past) bool { return f == n })
	h.place(n, e)
	by := h.undoneBelow(n)
	n.At, n.Status, n.began = e.At, Running, e.Seq
	n.Problems, n.EndSeq, n.Result, n.Seconds, n.undoing, n.takenBy, n.wentOn = nil, 0, nil, 0, 0, by, false
	if n.Kind == Step {
		h.failed = slices.DeleteFunc(h.failed, func(f *Past) bool {
			f.wentOn = f.before(n)
			return f.wentOn
		})
	}
	return n
}

// undoneBelow is a step by whose undoing one doesn't count that an undo brings to its end, or
// that is inside such a one: it runs though what it is built on may have been undone before.
func (h *History) undoneBelow(n *Past) *Past {
	if !h.undos.undoing {
		return nil
	}
	if by := h.takenWith(n); by != nil && by != n {
		return by
	}
	for _, t := range h.taken {
		if t.step != n && t.step.undoing > 0 && t.step.carries(n) {
			return t.step
		}
	}
	return nil
}

func (h *History) make(e *Event) *Past {
	n := &Past{Key: e.Key, Kind: e.Kind, Number: len(h.nodes)}
	if h.nodes == nil {
		h.nodes, h.rows = map[string]*Past{}, map[scope]*row{}
	}
	h.nodes[e.Key] = n
	if at := strings.LastIndexByte(e.Key, '/'); at >= 0 {
		n.parent = h.nodes[e.Key[:at]]
	}
	if n.parent == nil {
		h.outer = append(h.outer, n)
		return n
	}
	n.depth = n.parent.depth + 1
	n.parent.Inside = append(n.parent.Inside, n)
	return n
}

// Move puts a node where an edited script has it.
func (h *History) Move(p *Place) {
	if n := h.nodes[p.Key]; n != nil {
		h.place(n, &Event{Branch: p.Branch, After: p.After, Leg: p.Leg})
	}
}

// place puts a node behind the one that it comes after. What stands there and is not met
// again before it comes later, or not at all.
func (h *History) place(n *Past, e *Event) {
	to := h.rowOf(scope{n.parent, e.Branch})
	stays := n.row == to && (e.Leg == 0 || h.follows(n, e.After))
	if n.row != nil && (!stays || n.leg != e.Leg) {
		h.keepTaken()
	}
	if stays {
		n.leg = e.Leg
		return
	}
	if n.row != nil && n.Branch != e.Branch {
		h.rebase(n.Inside, n.Branch, e.Branch)
	}
	if from := n.row; from != nil {
		from.nodes = slices.Delete(from.nodes, n.index, n.index+1)
		from.number(n.index)
	}
	at := len(to.nodes)
	if e.Leg > 0 && e.After == "" {
		at = 0
	} else if p := h.inRow(to, e.After); p != nil {
		at = p.index + 1
	}
	n.Branch, n.leg, n.row = e.Branch, e.Leg, to
	to.nodes = slices.Insert(to.nodes, at, n)
	to.number(at)
}

// rebase takes nodes with the one around them to another branch.
func (h *History) rebase(nodes []*Past, from, to string) {
	for _, n := range nodes {
		rest, below := strings.CutPrefix(n.Branch, from)
		if !below || rest != "" && from != "" && rest[0] != '/' {
			continue
		}
		n.Branch = join(to, rest)
		h.rename(n.row, n.Branch)
		h.rebase(n.Inside, from, to)
	}
}

// rename gives a row another branch, behind what stands there already.
func (h *History) rename(r *row, branch string) {
	if r.branch == branch {
		return
	}
	delete(h.rows, r.scope)
	to := h.rowOf(scope{r.parent, branch})
	at := len(to.nodes)
	to.nodes = append(to.nodes, r.nodes...)
	for _, n := range r.nodes {
		n.row = to
	}
	to.number(at)
}

// join is a branch below another one.
func join(branch, below string) string {
	below = strings.TrimPrefix(below, "/")
	if branch == "" || below == "" {
		return branch + below
	}
	return branch + "/" + below
}

func (h *History) rowOf(s scope) *row {
	r := h.rows[s]
	if r == nil {
		r = &row{scope: s}
		h.rows[s] = r
	}
	return r
}

// number tells the nodes from an index on where they stand.
func (r *row) number(from int) {
	for i := from; i < len(r.nodes); i++ {
		r.nodes[i].index = i
	}
}

// follows tells whether a node stands directly behind the one with a name.
func (h *History) follows(n *Past, name string) bool {
	if name == "" {
		return n.index == 0
	}
	p := h.inRow(n.row, name)
	return p != nil && n.index == p.index+1
}

// inRow is the node of a row with a name, nil if there is none.
func (h *History) inRow(r *row, name string) *Past {
	if n := len(r.nodes); n > 0 && r.nodes[n-1].Name() == name {
		return r.nodes[n-1]
	}
	key := name
	if r.parent != nil {
		key = r.parent.Key + "/" + name
	}
	if p := h.nodes[key]; p != nil && p.row == r {
		return p
	}
	return nil
}

func (h *History) end(n *Past, e *Event) {
	h.forget(n)
	n.undo.end(e)
	n.Status, n.EndSeq, n.Result, n.Seconds = e.Status, e.Seq, e.Result, e.Seconds
	for _, d := range e.Problems {
		n.Problems = append(n.Problems, d.Message)
	}
	switch {
	case e.Status != Passed && n.undo.left:
		n.Status = Running // an undo could not bring it to its end: it is as it was before
	case e.Status == Failed && n.Kind == Step:
		h.failed = append(h.failed, n)
	}
}

// forget ends the waiting for what comes after the steps that failed inside a node.
func (h *History) forget(n *Past) {
	if len(h.failed) > 0 {
		h.failed = slices.DeleteFunc(h.failed, func(f *Past) bool { return f.isIn(n) })
	}
}

func (h *History) takeBack(n *Past, e *Event) {
	n.undoing, n.undo.left = e.Seq, true
	h.taken = slices.DeleteFunc(h.taken, func(t taking) bool { return t.step == n || t.step.isIn(n) || n.before(t.step) })
	h.taken = append(h.taken, taking{n, e.Seq})
}

// Node is a step or check, nil if it never began.
func (h *History) Node(key string) *Past { return h.nodes[key] }

// CountsDone tells whether a step counts as done.
func (h *History) CountsDone(n *Past) bool {
	return n.Kind == Step && n.Status == Passed && h.takenWith(n) == nil
}

// StaysFailed tells whether a step failed and the script went on after that: what came
// then stands on its failure.
func (h *History) StaysFailed(n *Past) bool {
	return n.Kind == Step && n.Status == Failed && n.wentOn && h.takenWith(n) == nil
}

// takenWith is the step by whose undoing a node doesn't count any more, nil if none does
// that.
func (h *History) takenWith(n *Past) *Past {
	if n.undoing > 0 {
		return n
	}
	if n.takenBy != nil {
		return n.takenBy
	}
	for _, t := range h.taken {
		if t.seq > n.began && t.step.carries(n) {
			return t.step
		}
	}
	return nil
}

// keepTaken notes what doesn't count any more, before something moves in the script: whether
// that was built on what was undone, its place of then says.
func (h *History) keepTaken() {
	if len(h.taken) == 0 {
		return
	}
	for _, n := range h.nodes {
		n.takenBy = h.takenWith(n)
	}
	h.taken = nil
}

// Unsettled is the keys of the steps that don't count any more and are left to undo: their
// undo failed, or was cut off, or didn't get its turn. Sorted.
func (h *History) Unsettled() []string {
	return slices.DeleteFunc(h.Left(), func(key string) bool {
		n := h.nodes[key]
		return n.Status != Passed || h.takenWith(n) == nil
	})
}

// Again is the steps that run again when the run is resumed, in the order in which they
// began.
func (h *History) Again() []*Past {
	var again []*Past
	for _, n := range h.nodes {
		if n.Kind == Step && !h.CountsDone(n) && !h.StaysFailed(n) {
			again = append(again, n)
		}
	}
	slices.SortFunc(again, func(a, b *Past) int { return cmp.Compare(a.began, b.began) })
	return again
}

// Why says why a step that doesn't count runs again.
func (h *History) Why(n *Past) string {
	u := h.takenWith(n)
	switch {
	case n.Status == Running:
		return "it was interrupted"
	case n.Status == Failed:
		return "it failed"
	case u == nil:
		return ""
	case u == n && n.Status == Undone:
		return "it was undone"
	case u == n:
		return "its undo didn't come to its end"
	case u.isIn(n):
		return fmt.Sprintf("%q inside it was undone", u.Key)
	case n.isIn(u):
		return fmt.Sprintf("%q around it was undone", u.Key)
	}
	return fmt.Sprintf("built on %q, which was undone", u.Key)
}

// WentOn tells whether a run went on after a call of parallel was joined: the call with a
// number on a branch, inside a node that is nil for none.
func (h *History) WentOn(inside *Past, branch string, call int) bool {
	nodes := h.outer
	if inside != nil {
		nodes = inside.Inside
	}
	return slices.ContainsFunc(nodes, func(n *Past) bool {
		if n.Branch == branch {
			return n.leg > call+1
		}
		c, _, below := Fork(branch, n.Branch)
		return below && c > call
	})
}

// InFork is the nodes of a call of parallel; see WentOn.
func (h *History) InFork(inside *Past, branch string, call int) []*Past {
	nodes := h.outer
	if inside != nil {
		nodes = inside.Inside
	}
	var all []*Past
	for _, n := range nodes {
		if c, _, below := Fork(branch, n.Branch); below && c == call {
			all = append(all, n)
		}
	}
	return all
}

// Before is the nodes that stand before one in its scope, in the order of the script.
// Those behind a node that never began are all that there are.
func (h *History) Before(inside *Past, branch string, n *Past) []*Past {
	r := h.rows[scope{inside, branch}]
	switch {
	case r == nil:
		return nil
	case n != nil && n.Branch == branch:
		return r.nodes[:n.index]
	}
	return r.nodes
}

// Preceding is the nodes inside the same one as a node that the script comes through before
// it, on all branches.
func (h *History) Preceding(n *Past) []*Past {
	nodes := h.outer
	if n.parent != nil {
		nodes = n.parent.Inside
	}
	var all []*Past
	for _, other := range nodes {
		if other.before(n) {
			all = append(all, other)
		}
	}
	return all
}

// All is all nodes, in no order.
func (h *History) All() map[string]*Past { return h.nodes }

// Stands tells whether a node stands at a place, directly behind the one that this names.
func (h *History) Stands(n *Past, p *Place) bool {
	return n.Branch == p.Branch && n.leg == p.Leg && h.follows(n, p.After)
}
