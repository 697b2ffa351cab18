package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
)

// TestChanges: what a dry run would change is in the model, the JSON and the page.
func TestChanges(t *testing.T) {
	size := int64(12)
	r := Of([]event.Event{
		{Type: event.RunBegan, Run: &event.Run{DryRun: true}},
		{Type: event.Began, Key: "a", Kind: event.Step},
		{Type: event.Ended, Key: "a", Status: event.Passed, Changes: []event.Change{{Kind: "write", Path: "<new>", Size: &size, Mode: "0644", New: true}}, MoreChanges: 5},
		{Type: event.Began, Key: "b", Kind: event.Check},
		{Type: event.Ended, Key: "b", Status: event.Decided, Needs: []string{"a"}},
		{Type: event.RunEnded, Status: event.Passed, DryRun: true, Changes: []event.Change{{Kind: "remove", Path: "old"}}, MoreChanges: 7},
	})
	data, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"change": "write"`, `"size": 12`, `"change": "remove"`, `"more_changes": 5`, `"more_changes": 7`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("the JSON lacks %s:\n%s", want, data)
		}
	}
	html, err := HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	page := string(html)
	for _, want := range []string{"<li>would write &lt;new&gt; (12 bytes)</li>", "<li>… and 5 more</li>", "It needs what is known only when it runs: a",
		"What would change outside of steps", "<li>would remove old</li>", "<li>… and 7 more</li>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
