package report

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/engine/event"
)

// axis draws the times that are named above the tree. Each node has a line on the page with
// its own piece of the timeline; the axis is that of all of them. To those who don't see it,
// the words in the lines say the same.
func (p *page) axis() {
	all, end := spans(p.run)
	p.scale = newScale(all, end)
	ticks := p.scale.ticks()
	p.in("div", attrs{"class", "axis", "aria-hidden", "true"}, func() {
		p.in("svg", attrs{"class", "track"}, func() {
			p.in("defs", nil, func() {
				p.in("g", attrs{"id", "ticks"}, func() {
					for _, t := range ticks {
						x := percent(p.scale.percent(t))
						p.void("line", attrs{"class", "tick", "x1", x, "x2", x, "y1", "0", "y2", "100%"})
					}
				})
			})
			p.void("use", attrs{"href", "#ticks"})
			for _, l := range labels(ticks, p.scale) {
				p.say("text", attrs{"class", l.class, "x", percent(l.x), "y", "12", "dx", l.gap, "text-anchor", l.anchor}, l.text)
			}
		})
	})
}

// How wide the axis is at least, in pixels: on a desk, and on a phone of 360.
const (
	deskAxis  = 380
	phoneAxis = 135
)

// label is the name of a time on the axis.
type label struct {
	x           float64 // percent
	text        string
	class       string
	anchor, gap string
}

// labels names times on an axis where there is room for it, and says which of them have none
// on a phone.
func labels(ticks []time.Duration, s scale) []label {
	var all []label
	onDesk, onPhone := -1., -1. // where the last one ended, in pixels
	for _, t := range ticks {
		l := label{x: s.percent(t), text: duration(t), class: "tick", anchor: "start", gap: "3"}
		if l.x > 85 {
			l.anchor, l.gap = "end", "-3"
		}
		if !l.fits(deskAxis, &onDesk) {
			continue
		}
		if !l.fits(phoneAxis, &onPhone) {
			l.class = "tick spare"
		}
		all = append(all, l)
	}
	return all
}

// fits tells whether a label is clear of the last one before it, which ended at last, and if
// so takes its place.
func (l label) fits(axis float64, last *float64) bool {
	const perCharacter, between = 7.5, 8
	wide := perCharacter * float64(utf8.RuneCountInString(l.text))
	from := l.x/100*axis + 3
	if l.anchor == "end" {
		from -= wide + 6
	}
	if *last >= 0 && from < *last+between {
		return false
	}
	*last = from + wide
	return true
}

// track draws when a node ran.
func (p *page) track(n *Node) {
	p.in("svg", attrs{"class", "track", "aria-hidden", "true"}, func() {
		p.void("use", attrs{"href", "#ticks"})
		s := spanOf(n, p.scale.end)
		const least = .7 // percent of the axis, so that it is seen
		from := min(p.scale.percent(s.from), 100-least)
		wide := max(p.scale.percent(s.to)-from, least)
		place := attrs{"x", percent(from), "y", "4", "width", percent(wide), "height", "12", "rx", "2"}
		p.void("rect", append(attrs{"class", "bar " + string(n.Status)}, place...))
		if n.Status == event.Failed {
			p.void("rect", append(attrs{"class", "hatched"}, place...))
		}
	})
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }
