package report

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/visible"
)

// The elements of JUnit's format that its readers (Jenkins, GitLab, actions on GitHub) agree
// on, in the order that Jenkins' schema gives them.
type junitSuites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Suite    junitSuite
}

type junitSuite struct {
	XMLName    xml.Name        `xml:"testsuite"`
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Stamp      string          `xml:"timestamp,attr"`
	Host       string          `xml:"hostname,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase
	Output     string `xml:"system-out,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	XMLName xml.Name      `xml:"testcase"`
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Skipped *junitProblem `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junitRoom is for the texts of a JUnit report, whose readers show each of them as a whole
// and refuse a file of some tens of megabytes.
func junitRoom() room {
	return room{one: textRoom, all: 8 << 20, rest: "; --report json=FILE has them"}
}

// junit is a report in the making.
type junit struct {
	suite junitSuite
	texts room
}

// JUnit is the report as JUnit XML: a test case for each step and check, and one of the
// run's own name where it ended by something else. Each fault is one failure.
func JUnit(r *Run) ([]byte, error) {
	j := &junit{texts: junitRoom()}
	j.suite = junitSuite{
		Name: clean(r.Command), Time: seconds(r.Took), Stamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
		Host: clean(r.About.Host), Properties: j.properties(r),
	}
	o := outlineOf(r)
	j.cases(o.nodes)
	if own := o.own; len(own) > 0 || !r.Passed() && r.Status != event.Undone && j.suite.Failures == 0 {
		j.add(junitCase{Name: clean(r.Command), Time: seconds(r.Took), Error: j.problem(own, "the run did not end well")})
	}
	var printed strings.Builder
	for _, p := range r.printedLines() {
		printed.WriteString(colors.ReplaceAllString(p.Text, ""))
	}
	j.suite.Output = clean(j.texts.cut(printed.String()) + j.output(&r.Output))
	s := &j.suite
	out, err := xml.MarshalIndent(junitSuites{
		Name: s.Name, Tests: s.Tests, Failures: s.Failures, Errors: s.Errors, Skipped: s.Skipped, Time: s.Time, Suite: *s,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the JUnit report: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

// properties are what else is known of the run.
func (j *junit) properties(r *Run) []junitProperty {
	var all []junitProperty
	add := func(name, value string) {
		if value != "" {
			all = append(all, junitProperty{name, clean(j.texts.cut(value))})
		}
	}
	about := r.About
	add("line", about.Line)
	add("dir", about.Dir)
	add("root", about.Root)
	add("host", about.Host)
	add("user", about.User)
	for i, g := range about.Git {
		prefix := []string{"git.", "scripts.git."}[min(i, 1)]
		add(prefix+"dir", g.Dir)
		add(prefix+"commit", g.Commit)
		if g.Clean != nil {
			add(prefix+"clean", strconv.FormatBool(*g.Clean))
		}
	}
	add("kinfra", r.Version)
	add("run", r.ID)
	add("started", r.Started.UTC().Format(time.RFC3339Nano))
	add("dry_run", strconv.FormatBool(r.DryRun))
	add("status", string(r.Status))
	add("result", string(r.Result))
	return all
}

func (j *junit) cases(nodes []*outlined) {
	for _, n := range nodes {
		j.node(n)
		j.cases(n.children)
	}
}

// node adds the test case of a step or check. One that ended only with another one inside
// it is no failure of its own.
func (j *junit) node(n *outlined) {
	c := junitCase{Name: clean(n.Key), Time: seconds(n.Took)}
	switch {
	case n.stays():
		c.Failure = j.problem(n.own, "could not be taken back")
	case n.troubled():
		c.Failure = j.problem(n.own, "did not end")
	case n.bad():
		c.Skipped = &junitProblem{Message: "ended by what is inside it"}
	case n.Status == event.Skipped:
		c.Skipped = &junitProblem{Message: clean("needs " + strings.Join(n.Needs, ", "))}
	case n.Status == event.Decided:
		c.Skipped = &junitProblem{Message: "known only when it runs"}
	}
	var evidence strings.Builder
	for _, e := range n.Evidence {
		fmt.Fprintf(&evidence, "%s:\n%s\n", e.Name, j.texts.cut(e.Value))
	}
	c.Output = clean(evidence.String() + j.output(&n.Output))
	j.add(c)
}

// output is what processes printed, as it came.
func (j *junit) output(t *event.Tail) string {
	if t.Empty() {
		return ""
	}
	var text strings.Builder
	for _, p := range t.Pieces() {
		text.WriteString(colors.ReplaceAllString(p.Text, ""))
	}
	return "output:\n" + t.Missing() + j.texts.cut(text.String())
}

func (j *junit) add(c junitCase) {
	c.Class = j.suite.Name
	j.suite.Tests++
	switch {
	case c.Failure != nil:
		j.suite.Failures++
	case c.Error != nil:
		j.suite.Errors++
	case c.Skipped != nil:
		j.suite.Skipped++
	}
	j.suite.Cases = append(j.suite.Cases, c)
}

// problem tells all of what went wrong: in one line, and as a whole. Where nothing is known
// it says what otherwise is.
func (j *junit) problem(all []diag.Diagnostic, otherwise string) *junitProblem {
	if len(all) == 0 {
		return &junitProblem{Message: otherwise}
	}
	var text strings.Builder
	for _, d := range all {
		text.WriteString(d.Text())
	}
	message := oneLine(all[0].Message)
	if more := len(all) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	return &junitProblem{clean(message), clean(j.texts.cut(text.String()))}
}

// oneLine is a message for where there is room for a line of it.
func oneLine(message string) string {
	const most = 300                           // characters
	if what, _, ok := splitDiff(message); ok { // a diff is none on one line
		message = strings.TrimSuffix(what, ":")
	}
	var lines []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	text := []rune(strings.Join(lines, "; "))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

// clean shows what isn't seen as what it is: most of it XML 1.0 has no way to write, and
// readers print the rest as it is.
func clean(s string) string { return visible.Text(strings.ReplaceAll(s, "\r\n", "\n")) }
