// Package format formats scripts as buildifier does, with its own library, and is safe on
// any file. That library takes a time that grows with the square of how deep a script is
// nested, may panic, and may give back another program than it was given. So a script
// that is nested too deep is refused before, and what comes out is held against what
// went in: it is the same program with the same comments, or an error.
package format

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/bazelbuild/buildtools/build"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine"
)

// longest is the most time that the formatting of one script takes. No file that is
// known takes half of it.
const longest = 20 * time.Second

// Script gives a script in buildifier's default style for its kind of file, which the
// ending of its path tells. An error is an [engine.Error] about the script, or the cause
// with which ctx ended.
func Script(ctx context.Context, path string, text []byte) ([]byte, error) {
	limited, cancel := context.WithTimeoutCause(ctx, longest, tooLong(path))
	defer cancel()
	type outcome struct {
		text []byte
		err  error
	}
	done := make(chan outcome, 1)
	go func() { // the library can't be told to stop
		text, err := script(path, text)
		done <- outcome{text, err}
	}()
	select {
	case o := <-done:
		return o.text, o.err
	case <-limited.Done():
		return nil, context.Cause(limited)
	}
}

func script(path string, text []byte) ([]byte, error) {
	before, err := parse(path, text) // the library takes what kinfra doesn't
	if err != nil {
		return nil, err
	}
	if err := checkDepth(before); err != nil {
		return nil, err
	}
	out, err := formatted(path, text)
	if err != nil {
		return nil, err
	}
	after, err := parse(path, out)
	if err != nil {
		return nil, damages(path, syntax.Position{}, "what comes out doesn't parse")
	}
	return out, checkSame(path, before, after)
}

func parse(path string, text []byte) (*syntax.File, error) {
	return engine.Dialect().Parse(path, text, syntax.RetainComments)
}

// formatted is what the library makes of a script.
func formatted(path string, text []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damages(path, syntax.Position{}, fmt.Sprintf("it ends with %q", fmt.Sprint(p)))
		}
	}()
	parse := build.ParseDefault
	if filepath.Ext(path) == ".bzl" {
		parse = build.ParseBzl
	}
	tree, err := parse(path, slices.Clip(text)) // it appends a newline
	if err != nil {
		return nil, parseError(path, err)
	}
	return build.Format(tree), nil
}

// parseError is an error of the library's parser as one of a script.
func parseError(path string, err error) error {
	var e build.ParseError
	if !errors.As(err, &e) {
		return &engine.Error{Code: engine.Usage, Message: err.Error(), Err: err}
	}
	at := syntax.MakePosition(&path, int32(e.Pos.Line), int32(e.Pos.LineRune))
	return &engine.Error{Code: engine.Usage, Message: e.Message, At: []syntax.Position{at}}
}

// damages is the error of a script that the library can't format, and why not.
func damages(path string, at syntax.Position, why string) error {
	e := &engine.Error{
		Code: engine.Usage, Message: "the formatter has a fault: " + why,
		Next: "the file stays as it is; what buildifier doesn't know can often be written in another way",
	}
	if !at.IsValid() {
		at = syntax.MakePosition(&path, 1, 1)
	}
	e.At = []syntax.Position{at}
	return e
}

func tooLong(path string) error {
	return &engine.Error{
		Code: engine.Usage, Message: fmt.Sprintf("formatting it takes longer than %s", longest),
		At: []syntax.Position{syntax.MakePosition(&path, 1, 1)}, Next: "the file stays as it is: shorter expressions, or several files, are formatted sooner",
	}
}
