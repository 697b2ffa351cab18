package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
)

// How much of a large run is shown.
const (
	few      = 60   // nodes that are shown unfolded
	mostRows = 2500 // nodes that are shown at all
	fanOut   = 24   // siblings from which on only the first ones, and what needs to be looked at, are shown unfolded
	firstOf  = 10   // of these
	mostLoud = 100  // of those that need to be looked at
)

// choose gives the nodes that the page shows, at most so many: what needs to be looked at
// first, with what it is in.
func (p *page) choose(most int) map[*outlined]bool {
	rows := map[*outlined]bool{}
	var walk func(nodes []*outlined, want func(*outlined) bool)
	walk = func(nodes []*outlined, want func(*outlined) bool) {
		for _, n := range nodes {
			if !want(n) || !rows[n] && len(rows) >= most {
				continue
			}
			rows[n] = true
			walk(n.children, want)
		}
	}
	walk(p.nodes, func(n *outlined) bool { return n.loud })
	walk(p.nodes, func(*outlined) bool { return true })
	return rows
}

// steps writes the tree, with the times of its nodes along an axis.
func (p *page) steps() {
	if p.total == 0 {
		p.say("p", nil, "The run has no steps and no checks.")
		return
	}
	if p.clean > 0 && p.clean < p.total {
		p.in("p", attrs{"class", "filter"}, func() {
			p.in("label", nil, func() {
				p.void("input", attrs{"type", "checkbox", "id", "hide-passed", "autocomplete", "off"})
				p.text(" Leave out what passed")
			})
		})
	}
	p.axis()
	p.tree(p.nodes)
}

// tree writes siblings. Of many, those after the first are folded, but for what needs to be
// looked at.
func (p *page) tree(nodes []*outlined) {
	kept := slices.DeleteFunc(slices.Clone(nodes), func(n *outlined) bool { return !p.rows[n] })
	shown, rest := folded(kept)
	p.in("ol", attrs{"class", "tree"}, func() {
		for _, n := range shown {
			p.item(n)
		}
		if len(rest) > 0 {
			p.rest(rest)
		}
		if left := len(nodes) - len(kept); left > 0 {
			p.line()
			p.say("li", attrs{"class", "about"}, fmt.Sprintf("… %s more are left out here; --report json=FILE has them", number(left)))
		}
	})
}

// folded parts siblings into those that are shown and those that are folded.
func folded(nodes []*outlined) (shown, rest []*outlined) {
	if len(nodes) <= fanOut {
		return nodes, nil
	}
	loud := 0
	for i, n := range nodes {
		switch {
		case i < firstOf:
			shown = append(shown, n)
		case n.loud && loud < mostLoud:
			shown, loud = append(shown, n), loud+1
		default:
			rest = append(rest, n)
		}
	}
	return shown, rest
}

func (p *page) item(n *outlined) {
	p.line()
	class := "node " + string(n.Status)
	if n.clean {
		class += " clean"
	}
	p.in("li", attrs{"class", class, "id", n.id}, func() { p.row(n) })
}

// rest writes siblings that are folded, under a line that says how many there are and how
// they ended.
func (p *page) rest(nodes []*outlined) {
	class, count := "folded clean", map[event.Status]int{}
	for _, n := range nodes {
		if count[n.Status]++; !n.clean {
			class = "folded"
		}
	}
	var ways []string
	for _, s := range worstFirst() {
		if count[s] > 0 {
			ways = append(ways, number(count[s])+" "+word(s))
		}
	}
	p.line()
	p.in("li", attrs{"class", class}, func() {
		p.in("details", attrs{"class", "rest"}, func() {
			p.in("summary", nil, func() {
				p.say("span", attrs{"class", "name"}, "… and "+number(len(nodes))+" more")
				p.text(" ")
				p.say("span", attrs{"class", "marks"}, strings.Join(ways, ", "))
			})
			p.in("ol", attrs{"class", "tree"}, func() {
				for _, n := range nodes {
					p.item(n)
				}
			})
		})
	})
}

// row writes a node: folded, if there is something inside it. What failed by itself is
// shown above, with its evidence and output.
func (p *page) row(n *outlined) {
	above := n.troubled()
	evidence := (len(n.Evidence) > 0 || !n.Output.Empty()) && !above
	if len(n.children) == 0 && !evidence && len(n.Needs) == 0 && len(n.Changes.Told) == 0 {
		p.in("div", attrs{"class", "row"}, func() { p.rowLine(n, above) })
		return
	}
	a := attrs{"class", "row"}
	if !n.clean && (n.loud || p.total <= 10*few) || p.total <= few {
		a = append(a, "open", "")
	}
	p.in("details", a, func() {
		p.in("summary", nil, func() { p.rowLine(n, false) })
		p.in("div", attrs{"class", "inside"}, func() {
			if len(n.Needs) > 0 {
				why := "It needs what failed: "
				if n.Status == event.Decided {
					why = "It needs what is known only when it runs: "
				}
				p.say("p", attrs{"class", "needs"}, why+strings.Join(n.Needs, ", "))
			}
			if above {
				p.in("p", nil, func() { p.why(n) })
			}
			if evidence {
				p.evidence(n.Evidence)
				p.output(&n.Output)
			}
			p.changes(n.Changes)
			if len(n.children) > 0 {
				p.tree(n.children)
			}
		})
	})
}

// rowLine writes how a node ended, its name, its times, and where these are on the axis.
func (p *page) rowLine(n *outlined, why bool) {
	p.sign(n.Status)
	p.in("span", attrs{"class", "what"}, func() {
		p.say("span", attrs{"class", "name"}, n.Name)
		p.text(" ")
		p.in("span", attrs{"class", "marks"}, func() { p.marks(n) })
		if why {
			p.why(n)
		}
	})
	p.text(" ")
	p.times(n.Node)
	p.track(n.Node)
}

// number is a whole number with its thousands apart.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
