// Package diag turns errors of scripts into what their authors need to see: the
// message once, where in the script with the line and a caret, the calls that led
// there, innermost first and through loads, and a hint if there is one.
package diag

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Diagnostic is one problem.
type Diagnostic struct {
	Message string  `json:"message"`
	Place   *Place  `json:"position,omitempty"` // where in a script; nil if nowhere
	Also    []Place `json:"also,omitempty"`     // other places that the message is about
	Calls   []Call  `json:"calls,omitempty"`    // the calls that led there, innermost first
	Hint    string  `json:"hint,omitempty"`
}

// Place is a position in a script.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`             // from 1
	Column int    `json:"column"`           // in characters, from 1
	Source string `json:"source,omitempty"` // the line's text, if known
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Call is a call on the way to a problem.
type Call struct {
	Place    Place  `json:"position"`
	Function string `json:"function,omitempty"` // "" at the top level of a file
}

// Sources gives the text of a script by the name that positions carry; nil if it
// isn't known.
type Sources func(file string) []byte

// Positioned is an error about places in scripts other than the call that failed,
// such as the rules that contradict each other. The first place is the main one.
type Positioned interface {
	error
	Positions() []syntax.Position
}

// Ended is the error of a script that was ended from outside, by a time-out say: where
// is that of the error which it wraps, what happened is the reason.
type Ended interface {
	error
	Reason() error
}

// Branched is the error of calls that were made side by side, each with a backtrace of
// its own.
type Branched interface {
	error
	Branches() []error
}

// Of is what err has to say: one diagnostic for each problem, at least one.
func Of(err error, sources Sources) []Diagnostic { return of(err, nil, sources) }

// of is Of for an error that happened below some calls.
func of(err error, outer starlark.CallStack, sources Sources) []Diagnostic {
	frames, inner := innermost(err)
	frames = slices.Concat(outer, frames)
	if branched, ok := wrapping(inner).(Branched); ok {
		var all []Diagnostic
		for _, e := range branched.Branches() {
			all = append(all, of(e, frames, sources)...)
		}
		return all
	}
	var ended Ended
	if errors.As(err, &ended) {
		inner = ended.Reason()
	}
	calls := callsOf(frames, sources)
	hint := hintOf(err)
	var all []Diagnostic

	var list resolve.ErrorList
	var syntaxErr syntax.Error
	switch {
	case errors.As(inner, &list):
		for _, e := range list {
			all = append(all, at(e.Msg, e.Pos, calls, hint, sources))
		}
	case errors.As(inner, &syntaxErr):
		all = append(all, at(syntaxErr.Msg, syntaxErr.Pos, calls, hint, sources))
	default:
		for _, e := range parts(inner) {
			all = append(all, one(e, calls, cmp.Or(hintOf(e), hint), sources))
		}
	}
	return all
}

func at(message string, pos syntax.Position, calls []Call, hint string, sources Sources) Diagnostic {
	place := placeOf(pos, sources)
	return Diagnostic{Message: message, Place: &place, Calls: calls, Hint: hint}
}

// one is the diagnostic of an error that is about the failing call, or about the
// positions that it carries.
func one(err error, calls []Call, hint string, sources Sources) Diagnostic {
	d := Diagnostic{Message: strings.TrimPrefix(err.Error(), Cancelled), Hint: hint}
	var positioned Positioned
	if errors.As(err, &positioned) && len(positioned.Positions()) > 0 {
		for i, pos := range positioned.Positions() {
			place := placeOf(pos, sources)
			if i == 0 {
				d.Place = &place
			} else {
				d.Also = append(d.Also, place)
			}
		}
		d.Calls = calls
	} else if len(calls) > 0 {
		d.Place, d.Calls = &calls[0].Place, calls[1:]
	}
	return d
}

// Cancelled begins the message of a script that was ended from outside; why follows.
const Cancelled = "Starlark computation cancelled: "

// innermost finds the script error that happened first, and the calls around it:
// each load and each call back into a script wraps the error once more. It goes no
// further than to where calls were made side by side.
func innermost(err error) (starlark.CallStack, error) {
	var frames starlark.CallStack
	cause := err
	for {
		e, ok := wrapping(cause).(*starlark.EvalError)
		if !ok {
			return frames, cause
		}
		frames = e.CallStack
		if e.Unwrap() == nil {
			return frames, errors.New(e.Msg)
		}
		cause = e.Unwrap()
	}
}

// wrapping is the outermost script error, or error of several branches, in err.
func wrapping(err error) error {
	switch err.(type) {
	case *starlark.EvalError, Branched:
		return err
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return wrapping(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if found := wrapping(part); found != nil {
				return found
			}
		}
	}
	return nil
}

// parts splits a joined error, whose parts are problems of their own.
func parts(err error) []error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if joined, ok := e.(interface{ Unwrap() []error }); ok {
			if all := joined.Unwrap(); e.Error() == join(all) {
				return all
			}
		}
	}
	return []error{err}
}

func join(all []error) string { return errors.Join(all...).Error() }

func callsOf(stack starlark.CallStack, sources Sources) []Call {
	var calls []Call
	for i := range stack {
		frame := stack.At(i)
		if !frame.Pos.IsValid() || frame.Pos.Filename() == "<builtin>" {
			continue
		}
		name := frame.Name
		if name == "<toplevel>" {
			name = ""
		}
		calls = append(calls, Call{placeOf(frame.Pos, sources), name})
	}
	return calls
}

func placeOf(pos syntax.Position, sources Sources) Place {
	p := Place{File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)}
	if text := sources(p.File); text != nil {
		lines := strings.SplitN(lineEnds.Replace(string(text)), "\n", p.Line+1)
		if p.Line >= 1 && p.Line <= len(lines) {
			p.Source = lines[p.Line-1]
		}
	}
	return p
}

// lineEnds makes those of other systems newlines, as Starlark does.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// hintOf is the outermost hint of an error. Those without one have an empty text.
func hintOf(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
		return h.Hint()
	}
	switch wrapping := err.(type) {
	case interface{ Unwrap() error }:
		return hintOf(wrapping.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range wrapping.Unwrap() {
			if h := hintOf(e); h != "" {
				return h
			}
		}
	}
	return ""
}
