package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// sample is a run with a node of every kind and status.
func sample() *Run {
	problem := []diag.Diagnostic{{Message: "expected 1\ngot 2", Place: &diag.Place{File: "e2e.star", Line: 3, Column: 5, Source: "x = <&>"}, Hint: "look"}}
	return &Run{
		Command: "e2e", Version: "v1", Started: time.Date(2026, 2, 2, 10, 11, 12, 0, time.FixedZone("", 3600)), Took: 1500 * time.Millisecond, Status: event.Failed,
		Problem: []diag.Diagnostic{{Message: "interrupted"}},
		Nodes: []*Node{
			{Kind: event.Step, Name: "a", Key: "a", Status: event.Undone, Took: time.Second, Children: []*Node{
				{Kind: event.Check, Name: "b", Key: "a/b", Status: event.Failed, Problem: problem, Took: time.Millisecond},
			}},
			{Kind: event.Check, Name: "c", Key: "c", Status: event.Skipped, Needs: []string{"b", "x"}},
			{Kind: event.Check, Name: "d", Key: "d", Status: event.Passed, Evidence: []Evidence{{"out", "<x> & ]]>"}, {"empty", ""}}},
			{Kind: event.Step, Name: "e", Key: "e", Status: event.Decided},
			{Kind: event.Step, Name: "f", Key: "f", Status: event.Running},
		},
	}
}

func TestJUnit(t *testing.T) {
	out, err := JUnit(sample())
	if err != nil {
		t.Fatal(err)
	}
	type problem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suite    struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Time     string `xml:"time,attr"`
			Stamp    string `xml:"timestamp,attr"`
			Cases    []struct {
				Name    string   `xml:"name,attr"`
				Class   string   `xml:"classname,attr"`
				Failure *problem `xml:"failure"`
				Error   *problem `xml:"error"`
				Skipped *problem `xml:"skipped"`
				Out     string   `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	s := got.Suite
	if got.Tests != 7 || got.Failures != 2 || s.Name != "e2e" || s.Tests != 7 || s.Failures != 2 || s.Errors != 1 || s.Skipped != 2 || s.Time != "1.500000" || s.Stamp != "2026-02-02T09:11:12" {
		t.Errorf("the suite is %+v", s)
	}
	var shown []string
	for _, c := range s.Cases {
		line := c.Name
		for kind, p := range map[string]*problem{"failure": c.Failure, "error": c.Error, "skipped": c.Skipped} {
			if p != nil {
				line += ": " + kind + ": " + p.Message
			}
		}
		shown = append(shown, line)
	}
	want := []string{"a", "a/b: failure: expected 1", "c: skipped: needs b, x", "d", "e: skipped: known only when it runs", "f: failure: did not end", "e2e: error: interrupted"}
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("the cases are\n%s\nwant\n%s", strings.Join(shown, "\n"), strings.Join(want, "\n"))
	}
	if text := s.Cases[1].Failure.Text; !strings.Contains(text, "got 2") || !strings.Contains(text, "e2e.star:3:5") || !strings.Contains(text, "x = <&>") {
		t.Errorf("the failure's text is %q", text)
	}
	if got, want := s.Cases[3].Out, "out:\n<x> & ]]>\nempty:\n\n"; got != want {
		t.Errorf("the evidence is %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	out, err := JSON(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"version": 1.0, "command": "e2e", "kinfra": "v1", "dry_run": false, "started": "2026-02-02T09:11:12Z", "seconds": 1.5, "passed": false, "status": "failed",
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	nodes := got["nodes"].([]any)
	if len(nodes) != 5 {
		t.Fatalf("%d nodes", len(nodes))
	}
	b := nodes[0].(map[string]any)["nodes"].([]any)[0].(map[string]any)
	wantB := map[string]any{
		"kind": "check", "name": "b", "key": "a/b", "status": "failed", "start": 0.0, "seconds": 0.001,
		"problems": []any{map[string]any{
			"message": "expected 1\ngot 2", "hint": "look",
			"position": map[string]any{"file": "e2e.star", "line": 3.0, "column": 5.0, "source": "x = <&>"},
		}},
	}
	if !reflect.DeepEqual(b, wantB) {
		t.Errorf("the failed check is\n%v\nwant\n%v", b, wantB)
	}
	c := nodes[1].(map[string]any)
	if c["status"] != "skipped" || !reflect.DeepEqual(c["needs"], []any{"b", "x"}) {
		t.Errorf("the skipped check is %v", c)
	}

	// a run without nodes has an empty list, not null
	if out, _ := JSON(&Run{}); !bytes.Contains(out, []byte(`"nodes": []`)) {
		t.Errorf("an empty run is %s", out)
	}
}

func TestCount(t *testing.T) {
	r := sample()
	if r.Count(event.Check, event.Failed) != 1 || r.Count(event.Step, event.Failed) != 0 || r.Count(event.Step, event.Undone) != 1 || r.Count(event.Check, event.Passed) != 1 {
		t.Error("the counts are wrong")
	}
}

// rawText is the text inside an element, with its spaces.
func rawText(n *html.Node) string {
	text := n.Data
	if n.Type != html.TextNode {
		text = ""
	}
	for c := range n.ChildNodes() {
		text += rawText(c)
	}
	return text
}

// textNode is a text as a page shows it: without what can't be seen.
func textNode(s string) *html.Node {
	s = strings.NewReplacer("\r\n", "\n", "\ufffe", "\ufffd", "\uffff", "\ufffd").Replace(s)
	return &html.Node{Type: html.TextNode, Data: diag.Printable(s)}
}

// FuzzReports: whatever a script puts on record, the reports are well-formed.
func FuzzReports(f *testing.F) {
	for _, seed := range []string{"", "x", "<script>alert(1)</script>", "\"><b onclick='x'>&amp;", "</title></style>--><!--", "- ", "\n\n", "a\x00\x1b[31m\x7f\u0085", "\xff\xfe", "\ufffe\uffff", "]]>", "<![CDATA[", "&#0;", "\r\n\t", "\ud7ff\ue000", "🚀"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		problem := []diag.Diagnostic{{Message: s, Hint: s, Place: &diag.Place{File: s, Line: 1, Column: 1, Source: s}}}
		problem = append(problem, diag.Diagnostic{Message: s + ": expected " + s + "\ngot " + s, Also: []diag.Place{{File: s}}, Calls: []diag.Call{{Function: s}}},
			diag.Diagnostic{Message: s + "\n--- expected\n+++ got\n-" + s + "\n+" + s})
		r := &Run{ID: s, Command: s, Version: s, Status: event.Failed, Problem: problem[:1], Nodes: []*Node{
			{Kind: event.Check, Name: s, Key: s, Status: event.Failed, Problem: problem[1:], Evidence: []Evidence{{s, s}}},
			{Kind: event.Check, Name: s, Key: s, Status: event.Skipped, Needs: []string{s}},
		}}
		junit, err := JUnit(r)
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(bytes.NewReader(junit))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%q makes JUnit XML malformed: %v\n%s", s, err, junit)
			}
		}
		data, err := JSON(r)
		if err != nil || !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q makes the JSON report malformed: %v\n%s", s, err, data)
		}
		page, err := HTML(r)
		if err != nil || !utf8.Valid(page) {
			t.Fatalf("%q makes the page malformed: %v\n%s", s, err, page)
		}
		doc := checkPage(t, page)
		// the text is seen as it is, and nothing of it is more than text
		if seen := find(doc, atom.Li, "node")[0]; !strings.Contains(rawText(seen), rawText(textNode(s))) {
			t.Fatalf("%q is shown as %q", s, rawText(seen))
		}
	})
}
