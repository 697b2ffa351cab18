package main

import (
	"github.com/ktrdr/kinfra/engine/cover"
	"github.com/ktrdr/kinfra/engine/diag"
)

// The result of kinfra test as --output json has it, which docs/testing-scripts.md
// describes.
type testsJSON struct {
	Passed   int           `json:"passed"`
	Failed   int           `json:"failed"`
	Tests    []testJSON    `json:"tests"`
	Broken   []brokenJSON  `json:"broken,omitempty"` // files that don't load
	Coverage *coverageJSON `json:"coverage,omitempty"`
}

type testJSON struct {
	File     string        `json:"file"`
	Name     string        `json:"name"`
	Passed   bool          `json:"passed"`
	Seconds  float64       `json:"seconds"`
	Problems []problemJSON `json:"problems,omitempty"`
	Output   string        `json:"output,omitempty"`
}

type brokenJSON struct {
	File     string        `json:"file"`
	Problems []problemJSON `json:"problems"`
}

type problemJSON struct {
	Message  string       `json:"message"`
	Position *diag.Place  `json:"position,omitempty"`
	Calls    []diag.Place `json:"calls,omitempty"` // that led there, innermost first
	Hint     string       `json:"hint,omitempty"`
}

type coverageJSON struct {
	Statements int                `json:"statements"`
	Covered    int                `json:"covered"`
	Percent    float64            `json:"percent"`
	Files      []fileCoverageJSON `json:"files"`
}

type fileCoverageJSON struct {
	File       string  `json:"file"`
	Statements int     `json:"statements"`
	Covered    int     `json:"covered"`
	Percent    float64 `json:"percent"`
	Missed     []int   `json:"missed"` // lines with a statement that never ran
}

func (o testOutcome) json() testsJSON {
	all := testsJSON{Passed: len(o.results) - o.failed(), Failed: o.failed(), Tests: []testJSON{}}
	for _, r := range o.results {
		all.Tests = append(all.Tests, testJSON{r.File.Path(), r.Name(), r.Err == nil, r.Took.Seconds(), problemsJSON(r.Problem), r.Output})
	}
	for _, f := range o.broken {
		all.Broken = append(all.Broken, brokenJSON{f.File.Path(), problemsJSON(diag.Of(f.Err, f.Sources))})
	}
	if len(o.coverage) > 0 {
		covered, statements := coverageTotal(o.coverage)
		all.Coverage = &coverageJSON{statements, covered, cover.Percent(covered, statements), nil}
		for _, f := range o.coverage {
			all.Coverage.Files = append(all.Coverage.Files, fileCoverage(f))
		}
	}
	return all
}

func problemsJSON(problems []diag.Diagnostic) []problemJSON {
	var all []problemJSON
	for _, d := range problems {
		p := problemJSON{Message: d.Message, Position: d.Place, Hint: d.Hint}
		for _, c := range d.Calls {
			p.Calls = append(p.Calls, c.Place)
		}
		all = append(all, p)
	}
	return all
}

func fileCoverage(f cover.File) fileCoverageJSON {
	c := fileCoverageJSON{f.Path, len(f.Statements), f.Covered(), cover.Percent(f.Covered(), len(f.Statements)), []int{}}
	for _, s := range f.Statements {
		if s.Count == 0 && (len(c.Missed) == 0 || c.Missed[len(c.Missed)-1] != s.Line) {
			c.Missed = append(c.Missed, s.Line)
		}
	}
	return c
}
