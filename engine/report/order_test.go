package report

import (
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// Nodes stand in the order of the branches that they are in, whichever began first.
func TestOrder(t *testing.T) {
	var b Builder
	b.Add(&event.Event{Type: event.RunBegan, Time: time.Unix(0, 0), Run: &event.Run{}})
	for _, n := range []struct{ key, branch string }{
		{"before", ""}, {"b", "0.1"}, {"c1", "0.2/0.1"}, {"a", "0.0"}, {"c0", "0.2/0.0"}, {"c2", "0.2"}, {"between", ""},
		{"e", "1.10"}, {"d", "1.9"}, {"tidy", "exit"}, {"odd", "0.0x"}, {"odd too", "00.1"},
	} {
		b.Add(&event.Event{Type: event.Began, Key: n.key, Kind: event.Step, Branch: n.branch})
	}
	var order []string
	for _, n := range b.Run().Nodes {
		order = append(order, n.Key)
	}
	if got, want := strings.Join(order, ", "), "before, a, b, c0, c1, c2, between, d, e, tidy, odd, odd too"; got != want {
		t.Errorf("the order is\n%s\nwant\n%s", got, want)
	}
}
