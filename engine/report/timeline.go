package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// bar is a node on the timeline: from when to when, and in which row. What is inside a
// node stands in the rows below it; what ran at the same time, in rows below one another.
type bar struct {
	node     *Node
	from, to time.Duration // since the run began
	row      int
}

// bars lays out the nodes of a run, and says how many rows they take and when the last
// one ended.
func bars(r *Run) (all []bar, rows int, end time.Duration) {
	end = r.Took
	r.Walk(func(n *Node) { end = max(end, n.Start+n.Took) })
	rows = layOut(r.Nodes, 0, 0, end, &all)
	return all, rows, end
}

// layOut adds the bars of siblings and of what is inside them, in rows from top on and
// between two times, and returns how many rows they take. Each is put into the first row
// where it and all inside it have room.
func layOut(nodes []*Node, top int, from, to time.Duration, all *[]bar) int {
	var free []time.Duration // for each row, when the last bar in it ended
	for _, b := range span(nodes, from, to) {
		at := len(*all)
		*all = append(*all, b)
		height := 1 + layOut(b.node.Children, 0, b.from, b.to, all)
		row := room(free, height, b.from)
		for i := range height {
			if row+i == len(free) {
				free = append(free, 0)
			}
			free[row+i] = b.to
		}
		(*all)[at].row = top + row
		for i := range (*all)[at+1:] {
			(*all)[at+1+i].row += top + row + 1
		}
	}
	return len(free)
}

// room is the first row from which so many rows are free at a time.
func room(free []time.Duration, height int, at time.Duration) int {
	row := 0
	for i := 0; i < len(free) && i < row+height; i++ {
		if free[i] > at {
			row = i + 1
		}
	}
	return row
}

// span is when siblings began and ended, ordered by their beginnings and kept within
// those of what they are in. Clocks are read at slightly different moments, so one that
// outlasts the beginning of its branch's next one is ended there. What did not end goes on
// until the end.
func span(nodes []*Node, from, to time.Duration) []bar {
	all := make([]bar, 0, len(nodes))
	for _, n := range nodes {
		b := bar{node: n, from: min(max(n.Start, from), to)}
		if b.to = min(b.from+n.Took, to); n.Status == event.Running {
			b.to = to
		}
		all = append(all, b)
	}
	slices.SortStableFunc(all, func(a, b bar) int { return cmp.Compare(a.from, b.from) })
	last := map[string]int{} // of each branch
	for i, b := range all {
		if before, ok := last[b.node.Branch]; ok {
			all[before].to = min(all[before].to, b.from)
		}
		last[b.node.Branch] = i
	}
	return all
}

// scale puts times on an axis from 0 to 100. A time in which nothing ran and which is
// longer than all in which something did, such as that until a run was resumed, is cut
// short, so that the rest can be seen.
type scale struct {
	pieces []piece
	length time.Duration // of the axis, with what is cut cut
}

// piece is a part of the axis on which time goes evenly.
type piece struct{ from, to, at, length time.Duration }

func newScale(all []bar, end time.Duration) scale {
	var s scale
	add := func(from, to, length time.Duration) {
		if to > from {
			s.pieces = append(s.pieces, piece{from, to, s.length, length})
			s.length += length
		}
	}
	busy := union(all)
	var worked time.Duration
	for _, b := range busy {
		worked += b.to - b.from
	}
	cut := func(from, to time.Duration) {
		if gap := to - from; gap > worked && worked > 0 {
			add(from, to, worked/12)
		} else {
			add(from, to, gap)
		}
	}
	at := time.Duration(0)
	for _, b := range busy {
		cut(at, b.from)
		add(b.from, b.to, b.to-b.from)
		at = b.to
	}
	cut(at, end)
	return s
}

// union is the times in which anything ran, in order.
func union(all []bar) []bar {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b bar) int { return cmp.Compare(a.from, b.from) })
	var out []bar
	for _, b := range sorted {
		if n := len(out); n > 0 && b.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, b.to)
		} else {
			out = append(out, b)
		}
	}
	return out
}

// percent is where on the axis a time stands.
func (s scale) percent(t time.Duration) float64 {
	if s.length == 0 {
		return 0
	}
	for _, p := range s.pieces {
		if t <= p.to {
			in := float64(t-p.from) / float64(p.to-p.from)
			return (float64(p.at) + in*float64(p.length)) / float64(s.length) * 100
		}
	}
	return 100
}

// ticks are the times to be named on the axis, at most six: even ones, and where
// something is cut, those at which it goes on.
func (s scale) ticks(end time.Duration) []time.Duration {
	out := []time.Duration{0}
	for i, p := range s.pieces {
		if p.length < p.to-p.from && i+1 < len(s.pieces) && len(out) < 6 {
			out = append(out, p.to)
		}
	}
	if len(out) > 1 || end <= 0 {
		return out
	}
	step := tickStep(end)
	for t := step; t <= end; t += step {
		out = append(out, t)
	}
	return out
}

// tickStep is the shortest round time of which five or fewer fit.
func tickStep(end time.Duration) time.Duration {
	for unit := time.Microsecond; unit < 10*time.Second; unit *= 10 {
		for _, n := range []time.Duration{1, 2, 5} {
			if end/(n*unit) < 5 {
				return n * unit
			}
		}
	}
	step := 10 * time.Second
	for _, next := range []time.Duration{15, 30, 60, 120, 300, 600, 900, 1800, 3600} {
		if end/step < 5 {
			return step
		}
		step = next * time.Second
	}
	for end/step >= 5 {
		step *= 2
	}
	return step
}
