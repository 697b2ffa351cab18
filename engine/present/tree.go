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
	try               int      // from 1
	told              string   // how far it is
	printed           []string // the last lines that processes in it have finished
	unfinished        string   // the one that they are at
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
		n.told, n.printed, n.unfinished = "", nil, ""
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

// mostLines is how many lines of what a process prints are shown below its step.
const mostLines = 3

// print notes what processes print; not ok if the node isn't running.
func (t *tree) print(e *event.Event) (ok bool) {
	n := t.nodes[e.Key]
	if n == nil {
		return false
	}
	n.unfinished = ""
	for _, p := range e.Output {
		switch {
		case p.Quiet:
		case p.Unfinished():
			n.unfinished = printed(p.Text)
		default:
			n.printed = append(n.printed, lastLines(p.Text)...)
			n.printed = n.printed[max(0, len(n.printed)-mostLines):]
		}
	}
	return true
}

// lastLines are the last lines of a text that aren't blank, without looking at the others.
func lastLines(text string) []string {
	var lines []string
	for len(lines) < mostLines && text != "" {
		text = strings.TrimSuffix(text, "\n")
		from := strings.LastIndexByte(text, '\n') + 1
		if line := strings.TrimRight(text[from:], " \t"); line != "" {
			lines = append(lines, printed(line))
		}
		text = text[:from]
	}
	slices.Reverse(lines)
	return lines
}

// lines are the last ones that were printed, at most so many.
func (n *running) lines(most int) []string {
	all := n.printed
	if n.unfinished != "" {
		all = append(slices.Clone(all), n.unfinished)
	}
	return all[max(0, len(all)-most):]
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
