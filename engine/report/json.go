package report

import (
	"encoding/json"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
)

// Version is that of the JSON report's schema. A field more does not change it.
const Version = 1

type jsonRun struct {
	Version  int           `json:"version"`
	Command  string        `json:"command"`
	Kinfra   string        `json:"kinfra"`
	DryRun   bool          `json:"dry_run"`
	Started  time.Time     `json:"started"`
	Seconds  float64       `json:"seconds"`
	Passed   bool          `json:"passed"`
	Problems []jsonProblem `json:"problems,omitempty"`
	Nodes    []jsonNode    `json:"nodes"`
}

type jsonNode struct {
	Kind     Kind           `json:"kind"`
	Name     string         `json:"name"`
	Key      string         `json:"key"`
	Status   Status         `json:"status"`
	Seconds  float64        `json:"seconds"`
	Problems []jsonProblem  `json:"problems,omitempty"`
	Needs    []string       `json:"needs,omitempty"`
	Evidence []jsonEvidence `json:"evidence,omitempty"`
	Nodes    []jsonNode     `json:"nodes,omitempty"`
}

type jsonEvidence struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type jsonProblem struct {
	Message  string       `json:"message"`
	Position *diag.Place  `json:"position,omitempty"`
	Also     []diag.Place `json:"also,omitempty"`
	Hint     string       `json:"hint,omitempty"`
}

// JSON is the report as one JSON object, documented in docs/reports.md.
func JSON(r *Run) ([]byte, error) {
	return json.MarshalIndent(jsonRun{
		Version: Version, Command: r.Command, Kinfra: r.Version, DryRun: r.DryRun,
		Started: r.Started.UTC(), Seconds: r.Took.Seconds(), Passed: r.Passed,
		Problems: jsonProblems(r.Problem), Nodes: jsonNodes(r.Nodes),
	}, "", "  ")
}

func jsonNodes(nodes []*Node) []jsonNode {
	all := make([]jsonNode, 0, len(nodes))
	for _, n := range nodes {
		evidence := make([]jsonEvidence, 0, len(n.Evidence))
		for _, e := range n.Evidence {
			evidence = append(evidence, jsonEvidence(e))
		}
		all = append(all, jsonNode{
			Kind: n.Kind, Name: n.Name, Key: n.Key, Status: n.Status, Seconds: n.Took.Seconds(),
			Problems: jsonProblems(n.Problem), Needs: n.Needs, Evidence: evidence, Nodes: jsonNodes(n.Children),
		})
	}
	return all
}

func jsonProblems(problems []diag.Diagnostic) []jsonProblem {
	var all []jsonProblem
	for _, d := range problems {
		all = append(all, jsonProblem{d.Message, d.Place, d.Also, d.Hint})
	}
	return all
}
