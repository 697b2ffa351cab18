package present

import (
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// tree is the steps and checks that are running, each below the one that it is in.
type tree struct {
	top   []*running
	nodes map[string]*running // by their keys
}

// running is a step or check that has not ended.
type running struct {
	key, name, branch string
	began             time.Time
	try               int    // from 1
	told              string // how far it is
	inside            []*running
}

// begin adds what began. Those beside it in branches of parallel stand in the order of
// the branches, whichever began first.
func (t *tree) begin(e *event.Event) {
	if t.nodes == nil {
		t.nodes = map[string]*running{}
	}
	n := &running{key: e.Key, name: printed(nameOf(e.Key)), branch: e.Branch, began: e.Time, try: 1}
	t.nodes[e.Key] = n
	siblings := t.beside(e.Key)
	at := slices.IndexFunc(*siblings, func(s *running) bool { return event.Compare(n.branch, s.branch) < 0 })
	if at < 0 {
		at = len(*siblings)
	}
	*siblings = slices.Insert(*siblings, at, n)
}

// end removes what has ended.
func (t *tree) end(key string) {
	delete(t.nodes, key)
	siblings := t.beside(key)
	*siblings = slices.DeleteFunc(*siblings, func(n *running) bool { return n.key == key })
}

// retry notes that another try follows.
func (t *tree) retry(key string) {
	if n := t.nodes[key]; n != nil {
		n.try++
		n.told = ""
	}
}

// tell notes how far something is; not ok if it isn't running.
func (t *tree) tell(key, text string) (ok bool) {
	n := t.nodes[key]
	if n == nil {
		return false
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	n.told = printed(first)
	return true
}

// beside is where a node stands among others.
func (t *tree) beside(key string) *[]*running {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		if parent := t.nodes[key[:i]]; parent != nil {
			return &parent.inside
		}
	}
	return &t.top
}

func nameOf(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// walk calls f for all nodes, outer ones first, with how many are around each.
func walk(nodes []*running, depth int, f func(n *running, depth int)) {
	for _, n := range nodes {
		f(n, depth)
		walk(n.inside, depth+1, f)
	}
}
