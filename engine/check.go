package engine

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
)

func checkBuiltin() table.Builtin {
	return table.Builtin{
		Name: "check",
		Doc: "Verifies one thing and returns a handle. A failure is recorded and the workflow goes on, but ends as failed. " +
			"A check whose needs failed, or were skipped, is skipped.",
		Params: []table.Param{
			{Name: "name", Type: table.String(), Help: "what must hold, in a few words"},
			{Name: "run", Type: table.Function(), Help: "verifies it, and fails if it doesn't hold; called without arguments"},
			{Name: "needs", Type: table.ListOf("a list of checks", table.Of[*checkHandle]("a check")), Named: true, Optional: true, Help: "the handles of checks without which this one makes no sense"},
		},
		Result: "a handle with `name` and `ok` (bool), for the needs of later checks",
		Errors: "A name used twice.",
		Run:    runCheck,
	}
}

func runCheck(c *table.Call) (starlark.Value, error) {
	s := stateOf(c.Thread)
	node, err := s.begin(report.Check, c.String("name"))
	if err != nil {
		return nil, err
	}
	for _, v := range c.List("needs") {
		if h := v.(*checkHandle); !h.ok() {
			node.Needs = append(node.Needs, h.node.Name)
		}
	}
	if len(node.Needs) > 0 {
		node.Status = report.Skipped
		s.run.progress("%s", progressLine(node))
		return &checkHandle{node}, nil
	}
	err = s.inside(node, func() error {
		_, err := starlark.Call(c.Thread, c.Callable("run"), nil, nil)
		return err
	})
	s.end(node, err)
	if err != nil && (s.ctx.Err() != nil || errors.Is(err, errTooLong)) {
		return nil, err
	}
	return &checkHandle{node}, nil
}

// checkHandle is what check returns.
type checkHandle struct{ node *report.Node }

// ok tells whether others may build on the check. In a dry run, one that can't be
// known yet counts as such.
func (h *checkHandle) ok() bool {
	return h.node.Status == report.Passed || h.node.Status == report.Decided
}

func (h *checkHandle) String() string        { return fmt.Sprintf("<check %q>", h.node.Name) }
func (h *checkHandle) Type() string          { return "check" }
func (h *checkHandle) Freeze()               {}
func (h *checkHandle) Truth() starlark.Bool  { return starlark.Bool(h.ok()) }
func (h *checkHandle) Hash() (uint32, error) { return starlark.String(h.node.Key).Hash() }
func (h *checkHandle) AttrNames() []string   { return []string{"name", "ok"} }
func (h *checkHandle) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(h.node.Name), nil
	case "ok":
		return starlark.Bool(h.ok()), nil
	}
	return nil, nil
}
