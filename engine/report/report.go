// Package report holds what a run did: its steps and checks as a tree, each with
// its outcome, time, problem and evidence, and writes that as JUnit XML or JSON.
package report

import (
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
)

// Kind says what a node is.
type Kind string

// The kinds of nodes.
const (
	Step  Kind = "step"
	Check Kind = "check"
)

// Status is how a node ended.
type Status string

// The ways to end.
const (
	Running Status = "running" // not yet
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped" // a check that needs one which failed
	Undone  Status = "undone"  // a step that was done and taken back
	Decided Status = "decided" // in a dry run: known only when it runs
)

// Run is a whole run.
type Run struct {
	Command string
	Version string // of the binary
	DryRun  bool
	Started time.Time
	Took    time.Duration
	Passed  bool
	Problem []diag.Diagnostic // why it ended, if not by its checks
	Nodes   []*Node
}

// Node is a step or a check.
type Node struct {
	Kind     Kind
	Name     string
	Key      string // the names from the outermost to this, joined by "/": unique within a run
	Status   Status
	Took     time.Duration
	Problem  []diag.Diagnostic
	Needs    []string // of a skipped check: the names of those that failed
	Evidence []Evidence
	Children []*Node
}

// Evidence is something that a script put on record.
type Evidence struct {
	Name  string
	Value string // text as it is, anything else as JSON
}

// Walk calls visit for every node, parents first.
func (r *Run) Walk(visit func(*Node)) {
	var walk func([]*Node)
	walk = func(nodes []*Node) {
		for _, n := range nodes {
			visit(n)
			walk(n.Children)
		}
	}
	walk(r.Nodes)
}

// Count is how many nodes of a kind ended in a way.
func (r *Run) Count(kind Kind, status Status) int {
	count := 0
	r.Walk(func(n *Node) {
		if n.Kind == kind && n.Status == status {
			count++
		}
	})
	return count
}
