package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// The elements of JUnit's format that its readers (Jenkins, GitLab) agree on.
type junitSuites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Time     string   `xml:"time,attr"`
	Suite    junitSuite
}

type junitSuite struct {
	XMLName  xml.Name `xml:"testsuite"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Stamp    string   `xml:"timestamp,attr"`
	Cases    []junitCase
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

// JUnit is the report as JUnit XML: a test case for each step and check, and one
// of the run's own name where it ended by something else.
func JUnit(r *Run) ([]byte, error) {
	suite := junitSuite{Name: clean(r.Command), Time: seconds(r.Took), Stamp: r.Started.UTC().Format("2006-01-02T15:04:05")}
	add := func(c junitCase) {
		suite.Tests++
		suite.Cases = append(suite.Cases, c)
	}
	r.Walk(func(n *Node) {
		c := junitCase{Name: clean(n.Key), Class: clean(r.Command), Time: seconds(n.Took), Output: clean(evidenceText(n.Evidence))}
		switch n.Status {
		case event.Failed, event.Running:
			c.Failure = junitProblemOf(n.Problem)
			suite.Failures++
		case event.Skipped:
			c.Skipped = &junitProblem{Message: clean("needs " + strings.Join(n.Needs, ", "))}
			suite.Skipped++
		case event.Decided:
			c.Skipped = &junitProblem{Message: "known only when it runs"}
			suite.Skipped++
		}
		add(c)
	})
	if len(r.Problem) > 0 {
		add(junitCase{Name: clean(r.Command), Class: clean(r.Command), Time: seconds(r.Took), Error: junitProblemOf(r.Problem)})
		suite.Errors++
	}
	out, err := xml.MarshalIndent(junitSuites{Tests: suite.Tests, Failures: suite.Failures, Time: suite.Time, Suite: suite}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the JUnit report: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

func junitProblemOf(problems []diag.Diagnostic) *junitProblem {
	if len(problems) == 0 {
		return &junitProblem{Message: "did not end"}
	}
	var text strings.Builder
	for _, d := range problems {
		text.WriteString(d.Text())
	}
	message, _, _ := strings.Cut(problems[0].Message, "\n")
	return &junitProblem{clean(message), clean(text.String())}
}

func evidenceText(all []Evidence) string {
	var b strings.Builder
	for _, e := range all {
		fmt.Fprintf(&b, "%s:\n%s\n", e.Name, e.Value)
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

// clean drops what XML 1.0 has no way to write.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return '?'
		}
		return r
	}, s)
}
