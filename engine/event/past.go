package event

import (
	"encoding/json"
	"strings"
)

// Past is a step or check as the events have it. Of one that began several times it is
// the last time.
type Past struct {
	Key      string
	Kind     Kind
	Branch   string
	At       string   // where in the scripts it stands, as "file:line:column"; "" if unknown
	Status   Status   // Running: it was interrupted
	Problems []string // the messages of why it failed

	// Of its end, once it has come to that.
	EndSeq  int             // the number of the event
	Result  json.RawMessage // of a step that was done
	Seconds float64         // how long it took

	Number  int     // in the order in which nodes began for the first time, from 0
	Inside  []*Past // those inside it
	parent  *Past   // nil: it is in no other
	depth   int     // how many are around it
	leg     int     // see [Event.Leg]; 0 in records that lack it
	row     *row    // that it stands in
	index   int     // in that
	began   int     // the number of that event
	undoing int     // the number of the event with which its undo began; 0 if that didn't
	takenBy *Past   // the step by whose undoing it doesn't count, as the script stood then; nil if none does
	wentOn  bool    // it failed, and the script went on to another step
	undo    undoState
}

// Name is the key without those of the nodes around.
func (n *Past) Name() string { return n.Key[strings.LastIndexByte(n.Key, '/')+1:] }

// Around is the node that it is in, nil if it is in none.
func (n *Past) Around() *Past { return n.parent }

// IsAt tells whether a node stands where an event says.
func (n *Past) IsAt(e *Event) bool { return n.Branch == e.Branch && n.leg == e.Leg }

// HasPlace tells whether the record says where a node stands: earlier versions didn't write it.
func (n *Past) HasPlace() bool { return n.leg > 0 }

// isIn tells whether a node is inside another one.
func (n *Past) isIn(around *Past) bool {
	return len(n.Key) > len(around.Key) && n.Key[len(around.Key)] == '/' && strings.HasPrefix(n.Key, around.Key)
}

// carries tells whether a node counts only as long as another one does.
func (n *Past) carries(other *Past) bool {
	return n == other || n.isIn(other) || other.isIn(n) || n.before(other)
}

// before tells whether the script has come through a node, and joined its branch, when it
// comes to another one. Neither is inside the other.
func (n *Past) before(other *Past) bool {
	a, b := n.siblings(other)
	switch {
	case a == b:
		return false
	case a.Branch == b.Branch:
		return a.index < b.index
	}
	return a.joinedBefore(b)
}

// Compare orders two nodes by the script: one that comes before another one is less, branches
// of parallel stand in the order of their items, and a node behind those inside it.
func (n *Past) Compare(other *Past) int {
	switch {
	case n == other:
		return 0
	case n.isIn(other):
		return -1
	case other.isIn(n):
		return 1
	case n.before(other):
		return -1
	case other.before(n):
		return 1
	}
	a, b := n.siblings(other)
	return Compare(a.Branch, b.Branch)
}

// siblings is the nodes around two, or these themselves, that stand inside the same one.
func (n *Past) siblings(other *Past) (a, b *Past) {
	a, b = n, other
	for a.depth > b.depth {
		a = a.parent
	}
	for b.depth > a.depth {
		b = b.parent
	}
	for a.parent != b.parent {
		a, b = a.parent, b.parent
	}
	return a, b
}

// joinedBefore is before for two nodes inside the same one, on two branches.
func (n *Past) joinedBefore(other *Past) bool {
	at := ""
	for {
		callN, itemN, belowN := Fork(at, n.Branch)
		callO, itemO, belowO := Fork(at, other.Branch)
		switch {
		case belowN && belowO && callN == callO && itemN == itemO:
			at = InBranch(at, callN, itemN)
			continue
		case belowN && belowO && callN == callO:
			return false // siblings
		case belowN && belowO:
			return callN < callO
		case n.leg == 0 || other.leg == 0: // what the record doesn't say
			return n.began < other.began
		case belowN:
			return callN+1 < other.leg
		}
		return n.leg <= callO+1
	}
}
