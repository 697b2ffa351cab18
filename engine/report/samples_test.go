package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

func at(file string, line, column int, source string) diag.Place {
	return diag.Place{File: file, Line: line, Column: column, Source: source}
}

func sec(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// failedRun has all that a page can show: steps side by side and inside others, retries,
// failures of each form, and what was skipped, taken back, done before, or never ended.
func failedRun() *Run {
	node := func(kind event.Kind, key, branch string, status event.Status, start, took float64, children ...*Node) *Node {
		name := key[strings.LastIndex(key, "/")+1:]
		return &Node{Kind: kind, Name: name, Key: key, Branch: branch, Status: status, Start: sec(start), Took: sec(took), Children: children}
	}
	place := at("lib/images.star", 41, 9, `    proc.run(["builder", "build", "--tag", tag, "--platform", platform, "--label", "revision=" + revision, directory])`)
	calls := []diag.Call{
		{Place: at("release.star", 18, 41, `    return step("build " + part, lambda: images.build(part, platform = "linux/amd64"), retries = 2)`), Function: "lambda"},
		{Place: at("release.star", 18, 12, `    return step("build " + part, lambda: images.build(part, platform = "linux/amd64"), retries = 2)`), Function: "_build"},
		{Place: at("release.star", 9, 35, `    parts = step("build", lambda: parallel(PARTS, _build))`), Function: "lambda"},
		{Place: at("release.star", 9, 13, `    parts = step("build", lambda: parallel(PARTS, _build))`), Function: "release"},
	}
	broken := diag.Diagnostic{Message: "builder build --tag web:3: exit code 1\nstderr: no space left on device", Place: &place, Hint: "free some space, and go on with the run"}
	inner, outer := broken, broken
	inner.Calls, outer.Calls = calls[:1], calls

	web := node(event.Step, "build/build web", "0.1", event.Failed, 2.1, 5.2)
	web.Retries, web.Problem = 2, []diag.Diagnostic{inner}
	web.Evidence = []Evidence{{"output of the builder", strings.Repeat("[builder] copying layer sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n", 30)}}
	web.Output = event.Tail{Most: nodeRoom, Omitted: 5120}
	web.Output.Add([]event.Piece{
		{Stream: "stdout", Text: "[builder] copying layer 9f86d081\n\x1b[32m[builder] done\x1b[0m\n"}, {Stream: "stderr", Text: "<no space> left on device\n"},
		{Stream: "stdout", Text: "[builder] cleaning up\n"},
	})
	api := node(event.Step, "build/build api", "0.0", event.Undone, 2.1, 3.4,
		node(event.Step, "build/build api/compile", "0.0", event.Undone, 2.1, 2.2),
		node(event.Step, "build/build api/package", "0.0", event.Undone, 4.35, 1.1))
	docs := node(event.Step, "build/build docs", "0.2", event.Passed, 2.1, 1.3)
	docs.Problem = []diag.Diagnostic{{Message: "fs.remove: out/docs: the directory is not empty", Place: &diag.Place{File: "release.star", Line: 22, Column: 30}}}
	late := node(event.Step, "build/build site", "0.3", event.Passed, 3.45, 3.1)
	build := node(event.Step, "build", "", event.Failed, 2.1, 5.25, api, web, docs, late)
	build.Problem = []diag.Diagnostic{outer}

	prepare := node(event.Step, "prepare", "", event.Undone, .4, 1.6)
	prepare.Replayed = true
	prepare.Evidence = []Evidence{{"environment", `{"PART":"api","REVISION":"8e21fde4c5","TAGS":["latest","3","3.1"],"TARGET":"linux/amd64"}`}, {"nothing", ""}}

	config := node(event.Check, "the configuration is that of the release", "", event.Failed, 7.5, .03)
	config.Problem = []diag.Diagnostic{{
		Message: "app.env is not what was expected:\ndiff expected got\n--- expected\n+++ got\n@@ -1,4 +1,4 @@\n NAME=shop\n-PORT=4000\n+PORT=4001\n-MODE=<release>\n+MODE=<debug> # left over from a session in which somebody looked for the reason of slow requests\n TZ=UTC",
		Place:   &diag.Place{File: "checks.star", Line: 7, Column: 5, Source: "\texpect.equal(fs.read(\"app.env\"), WANTED, what = \"app.env\")"},
		Calls:   []diag.Call{{Place: at("release.star", 12, 5, `    check("the configuration is that of the release", checks.configuration)`), Function: "release"}},
	}}
	config.Evidence = []Evidence{{"app.env", "NAME=shop\nPORT=4001\nMODE=<debug>\nTZ=UTC\n"}}
	count := node(event.Check, "each part has a page", "", event.Failed, 7.55, .002)
	count.Problem = []diag.Diagnostic{{
		Message: "pages: expected 4\ngot 3", Place: &diag.Place{File: "checks.star", Line: 15, Column: 5, Source: `    expect.equal(len(pages), len(PARTS), what = "pages")`},
		Also: []diag.Place{at("parts.star", 3, 9, `PARTS = ["api", "web", "docs", "site"]`)},
	}}
	skipped := node(event.Check, "the pages link to each other", "", event.Skipped, 7.6, 0)
	skipped.Needs = []string{"each part has a page", "the configuration is that of the release"}
	passed := node(event.Check, "the names are unique", "", event.Passed, 7.62, .2)
	open := node(event.Step, "publish", "", event.Running, 7.9, 0)

	clean := false
	return &Run{
		About: event.Run{
			Line: "kinfra run release.star --report 'html=the release.html'", Dir: "/home/ada/shop", Root: "/srv/pool", Host: "builder-3", User: "ada",
			Git: []event.Git{{Dir: "/home/ada/shop", Commit: "8e21fde4c5a08f8a1c1dbb93d2a3f1f9d4e7b602", Clean: &clean}, {Dir: "/home/ada/scripts", Commit: "0c9a1f9d4e7b6028e21fde4c5a08f8a1c1dbb93d"}},
		},
		Printed: []Printed{
			{Type: event.Said, At: sec(.1), Text: "Preparing api, web, docs and site\n"}, {Type: event.Resumed, At: sec(.3)}, {Type: event.Said, At: sec(2), Text: "  column   another\n\x1b[32mgreen\x1b[0m\n"},
			{Type: event.Warned, At: sec(9), Text: "cleaning up failed, too\n"},
		},
		Result: json.RawMessage(`{"parts":["api","web"],"revision":"8e21fde4c5"}`),
		ID:     "20260202-101112-ab12cd", Command: "release", Version: "0.1.0", Status: event.Failed,
		Started: time.Date(2026, 2, 2, 10, 11, 12, 0, time.UTC), Took: sec(9.26), Problem: []diag.Diagnostic{outer},
		Nodes: []*Node{prepare, build, config, count, skipped, passed, open},
	}
}

// passedRun is a run of which nothing needs to be looked at.
func passedRun() *Run {
	step := func(name string, start, took float64) *Node {
		return &Node{Kind: event.Step, Name: name, Key: name, Status: event.Passed, Start: sec(start), Took: sec(took)}
	}
	r := &Run{Command: "sandbox provision", Version: "0.1.0", Status: event.Passed, Started: time.Date(2026, 2, 2, 10, 11, 12, 0, time.UTC), Took: sec(.182)}
	r.Nodes = []*Node{step("look", .002, .01), step("write", .013, .12), step("verify", .14, .03)}
	r.Nodes[1].Evidence = []Evidence{{"files", "a\nb\n"}}
	for i := range 3 {
		n := step(fmt.Sprintf("slot %d", i+1), .013, .04+.03*float64(i))
		n.Key, n.Branch = "write/"+n.Name, fmt.Sprintf("0.%d", i)
		r.Nodes[1].Children = append(r.Nodes[1].Children, n)
	}
	return r
}

// hugeRun has so many nodes, some inside others and side by side, with evidence.
func hugeRun(nodes int) *Run {
	r := &Run{Command: "huge", Version: "0.1.0", Status: event.Failed, Took: sec(float64(nodes) / 10)}
	for i := 0; i < nodes; i += 10 {
		group := &Node{Kind: event.Step, Name: fmt.Sprint("group ", i/10), Key: fmt.Sprint("group ", i/10), Status: event.Passed, Start: sec(float64(i) / 10), Took: sec(.95)}
		for j := range 9 {
			n := &Node{
				Kind: event.Check, Name: fmt.Sprint("check ", j), Key: fmt.Sprint(group.Key, "/check ", j), Branch: fmt.Sprintf("%d.%d", i/10, j), Status: event.Passed,
				Start: group.Start, Took: sec(.1 * float64(j+1)), Evidence: []Evidence{{"log", strings.Repeat("a line of the log\n", 200)}},
			}
			if i%500 == 0 && j == 3 {
				n.Status, n.Problem = event.Failed, []diag.Diagnostic{{Message: "expected 1\ngot 2"}}
			}
			group.Children = append(group.Children, n)
		}
		r.Nodes = append(r.Nodes, group)
	}
	return r
}

// oddRun has what is hard to lay out: long names without spaces, steps far inside others,
// and everything much longer than a line.
func oddRun() *Run {
	word := strings.Repeat("unbroken", 30)
	problem := []diag.Diagnostic{{
		Message: word + ": expected " + word + "\ngot " + word, Place: &diag.Place{File: word, Line: 123456, Column: 200, Source: word + word},
		Also: []diag.Place{at(word, 1, 1, word)}, Calls: []diag.Call{{Place: at(word, 1, 1, word), Function: word}}, Hint: word,
	}, {Message: word}}
	r := &Run{ID: word, Command: word, Version: word, Status: event.Interrupted, Started: time.Date(2026, 2, 2, 10, 11, 12, 0, time.UTC), Took: sec(1)}
	nodes := &r.Nodes
	for range 14 {
		n := &Node{
			Kind: event.Step, Name: word, Key: word, Status: event.Failed, Start: sec(.1), Took: sec(.8), Retries: 1234, Replayed: true,
			Evidence: []Evidence{{word, word}}, Problem: problem,
		}
		skipped := &Node{Kind: event.Check, Name: word, Key: word, Status: event.Skipped, Start: sec(.95), Needs: []string{word, word}}
		*nodes = []*Node{n, skipped}
		nodes = &n.Children
	}
	return r
}

// fanRun has a step with so many inside it, of which some fail, and one with so many items.
func fanRun(items int, failing ...int) *Run {
	r := &Run{Command: "fan", Version: "0.1.0", Status: event.Failed, Took: sec(float64(items) / 10)}
	parent := &Node{Kind: event.Step, Name: "all of them", Key: "all of them", Status: event.Failed, Took: r.Took}
	for i := range items {
		n := &Node{
			Kind: event.Step, Name: fmt.Sprintf("item %d of the long list of what is to be done for each", i), Branch: fmt.Sprintf("0.%d", i),
			Status: event.Passed, Start: sec(float64(i) / 10), Took: sec(.3),
		}
		n.Key = parent.Key + "/" + n.Name
		if slices.Contains(failing, i) {
			n.Status, n.Problem = event.Failed, []diag.Diagnostic{{Message: fmt.Sprintf("item %d: exit code 1", i), Place: &diag.Place{File: "fan.star", Line: 3, Column: 5}}}
			parent.Problem = append(parent.Problem, n.Problem...)
		}
		parent.Children = append(parent.Children, n)
	}
	r.Nodes, r.Problem = []*Node{parent}, parent.Problem
	return r
}
