package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// The rows of the timeline: what is inside a step, or runs beside another, is below it,
// and a row is used again once it is free.
func TestBars(t *testing.T) {
	all, rows, end := bars(failedRun())
	var got []string
	for _, b := range all {
		got = append(got, fmt.Sprintf("%s%s %v-%v", strings.Repeat("  ", b.row), b.node.Name, b.from, b.to))
	}
	compare(t, "the bars", got, []string{
		"prepare 400ms-2s",
		"build 2.1s-7.35s",
		"  build api 2.1s-5.5s",
		"    compile 2.1s-4.3s",
		"    package 4.35s-5.45s",
		"      build web 2.1s-7.3s",
		"        build docs 2.1s-3.4s",
		"        build site 3.45s-6.55s",
		"the configuration is that of the release 7.5s-7.53s",
		"each part has a page 7.55s-7.552s",
		"the pages link to each other 7.6s-7.6s",
		"the names are unique 7.62s-7.82s",
		"publish 7.9s-9.26s",
	})
	if rows != 5 || end != sec(9.26) {
		t.Errorf("there are %d rows, and it ends at %v", rows, end)
	}
}

// Steps of one branch never stand side by side, however their clocks were read.
func TestBarsOfOneBranchShareARow(t *testing.T) {
	step := func(name, branch string, start, took time.Duration) *Node {
		return &Node{Name: name, Branch: branch, Status: event.Passed, Start: start, Took: took}
	}
	all, rows, _ := bars(&Run{Nodes: []*Node{step("a", "", 0, 11), step("b", "", 10, 5), step("c", "", 15, 5)}})
	if rows != 1 || all[0].to != 10 {
		t.Errorf("one branch takes %d rows, and its first step ends at %d", rows, all[0].to)
	}
	if _, rows, _ = bars(&Run{Nodes: []*Node{step("a", "0.0", 0, 11), step("b", "0.1", 10, 5)}}); rows != 2 {
		t.Errorf("two branches at once take %d rows", rows)
	}
	// what began anew when the run was resumed is behind what was done before
	all, rows, _ = bars(&Run{Nodes: []*Node{step("again", "", 100, 5), step("before", "", 10, 5)}})
	if rows != 1 || all[0].node.Name != "before" {
		t.Errorf("a step that began anew takes %d rows, the first is %s", rows, all[0].node.Name)
	}
}

// The time until a run was resumed is cut short, and named where it ends.
func TestScaleCutsWhatIsLong(t *testing.T) {
	all := []bar{{from: sec(0), to: sec(4)}, {from: sec(3600), to: sec(3608)}}
	s := newScale(all, sec(3608))
	for _, c := range []struct{ at, percent float64 }{{0, 0}, {2, 100. / 13 * 2}, {4, 100. / 13 * 4}, {3600, 100. / 13 * 5}, {3608, 100}, {9999, 100}} {
		if got := s.percent(sec(c.at)); got < c.percent-.01 || got > c.percent+.01 {
			t.Errorf("%v s is at %v, want %v", c.at, got, c.percent)
		}
	}
	if got, want := s.ticks(sec(3608)), []time.Duration{0, sec(3600)}; !slices.Equal(got, want) {
		t.Errorf("named are %v, want %v", got, want)
	}
	even := newScale([]bar{{from: sec(0), to: sec(10)}}, sec(10))
	if got := even.percent(sec(2.5)); got != 25 {
		t.Errorf("2.5 s of 10 s is at %v", got)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct{ end, step time.Duration }{
		{1, time.Microsecond}, {3 * time.Millisecond, time.Millisecond}, {9 * time.Second, 2 * time.Second}, {59 * time.Second, 15 * time.Second},
		{100 * time.Second, 30 * time.Second}, {3 * time.Hour, time.Hour}, {24 * time.Hour, 8 * time.Hour},
	} {
		if got := tickStep(c.end); got != c.step {
			t.Errorf("of %v the step is %v, want %v", c.end, got, c.step)
		}
	}
}
