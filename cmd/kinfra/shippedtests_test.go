package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// leastCoverage is which part of the statements of the shipped scripts their tests must
// run, in percent.
const leastCoverage = 98.0

// TestShippedScripts runs the tests of the shipped scripts and holds what they cover to
// a least figure.
func TestShippedScripts(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	const scripts = "../../scripts"
	var stdout, stderr bytes.Buffer
	a := newApp([]string{"test", "--scripts", scripts, "--cover", "--output", "json", scripts}, inMemory(&stdout), inMemory(&stderr), nil)
	if err := a.main(t.Context()); err != nil {
		t.Errorf("%v\n%s%s", err, &stdout, &stderr)
	}
	var got struct{ Result testsJSON }
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &stdout)
	}
	for _, f := range got.Result.Coverage.Files {
		t.Logf("%5.1f%%  %s, not lines %v", f.Percent, f.File, f.Missed)
	}
	total := got.Result.Coverage
	t.Logf("%5.1f%%  in total: %d of %d statements, by %d tests", total.Percent, total.Covered, total.Statements, got.Result.Passed)
	if total.Percent < leastCoverage {
		t.Errorf("the tests run %.1f%% of the statements, want %.1f%%", total.Percent, leastCoverage)
	}
}
