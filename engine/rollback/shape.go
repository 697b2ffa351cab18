package rollback

import "strings"

// place is where a statement stands: its index in its block, that of the block in the
// statement around it, the index of that statement in its block, and so on from outside.
type place []int

// shape is what the structure of a program says of its steps and checks.
type shape struct {
	program    Program
	places     map[string]place
	statements map[string]*Statement
}

func newShape(p Program) *shape {
	s := &shape{program: p, places: map[string]place{}, statements: map[string]*Statement{}}
	s.add("", nil, p)
	return s
}

func (s *shape) add(around string, at place, block []Statement) {
	for i := range block {
		st := &block[i]
		here, key := append(at[:len(at):len(at)], i), keyOf(around, st)
		if st.Kind == Step || st.Kind == Check {
			s.places[key], s.statements[key] = here, st
		}
		for n, inner := range st.Blocks {
			s.add(key, append(here[:len(here):len(here)], n), inner)
		}
	}
}

// relation is how a statement stands to another one.
type relation int

const (
	unrelated relation = iota // in other branches, or one of them isn't in the program
	same
	before // the script comes through it, and joins its branches, before the other
	after
	around
	inside
)

// relate is how the step or check a stands to b.
func (s *shape) relate(a, b string) relation {
	p, q := s.places[a], s.places[b]
	if p == nil || q == nil {
		return unrelated
	}
	for i := range min(len(p), len(q)) {
		switch {
		case p[i] == q[i]:
		case i%2 == 1:
			return unrelated
		case p[i] < q[i]:
			return before
		default:
			return after
		}
	}
	switch {
	case len(p) < len(q):
		return around
	case len(p) > len(q):
		return inside
	}
	return same
}

// carries tells whether what b did holds only as long as what a did isn't undone.
func (s *shape) carries(a, b string) bool {
	return s.relate(a, b) != unrelated && s.relate(a, b) != after
}

// shares tells whether b is in the same check as a, or in no check while a is in none. A
// check runs again each time: what comes after it doesn't rest on how what is in it ended.
func (s *shape) shares(a, b string) bool {
	inner := s.checkAround(a)
	return inner == "" || s.relate(b, inner) == inside
}

// isWith tells whether b is in the same step or check as a, or in none as a is. The failure
// of a step is that of the one around it, once that has ended.
func (s *shape) isWith(a, b string) bool {
	at := strings.LastIndexByte(a, '/')
	return at < 0 || s.relate(b, a[:at]) == inside
}

// checkAround is the key of the innermost check around a step, "" for none.
func (s *shape) checkAround(key string) string {
	for at := strings.LastIndexByte(key, '/'); at >= 0; at = strings.LastIndexByte(key, '/') {
		if key = key[:at]; s.statements[key].Kind == Check {
			return key
		}
	}
	return ""
}
