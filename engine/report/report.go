// Package report holds what a run did: its steps and checks as a tree, each with
// its outcome, time, problem and evidence, made from the run's events, and writes that
// as JUnit XML, JSON or HTML.
package report

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// Run is a whole run.
type Run struct {
	ID      string // of its record; "" if it left none
	Command string
	Version string // of the binary
	DryRun  bool
	About   event.Run // who ran it, where, and of what; its other fields are those here
	Started time.Time
	Took    time.Duration
	Status  event.Status
	Problem []diag.Diagnostic // why it ended, if not by its checks
	Nodes   []*Node
	Changes Changes         // in a dry run, outside of the nodes
	Result  json.RawMessage // what the workflow returned; nil if that is nothing
	Printed []Printed       // in order; of much, the beginning and the end
	Omitted int             // bytes of what was printed in between, which are not in Printed
	tail    int             // which of Printed comes behind what is left out
	Output  event.Tail      // what processes printed outside of steps and checks

	Open *event.Question // what was asked last, if that was not answered

	Left []string // the keys of the steps that are left to undo
}

// Changes is what a dry run would have made.
type Changes struct {
	Told []event.Change
	More int // how many there are beside them
}

func changesOf(e *event.Event) Changes { return Changes{e.Changes, e.MoreChanges} }

// Printed is something that a run printed or asked, or that it went on after an interruption.
type Printed struct {
	Type event.Type    // event.Said, event.Warned, event.Answered or event.Resumed
	At   time.Duration // since the run began
	Text string

	Question *event.Question // of event.Answered
	Answer   *event.Answer
}

// Passed tells whether the run did what it should.
func (r *Run) Passed() bool { return r.Status == event.Passed }

// printedLines is what the run printed, with a line where it went on and where something is
// left out.
func (r *Run) printedLines() []Printed {
	all := make([]Printed, 0, len(r.Printed)+1)
	omitted := func() {
		if r.Omitted > 0 {
			all = append(all, Printed{Type: event.Told, Text: fmt.Sprintf("… %d bytes are left out here …\n", r.Omitted)})
		}
	}
	for i, p := range r.Printed {
		if i == r.tail {
			omitted()
		}
		switch p.Type {
		case event.Resumed:
			p.Text = "… the run was resumed …\n"
		case event.Warned:
			p.Text = "warning: " + p.Text
		}
		all = append(all, p)
	}
	if r.tail >= len(r.Printed) {
		omitted()
	}
	return all
}

// MayResume tells whether a run that didn't end well can be resumed, once it has a record.
func (r *Run) MayResume() bool { return r.Status == event.Failed || r.Status == event.Interrupted }

// MayUndo tells whether something of a run that didn't end well is left to undo.
func (r *Run) MayUndo() bool { return r.MayResume() && len(r.Left) > 0 }

// Node is a step or a check.
type Node struct {
	Kind     event.Kind
	Name     string
	Key      string // the names from the outermost to this, joined by "/": unique within a run
	Branch   string // the branch of parallel that it is in
	Status   event.Status
	Start    time.Duration // since the run began
	Took     time.Duration
	Retries  int
	Replayed bool   // its result is that of an earlier process
	Again    string // why the step runs again when the run is resumed; "" if it doesn't
	Problem  []diag.Diagnostic
	Needs    []string // of a skipped check: the names of those that failed
	Evidence []Evidence
	Output   event.Tail // what processes printed in it, and not in a node inside it
	Changes  Changes    // that a dry run would have made
	Children []*Node
}

// Evidence is something that a script put on record.
type Evidence struct {
	Name  string `json:"name"`
	Value string `json:"value"` // text as it is, anything else as JSON
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
func (r *Run) Count(kind event.Kind, status event.Status) int {
	count := 0
	r.Walk(func(n *Node) {
		if n.Kind == kind && n.Status == status {
			count++
		}
	})
	return count
}
