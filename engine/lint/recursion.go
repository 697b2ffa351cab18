package lint

import (
	"fmt"
	"strings"

	"go.starlark.net/syntax"
)

// checkRecursion finds functions that call themselves. Only those that can, by the calls
// of the file, are looked at one by one.
func (c *Checker) checkRecursion(u *unit, r *reporter) {
	circles := c.circles(u)
	inCycle, reported := map[*scope]bool{}, map[int]bool{}
	left := mostFollowed
	for _, s := range u.scopes[1:] {
		circle, ok := circles[s]
		if !ok || inCycle[s] || reported[circle] && left <= 0 {
			continue
		}
		w := &cycleWalk{checker: c, from: s, circles: circles, seen: map[*scope]bool{}, left: &left}
		if !reported[circle] {
			w.left = nil // all circles together are as large as the file
		}
		reported[circle] = true
		if !w.walk(s) {
			continue
		}
		for _, f := range w.path {
			inCycle[f] = true
		}
		r.add(ruleRecursion, w.first, "%s calls itself%s: Starlark has no recursion", s.name(), through(w.path[1:]))
	}
}

// through names the functions on the way of a cycle; of many, the first ones.
func through(path []*scope) string {
	const most = 5
	var b strings.Builder
	for _, f := range path[:min(len(path), most)] {
		b.WriteString(", through " + short(f.name()))
	}
	if len(path) > most {
		fmt.Fprintf(&b, " and %d more", len(path)-most)
	}
	return b.String()
}

// mostFollowed is how many calls are followed, in a file, by what may come to one more
// than once.
const mostFollowed = 200_000

// cycleWalk looks for a way of calls from a function back to it, in its circle.
type cycleWalk struct {
	checker *Checker
	from    *scope
	circles map[*scope]int
	seen    map[*scope]bool
	path    []*scope        // the way
	first   syntax.Position // where its first call stands
	left    *int            // how many calls may be followed; nil: all
}

func (w *cycleWalk) walk(at *scope) bool {
	if w.seen[at] {
		return false
	}
	w.seen[at] = true
	w.path = append(w.path, at)
	for _, call := range w.checker.callsOf(at) {
		if circle, ok := w.circles[call.function]; !ok || circle != w.circles[w.from] {
			continue
		}
		if w.left != nil {
			if *w.left--; *w.left < 0 {
				return false
			}
		}
		if at == w.from {
			w.first = call.at
		}
		if call.function == w.from || w.walk(call.function) {
			return true
		}
	}
	w.path = w.path[:len(w.path)-1]
	return false
}

// circles gives the functions of a file from which calls lead back to them, and for each
// the number of its circle: functions of one circle call each other. It is Tarjan's
// algorithm, whose cost is that of the calls.
func (c *Checker) circles(u *unit) map[*scope]int {
	t := &tarjan{checker: c, unit: u, index: map[*scope]int{}, low: map[*scope]int{}, open: map[*scope]bool{}, found: map[*scope]int{}}
	for _, s := range u.scopes[1:] {
		if t.index[s] == 0 {
			t.visit(s)
		}
	}
	return t.found
}

type tarjan struct {
	checker *Checker
	unit    *unit
	index   map[*scope]int // in which order functions are met, from 1
	low     map[*scope]int // the first that one leads back to
	stack   []*scope       // those whose circle isn't known yet
	open    map[*scope]bool
	found   map[*scope]int
	circles int
}

func (t *tarjan) visit(s *scope) {
	t.index[s] = len(t.index) + 1
	t.low[s] = t.index[s]
	t.stack, t.open[s] = append(t.stack, s), true
	itself := false
	for _, call := range t.checker.callsOf(s) {
		f := call.function
		switch {
		case f == nil || f.unit != t.unit:
		case t.index[f] == 0:
			t.visit(f)
			t.low[s] = min(t.low[s], t.low[f])
		case t.open[f]:
			itself = itself || f == s
			t.low[s] = min(t.low[s], t.index[f])
		}
	}
	if t.low[s] == t.index[s] {
		t.close(s, itself)
	}
}

// close takes a circle off the stack: a function alone is one if it calls itself.
func (t *tarjan) close(s *scope, itself bool) {
	t.circles++
	alone := t.stack[len(t.stack)-1] == s
	for {
		f := t.stack[len(t.stack)-1]
		t.stack, t.open[f] = t.stack[:len(t.stack)-1], false
		if !alone || itself {
			t.found[f] = t.circles
		}
		if f == s {
			return
		}
	}
}
