package report

import (
	"maps"
	"slices"

	"github.com/ktrdr/kinfra/engine/event"
)

// Builder makes the report of a run from its events, given in their order. The zero
// Builder is ready to use.
type Builder struct {
	run      Run
	nodes    []*Node // by the number of the node in the history
	printed  printed
	evidence int // bytes that are kept
	output   int // bytes that are kept of what processes print
	history  event.History
}

// Of is the report that events make.
func Of(events []event.Event) *Run {
	var b Builder
	for i := range events {
		b.Add(&events[i])
	}
	return b.Run()
}

// Run is the report of the events added so far. It changes with those added later.
func (b *Builder) Run() *Run {
	ordered(&b.run.Nodes)
	p := &b.printed
	b.run.Printed, b.run.Omitted, b.run.tail = slices.Concat(p.head, p.tail), p.omitted, len(p.head)
	b.run.Left = b.history.Left()
	for _, n := range b.nodes {
		n.Again = b.again(n.Key)
	}
	return &b.run
}

// History is what counts of the run.
func (b *Builder) History() *event.History { return &b.history }

// again is why a step runs again when the run is resumed; "" if it doesn't.
func (b *Builder) again(key string) string {
	n := b.history.Node(key)
	if n == nil || n.Kind != event.Step || !b.run.MayResume() || b.history.CountsDone(n) || b.history.StaysFailed(n) {
		return ""
	}
	return b.history.Why(n)
}

// Add takes note of an event.
func (b *Builder) Add(e *event.Event) {
	past := b.history.Add(e)
	switch e.Type {
	case event.RunBegan:
		b.run = Run{
			ID: e.Run.ID, Command: e.Run.Command, Version: e.Run.Kinfra, DryRun: e.Run.DryRun, About: *e.Run,
			Started: e.Time, Status: event.Running,
		}
	case event.Recorded:
		b.run.ID, b.run.About = e.Run.ID, *e.Run
	case event.Resumed:
		b.run.Open = nil
		b.run.Status, b.run.Problem, b.run.Result = event.Running, nil, nil
		b.print(e)
	case event.Said, event.Warned:
		if !e.Replayed {
			b.print(e)
		}
	case event.Asked:
		b.run.Open = e.Question
	case event.Answered:
		b.answer(e)
	case event.Began:
		b.begin(past, e)
	case event.RunEnded:
		b.run.Status, b.run.Problem, b.run.Took = e.Status, e.Problems, e.Time.Sub(b.run.Started)
		b.run.Changes = changesOf(e)
		if b.run.Result = e.Result; string(e.Result) == "null" {
			b.run.Result = nil
		}
	case event.Noted:
		b.note(past, e)
	case event.Printed:
		b.processes(past, e)
	default:
		if past != nil {
			b.nodes[past.Number].add(e)
		}
	}
}

// begin adds a node, or begins one anew that began before. What is replayed stays as it was.
func (b *Builder) begin(past *event.Past, e *event.Event) {
	if e.Replayed {
		return
	}
	if past.Number == len(b.nodes) {
		b.add(past)
	}
	n := b.nodes[past.Number]
	b.output -= n.Output.Size()
	*n = Node{
		Key: n.Key, Name: n.Name, Children: n.Children,
		Kind: e.Kind, Branch: e.Branch, Status: event.Running, Start: e.Time.Sub(b.run.Started),
	}
}

// add makes the node of a step or check that has just begun for the first time.
func (b *Builder) add(past *event.Past) {
	n := &Node{Key: past.Key, Name: past.Name()}
	siblings := &b.run.Nodes
	if around := past.Around(); around != nil {
		siblings = &b.nodes[around.Number].Children
	}
	*siblings = append(*siblings, n)
	b.nodes = append(b.nodes, n)
}

// add takes note of what happened to a node.
func (n *Node) add(e *event.Event) {
	switch e.Type {
	case event.Retried:
		n.Retries++
	case event.Ended:
		n.Status, n.Took, n.Problem, n.Needs, n.Replayed = e.Status, e.Took(), e.Problems, e.Needs, e.Replayed
		n.Changes = changesOf(e)
	case event.Undid:
		n.Problem, n.Changes = e.Problems, changesOf(e)
		if e.Status == event.Passed {
			n.Status = event.Undone
		}
	}
}

// ordered puts nodes of parallel branches into the order of the branches, whichever
// began first, and so makes the report of a run the same each time.
func ordered(nodes *[]*Node) {
	*nodes = inOrder("", *nodes)
	for _, n := range *nodes {
		ordered(&n.Children)
	}
}

// inOrder orders nodes that began on the thread of a branch, or on branches below it.
// A thread waits for its branches, so those of one call of parallel stand together.
func inOrder(branch string, nodes []*Node) []*Node {
	all := make([]*Node, 0, len(nodes))
	for len(nodes) > 0 {
		call, _, below := event.Fork(branch, nodes[0].Branch)
		if !below { // its own, or that of what is called when the run is over
			all, nodes = append(all, nodes[0]), nodes[1:]
			continue
		}
		branches := map[int][]*Node{}
		size := 0
		for _, n := range nodes {
			c, item, below := event.Fork(branch, n.Branch)
			if !below || c != call {
				break
			}
			branches[item] = append(branches[item], n)
			size++
		}
		for _, item := range slices.Sorted(maps.Keys(branches)) {
			all = append(all, inOrder(event.InBranch(branch, call, item), branches[item])...)
		}
		nodes = nodes[size:]
	}
	return all
}
