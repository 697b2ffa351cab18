package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

var update = flag.Bool("update", false, "rewrite the pages in testdata/")

func TestGoldenPages(t *testing.T) {
	for name, run := range map[string]*Run{"failed": failedRun(), "passed": passedRun(), "empty": {}} {
		got := pageOf(t, run)
		path := filepath.Join("testdata", name+".html")
		want, _ := os.ReadFile(path)
		if bytes.Equal(got, want) {
			continue
		}
		if !*update {
			t.Errorf("%s", diff.Diff(path, want, "got", got))
		} else if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func pageOf(t *testing.T, r *Run) []byte {
	t.Helper()
	out, err := HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkPage fails unless a browser sees the elements that were written: read as XML,
// where each tag is closed, a page has the same tree as read by HTML's rules.
func checkPage(t *testing.T, page []byte) *html.Node {
	t.Helper()
	written, err := xmlOutline(page)
	if err != nil {
		t.Fatalf("the page is malformed: %v\n%s", err, page)
	}
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	htmlOutline(doc, 0, &seen)
	if w, s := strings.Join(written, "\n"), strings.Join(seen, "\n"); w != s {
		t.Fatalf("a browser sees another page than was written:\n%s", diff.Diff("written", []byte(w), "seen", []byte(s)))
	}
	return doc
}

// xmlOutline is the elements of a page with their attributes, indented, and its text.
func xmlOutline(page []byte) ([]string, error) {
	var all []string
	depth := 0
	decoder := xml.NewDecoder(bytes.NewReader(page))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			var names []string
			for _, a := range token.Attr {
				names = append(names, fmt.Sprintf("%s=%q", a.Name.Local, a.Value))
			}
			all = append(all, elementLine(depth, token.Name.Local, names))
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if strings.TrimSpace(string(token)) != "" {
				all = append(all, fmt.Sprintf("%*s%q", depth, "", token))
			}
		}
	}
}

func htmlOutline(n *html.Node, depth int, all *[]string) {
	switch n.Type {
	case html.ElementNode:
		var names []string
		for _, a := range n.Attr {
			names = append(names, fmt.Sprintf("%s=%q", a.Key, a.Val))
		}
		*all = append(*all, elementLine(depth, n.Data, names))
		depth++
	case html.TextNode:
		if strings.TrimSpace(n.Data) != "" {
			*all = append(*all, fmt.Sprintf("%*s%q", depth, "", n.Data))
		}
	}
	for c := range n.ChildNodes() {
		htmlOutline(c, depth, all)
	}
}

// elementLine is an element in an outline. The parsers don't keep the order of attributes.
func elementLine(depth int, name string, attributes []string) string {
	slices.Sort(attributes)
	return fmt.Sprintf("%*s%s", depth, "", strings.Join(append([]string{name}, attributes...), " "))
}

// find is the elements of a kind, and with a class if that isn't "".
func find(doc *html.Node, kind atom.Atom, class string) []*html.Node {
	var all []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.DataAtom == kind && (class == "" || strings.Contains(" "+attr(n, "class")+" ", " "+class+" ")) {
			all = append(all, n)
		}
	}
	return all
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// textOf is the text inside an element.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func texts(nodes []*html.Node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, textOf(n))
	}
	return all
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\n%s", what, diff.Diff("want", []byte(w+"\n"), "got", []byte(g+"\n")))
	}
}

// The outcome comes first, then what went wrong, open.
func TestPageOfAFailedRun(t *testing.T) {
	doc := checkPage(t, pageOf(t, failedRun()))
	compare(t, "the title", texts(find(find(doc, atom.Head, "")[0], atom.Title, "")), []string{"Failed: kinfra release"})
	compare(t, "the heading", texts(find(doc, atom.H1, "")), []string{"Failed kinfra release"})
	compare(t, "the counts", texts(find(find(doc, atom.Ul, "counts")[0], atom.Li, "")), []string{
		"4 failed", "1 did not end", "4 taken back", "1 skipped", "3 passed",
	})
	compare(t, "the parts", texts(find(doc, atom.H2, "")), []string{"What went wrong", "Steps and checks", "What was printed", "Result"})
	failures := find(doc, atom.Details, "failure")
	for _, f := range failures {
		if !has(f, "open") {
			t.Errorf("the failure %q is folded", textOf(f))
		}
	}
	compare(t, "the failures", texts(find(doc, atom.H3, "")), []string{
		"build › build web step failed tried 3 times 5.2 s, began at 2.1 s",
		"build › build docs step could not be taken back 1.3 s, began at 2.1 s",
		"the configuration is that of the release check failed 30 ms, began at 7.5 s",
		"each part has a page check failed 2 ms, began at 7.55 s",
		"publish step did not end began at 7.9 s",
	})
	// a failure is told once, where it happened, with all calls that led there
	compare(t, "the messages", texts(find(doc, atom.P, "message")), []string{
		"builder build --tag web:3: exit code 1 stderr: no space left on device",
		"fs.remove: out/docs: the directory is not empty",
		"app.env is not what was expected:",
		"pages",
	})
	if calls := texts(find(find(failures[0], atom.Ol, "calls")[0], atom.Li, "")); len(calls) != 4 || !strings.HasPrefix(calls[3], "release.star:9:13 in release") {
		t.Errorf("the calls are %q", calls)
	}
	compare(t, "the hint", texts(find(failures[0], atom.P, "hint")), []string{"Hint: free some space, and go on with the run"})
	// as a diff, or below one another
	compare(t, "what is missing", texts(find(failures[2], atom.Del, "")), []string{"-PORT=4000", "-MODE=<release>"})
	compare(t, "expected and got", texts(find(failures[3], atom.Dl, "compare")), []string{"Expected4Got3"})
	// each row of the tree tells its state in words
	compare(t, "the rows", rows(doc), []string{
		"prepare step taken back done before 1.6 s, began at 400 ms",
		"build step failed 5.25 s, began at 2.1 s",
		"build api step taken back 3.4 s, began at 2.1 s",
		"compile step taken back 2.2 s, began at 2.1 s",
		"package step taken back 1.1 s, began at 4.35 s",
		"build web step failed tried 3 times why? 5.2 s, began at 2.1 s",
		"build docs step could not be taken back why? 1.3 s, began at 2.1 s",
		"build site step passed 3.1 s, began at 3.45 s",
		"the configuration is that of the release check failed why? 30 ms, began at 7.5 s",
		"each part has a page check failed why? 2 ms, began at 7.55 s",
		"the pages link to each other check skipped",
		"the names are unique check passed 200 ms, began at 7.62 s",
		"publish step did not end why? began at 7.9 s",
	})
	compare(t, "what is needed", texts(find(doc, atom.P, "needs")), []string{
		"It needs what failed: each part has a page, the configuration is that of the release",
	})
	for _, e := range find(doc, atom.Details, "evidence") {
		if has(e, "open") {
			t.Errorf("the evidence %q is unfolded", textOf(e))
		}
	}
}

// rows is what stands in the rows of the tree, without what is folded in them.
func rows(doc *html.Node) []string {
	var all []string
	for _, li := range find(doc, atom.Li, "node") {
		row := li.FirstChild
		if row.DataAtom == atom.Details {
			row = row.FirstChild
		}
		all = append(all, textOf(row))
	}
	return all
}

// Nothing is loaded, nothing runs, each link leads somewhere, and each thing has a name.
func TestPageStandsAlone(t *testing.T) {
	for _, run := range []*Run{failedRun(), passedRun(), hugeRun(100), {}} {
		doc := checkPage(t, pageOf(t, run))
		ids := map[string]bool{}
		for n := range doc.Descendants() {
			if id := attr(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("the id %q is given twice", id)
				}
				ids[id] = true
			}
		}
		for n := range doc.Descendants() {
			switch n.DataAtom {
			case atom.Script, atom.Link, atom.Img, atom.Iframe, atom.Object, atom.Embed:
				t.Errorf("there is a <%s>", n.Data)
			}
			for _, a := range n.Attr {
				if target, inside := strings.CutPrefix(a.Val, "#"); a.Key == "href" && !(inside && ids[target]) {
					t.Errorf("a link leads to %q", a.Val)
				}
				if a.Key == "src" || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("there is an attribute %s=%q", a.Key, a.Val)
				}
			}
		}
		if style := textOf(find(doc, atom.Style, "")[0]); strings.Contains(style, "url(") && strings.Count(style, "url(") != strings.Count(style, "url(#") || strings.Contains(style, "@import") {
			t.Error("the style loads something")
		}
		if lang := attr(find(doc, atom.Html, "")[0], "lang"); lang != "en" {
			t.Errorf("the language is %q", lang)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for status, want := range map[event.Status]string{
		event.Passed: "Passed: kinfra x", event.Failed: "Failed: kinfra x", event.Undone: "Taken back: kinfra x",
		event.Interrupted: "Interrupted: kinfra x", event.Running: "Still running: kinfra x",
	} {
		doc := checkPage(t, pageOf(t, &Run{Command: "x", Status: status, Nodes: []*Node{{Kind: event.Step, Name: "a", Status: event.Running}}}))
		if got := textOf(find(doc, atom.Title, "")[0]); got != want {
			t.Errorf("of a run that is %s the title is %q, want %q", status, got, want)
		}
		compare(t, "the parts", texts(find(doc, atom.H2, "")), []string{"What did not end", "Steps and checks"})
	}
}

// What a run ended by is shown as the run's own where no step has it.
func TestPageOfARunThatEndedByItself(t *testing.T) {
	r := passedRun()
	r.Status, r.Problem = event.Failed, []diag.Diagnostic{{Message: "interrupted"}}
	doc := checkPage(t, pageOf(t, r))
	compare(t, "the failures", texts(find(doc, atom.H3, "")), []string{"kinfra sandbox provision failed"})
	compare(t, "the messages", texts(find(doc, atom.P, "message")), []string{"interrupted"})
}

func TestSplitExpected(t *testing.T) {
	for _, c := range []struct {
		text, what, want, got string
		ok                    bool
	}{
		{"expected 1\ngot 2", "", "1", "2", true},
		{"pages: expected 1\ngot [\n  2,\n]", "pages", "1", "[\n  2,\n]", true},
		{"expected to go on\nnot so", "", "", "", false},
		{"something\ngot lost", "something", "", "lost", false},
		{"a\nb: expected 1\ngot 2", "a\nb", "1", "2", false},
	} {
		what, want, got, ok := splitExpected(c.text)
		if ok != c.ok || ok && (what != c.what || want != c.want || got != c.got) {
			t.Errorf("%q is parted into %q, %q, %q, %v", c.text, what, want, got, ok)
		}
	}
}

// A page of two thousand nodes with much on record stays one that a browser can open.
func TestHugePage(t *testing.T) {
	r := hugeRun(2000)
	r.Nodes[0].Evidence = []Evidence{{"whole", strings.Repeat("é", textRoom/2)}, {"long", strings.Repeat("é", textRoom)}}
	page := pageOf(t, r)
	if len(page) > 6<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	doc := checkPage(t, page)
	if n := len(find(doc, atom.Li, "node")); n != 2000 {
		t.Errorf("%d nodes are shown", n)
	}
	open := 0
	for _, row := range find(doc, atom.Details, "row") {
		if has(row, "open") {
			open++
		}
	}
	if open != 4 {
		t.Errorf("%d rows are unfolded, want the 4 with a failure inside", open)
	}
	cut := fmt.Sprintf("… %d bytes are left out here; --report json=FILE has them …", textRoom)
	if !bytes.Contains(page, []byte(cut)) || bytes.Count(page, []byte("é")) != textRoom {
		t.Error("a long text is not cut in its middle, or a short one is")
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 900: "0.9 µs", 12345 * time.Nanosecond: "12.3 µs", 250 * time.Millisecond: "250 ms", 1500 * time.Millisecond: "1.5 s",
		59950 * time.Millisecond: "60 s", 90 * time.Second: "1 min 30 s", 3 * time.Minute: "3 min", 3*time.Hour + 4*time.Minute: "3 h 4 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

// Of many siblings the first are shown, and all that need to be looked at; the rest is folded
// under a line that counts it.
func TestFanOut(t *testing.T) {
	doc := checkPage(t, pageOf(t, fanRun(200, 3, 57, 120, 199)))
	compare(t, "what is folded", texts(find(find(doc, atom.Details, "rest")[0], atom.Summary, "")[:1]), []string{"… and 187 more 187 passed"})
	if n := len(find(doc, atom.Li, "node")); n != 201 {
		t.Errorf("%d nodes are on the page", n)
	}
	if n := len(find(find(doc, atom.Details, "rest")[0], atom.Li, "node")); n != 187 {
		t.Errorf("%d nodes are folded", n)
	}
	if len(find(checkPage(t, pageOf(t, fanRun(fanOut))), atom.Details, "rest")) != 0 {
		t.Error("few nodes are folded")
	}
}

// Of more nodes than a page has room for, those that failed are shown.
func TestMoreThanAPage(t *testing.T) {
	doc := checkPage(t, pageOf(t, fanRun(10_000, 9000)))
	if n := len(find(doc, atom.Li, "node")); n != mostRows {
		t.Errorf("%d nodes are shown", n)
	}
	compare(t, "what is left out", texts(find(doc, atom.Li, "about")), []string{"… 7,501 more are left out here; --report json=FILE has them"})
	compare(t, "the failures", texts(find(doc, atom.A, "why")), []string{"why?"})
}
