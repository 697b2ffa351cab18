package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/engine/event"
)

// ending says how a node ended.
func (n *Node) ending() string {
	if n.stays() {
		return "could not be taken back"
	}
	return word(n.Status)
}

// troubleTitle is the heading above what needs to be looked at.
func (p *page) troubleTitle() string {
	if len(p.own) > 0 || slices.ContainsFunc(p.trouble, func(n *outlined) bool { return n.Status != event.Running }) {
		return "What went wrong"
	}
	return "What did not end"
}

// mostFailures is how many are shown in full; the tree and the JSON report have the rest.
const mostFailures = 100

func (p *page) writeTrouble() {
	all := p.trouble[:min(len(p.trouble), mostFailures)]
	if len(p.own) > 0 {
		all = append(slices.Clone(all), &outlined{Node: &Node{Name: p.command(), Status: event.Failed}, own: p.own})
	}
	for _, n := range all {
		p.line()
		p.in("details", attrs{"class", "failure " + string(n.Status), "open", "", "id", "failure-" + n.id}, func() {
			p.in("summary", nil, func() {
				p.in("h3", nil, func() { p.failureTitle(n) })
			})
			p.in("div", attrs{"class", "inside"}, func() { p.failure(n) })
		})
	}
	if more := len(p.trouble) - mostFailures; more > 0 {
		p.say("p", attrs{"class", "about"}, fmt.Sprintf("… and %s more; --report json=FILE has them all", number(more)))
	}
}

func (p *page) failure(n *outlined) {
	if n.stays() {
		p.say("p", nil, "It was done, and then could not be taken back:")
	}
	if n.Status == event.Running && len(n.own) == 0 {
		p.say("p", nil, "It began, and its end is not on record.")
	}
	p.problems(n.own)
	p.evidence(n.Evidence)
	p.output(&n.Output)
	if p.rows[n] {
		p.in("p", attrs{"class", "back"}, func() { p.say("a", attrs{"href", "#" + n.id}, "Where it stands among the steps") })
	}
}

// failureTitle writes how a node ended, its name behind those around it, and its times.
func (p *page) failureTitle(n *outlined) {
	p.sign(n.Status)
	p.in("span", attrs{"class", "name"}, func() {
		if len(n.within) > 0 {
			p.say("span", attrs{"class", "within"}, strings.Join(n.within, " › ")+" › ")
		}
		p.text(n.Name)
	})
	p.text(" ")
	p.in("span", attrs{"class", "marks"}, func() {
		p.marks(n)
		p.times(n.Node)
	})
}

// why leads to where the page shows why a node failed.
func (p *page) why(n *outlined) {
	p.say("a", attrs{"class", "why", "href", "#failure-" + n.id, "aria-label", "why: " + n.Name}, "why?")
}

func (p *page) marks(n *outlined) {
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
	if n.Again != "" {
		mark("mark", "runs again: "+n.Again)
	}
}

// timed tells whether a node has a time: it ran.
func (n *Node) timed() bool { return n.Kind != "" && n.Status != event.Skipped }

// times writes how long a node took, and when it began.
func (p *page) times(n *Node) {
	if !n.timed() {
		return
	}
	p.in("span", attrs{"class", "times"}, func() {
		began := "began at " + duration(n.Start)
		if n.Status != event.Running {
			p.say("span", nil, duration(n.Took)+",")
			p.text(" ")
		}
		p.say("span", nil, began)
	})
}
