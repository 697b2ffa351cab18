package rollback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// What a process is to do with the run of a case.
const (
	Start  = "start"
	Resume = "resume"
	Edited = "resume edited" // with the process's own program, which later ones have, too
	Undo   = "undo"
)

// Process is one that is at the run of a case.
type Process struct {
	Do      string             `json:"do"`
	Program Program            `json:"program,omitempty"`
	Fails   map[string]Failure `json:"fails,omitempty"` // the functions of steps that fail, by name
	Stuck   map[string]bool    `json:"stuck,omitempty"` // the undos that fail
	Slow    map[string]int     `json:"slow,omitempty"`  // how often functions let others go first
	Kill    int                `json:"kill,omitempty"`  // after how many things that happen it dies; 0: it doesn't
	Signal  int                `json:"signal,omitempty"`
}

// Failure is how the function of a step fails.
type Failure struct {
	Times int  `json:"times"`          // in one process; the tries after these are good
	Late  bool `json:"late,omitempty"` // when it has done what is inside of it
}

// Case is a program and the processes that are at its run, one after another.
type Case struct {
	Program   Program   `json:"program"`
	Processes []Process `json:"processes"`
}

// site is where a process runs.
type site struct {
	world  world.World
	dir    string
	tracer *tracer
}

const (
	scriptName = "main.star"
	runsDir    = "runs"
	mostRuns   = 10
)

// run runs a process of a run that has an ID, once it has begun, and gives the ID.
func (s *site) run(p Process, program Program, id string) string {
	t := s.tracer
	t.note(Entry{What: ProcessBegan, Arg: p.Do}, nothing)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	t.stop = func() { stop(engine.ErrInterrupted) }
	id, err := s.execute(ctx, p, program, id)
	t.mu.Lock()
	defer t.mu.Unlock()
	how := outcomeOf(err)
	if t.dead {
		how = EndedKilled
	}
	t.dead = true // what it may have left running ends with it
	t.add(Entry{What: ProcessEnded, Arg: how, Status: fmt.Sprint(err)})
	return id
}

func nothing() error { return nil }

// refusedError is that a run can't be resumed or undone.
type refusedError struct{ error }

func outcomeOf(err error) string {
	var config engine.Config
	switch {
	case err == nil:
		return EndedWell
	case errors.As(err, new(refusedError)):
		return EndedNotRun
	case errors.Is(err, engine.ErrChecksFailed):
		return EndedChecks
	case config.CodeOf(err) == engine.Interrupted:
		return EndedSignal
	case config.CodeOf(err) == engine.Conflict, config.CodeOf(err) == engine.Damaged:
		return EndedOther
	}
	return EndedFailed
}

// execute runs the engine.
func (s *site) execute(ctx context.Context, p Process, program Program, id string) (string, error) {
	w := s.mortal()
	store := journal.Open(w, path.Join(s.dir, runsDir), mostRuns)
	config := &engine.Config{
		World: w, Layers: layers(program), Modules: []table.Module{s.outside(p)},
		Version: "test", Limits: engine.DefaultLimits(), Log: hclog.NewNullLogger(),
		Output: engine.Output{Format: engine.Text, Stdout: io.Discard},
	}
	config.Record = func(_ *starlark.Thread, _ func() []layer.File, first func(string) *event.Event) (j *journal.Journal, err error) {
		j, id, err = store.Create([]byte("{}"), first)
		return j, err
	}
	if p.Do != Start {
		record, j, err := store.Resume(id)
		if err != nil {
			return id, err
		}
		config.Resume, err = engine.NewResume(record, j, p.Do == Undo)
		if err != nil {
			return id, errors.Join(refusedError{err}, j.Close())
		}
		if p.Do == Edited {
			config.Resume.Edited = &engine.Edited{
				Keep:   func(loaded []layer.File) (string, error) { return store.KeepScripts(id, loaded[0].Data) },
				Source: func(string, string) []byte { return nil },
			}
		}
	}
	return id, execute(ctx, config)
}

func execute(ctx context.Context, config *engine.Config) error {
	run := engine.NewRun(ctx, config)
	defer run.Close()
	file, err := config.Layers.Find(scriptName)
	if err != nil {
		return err
	}
	workflows, err := run.Load(file, false)
	if err != nil {
		return err
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	workflows[0].AddFlags(flags)
	args, err := workflows[0].Arguments(flags, nil)
	if err != nil {
		return err
	}
	return run.Execute(workflows[0], args)
}

func layers(program Program) *layer.Stack {
	fake := world.NewFake()
	fake.Write("/"+scriptName, []byte(program.String()))
	only := layer.Directory(fake.World(), "kinfra", "/")
	return &layer.Stack{Layers: []*layer.Layer{only}, Builtin: only}
}
