// Package diag turns errors of scripts into what their authors need to see: the
// message once, where in the script with the line and a caret, the calls that led
// there, innermost first and through loads, and a hint if there is one.
package diag

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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

	Recorded *Place `json:"recorded,omitempty"` // where a run's scripts on record have it, of which the script now differs
}

// Place is a position in a script.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`             // from 1
	Column int    `json:"column"`           // in characters, from 1
	Source string `json:"source,omitempty"` // the line's text, if known; of a long line what is around the column

	From int `json:"source_from,omitempty"` // the column at which Source begins, where that isn't 1
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

// Compared is an error about a script that differs from the one on record.
type Compared interface {
	error
	Recorded() *Place
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

// Most is how many problems are told of one error, or of the scripts that are checked: a
// file may have hundreds of thousands.
const Most = 100

// Of is what err has to say: one diagnostic for each problem, at least one. Of more than
// [Most] it is the first ones, and one that says how many there are beside them.
func Of(err error, sources Sources) []Diagnostic {
	t := teller{sources: sources}
	t.tell(err, nil)
	if t.more > 0 {
		t.all = append(t.all, Diagnostic{Message: fmt.Sprintf("%d more errors are not shown", t.more)})
	}
	return t.all
}

// teller collects the diagnostics of an error.
type teller struct {
	sources Sources
	all     []Diagnostic
	more    int // that are left out
}

// full tells whether another diagnostic is one too many, and counts it then.
func (t *teller) full() bool {
	if len(t.all) < Most {
		return false
	}
	t.more++
	return true
}

// tell adds the diagnostics of an error that happened below some calls.
func (t *teller) tell(err error, outer starlark.CallStack) {
	frames, inner := innermost(err)
	frames = slices.Concat(outer, frames)
	if branched, ok := wrapping(inner).(Branched); ok {
		for _, e := range branched.Branches() {
			t.tell(e, frames)
		}
		return
	}
	var ended Ended
	if errors.As(err, &ended) {
		inner = ended.Reason()
	}
	var calls []Call
	if len(t.all) < Most {
		calls = callsOf(frames, t.sources)
	}
	hint := hintOf(err)

	var list resolve.ErrorList
	var syntaxErr syntax.Error
	switch {
	case errors.As(inner, &list):
		for _, e := range list {
			t.at(e.Msg, e.Pos, calls, hint)
		}
	case errors.As(inner, &syntaxErr):
		t.at(syntaxErr.Msg, syntaxErr.Pos, calls, hint)
	default:
		for _, e := range parts(inner) {
			if !t.full() {
				t.all = append(t.all, one(e, calls, cmp.Or(hintOf(e), hint), t.sources))
			}
		}
	}
}

func (t *teller) at(message string, pos syntax.Position, calls []Call, hint string) {
	if t.full() {
		return
	}
	place := placeOf(pos, t.sources)
	t.all = append(t.all, Diagnostic{Message: message, Place: &place, Calls: calls, Hint: hint})
}

// one is the diagnostic of an error that is about the failing call, or about the
// positions that it carries.
func one(err error, calls []Call, hint string, sources Sources) Diagnostic {
	d := Diagnostic{Message: strings.TrimPrefix(err.Error(), Cancelled), Hint: hint}
	if compared, ok := errors.AsType[Compared](err); ok {
		d.Recorded = compared.Recorded()
	}
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
	return place(pos.Filename(), int(pos.Line), int(pos.Col), sources)
}

func place(file string, line, column int, sources Sources) Place {
	p := Place{File: file, Line: line, Column: column}
	if text := sources(p.File); text != nil {
		p.Source, p.From = around(lineOf(text, p.Line), p.Column)
	}
	return p
}

// ParsePlace is the place of a text "file:line:column"; not ok if it has another form.
func ParsePlace(at string, sources Sources) (p Place, ok bool) {
	before, last, _ := cutLast(at)
	file, middle, _ := cutLast(before)
	column, columnErr := strconv.Atoi(last)
	line, lineErr := strconv.Atoi(middle)
	if file == "" || columnErr != nil || lineErr != nil {
		return Place{}, false
	}
	return place(file, line, column, sources), true
}

func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}

// lineOf is a line of a text, counted from 1, without its end; nil if there is none. Line
// ends are those of all systems, as Starlark has it. It shares the memory of the text.
func lineOf(text []byte, number int) []byte {
	for ; number >= 1; number-- {
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			end = len(text)
		}
		switch {
		case number == 1:
			return text[:end]
		case end == len(text):
			return nil
		case bytes.HasPrefix(text[end:], []byte("\r\n")):
			end++
		}
		text = text[end+1:]
	}
	return nil
}

const (
	longLine  = 1 << 10       // bytes from which on a line is cut
	keepsSide = shownSide + 1 // characters of it that are kept on each side: so many that it shows where it was cut
)

// around is the text of a line, as memory of its own, and the column at which it begins, 0
// for the first one. Of a long line it is what is around a column.
func around(line []byte, column int) (text string, from int) {
	if len(line) <= longLine {
		return string(line), 0
	}
	first := max(column-keepsSide, 1)
	start := 0
	for range first - 1 {
		_, size := utf8.DecodeRune(line[start:])
		start += size
	}
	end := start
	for range column - first + keepsSide {
		_, size := utf8.DecodeRune(line[end:])
		end += size
	}
	if first == 1 {
		first = 0
	}
	return string(line[start:end]), first
}

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
