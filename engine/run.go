package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/world"
)

// Run is one run of a script: loading it, then executing one of its workflows.
type Run struct {
	config  *Config
	ctx     context.Context
	stop    context.CancelCauseFunc
	closed  context.Context // ends when the run is closed
	close   context.CancelFunc
	names   starlark.StringDict // what scripts see beside the language
	loader  loader
	budget  budget
	past    *past       // nil unless the run goes on from its record
	plan    *plan       // of the run's own thread; nil unless it is a dry run
	asked   atomic.Bool // a value that only the real run knows was asked for its type
	command string
	flags   []*Parameter // of the workflow

	asking    chan struct{} // holds one while a question is asked
	abandoned sync.Once

	script     func(*starlark.Thread) error // what the run does
	loadReads  map[string]int               // how often the clock was read while scripts were loaded
	rehearsing bool                         // only the way of the record is gone; set under the mutex, while no branch runs
	refused    bool                         // the run doesn't go on, and its record stays as it is
	went       bool                         // it has begun, and wasn't refused

	recording sync.Mutex // held while the record is begun
	journal   atomic.Pointer[journal.Journal]

	mu         sync.Mutex // guards all below
	report     report.Builder
	events     int                // so far
	printed    int                // bytes of what was printed that the record has
	begun      bool               // the first event was emitted
	over       bool               // and the last one
	early      []event.Event      // what must come after it, from when the scripts were loaded
	shown      bool               // that was shown already
	kept       []event.Event      // for the record, until there is one; the first is that of the run
	reads      map[string]int     // how often each branch has read the clock
	questions  int                // so far
	met        map[asked]int      // how often each question was met whose answer may be on record
	outputs    map[string]*output // what processes print, by the keys of the steps; "" is the run's own
	secrets    map[string]bool    // those that were read, by their references
	keys       map[string]bool
	done       map[string]doneStep // of those inside others
	undos      []undo
	incomplete []string // the steps that could not be brought to their end, to be undone
	exits      []starlark.Callable
	conclusion *Error
	result     starlark.Value // what the workflow returned
}

// NewRun prepares a run. It ends, at the latest, when ctx does; the cause of that,
// such as ErrInterrupted, is then its error. Close it when it is over.
func NewRun(ctx context.Context, config *Config) *Run {
	r := &Run{config: config, secrets: map[string]bool{}, keys: map[string]bool{}, done: map[string]doneStep{}, reads: map[string]int{}, met: map[asked]int{}, asking: make(chan struct{}, 1)}
	r.closed, r.close = context.WithCancel(context.Background())
	r.ctx, r.stop = context.WithCancelCause(ctx)
	if config.Timeout > 0 {
		timed, cancel := context.WithTimeoutCause(r.ctx, config.Timeout, &timeoutError{"the run", config.Timeout})
		stop := r.stop
		r.ctx, r.stop = timed, func(cause error) { stop(cause); cancel() }
	}
	context.AfterFunc(r.ctx, r.ending)
	if config.Masks == nil {
		config.Masks = new(mask.Set)
	}
	modules := append(Modules(), config.Modules...)
	if config.World.Planned() {
		modules = r.dryRun(modules)
	}
	r.names = table.Predeclare(modules)
	boundedNames(r.names)
	r.loader.run = r
	r.budget.reset(config.Limits.Steps)
	if config.Resume != nil {
		r.past = newPast(config.Resume)
		r.events, r.questions = r.past.events, r.past.answers.last
		for _, reference := range r.past.secrets {
			r.secrets[reference] = true
		}
		r.journal.Store(config.Resume.Journal)
		if config.Resume.Edited == nil {
			r.loader.kept = map[string]bool{} // what the record has isn't read from the disk
		}
	}
	return r
}

// ending is called when the run is to end, or was closed.
func (r *Run) ending() {
	cause := context.Cause(r.ctx)
	if r.config.Ending != nil && r.closed.Err() == nil {
		r.config.Ending(cause)
	}
	if errors.Is(cause, ErrInterrupted) {
		r.reassure()
	}
}

// Close frees what the run holds.
func (r *Run) Close() {
	r.close()
	r.stop(nil)
	if j := r.journal.Load(); j != nil {
		j.Close() // all that counts was synced when it was written
	}
}

type timeoutError struct {
	what  string
	after time.Duration
}

func (e *timeoutError) Error() string        { return fmt.Sprintf("%s timed out after %s", e.what, e.after) }
func (e *timeoutError) Is(target error) bool { return target == ErrTimedOut }

// thread makes a Starlark thread of the run for a state.
func (r *Run) thread(s *state) *starlark.Thread {
	t := &starlark.Thread{
		Name:  "kinfra",
		Print: func(_ *starlark.Thread, msg string) { s.print(msg) },
		Load:  r.loader.load,
	}
	t.SetLocal(local, s)
	startime.SetNow(t, func() (time.Time, error) { return s.now() })
	return t
}

// guarded calls f with a thread that is cancelled when the context of its state ends,
// and makes the cause of that the error.
func (r *Run) guarded(s *state, f func(*starlark.Thread) error) error {
	ctx := s.ctx
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := r.thread(s)
	told, leave := r.trail()
	defer leave()
	giveBack := r.budget.lend(t, func() {
		s.tooLong = true
		r.stop(r.tooLong())
		t.Cancel(errTooLong.Error())
	}, told)
	unwatch := s.watch(ctx, t)
	err := s.foreseen(r.unpanicked(t, f))
	unwatch()
	giveBack()
	switch {
	case err == nil:
		return nil
	case wasEnded(ctx, err):
		return &causedError{err, context.Cause(ctx)}
	case s.tooLong:
		return &causedError{err, r.tooLong()}
	}
	return err
}

// trail is what is told where a thread is, nil if nobody wants to know, and what is to be
// called when the thread has ended.
func (r *Run) trail() (told func(*starlark.Thread), leave func()) {
	if r.config.Trail == nil {
		return nil, func() {}
	}
	return r.config.Trail()
}

// tooLong is the error of a run that has used up its steps.
func (r *Run) tooLong() error {
	return &Error{Code: TimedOut, Message: errTooLong.Error(), Err: errTooLong,
		Next: fmt.Sprintf("a run may take %d steps: see that what loops here ends, or part the work into several runs", r.config.Limits.Steps)}
}

// wasEnded tells whether err is that ctx has ended. Any is, once a run was interrupted;
// but a branch that fails by itself while another one's failure cancels it says so.
func wasEnded(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (context.Cause(ctx) != errSibling ||
		errors.Is(err, context.Canceled) || strings.Contains(err.Error(), diag.Cancelled))
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
	r.flags = w.Flags
	var result starlark.Value = starlark.None
	call := func(t *starlark.Thread) error {
		v, err := starlark.Call(t, w.run, starlark.Tuple{args}, nil)
		if err == nil {
			result = v
		}
		return err
	}
	err := r.prepare(w.Command, call)
	main := r.mainState()
	if err == nil {
		err = r.end(main, main.unlessPlanned(r.guarded(main, call)))
	}
	r.result = result
	complete := err == nil || errors.Is(err, ErrChecksFailed) || err == error(r.conclusion)
	if !complete {
		result = nil
	}
	switch {
	case r.config.Output.Format == JSON:
		err = r.printJSON(result, err)
	case r.config.Output.Format == Text && complete && !r.undoing():
		main.live = true // an earlier process may have begun to show it
		if e := main.unlessPlanned(r.show(main, w, result)); e != nil {
			err = e
		}
	}
	return r.finish(result, err)
}

// Finish ends the run of a file without a workflow, whose top level ended with err.
func (r *Run) Finish(err error) error {
	main := r.mainState()
	return r.finish(nil, r.end(main, main.unlessPlanned(err)))
}

// begin emits the first event of the run, or of its going on with scripts that the record
// has under a name, "" for those that it was made of. moves is what stands elsewhere in these.
func (r *Run) begin(scripts string, moves []event.Place) {
	began := event.Event{Type: event.RunBegan, Run: r.identity()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.past != nil {
		began = event.Event{Type: event.Resumed, Run: began.Run, Undo: r.past.undo, Scripts: scripts, Places: moves}
		for i := range r.past.recorded { // some may be from before a value was known
			r.report.Add(r.past.recorded[i].Masked(r.config.Masks))
		}
	}
	r.emitLocked(&began)
	r.begun, r.went = true, !r.refused
	r.emitEarly(func(*event.Event) bool { return true })
}

// emitEarly emits what had to wait, as far as it counts. People were told at once.
func (r *Run) emitEarly(counts func(*event.Event) bool) {
	early := r.early
	r.early, r.shown = nil, r.config.Output.Format != Events
	for i := range early {
		if counts(&early[i]) {
			r.emitLocked(&early[i])
		}
	}
	r.shown = false
}

// identity is what the first event says of the run.
func (r *Run) identity() *event.Run {
	var id event.Run
	if r.config.Identity != nil {
		id = r.config.Identity()
	}
	id.Version, id.Command, id.Kinfra, id.DryRun = event.Version, r.command, r.config.Version, r.config.World.Planned()
	return &id
}

// emit gives an event to all that follow the run: its report, its record and whoever
// shows it. The error is that of the record.
func (r *Run) emit(e *event.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.emitLocked(e)
}

// emitEnd emits the event of how a node ended that began at start, and says in it how long
// that took.
func (r *Run) emitEnd(e *event.Event, start time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.World.Clock.Now()
	e.Seconds = now.Sub(start).Seconds()
	return r.emitAt(now, e)
}

func (r *Run) emitLocked(e *event.Event) error { return r.emitAt(r.config.World.Clock.Now(), e) }

func (r *Run) emitAt(now time.Time, e *event.Event) error {
	switch {
	case r.rehearsing:
		return nil
	case r.isEarly(e):
		r.early = append(r.early, *e)
		if r.config.Output.Format != Events {
			r.present(e)
		}
		return nil
	}
	if len(r.outputs) > 0 {
		r.outputEnds(e)
	}
	r.events++
	e.Seq, e.Time = r.events, now
	e = e.Masked(r.config.Masks)
	r.report.Add(e)
	var err error
	switch j := r.journal.Load(); {
	case !isRecorded(e) || r.refused || r.over: // the last line says how the run ended
	case j != nil:
		err = j.Add(r.forRecord(e))
	case r.config.Record != nil:
		r.kept = append(r.kept, *r.forRecord(e))
	}
	r.over = r.over || e.Type == event.RunEnded
	if !r.shown {
		r.present(e)
	}
	return err
}

func (r *Run) present(e *event.Event) {
	if e.Type != event.FileRead && r.config.Output.Present != nil {
		r.config.Output.Present.Show(e)
	}
}

// isEarly tells whether an event has to wait until the run has begun, which is the first
// event of a record, and that programs are told. People are told at once.
func (r *Run) isEarly(e *event.Event) bool {
	return !r.begun && (e.Type == event.FileRead || e.Type == event.Concealed || e.Type == event.Said || e.Type == event.Told || e.Type == event.Warned)
}

// giveUp lets be heard what was said while the scripts were loaded, of which the run then
// does not begin.
func (r *Run) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = true
	r.emitEarly(func(e *event.Event) bool {
		return e.Type != event.Clock && e.Type != event.FileRead && e.Type != event.Concealed
	})
}

// end does what is left to do once a script has ended with err, and gives the error
// with which the run ends.
func (r *Run) end(main *state, err error) error {
	if err == nil {
		err = r.notMet()
	}
	if r.undoing() {
		return r.undoRecorded(err)
	}
	if err == nil {
		err = r.checksFailed()
	}
	err = r.cleanUp(main, err)
	if err == nil && r.conclusion != nil {
		return r.conclusion
	}
	return err
}

// unlessPlanned is err, but for what only says that a dry run can't know the rest.
func (s *state) unlessPlanned(err error) error {
	if errors.Is(err, world.ErrPlanned) && s.ctx.Err() == nil && !s.collecting() {
		s.announce("The rest is known only when it runs.")
		return nil
	}
	return err
}

func (r *Run) checksFailed() error {
	var names []string
	checks := 0
	r.Report().Walk(func(n *report.Node) {
		if n.Kind != event.Check {
			return
		}
		if checks++; n.Status == event.Failed {
			names = append(names, n.Name)
		}
	})
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d %w: %s", len(names), checks, ErrChecksFailed, strings.Join(names, ", "))
}

// finish emits the last event.
func (r *Run) finish(result starlark.Value, err error) error {
	e := event.Event{Type: event.RunEnded, Status: event.Passed, DryRun: r.plan != nil}
	if r.plan != nil {
		e.Changes, e.MoreChanges = r.told(r.plan.changes)
	}
	if result != nil && r.config.Output.Format == Events {
		var encodeErr error
		if e.Result, encodeErr = ToJSON(result); encodeErr != nil && err == nil {
			err = fmt.Errorf("the result of %s can't be printed as JSON: %w", r.command, encodeErr)
		}
	} else if result != nil && (r.config.Reported || r.journal.Load() != nil) {
		e.Result = r.reportedResult(result)
	}
	exit := int(r.config.CodeOf(err))
	e.Exit = &exit
	switch {
	case err != nil:
		if e.Status = event.Failed; errors.Is(err, ErrInterrupted) {
			e.Status = event.Interrupted
		}
		if !errors.Is(err, ErrChecksFailed) {
			e.Problems = diag.Of(err, r.Source)
		}
	case r.undoing():
		e.Status = event.Undone
	}
	recordErr := r.emit(&e)
	if j := r.journal.Load(); recordErr == nil && j != nil {
		recordErr = j.Sync()
	}
	if recordErr != nil && err == nil {
		err = fmt.Errorf("recording how the run ended: %w", recordErr)
		r.emit(&event.Event{Type: event.Warned, Text: err.Error()}) // the last event has told otherwise
	}
	return err
}

// reportedResult is the result of the workflow as a report or a record has it; nil if it has
// no JSON form, or one that is too large for them.
func (r *Run) reportedResult(result starlark.Value) json.RawMessage {
	data, err := ToJSON(result)
	if err != nil || len(data) > r.config.Limits.Value {
		return nil
	}
	return data
}

// With calls f on the run's own thread, for what is to be asked of its scripts.
func (r *Run) With(f func(*starlark.Thread) error) error { return r.guarded(r.mainState(), f) }

// Report is what the run did.
func (r *Run) Report() *report.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Run()
}

// Went tells whether the run has begun, or gone on: what it was to do was not refused before.
func (r *Run) Went() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.went
}

// Events is how many there were so far, those of earlier processes included.
func (r *Run) Events() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}

// Source is the text of a script by the name that positions carry, nil if the run
// hasn't loaded it.
func (r *Run) Source(file string) []byte { return r.loader.source(file) }
