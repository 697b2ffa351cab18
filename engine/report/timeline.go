package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// span is a time, since the run began.
type span struct{ from, to time.Duration }

// spanOf is when a node ran, in a run that ended at end. What did not end goes on until then.
func spanOf(n *Node, end time.Duration) span {
	s := span{from: min(max(n.Start, 0), end), to: end}
	if n.Status != event.Running {
		s.to = min(s.from+n.Took, end)
	}
	return s
}

// spans are those of all nodes of a run, and when the last one ended.
func spans(r *Run) (all []span, end time.Duration) {
	end = r.Took
	r.Walk(func(n *Node) { end = max(end, n.Start+n.Took) })
	r.Walk(func(n *Node) { all = append(all, spanOf(n, end)) })
	return all, end
}

// scale puts times on an axis from 0 to 100. A time in which nothing ran and which is
// longer than all in which something did, such as that until a run was resumed, is cut
// short, so that the rest can be seen.
type scale struct {
	end    time.Duration
	pieces []piece
	length time.Duration // of the axis, with what is cut cut
}

// piece is a part of the axis on which time goes evenly.
type piece struct{ from, to, at, length time.Duration }

func newScale(all []span, end time.Duration) scale {
	s := scale{end: end}
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
func union(all []span) []span {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []span
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
// something is cut, those at which it goes on; none in what is cut at the end.
func (s scale) ticks() []time.Duration {
	end := s.end
	out := []time.Duration{0}
	for i, p := range s.pieces {
		switch cut := p.length < p.to-p.from; {
		case cut && i+1 == len(s.pieces):
			end = p.from
		case cut && len(out) < 6:
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
