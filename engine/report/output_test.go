package report

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html/atom"

	"github.com/ktrdr/kinfra/engine/event"
)

// printedRun is a run of which processes print in a step, in a step inside it, and outside
// of steps.
func printedRun() *Run {
	said := func(key, stream, text string) event.Event {
		return event.Event{Type: event.Printed, Key: key, Output: []event.Piece{{Stream: stream, Text: text}}}
	}
	return Of([]event.Event{
		{Type: event.RunBegan, Run: &event.Run{Command: "build"}},
		said("", "stdout", "before\n"),
		{Type: event.Began, Kind: event.Step, Key: "a"},
		said("a", "stdout", "compiling <x>\n"),
		{Type: event.Began, Kind: event.Step, Key: "a/b"},
		{Type: event.Printed, Key: "a/b", Omitted: 7, Output: []event.Piece{{Stream: "stderr", Text: "\x1b[31mred\x1b[0m\n"}}},
		{Type: event.Ended, Kind: event.Step, Key: "a/b", Status: event.Passed},
		said("a", "stderr", "warning\n"),
		said("a", "stdout", "at 50%"), // and then it was killed
		said("nowhere", "stdout", "lost\n"),
	})
}

func TestOutputInReports(t *testing.T) {
	out, err := JSON(printedRun())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Output []event.Piece
		Nodes  []struct {
			Output []event.Piece
			Nodes  []struct {
				Output  []event.Piece
				Omitted int `json:"output_omitted"`
			}
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	outer, inner := got.Nodes[0], got.Nodes[0].Nodes[0]
	for what, pair := range map[string][2][]event.Piece{
		"the run": {got.Output, {{Stream: "stdout", Text: "before\n"}}},
		"a":       {outer.Output, {{Stream: "stdout", Text: "compiling <x>\n"}, {Stream: "stderr", Text: "warning\n"}, {Stream: "stdout", Text: "at 50%"}}},
		"a/b":     {inner.Output, {{Stream: "stderr", Text: "\x1b[31mred\x1b[0m\n"}}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("JSON has of %s %+v, want %+v", what, pair[0], pair[1])
		}
	}
	if inner.Omitted != 7 {
		t.Errorf("JSON says that %d bytes are left out, want 7", inner.Omitted)
	}

	junit, _ := junitOf(t, printedRun())
	if a, b, run := junit.Suite.Cases[0].Out, junit.Suite.Cases[1].Out, junit.Suite.Out; a != "output:\ncompiling <x>\nwarning\nat 50%" ||
		b != "output:\n… 7 bytes are left out here …\nred\n" || run != "output:\nbefore\n" {
		t.Errorf("JUnit has %q, %q and %q", a, b, run)
	}

	doc := checkPage(t, pageOf(t, printedRun()))
	folded := find(doc, atom.Details, "output")
	if len(folded) != 3 {
		t.Fatalf("the page has %d outputs", len(folded))
	}
	var shown []string
	for _, d := range folded {
		if has(d, "open") {
			t.Errorf("%q is unfolded", textOf(d))
		}
		shown = append(shown, strings.Join(texts(find(d, atom.Pre, "")), "|"))
	}
	compare(t, "the outputs", shown, []string{"compiling <x> warning at 50%", "… 7 bytes are left out here … red", "before"})
	compare(t, "what is marked", texts(find(folded[0], atom.Span, "stderr")), []string{"warning"})
	compare(t, "the legend", texts(find(folded[0], atom.P, "legend")), []string{"Lines in italics came on stderr."})
}

// A run of many steps that print much has a report of some tens of megabytes, in which each
// step has at least its last words.
func TestOutputIsBounded(t *testing.T) {
	var b Builder
	b.Add(&event.Event{Type: event.RunBegan, Run: &event.Run{}})
	text := strings.Repeat(strings.Repeat("x", 99)+"\n", nodeRoom/100) + "the end\n"
	const steps = 1000
	for i := range steps {
		key := strings.Repeat("n", i+1)
		b.Add(&event.Event{Type: event.Began, Kind: event.Step, Key: key})
		b.Add(&event.Event{Type: event.Printed, Key: key, Output: []event.Piece{{Stream: "stdout", Text: text}}})
	}
	all := 0
	for _, n := range b.Run().Nodes {
		pieces := n.Output.Pieces()
		all += len(pieces[0].Text)
		if !strings.HasSuffix(pieces[0].Text, "\nthe end\n") {
			t.Fatalf("of the step with %d letters there is %q", len(n.Key), pieces[0].Text)
		}
	}
	if all > outputRoom+steps*lastRoom {
		t.Errorf("%d bytes are kept", all)
	}
}
