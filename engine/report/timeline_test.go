package report

import (
	"slices"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// Each node has its time on the axis: one that did not end goes on until the run's end, and
// none is longer than the run, however its clock was read.
func TestSpans(t *testing.T) {
	all, end := spans(&Run{Took: sec(10), Nodes: []*Node{
		{Status: event.Passed, Start: sec(1), Took: sec(2), Children: []*Node{{Status: event.Running, Start: sec(2)}}},
		{Status: event.Passed, Start: sec(-1), Took: sec(1)},
		{Status: event.Failed, Start: sec(11), Took: sec(1)},
	}})
	want := []span{{sec(1), sec(3)}, {sec(2), sec(12)}, {0, sec(1)}, {sec(11), sec(12)}}
	if end != sec(12) || !slices.Equal(all, want) {
		t.Errorf("the times are %v until %v, want %v", all, end, want)
	}
}

// The time until a run was resumed is cut short, and named where it ends.
func TestScaleCutsWhatIsLong(t *testing.T) {
	all := []span{{from: sec(0), to: sec(4)}, {from: sec(3600), to: sec(3608)}}
	s := newScale(all, sec(3608))
	for _, c := range []struct{ at, percent float64 }{{0, 0}, {2, 100. / 13 * 2}, {4, 100. / 13 * 4}, {3600, 100. / 13 * 5}, {3608, 100}, {9999, 100}} {
		if got := s.percent(sec(c.at)); got < c.percent-.01 || got > c.percent+.01 {
			t.Errorf("%v s is at %v, want %v", c.at, got, c.percent)
		}
	}
	if got, want := s.ticks(), []time.Duration{0, sec(3600)}; !slices.Equal(got, want) {
		t.Errorf("named are %v, want %v", got, want)
	}
	late := newScale([]span{{from: 0, to: sec(4)}}, sec(60))
	if got, want := late.ticks(), []time.Duration{0, sec(1), sec(2), sec(3), sec(4)}; !slices.Equal(got, want) {
		t.Errorf("with a cut at the end, named are %v, want %v", got, want)
	}
	even := newScale([]span{{from: sec(0), to: sec(10)}}, sec(10))
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

// Names on the axis don't cover one another; on a phone some give way.
func TestLabels(t *testing.T) {
	s := newScale([]span{{from: 0, to: sec(10)}}, sec(10))
	var got []string
	for _, l := range labels([]time.Duration{0, sec(2), sec(2.1), sec(4), sec(9.4), sec(9.5), sec(10)}, s) {
		got = append(got, l.class+" "+l.text)
	}
	compare(t, "the labels", got, []string{"tick 0 s", "tick spare 2 s", "tick 4 s", "tick spare 9.4 s"})
}
