package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

func stepBuiltin() table.Builtin {
	return table.Builtin{
		Name: "step",
		Doc: "Does one thing and returns its result. A failure ends the workflow, after the undos of the steps that were " +
			"done, newest first. The result must be JSON-able; the caller gets it frozen, as it is recorded. Steps nest; a name " +
			"is unique among the steps and checks beside it.",
		Params: []table.Param{
			{Name: "name", Type: table.String(), Help: "what the step does, in a few words"},
			{Name: "run", Type: table.Function(), Help: "does it; called without arguments"},
			{Name: "undo", Type: table.Function(), Named: true, Optional: true, Help: "takes it back; called with the step's result"},
			{Name: "retries", Type: table.Int(), Named: true, Optional: true, Default: starlark.MakeInt(0), Help: "how often a failure is tried again"},
			{Name: "backoff", Type: table.Duration(), Named: true, Optional: true, Default: starlark.String("200ms"), Help: "the pause before the first retry; it doubles with each"},
			{Name: "timeout", Type: table.Duration(), Named: true, Optional: true, Help: "how long one try may take"},
		},
		Result: "what run returns; in a dry run, a value known only when it runs if run asks for one",
		Errors: "What run fails with; a name used twice; a result that has no JSON form.",
		Run:    runStep,
	}
}

// undo is what takes a step back.
type undo struct {
	node   *report.Node
	call   starlark.Callable
	result starlark.Value
}

func runStep(c *table.Call) (starlark.Value, error) {
	s := stateOf(c.Thread)
	node, err := s.begin(report.Step, c.String("name"))
	if err != nil {
		return nil, err
	}
	var result starlark.Value
	err = s.inside(node, func() error {
		var err error
		result, err = tries(c, s)
		return err
	})
	s.end(node, err)
	switch {
	case errors.Is(err, world.ErrPlanned):
		return unknown{node.Name}, nil
	case err != nil:
		return nil, err
	}
	if call := c.Callable("undo"); call != nil {
		s.run.mu.Lock()
		s.run.undos = append(s.run.undos, undo{node, call, result})
		s.run.mu.Unlock()
	}
	return result, nil
}

// tries runs a step's function until it succeeds or the retries are used up.
func tries(c *table.Call, s *state) (starlark.Value, error) {
	pause := c.Duration("backoff")
	for left := c.Int("retries"); ; left-- {
		v, err := timed(c.Thread, c.Duration("timeout"), c.String("name"), func() (starlark.Value, error) {
			return starlark.Call(c.Thread, c.Callable("run"), nil, nil)
		})
		if err == nil {
			return recorded(v, s.run.config.Limits.Result)
		}
		if left <= 0 || !catchable(s.ctx, err) {
			return nil, err
		}
		s.run.progress("  retry %s in %s: %s\n", c.String("name"), pause, firstLine(err))
		if e := s.run.config.World.Sleep(s.ctx, pause); e != nil {
			return nil, err
		}
		pause *= 2
	}
}

// timed calls f with a limit of time, after which the thread is cancelled. Zero is
// no limit.
func timed(t *starlark.Thread, limit time.Duration, name string, f func() (starlark.Value, error)) (starlark.Value, error) {
	if limit <= 0 {
		return f()
	}
	s := stateOf(t)
	outer := s.ctx
	ctx, cancel := context.WithTimeoutCause(outer, limit, &timeoutError{"the step " + fmt.Sprintf("%q", name), limit})
	defer cancel()
	s.ctx = ctx
	unwatch := watch(ctx, t)
	v, err := f()
	unwatch()
	s.ctx = outer
	if ctx.Err() == nil || outer.Err() != nil {
		return v, err
	}
	t.Uncancel()
	if outer.Err() != nil { // meanwhile: that cancellation must stay
		t.Cancel(context.Cause(outer).Error())
	}
	if err != nil {
		err = &causedError{err, context.Cause(ctx)}
	}
	return v, err
}

// catchable tells whether a script may go on after err: not after the run itself was
// ended, nor with what a dry run can't know.
func catchable(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, errTooLong) && !errors.Is(err, world.ErrPlanned)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// begin adds a node to the report, below the one that is running.
func (s *state) begin(kind report.Kind, name string) (*report.Node, error) {
	if !s.mayChange() {
		return nil, fmt.Errorf("%s: %w", kind, ErrLoading)
	}
	if strings.TrimSpace(name) == "" || strings.ContainsAny(name, "\n/") {
		return nil, fmt.Errorf("%s: name %q: want a few words on one line, without a slash", kind, name)
	}
	node := &report.Node{Kind: kind, Name: name, Key: name, Status: report.Running}
	siblings := &s.run.report.Nodes
	if s.node != nil {
		node.Key = s.node.Key + "/" + name
		siblings = &s.node.Children
	}
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	if s.run.keys[node.Key] {
		return nil, fmt.Errorf("%s: the name %q is used twice; a step's name is its key in the record", kind, node.Key)
	}
	s.run.keys[node.Key] = true
	*siblings = append(*siblings, node)
	return node, nil
}

// inside calls f with a node as the innermost one, and takes its time.
func (s *state) inside(node *report.Node, f func() error) error {
	outer, start := s.node, s.run.config.World.Now()
	s.node = node
	err := f()
	s.node = outer
	node.Took = s.run.config.World.Now().Sub(start)
	return err
}

// end notes how a node ended, and says so.
func (s *state) end(node *report.Node, err error) {
	s.run.mu.Lock()
	switch {
	case err == nil:
		node.Status = report.Passed
	case errors.Is(err, world.ErrPlanned):
		node.Status = report.Decided
	default:
		node.Status = report.Failed
		node.Problem = diag.Of(err, s.run.Source)
	}
	s.run.mu.Unlock()
	s.run.progress("%s", progressLine(node))
	if node.Kind == report.Check {
		for _, d := range node.Problem {
			s.run.progress("%s", indentLines(d.Text(), "        "))
		}
	}
}

func progressLine(n *report.Node) string {
	switch n.Status {
	case report.Passed:
		return fmt.Sprintf("  ok    %s (%s)\n", n.Key, short(n.Took))
	case report.Decided:
		return fmt.Sprintf("  later %s: known only when it runs\n", n.Key)
	case report.Skipped:
		return fmt.Sprintf("  skip  %s: needs %s\n", n.Key, strings.Join(n.Needs, ", "))
	case report.Undone:
		return fmt.Sprintf("  undid %s\n", n.Key)
	}
	return fmt.Sprintf("  FAIL  %s (%s)\n", n.Key, short(n.Took))
}

// short rounds a duration to what a reader wants to know.
func short(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}

func indentLines(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}
