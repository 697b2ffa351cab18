package engine

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
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
	Error   *errorObject    `json:"error,omitempty"`
}

// errorObject is an error as programs read it.
type errorObject struct {
	Message  string       `json:"message"`
	Code     string       `json:"code"`
	Exit     int          `json:"exit"`
	Position *diag.Place  `json:"position,omitempty"`
	Also     []diag.Place `json:"also,omitempty"`
	Hint     string       `json:"hint,omitempty"`
	More     []moreError  `json:"more,omitempty"`
}

// moreError is another of several errors, such as a second name that isn't defined.
type moreError struct {
	Message  string       `json:"message"`
	Position *diag.Place  `json:"position,omitempty"`
	Also     []diag.Place `json:"also,omitempty"`
}

func newErrorObject(err error, code Code, sources diag.Sources) *errorObject {
	all := diag.Of(err, sources)
	d := all[0]
	o := &errorObject{Message: d.Message, Code: code.String(), Exit: int(code), Position: d.Place, Also: d.Also, Hint: d.Hint}
	for _, d := range all[1:] {
		o.More = append(o.More, moreError{d.Message, d.Place, d.Also})
	}
	return o
}

// ErrorJSON is an error as --output json prints it where no workflow has run.
func ErrorJSON(err error, code Code, sources diag.Sources) []byte {
	return encode(object{Version: outputVersion, Error: newErrorObject(err, code, sources)})
}

// ResultJSON is a result as --output json prints it for commands that aren't
// scripts.
func ResultJSON(command string, result any) ([]byte, error) {
	return OutcomeJSON(command, result, nil, OK, nil)
}

// OutcomeJSON is ResultJSON of a command that may have failed all the same, with err.
func OutcomeJSON(command string, result any, err error, code Code, sources diag.Sources) ([]byte, error) {
	data, encodeErr := plainJSON(result)
	if encodeErr != nil {
		return nil, fmt.Errorf("the result of %s can't be printed as JSON: %w", command, encodeErr)
	}
	o := object{Version: outputVersion, Command: command, Result: data}
	if err != nil {
		o.Error = newErrorObject(err, code, sources)
	}
	return encode(o), nil
}

// ErrorEvent is an error as --output events prints it where no workflow has run.
func ErrorEvent(err error, code Code, sources diag.Sources) []byte {
	exit := int(code)
	return encodeEvent(&event.Event{Seq: 1, Type: event.RunEnded, Status: event.Failed, Exit: &exit, Problems: diag.Of(err, sources)})
}

// ResultEvent is a result as --output events prints it for commands that aren't scripts.
func ResultEvent(command string, result any) ([]byte, error) {
	data, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("the result of %s can't be printed as JSON: %w", command, err)
	}
	return encodeEvent(&event.Event{Seq: 1, Type: event.RunEnded, Status: event.Passed, Exit: new(int), Result: data}), nil
}

func encodeEvent(e *event.Event) []byte {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // all fields are of types that have a JSON form
	}
	return append(line, '\n')
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
	return out.Bytes()
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
	o := object{Version: outputVersion, Command: r.command, DryRun: r.config.World.Planned(), Result: data}
	if err != nil {
		o.Error = newErrorObject(err, r.config.CodeOf(err), r.Source)
	}
	r.config.Output.Stdout.Write(encode(o)) // what keeps it from being written, its writer knows
	return err
}
