package report

import (
	"encoding/json"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/visible"
)

// Version is that of the JSON report's schema. A field more does not change it.
const Version = 1

type jsonRun struct {
	Version  int               `json:"version"`
	Run      string            `json:"run,omitempty"` // of its record
	Command  string            `json:"command"`
	Line     string            `json:"line,omitempty"`
	Dir      string            `json:"dir,omitempty"`
	Root     string            `json:"root,omitempty"`
	Host     string            `json:"host,omitempty"`
	User     string            `json:"user,omitempty"`
	Git      []event.Git       `json:"git,omitempty"`
	Kinfra   string            `json:"kinfra"`
	DryRun   bool              `json:"dry_run"`
	Started  time.Time         `json:"started"`
	Seconds  float64           `json:"seconds"`
	Passed   bool              `json:"passed"`
	Status   event.Status      `json:"status"`
	Result   json.RawMessage   `json:"result,omitempty"`
	Printed  []jsonPrinted     `json:"printed,omitempty"`
	Omitted  int               `json:"printed_omitted,omitempty"` // bytes
	Output   []event.Piece     `json:"output,omitempty"`
	Before   int               `json:"output_omitted,omitempty"` // bytes
	Problems []diag.Diagnostic `json:"problems,omitempty"`
	Changes  []event.Change    `json:"changes,omitempty"`
	More     int               `json:"more_changes,omitempty"`
	Nodes    []jsonNode        `json:"nodes"`
}

type jsonPrinted struct {
	Event event.Type `json:"event"`
	At    float64    `json:"at"` // seconds since the run began
	Text  string     `json:"text,omitempty"`

	Question *event.Question `json:"question,omitempty"`
	Answer   *event.Answer   `json:"answer,omitempty"`
}

type jsonNode struct {
	Kind     event.Kind        `json:"kind"`
	Name     string            `json:"name"`
	Key      string            `json:"key"`
	Branch   string            `json:"branch,omitempty"`
	Start    float64           `json:"start"` // seconds since the run began
	Status   event.Status      `json:"status"`
	Seconds  float64           `json:"seconds"`
	Retries  int               `json:"retries,omitempty"`
	Replayed bool              `json:"replayed,omitempty"`
	Again    string            `json:"again,omitempty"` // why it runs again when the run is resumed
	Problems []diag.Diagnostic `json:"problems,omitempty"`
	Needs    []string          `json:"needs,omitempty"`
	Evidence []Evidence        `json:"evidence,omitempty"`
	Output   []event.Piece     `json:"output,omitempty"`
	Omitted  int               `json:"output_omitted,omitempty"` // bytes
	Changes  []event.Change    `json:"changes,omitempty"`
	More     int               `json:"more_changes,omitempty"`
	Nodes    []jsonNode        `json:"nodes,omitempty"`
}

// JSON is the report as one JSON object, documented in docs/reports.md.
func JSON(r *Run) ([]byte, error) {
	about := r.About
	whole := jsonRun{
		Version: Version, Run: r.ID, Command: r.Command, Line: about.Line, Dir: about.Dir, Root: about.Root, Host: about.Host, User: about.User,
		Git: about.Git, Kinfra: r.Version, DryRun: r.DryRun, Started: r.Started.UTC(), Seconds: r.Took.Seconds(), Passed: r.Passed(), Status: r.Status,
		Result: r.Result, Omitted: r.Omitted, Output: r.Output.Pieces(), Before: r.Output.Omitted, Problems: r.Problem, Changes: r.Changes.Told, More: r.Changes.More, Nodes: jsonNodes(r.Nodes),
	}
	for _, p := range r.Printed {
		whole.Printed = append(whole.Printed, jsonPrinted{p.Type, p.At.Seconds(), p.Text, p.Question, p.Answer})
	}
	data, err := json.MarshalIndent(whole, "", "  ")
	return visible.JSON(data), err
}

func jsonNodes(nodes []*Node) []jsonNode {
	all := make([]jsonNode, 0, len(nodes))
	for _, n := range nodes {
		all = append(all, jsonNode{
			Kind: n.Kind, Name: n.Name, Key: n.Key, Branch: n.Branch, Status: n.Status, Start: n.Start.Seconds(), Seconds: n.Took.Seconds(),
			Retries: n.Retries, Replayed: n.Replayed, Again: n.Again, Problems: n.Problem, Needs: n.Needs, Evidence: n.Evidence,
			Output: n.Output.Pieces(), Omitted: n.Output.Omitted, Changes: n.Changes.Told, More: n.Changes.More, Nodes: jsonNodes(n.Children),
		})
	}
	return all
}
