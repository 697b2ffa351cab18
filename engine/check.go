package engine

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

func checkBuiltin() table.Builtin {
	return table.Builtin{
		Name: "check",
		Doc: "Verifies one thing and returns a handle. A failure is recorded and the workflow goes on, but ends as failed. " +
			"A check whose needs failed, or were skipped, is skipped. In a dry run, one that needs another which is known only when it runs is so, too.",
		Params: []table.Param{
			{Name: "name", Type: table.String(), Help: "what must hold, in a few words"},
			{Name: "run", Type: table.Function(0), Help: "verifies it, and fails if it doesn't hold; called without arguments"},
			{Name: "needs", Type: table.ListOf("a list of checks", table.Of[*checkHandle]("a check")), Named: true, Optional: true, Help: "the handles of checks without which this one makes no sense"},
		},
		Result: "a handle with `name` and `ok` (bool), for the needs of later checks",
		Errors: "A name used twice.",
		Run:    runCheck,
		Example: `def two_lines():
    expect.equal(len(fs.read("notes.txt").splitlines()), 2)

there = check("they exist", lambda: expect.true(fs.exists("notes.txt")))
check("they have two lines", two_lines, needs = [there]).ok  # -> True`,
	}
}

func runCheck(c *table.Call) (starlark.Value, error) {
	s := stateOf(c.Thread)
	n, err := s.enter(c.Thread, event.Check, c.String("name"))
	if err != nil {
		return nil, err
	}
	handle := &checkHandle{n}
	if s.collecting() {
		return handle, s.recall(c, n)
	}
	if past := s.run.past; past != nil && s.neverBegan(past.Node(n.key)) {
		return nil, newCutOff(n)
	}
	start, err := s.began(n)
	if err != nil {
		return nil, err
	}
	if needs := failedOf(c.List("needs")); len(needs) > 0 {
		n.status = event.Skipped
		return handle, s.run.emit(&event.Event{Type: event.Ended, Key: n.key, Kind: n.kind, Status: n.status, Needs: needs})
	}
	if needs := laterOf(c.List("needs")); len(needs) > 0 {
		end := s.ending(n, fmt.Errorf("what it needs is %w", world.ErrPlanned))
		end.Needs = needs
		return handle, s.run.emit(end)
	}
	live := s.live // what comes after a check isn't built on what it has run again
	_, err = s.inside(n, func() (starlark.Value, error) { return s.call(c.Thread, c.Callable("run")) })
	s.live = live
	recordErr := s.run.emitEnd(s.ending(n, err), start)
	if err != nil && (s.ctx.Err() != nil || !catchable(s.ctx, err) && n.status != event.Decided) {
		return nil, err
	}
	return handle, recordErr
}

// failedOf names those of the checks on which none can build.
func failedOf(needs []starlark.Value) []string {
	var failed []string
	for _, v := range needs {
		if h := v.(*checkHandle); !h.ok() {
			failed = append(failed, h.node.name)
		}
	}
	return failed
}

// laterOf names those of the checks that a dry run can't decide.
func laterOf(needs []starlark.Value) []string {
	var later []string
	for _, v := range needs {
		if h := v.(*checkHandle); h.node.status == event.Decided {
			later = append(later, h.node.name)
		}
	}
	return later
}

// recall gives a check the outcome that the record has of it, without running it but for
// the steps inside.
func (s *state) recall(c *table.Call, n *node) error {
	before := s.run.past.Node(n.key)
	switch {
	case before == nil && s.comparing():
		s.run.past.isAhead()
		n.status = event.Decided
		return nil
	case before == nil:
		err := s.offRecord(n)
		if errors.Is(err, errNotYet) {
			n.status, err = event.Decided, nil
		}
		return err
	}
	n.status = before.Status
	s.run.past.mu.Lock()
	s.stands(n, before)
	s.run.past.mu.Unlock()
	if s.run.past.undoableIn(before) || s.run.past.edited {
		return s.collect(c, n)
	}
	s.run.past.skip(before)
	return nil
}

// checkHandle is what check returns.
type checkHandle struct{ node *node }

// ok tells whether others may build on the check. In a dry run, one that can't be
// known yet counts as such.
func (h *checkHandle) ok() bool {
	return h.node.status == event.Passed || h.node.status == event.Decided
}

func (h *checkHandle) String() string        { return fmt.Sprintf("<check %q>", h.node.name) }
func (h *checkHandle) Type() string          { return "check" }
func (h *checkHandle) Freeze()               {}
func (h *checkHandle) Truth() starlark.Bool  { return starlark.Bool(h.ok()) }
func (h *checkHandle) Hash() (uint32, error) { return starlark.String(h.node.key).Hash() }
func (h *checkHandle) AttrNames() []string   { return []string{"name", "ok"} }
func (h *checkHandle) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(h.node.name), nil
	case "ok":
		return starlark.Bool(h.ok()), nil
	}
	return nil, nil
}
