package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
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
	"github.com/ktrdr/kinfra/internal/visible"
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

// read is what a reader takes from a JUnit report.
type (
	readProblem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	readJUnit struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suite    struct {
			Name       string `xml:"name,attr"`
			Tests      int    `xml:"tests,attr"`
			Failures   int    `xml:"failures,attr"`
			Errors     int    `xml:"errors,attr"`
			Skipped    int    `xml:"skipped,attr"`
			Time       string `xml:"time,attr"`
			Stamp      string `xml:"timestamp,attr"`
			Host       string `xml:"hostname,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
			Cases []struct {
				Name    string       `xml:"name,attr"`
				Class   string       `xml:"classname,attr"`
				Failure *readProblem `xml:"failure"`
				Error   *readProblem `xml:"error"`
				Skipped *readProblem `xml:"skipped"`
				Out     string       `xml:"system-out"`
			} `xml:"testcase"`
			Out string `xml:"system-out"`
		} `xml:"testsuite"`
	}
)

// junitOf is the JUnit report of a run as it is read, with a line for each case. The counts
// are those of what there is, which readers rely on.
func junitOf(t *testing.T, r *Run) (got readJUnit, cases []string) {
	t.Helper()
	out, err := JUnit(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	s := &got.Suite
	counts := map[string]int{}
	for _, c := range s.Cases {
		line := c.Name
		for kind, p := range map[string]*readProblem{"failure": c.Failure, "error": c.Error, "skipped": c.Skipped} {
			if p != nil {
				counts[kind]++
				line += ": " + kind + ": " + p.Message
			}
		}
		cases = append(cases, line)
	}
	if s.Tests != len(s.Cases) || s.Failures != counts["failure"] || s.Errors != counts["error"] || s.Skipped != counts["skipped"] ||
		got.Tests != s.Tests || got.Failures != s.Failures || got.Errors != s.Errors || got.Skipped != s.Skipped {
		t.Errorf("the counts are not those of the cases:\n%s", out[:min(len(out), 2000)])
	}
	return got, cases
}

func TestJUnit(t *testing.T) {
	got, shown := junitOf(t, sample())
	s := got.Suite
	if got.Tests != 7 || got.Failures != 2 || s.Name != "e2e" || s.Tests != 7 || s.Failures != 2 || s.Errors != 1 || s.Skipped != 2 || s.Time != "1.500000" || s.Stamp != "2026-02-02T09:11:12" {
		t.Errorf("the suite is %+v", s)
	}
	want := []string{"a", "a/b: failure: expected 1; got 2", "c: skipped: needs b, x", "d", "e: skipped: known only when it runs", "f: failure: did not end", "e2e: error: interrupted"}
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

// A fault is one failure, in the innermost step that it ended: neither the steps around that
// nor the run have it once more.
func TestJUnitTellsAFaultOnce(t *testing.T) {
	got, cases := junitOf(t, failedRun())
	compare(t, "the cases", cases, []string{
		"prepare",
		"build: skipped: ended by what is inside it",
		"build/build api",
		"build/build api/compile",
		"build/build api/package",
		"build/build web: failure: builder build --tag web:3: exit code 1; stderr: no space left on device",
		"build/build docs: failure: fs.remove: out/docs: the directory is not empty",
		"build/build site",
		"the configuration is that of the release: failure: app.env is not what was expected",
		"each part has a page: failure: pages: expected 4; got 3",
		"the pages link to each other: skipped: needs each part has a page, the configuration is that of the release",
		"the names are unique",
		"publish: failure: did not end",
	})
	body := got.Suite.Cases[5].Failure.Text
	for _, want := range []string{"exit code 1\n", "no space left on device", "lib/images.star:41:9", "release.star:9:13", "in release", "hint: free some space"} {
		if !strings.Contains(body, want) {
			t.Errorf("the failure lacks %q:\n%s", want, body)
		}
	}
	var properties []string
	for _, p := range got.Suite.Properties {
		properties = append(properties, p.Name+"="+p.Value)
	}
	compare(t, "the properties", properties, []string{
		"line=kinfra run release.star --report 'html=the release.html'", "dir=/home/ada/shop", "root=/srv/pool", "host=builder-3", "user=ada",
		"git.dir=/home/ada/shop", "git.commit=8e21fde4c5a08f8a1c1dbb93d2a3f1f9d4e7b602", "git.clean=false",
		"scripts.git.dir=/home/ada/scripts", "scripts.git.commit=0c9a1f9d4e7b6028e21fde4c5a08f8a1c1dbb93d",
		"kinfra=0.1.0", "run=20260202-101112-ab12cd", "started=2026-02-02T10:11:12Z", "dry_run=false", "status=failed",
		`result={"parts":["api","web"],"revision":"8e21fde4c5"}`,
	})
	if out := got.Suite.Out; got.Suite.Host != "builder-3" || out != "Preparing api, web, docs and site\n… the run was resumed …\n  column   another\ngreen\nwarning: cleaning up failed, too\n" {
		t.Errorf("on %s was printed %q", got.Suite.Host, out)
	}
}

// A run that failed outside of any step is one case that failed.
func TestJUnitOfARunThatFailedByItself(t *testing.T) {
	passed := passedRun()
	passed.Status, passed.Problem = event.Failed, []diag.Diagnostic{{Message: "no\nroom"}, {Message: "another"}}
	for want, r := range map[string]*Run{
		"sandbox provision: error: no; room (and 1 more)": passed,
		"x: error: the run did not end well":              {Command: "x", Status: event.Interrupted},
	} {
		if got, cases := junitOf(t, r); got.Errors != 1 || cases[len(cases)-1] != want {
			t.Errorf("the cases are %q, want at their end %q", cases, want)
		}
	}
	if got, _ := junitOf(t, &Run{Command: "x", Status: event.Undone}); got.Tests != 0 {
		t.Errorf("a run that was taken back has %d cases", got.Tests)
	}
}

// Reports have an end, whatever a run puts on record and prints, and what is printed last is
// in them.
func TestReportsAreBounded(t *testing.T) {
	var b Builder
	began := time.Date(2026, 2, 2, 10, 0, 0, 0, time.UTC)
	b.Add(&event.Event{Type: event.RunBegan, Time: began, Run: &event.Run{Command: "x"}})
	evidence := strings.Repeat("é", 1<<19)
	for i := range 10_000 {
		key := fmt.Sprint("step ", i)
		b.Add(&event.Event{Type: event.Began, Time: began, Key: key, Kind: event.Step})
		b.Add(&event.Event{Type: event.Noted, Time: began, Key: key, Name: "log", Text: evidence})
		status, problems := event.Passed, []diag.Diagnostic(nil)
		if i >= 5000 {
			status, problems = event.Failed, []diag.Diagnostic{{Message: "the same"}, {Message: fmt.Sprint("number ", i)}}
		}
		b.Add(&event.Event{Type: event.Said, Time: began, Text: strings.Repeat("text ", 100) + fmt.Sprint(i, "\n")})
		b.Add(&event.Event{Type: event.Ended, Time: began, Key: key, Status: status, Problems: problems})
	}
	b.Add(&event.Event{Type: event.RunEnded, Time: began.Add(time.Second), Status: event.Failed})
	r := b.Run()
	if r.Omitted < 4<<20 || !strings.HasSuffix(r.Printed[len(r.Printed)-1].Text, "text 9999\n") || !strings.HasSuffix(r.Printed[0].Text, "text 0\n") {
		t.Errorf("of what was printed %d bytes are left out, and the last is %.20q", r.Omitted, r.Printed[len(r.Printed)-1].Text)
	}
	for name, c := range map[string]struct {
		report func(*Run) ([]byte, error)
		most   int
	}{"JSON": {JSON, 50 << 20}, "JUnit": {JUnit, 20 << 20}, "HTML": {HTML, 10 << 20}} {
		if out, err := c.report(r); err != nil || len(out) > c.most {
			t.Errorf("the %s report has %d bytes (%v)", name, len(out), err)
		}
	}
	junit, _ := junitOf(t, r)
	if junit.Tests != 10_000 || junit.Failures != 5000 || !strings.Contains(junit.Suite.Out, "bytes are left out here") {
		t.Errorf("of %d cases %d failed", junit.Tests, junit.Failures)
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
	if out, err = JSON(failedRun()); err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(out, &whole); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"line": "kinfra run release.star --report 'html=the release.html'", "dir": "/home/ada/shop", "root": "/srv/pool", "host": "builder-3", "user": "ada",
		"git": []any{
			map[string]any{"dir": "/home/ada/shop", "commit": "8e21fde4c5a08f8a1c1dbb93d2a3f1f9d4e7b602", "clean": false},
			map[string]any{"dir": "/home/ada/scripts", "commit": "0c9a1f9d4e7b6028e21fde4c5a08f8a1c1dbb93d"},
		},
		"result": map[string]any{"parts": []any{"api", "web"}, "revision": "8e21fde4c5"},
		"printed": []any{
			map[string]any{"event": "say", "at": .1, "text": "Preparing api, web, docs and site\n"}, map[string]any{"event": "resume", "at": .3},
			map[string]any{"event": "say", "at": 2.0, "text": "  column   another\n\x1b[32mgreen\x1b[0m\n"}, map[string]any{"event": "warning", "at": 9.0, "text": "cleaning up failed, too\n"},
		},
	} {
		if !reflect.DeepEqual(whole[key], want) {
			t.Errorf("%s is %v, want %v", key, whole[key], want)
		}
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
	return &html.Node{Type: html.TextNode, Data: visible.Text(strings.ReplaceAll(s, "\r\n", "\n"))}
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
		about := event.Run{Line: s, Dir: s, Root: s, Host: s, User: s, Git: []event.Git{{Dir: s, Commit: s}}}
		r := &Run{ID: s, Command: s, Version: s, Status: event.Failed, Problem: problem[:1], About: about, Printed: []Printed{{Type: event.Said, Text: s}, {Type: event.Warned, Text: s}}, Nodes: []*Node{
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
