package rollback

import (
	"slices"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// Run runs a case on a machine in memory.
func Run(c Case) Trace {
	fake := world.NewFake()
	var trace Trace
	program, id := c.Program, ""
	for _, p := range c.Processes {
		if p.Do != Start && id == "" {
			break // the first process died before there was a record, and so did nothing
		}
		with := program
		if p.Do == Edited {
			with = p.Program
		}
		began := len(trace)
		s := &site{world: fake.World(), dir: "/home/user", tracer: newTracer(p, trace)}
		id = s.run(p, with, id)
		trace = slices.Clip(s.tracer.trace)
		if trace[began:].wentOn() {
			program = with
		}
		fake.Pass(time.Hour)
	}
	return trace
}

func newTracer(p Process, trace Trace) *tracer {
	return &tracer{trace: trace, signal: p.Signal, death: p.Kill}
}
