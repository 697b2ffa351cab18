package report

import (
	"fmt"
	"slices"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// outline is the nodes of a run with what their reader needs to know of each: above all,
// where each fault is told. A failure ends the nodes around it, too, each of which has it
// as a problem of its own; it is told once, where it happened.
type outline struct {
	run   *Run
	nodes []*outlined
	own   []diag.Diagnostic // of the run: those that none of its nodes shows
	count map[event.Status]int
	total int
	clean int // nodes that passed, with all inside them
}

// outlined is a node with what is said of it.
type outlined struct {
	*Node
	id       string            // of its row on a page
	within   []string          // the names of those around it
	own      []diag.Diagnostic // its problems, but those that a node inside it shows
	clean    bool              // it and all inside it passed
	loud     bool              // it or something inside it needs to be looked at
	children []*outlined
}

func outlineOf(r *Run) *outline {
	o := &outline{run: r, count: map[event.Status]int{}}
	var below problems
	o.nodes, below = o.add(r.Nodes, nil, &around{problems: index(r.Problem)})
	o.own = below.take(r.Problem, nil)
	return o
}

// add outlines siblings, and gives the problems that they and those inside them show.
func (o *outline) add(nodes []*Node, within []string, outer *around) (all []*outlined, shown problems) {
	shown = problems{}
	for _, n := range nodes {
		o.total++
		o.count[n.Status]++
		out := &outlined{Node: n, id: fmt.Sprintf("n%d", o.total), within: within}
		var below problems
		out.children, below = o.add(n.Children, append(slices.Clone(within), n.Name), &around{index(n.Problem), outer})
		out.own = below.take(n.Problem, outer)
		out.clean = n.Status == event.Passed && len(n.Problem) == 0 && !slices.ContainsFunc(out.children, func(c *outlined) bool { return !c.clean })
		if out.clean {
			o.clean++
		}
		out.loud = out.bad() || out.troubled() || slices.ContainsFunc(out.children, func(c *outlined) bool { return c.loud })
		for message, list := range below {
			shown[message] = append(shown[message], list...)
		}
		all = append(all, out)
	}
	return all, shown
}

// problems are some of them, by their messages.
type problems map[string][]diag.Diagnostic

func index(all []diag.Diagnostic) problems {
	p := problems{}
	for _, d := range all {
		p[d.Message] = append(p[d.Message], d)
	}
	return p
}

// take adds the problems of a node to those that the nodes inside it show, and gives the ones
// that were not among these, with all calls that led there.
func (p problems) take(all []diag.Diagnostic, outer *around) (own []diag.Diagnostic) {
	for _, d := range all {
		if !slices.ContainsFunc(p[d.Message], func(shown diag.Diagnostic) bool { return same(shown, d) }) {
			own = append(own, outer.withAllCalls(d))
		}
	}
	for _, d := range own {
		p[d.Message] = append(p[d.Message], d)
	}
	return own
}

// around is the problems of the nodes around one.
type around struct {
	problems problems
	outer    *around
}

// withAllCalls is a problem with all calls that led there: those outside of a node are
// known to the nodes around it.
func (a *around) withAllCalls(d diag.Diagnostic) diag.Diagnostic {
	for ; a != nil; a = a.outer {
		for _, o := range a.problems[d.Message] {
			if len(o.Calls) > len(d.Calls) && same(o, d) {
				d.Calls = o.Calls
				break
			}
		}
	}
	return d
}

// same tells whether two problems are one, of which one may have more calls around it.
func same(a, b diag.Diagnostic) bool {
	if a.Message != b.Message || (a.Place == nil) != (b.Place == nil) || a.Place != nil && *a.Place != *b.Place {
		return false
	}
	n := min(len(a.Calls), len(b.Calls))
	return slices.Equal(a.Calls[:n], b.Calls[:n])
}

// stays tells whether a node was done and then could not be taken back.
func (n *Node) stays() bool { return n.Status == event.Passed && len(n.Problem) > 0 }

// bad tells whether a node failed or did not end.
func (n *outlined) bad() bool { return n.Status == event.Failed || n.Status == event.Running }

// troubled tells whether a node needs to be looked at: it failed by itself, did not end,
// or could not be taken back. One that ended with a node inside it does not.
func (n *outlined) troubled() bool {
	return len(n.own) > 0 || n.bad() && !slices.ContainsFunc(n.children, (*outlined).bad)
}

// trouble is the nodes that need to be looked at, the innermost first.
func (o *outline) trouble() []*outlined {
	var all []*outlined
	var walk func([]*outlined)
	walk = func(nodes []*outlined) {
		for _, n := range nodes {
			walk(n.children)
			if n.troubled() {
				all = append(all, n)
			}
		}
	}
	walk(o.nodes)
	return all
}
