package report

import (
	"fmt"
	"strconv"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// Sizes of the timeline: heights in pixels, and the width from which on a bar has room
// for a name, in percent.
const (
	axisHeight = 22
	rowHeight  = 24
	barHeight  = 20
	wideEnough = 4.0
)

// timeline draws when each node ran. To those who don't see it the tree of steps says the
// same in words.
func (p *page) timeline() {
	all, rows, end := bars(p.run)
	s := newScale(all, end)
	height := strconv.Itoa(axisHeight + rows*rowHeight)
	label := fmt.Sprintf("Timeline of %d steps and checks in %s. When each began and how long it took stands with it under Steps and checks.", p.total, duration(end))
	p.say("p", attrs{"class", "legend"}, "Time runs from left to right. What ran side by side stands one below the other, and so does what is inside a step.")
	p.in("svg", attrs{"class", "timeline", "width", "100%", "height", height, "role", "img", "aria-label", label}, func() {
		p.axis(s.ticks(end), s, height)
		for _, b := range all {
			p.line()
			p.bar(b, s)
		}
	})
}

// axis draws the times that are named, and a line down from each.
func (p *page) axis(ticks []time.Duration, s scale, height string) {
	for _, t := range ticks {
		x := s.percent(t)
		at := percent(x)
		p.void("line", attrs{"class", "tick", "x1", at, "x2", at, "y1", "0", "y2", height})
		anchor, dx := "start", "4"
		if x > 75 {
			anchor, dx = "end", "-4"
		}
		p.say("text", attrs{"class", "tick", "x", at, "y", "12", "dx", dx, "text-anchor", anchor}, duration(t))
	}
}

// bar draws a node. The name stands in it where there is room for some of it.
func (p *page) bar(b bar, s scale) {
	from := s.percent(b.from)
	wide := s.percent(b.to) - from
	y := axisHeight + b.row*rowHeight
	place := attrs{"x", percent(from), "y", strconv.Itoa(y), "width", percent(wide), "height", strconv.Itoa(barHeight)}
	status := string(b.node.Status)
	p.in("rect", append(attrs{"class", "bar " + status, "rx", "3"}, place...), func() {
		p.say("title", nil, b.node.Name+": "+b.node.ending()+", "+times(b.node))
	})
	if b.node.Status == event.Failed {
		p.void("rect", append(attrs{"class", "hatched", "rx", "3"}, place...))
	}
	if wide < wideEnough {
		return
	}
	p.in("svg", append(attrs{"class", "label"}, place...), func() {
		p.void("use", attrs{"class", "sign " + status, "href", "#sign-" + status, "x", "5", "y", "4", "width", "12", "height", "12"})
		p.say("text", attrs{"x", "21", "y", "14"}, b.node.Name)
	})
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }
