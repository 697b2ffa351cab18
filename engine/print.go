package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/visible"
)

// outputVersion is that of the object that --output json prints. A field more does
// not change it.
const outputVersion = 1

// object is what --output json prints: one object, with the result, the error, or
// both where checks failed.
type object struct {
	Version int             `json:"version"`
	Command string          `json:"command,omitempty"`
	DryRun  bool            `json:"dry_run,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Changes []event.Change  `json:"changes,omitempty"`
	More    int             `json:"more_changes,omitempty"`
	Error   *errorObject    `json:"error,omitempty"`
}

// errorObject is an error as programs read it.
type errorObject struct {
	Message  string       `json:"message"`
	Code     string       `json:"code"`
	Exit     int          `json:"exit"`
	Position *diag.Place  `json:"position,omitempty"`
	Also     []diag.Place `json:"also,omitempty"`
	Recorded *diag.Place  `json:"recorded,omitempty"`
	Hint     string       `json:"hint,omitempty"`
	More     []moreError  `json:"more,omitempty"`
}

// moreError is another of several errors, such as a second name that isn't defined.
type moreError struct {
	Message  string       `json:"message"`
	Position *diag.Place  `json:"position,omitempty"`
	Also     []diag.Place `json:"also,omitempty"`
}

func newErrorObject(all []diag.Diagnostic, code Code) *errorObject {
	d := all[0]
	o := &errorObject{Message: d.Message, Code: code.String(), Exit: int(code), Position: d.Place, Also: d.Also, Recorded: d.Recorded, Hint: d.Hint}
	for _, d := range all[1:] {
		o.More = append(o.More, moreError{d.Message, d.Place, d.Also})
	}
	return o
}

// Outcome is how a command ended that is no script, for programs: with a result, an
// error, or both.
type Outcome struct {
	Command string // its words; "" if it failed before they were known
	DryRun  bool
	Time    time.Time
	Result  any // nil: none
	Err     error
	Code    Code // of Err
	Sources diag.Sources
	Masks   *mask.Set // the values that are masked in Err
	Events  int       // that were printed before
}

// JSON is the outcome as --output json prints it.
func (o Outcome) JSON() ([]byte, error) {
	printed := object{Version: outputVersion, Command: o.Command, DryRun: o.DryRun}
	var err error
	if printed.Result, err = o.result(); err != nil {
		return nil, err
	}
	if o.Err != nil {
		printed.Error = newErrorObject(o.problems(), o.Code)
	}
	return encode(printed), nil
}

// Event is the outcome as --output events prints it: the last event, and mostly the only one.
func (o Outcome) Event() ([]byte, error) {
	exit := int(o.Code)
	e := event.Event{Seq: o.Events + 1, Time: o.Time, Type: event.RunEnded, Status: event.Passed, Exit: &exit}
	var err error
	if e.Result, err = o.result(); err != nil {
		return nil, err
	}
	if o.Err != nil {
		e.Status, e.Problems = event.Failed, o.problems()
	}
	line, err := json.Marshal(&e)
	return append(visible.JSON(line), '\n'), err
}

func (o Outcome) problems() []diag.Diagnostic { return diag.Masked(diag.Of(o.Err, o.Sources), o.Masks) }

// result is the JSON of the result; nil if there is none.
func (o Outcome) result() (json.RawMessage, error) {
	if o.Result == nil && (o.Err != nil || o.Command == "") {
		return nil, nil
	}
	data, err := plainJSON(o.Result)
	if err != nil {
		return nil, fmt.Errorf("the result of %s can't be printed as JSON: %w", o.Command, err)
	}
	return bytes.TrimSuffix(data, []byte("\n")), nil
}

// plainJSON is a value's JSON with "<" and ">" as they are.
func plainJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}

func encode(o object) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(o); err != nil {
		panic(err) // all fields are of types that have a JSON form
	}
	return visible.JSON(out.Bytes())
}

// show calls the workflow's function that prints the result.
func (r *Run) show(main *state, w *Workflow, result starlark.Value) error {
	if w.show == nil || result == starlark.None {
		return nil
	}
	return r.guarded(main, func(t *starlark.Thread) error {
		_, err := starlark.Call(t, w.show, starlark.Tuple{result}, nil)
		return err
	})
}

// printJSON prints the result, nil if there is none, and why the run failed if it did.
// It returns the latter, or why it couldn't print.
func (r *Run) printJSON(result starlark.Value, err error) error {
	var data []byte
	if result != nil {
		var encodeErr error
		if data, encodeErr = ToJSON(result); encodeErr != nil && err == nil {
			err = fmt.Errorf("the result of %s can't be printed as JSON: %w", r.command, encodeErr)
		}
	}
	o := object{Version: outputVersion, Command: r.command, DryRun: r.config.World.Planned(), Result: r.config.Masks.JSON(data)}
	changes, more := r.allChanges()
	o.Changes, o.More = event.MaskedChanges(changes, r.config.Masks), more
	if err != nil {
		o.Error = newErrorObject(r.Problems(err), r.config.CodeOf(err))
	}
	r.config.Output.Stdout.Write(encode(o)) // what keeps it from being written, its writer knows
	return err
}
