package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/world"
)

// Run is one run of a script: loading it, then executing one of its workflows.
type Run struct {
	config  *Config
	ctx     context.Context
	stop    context.CancelCauseFunc
	names   starlark.StringDict // what scripts see beside the language
	loader  loader
	started time.Time
	steps   uint64 // of execution, used so far

	mu         sync.Mutex // guards all below
	report     report.Run
	keys       map[string]bool
	undos      []undo
	exits      []starlark.Callable
	conclusion *Error
}

// NewRun prepares a run. It ends, at the latest, when ctx does; the cause of that,
// such as ErrInterrupted, is then its error. Close it when it is over.
func NewRun(ctx context.Context, config *Config) *Run {
	r := &Run{config: config, started: config.World.Now(), keys: map[string]bool{}}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	if config.Timeout > 0 {
		timed, cancel := context.WithTimeoutCause(r.ctx, config.Timeout, &timeoutError{"the run", config.Timeout})
		stop := r.stop
		r.ctx, r.stop = timed, func(cause error) { stop(cause); cancel() }
	}
	r.names = table.Predeclare(append(Modules(), config.Modules...))
	r.loader.run = r
	r.report = report.Run{Version: config.Version, DryRun: config.World.Planned(), Started: r.started}
	return r
}

// Close frees what the run holds.
func (r *Run) Close() { r.stop(nil) }

type timeoutError struct {
	what  string
	after time.Duration
}

func (e *timeoutError) Error() string        { return fmt.Sprintf("%s timed out after %s", e.what, e.after) }
func (e *timeoutError) Is(target error) bool { return target == ErrTimedOut }

// thread makes a Starlark thread of the run whose builtins work under ctx.
func (r *Run) thread(ctx context.Context) (*starlark.Thread, *state) {
	s := &state{run: r, ctx: ctx}
	left := r.config.Limits.Steps - min(r.steps, r.config.Limits.Steps)
	t := &starlark.Thread{
		Name:  "kinfra",
		Print: func(_ *starlark.Thread, msg string) { r.Announce(msg) },
		Load:  r.loader.load,
		OnMaxSteps: func(t *starlark.Thread) {
			s.tooLong = true
			r.stop(errTooLong)
			t.Cancel(errTooLong.Error())
		},
	}
	t.SetLocal(local, s)
	t.SetMaxExecutionSteps(max(left, 1)) // 0 would be no limit
	startime.SetNow(t, func() (time.Time, error) {
		return r.config.World.Now().Round(0), nil // without the monotonic clock, which would show
	})
	return t, s
}

// guarded calls f with a thread that is cancelled when ctx ends, and makes the
// cause of that the error.
func (r *Run) guarded(ctx context.Context, f func(*starlark.Thread) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t, s := r.thread(ctx)
	unwatch := watch(ctx, t)
	err := f(t)
	unwatch()
	r.steps += t.ExecutionSteps()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &causedError{err, context.Cause(ctx)}
	case s.tooLong:
		return &causedError{err, errTooLong}
	}
	return err
}

// watch cancels a thread when ctx ends. The function that it returns ends that, and
// returns when no cancellation can come any more.
func watch(ctx context.Context, t *starlark.Thread) (unwatch func()) {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		t.Cancel(context.Cause(ctx).Error())
	})
	return func() {
		if !stop() {
			<-over
		}
	}
}

// causedError is an error of a script that was ended from outside: what it says is
// why, where it says it is the script's.
type causedError struct {
	err   error
	cause error
}

func (e *causedError) Error() string   { return e.cause.Error() }
func (e *causedError) Unwrap() []error { return []error{e.cause, e.err} }
func (e *causedError) Reason() error   { return e.cause }

// Execute runs a workflow with the arguments of its command line, and prints its
// result. It returns why the workflow failed; with the format JSON, that has been
// printed, too, as part of the one object.
func (r *Run) Execute(w *Workflow, args starlark.Value) error {
	r.report.Command = w.Command
	result, err := r.body(w, args)
	err = r.end(err)
	complete := err == nil || errors.Is(err, ErrChecksFailed) || err == error(r.conclusion)
	if r.config.Output.Format == JSON {
		if !complete {
			result = nil
		}
		err = r.printJSON(result, err)
	} else if complete {
		if e := r.unlessPlanned(r.show(w, result)); e != nil {
			err = e
		}
	}
	return r.finish(err)
}

// Finish ends the run of a file without a workflow, whose top level ended with err.
func (r *Run) Finish(err error) error { return r.finish(r.end(err)) }

// end does what is left to do once a script has ended with err, and gives the error
// with which the run ends.
func (r *Run) end(err error) error {
	if err == nil {
		err = r.checksFailed()
	}
	err = r.cleanUp(err)
	if err == nil && r.conclusion != nil {
		return r.conclusion
	}
	return err
}

// body calls the workflow's function.
func (r *Run) body(w *Workflow, args starlark.Value) (starlark.Value, error) {
	var result starlark.Value = starlark.None
	err := r.guarded(r.ctx, func(t *starlark.Thread) error {
		v, err := starlark.Call(t, w.run, starlark.Tuple{args}, nil)
		if err == nil {
			result = v
		}
		return err
	})
	return result, r.unlessPlanned(err)
}

// unlessPlanned is err, but for what only says that a dry run can't know the rest.
func (r *Run) unlessPlanned(err error) error {
	if errors.Is(err, world.ErrPlanned) && r.ctx.Err() == nil {
		r.Announce("The rest is known only when it runs.")
		return nil
	}
	return err
}

func (r *Run) checksFailed() error {
	var names []string
	checks := 0
	r.report.Walk(func(n *report.Node) {
		if n.Kind != report.Check {
			return
		}
		if checks++; n.Status == report.Failed {
			names = append(names, n.Name)
		}
	})
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d %w: %s", len(names), checks, ErrChecksFailed, strings.Join(names, ", "))
}

// finish completes the report.
func (r *Run) finish(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Took = r.config.World.Now().Sub(r.started)
	r.report.Passed = err == nil
	if err != nil && !errors.Is(err, ErrChecksFailed) {
		r.report.Problem = diag.Of(err, r.Source)
	}
	return err
}

// Report is what the run did.
func (r *Run) Report() *report.Run { return &r.report }

// Source is the text of a script by the name that positions carry, nil if the run
// hasn't loaded it.
func (r *Run) Source(file string) []byte { return r.loader.source(file) }
