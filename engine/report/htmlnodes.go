package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// pageNode is a node with what the page needs beside it.
type pageNode struct {
	*Node
	id       string            // of its row
	within   []string          // the names of those around it
	own      []diag.Diagnostic // its problems, but those that a node inside it shows
	clean    bool              // it and all inside it passed
	children []*pageNode
}

// number makes the nodes of the page. A failure ends those around it, too, each of which
// has it as a problem of its own; outer are those of all around, with more calls.
func (p *page) number(nodes []*Node, outer []diag.Diagnostic, within ...string) []*pageNode {
	all := make([]*pageNode, 0, len(nodes))
	for _, n := range nodes {
		p.total++
		p.count[n.Status]++
		pn := &pageNode{Node: n, id: fmt.Sprintf("n%d", p.total), within: within}
		pn.children = p.number(n.Children, slices.Concat(outer, n.Problem), append(slices.Clone(within), n.Name)...)
		for _, d := range n.Problem {
			if !slices.ContainsFunc(n.Children, func(c *Node) bool { return shows(c, d) }) {
				pn.own = append(pn.own, withAllCalls(d, outer))
			}
		}
		pn.clean = n.Status == event.Passed && len(n.Problem) == 0 && !slices.ContainsFunc(pn.children, func(c *pageNode) bool { return !c.clean })
		all = append(all, pn)
	}
	return all
}

// shows tells whether a node, or one inside it, has a problem.
func shows(n *Node, d diag.Diagnostic) bool {
	return slices.ContainsFunc(n.Problem, func(own diag.Diagnostic) bool { return same(own, d) }) ||
		slices.ContainsFunc(n.Children, func(c *Node) bool { return shows(c, d) })
}

// same tells whether two problems are one, of which one may have more calls around it.
func same(a, b diag.Diagnostic) bool {
	if a.Message != b.Message || (a.Place == nil) != (b.Place == nil) || a.Place != nil && *a.Place != *b.Place {
		return false
	}
	n := min(len(a.Calls), len(b.Calls))
	return slices.Equal(a.Calls[:n], b.Calls[:n])
}

// withAllCalls is a problem with all calls that led there: those outside of a node are
// known to the nodes around it.
func withAllCalls(d diag.Diagnostic, outer []diag.Diagnostic) diag.Diagnostic {
	for _, o := range outer {
		if same(o, d) && len(o.Calls) > len(d.Calls) {
			d.Calls = o.Calls
		}
	}
	return d
}

// stays tells whether a node was done and then could not be taken back.
func (n *Node) stays() bool { return n.Status == event.Passed && len(n.Problem) > 0 }

// ending says how a node ended.
func (n *Node) ending() string {
	if n.stays() {
		return "could not be taken back"
	}
	return word(n.Status)
}

// troubled tells whether a node needs to be looked at: it failed by itself, did not end,
// or could not be taken back. One that ended with a node inside it does not.
func (n *pageNode) troubled() bool {
	bad := func(n *pageNode) bool { return n.Status == event.Failed || n.Status == event.Running }
	return len(n.own) > 0 || bad(n) && !slices.ContainsFunc(n.children, bad)
}

// trouble is the nodes that need to be looked at, the innermost first, and the run itself
// where it ended by something else.
func (p *page) trouble() []*pageNode {
	var all []*pageNode
	var walk func([]*pageNode)
	walk = func(nodes []*pageNode) {
		for _, n := range nodes {
			walk(n.children)
			if n.troubled() {
				all = append(all, n)
			}
		}
	}
	walk(p.nodes)
	if own := p.ownProblems(); len(own) > 0 {
		all = append(all, &pageNode{Node: &Node{Name: p.command(), Status: event.Failed}, own: own})
	}
	return all
}

// ownProblems are those of the run that none of its nodes shows.
func (p *page) ownProblems() []diag.Diagnostic {
	var own []diag.Diagnostic
	for _, d := range p.run.Problem {
		if !slices.ContainsFunc(p.run.Nodes, func(n *Node) bool { return shows(n, d) }) {
			own = append(own, d)
		}
	}
	return own
}

// troubleTitle is the heading above those nodes.
func troubleTitle(all []*pageNode) string {
	if slices.ContainsFunc(all, func(n *pageNode) bool { return n.Status != event.Running }) {
		return "What went wrong"
	}
	return "What did not end"
}

func (p *page) writeTrouble(all []*pageNode) {
	for _, n := range all {
		p.line()
		p.in("details", attrs{"class", "failure " + string(n.Status), "open", "", "id", "failure-" + n.id}, func() {
			p.in("summary", nil, func() {
				p.in("h3", nil, func() { p.failureTitle(n) })
			})
			p.in("div", attrs{"class", "inside"}, func() { p.failure(n) })
		})
	}
}

func (p *page) failure(n *pageNode) {
	if n.stays() {
		p.say("p", nil, "It was done, and then could not be taken back:")
	}
	if n.Status == event.Running && len(n.own) == 0 {
		p.say("p", nil, "It began, and its end is not on record.")
	}
	p.problems(n.own)
	p.evidence(n.Evidence)
	if n.id != "" {
		p.in("p", attrs{"class", "back"}, func() { p.say("a", attrs{"href", "#" + n.id}, "Where it stands among the steps") })
	}
}

// failureTitle writes how a node ended, its name behind those around it, and its times.
func (p *page) failureTitle(n *pageNode) {
	p.sign(n.Status)
	p.in("span", attrs{"class", "name"}, func() {
		if len(n.within) > 0 {
			p.say("span", attrs{"class", "within"}, strings.Join(n.within, " › ")+" › ")
		}
		p.text(n.Name)
	})
	p.text(" ")
	p.in("span", attrs{"class", "marks"}, func() { p.marks(n) })
}

// rowTitle writes how a node ended, its name and its times.
func (p *page) rowTitle(n *pageNode) {
	p.sign(n.Status)
	p.say("span", attrs{"class", "name"}, n.Name)
	p.text(" ")
	p.in("span", attrs{"class", "marks"}, func() { p.marks(n) })
}

// why leads to where the page shows why a node failed.
func (p *page) why(n *pageNode) {
	p.say("a", attrs{"class", "why", "href", "#failure-" + n.id, "aria-label", "why: " + n.Name}, "why?")
}

func (p *page) marks(n *pageNode) {
	mark := func(class, text string) {
		p.say("span", attrs{"class", class}, text)
		p.text(" ")
	}
	if n.Kind != "" {
		mark("kind", string(n.Kind))
	}
	switch {
	case n.stays():
		mark("word undone", n.ending())
	case n.Status == event.Passed:
		mark("unseen", n.ending())
	default:
		mark("word "+string(n.Status), n.ending())
	}
	if n.Retries > 0 {
		mark("mark", fmt.Sprintf("tried %d times", n.Retries+1))
	}
	if n.Replayed {
		mark("mark", "done before")
	}
	if n.Kind != "" && n.Status != event.Skipped {
		mark("times", times(n.Node))
	}
}

// times says when a node began and how long it took.
func times(n *Node) string {
	if n.Status == event.Running {
		return "began at " + duration(n.Start)
	}
	return duration(n.Took) + ", began at " + duration(n.Start)
}

// few is how many nodes are shown unfolded.
const few = 60

// steps writes the tree.
func (p *page) steps() {
	if p.count[event.Passed] > 0 && p.count[event.Passed] < p.total {
		p.in("p", attrs{"class", "filter"}, func() {
			p.in("label", nil, func() {
				p.void("input", attrs{"type", "checkbox", "id", "hide-passed", "autocomplete", "off"})
				p.text(" Leave out what passed")
			})
		})
	}
	p.tree(p.nodes)
}

func (p *page) tree(nodes []*pageNode) {
	p.in("ol", attrs{"class", "tree"}, func() {
		for _, n := range nodes {
			p.line()
			class := "node " + string(n.Status)
			if n.clean {
				class += " clean"
			}
			p.in("li", attrs{"class", class, "id", n.id}, func() { p.row(n) })
		}
	})
}

// row writes a node: folded, if there is something inside it. What failed by itself is
// shown above, with its evidence.
func (p *page) row(n *pageNode) {
	above := n.troubled()
	evidence := len(n.Evidence) > 0 && !above
	if len(n.children) == 0 && !evidence && len(n.Needs) == 0 {
		p.in("div", attrs{"class", "row"}, func() {
			p.rowTitle(n)
			if above {
				p.text(" ")
				p.why(n)
			}
		})
		return
	}
	a := attrs{"class", "row"}
	if !n.clean || p.total <= few {
		a = append(a, "open", "")
	}
	p.in("details", a, func() {
		p.in("summary", nil, func() { p.rowTitle(n) })
		p.in("div", attrs{"class", "inside"}, func() {
			if len(n.Needs) > 0 {
				p.say("p", attrs{"class", "needs"}, "It needs what failed: "+strings.Join(n.Needs, ", "))
			}
			if above {
				p.in("p", nil, func() { p.why(n) })
			}
			if evidence {
				p.evidence(n.Evidence)
			}
			if len(n.children) > 0 {
				p.tree(n.children)
			}
		})
	})
}
