package engine

import (
	"fmt"

	"go.starlark.net/starlark"
)

// mostElements is how many elements a function of the language takes at once. Nothing can
// interrupt such a call, and a range has any number of elements: with more, a mistake
// would be out of reach of the limits of a run, or end in the middle of the interpreter.
// A for loop over a range has no such limit, since it counts as execution.
const mostElements = 10_000_000

func init() {
	for _, name := range []string{
		"all", "any", "bytes", "dict", "enumerate", "list", "max", "min", "reversed", "set", "sorted", "tuple", "zip",
	} {
		starlark.Universe[name] = limited(starlark.Universe[name].(*starlark.Builtin))
	}
}

// limited is a function of the language that takes no more than mostElements at once.
func limited(b *starlark.Builtin) *starlark.Builtin {
	return starlark.NewBuiltin(b.Name(), func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := checkElements(b.Name(), args, kwargs); err != nil {
			return nil, err
		}
		return b.CallInternal(t, args, kwargs)
	})
}

// checkElements refuses arguments with too many elements.
func checkElements(function string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	for _, v := range args {
		if err := checkLength(function, v); err != nil {
			return err
		}
	}
	for _, pair := range kwargs {
		if err := checkLength(function, pair[1]); err != nil {
			return err
		}
	}
	return nil
}

func checkLength(function string, v starlark.Value) error {
	if s, ok := v.(starlark.Sequence); ok && s.Len() > mostElements {
		return fmt.Errorf("%s: %s has %d elements, want at most %d at once; a for loop can go through more", function, named(v), s.Len(), mostElements)
	}
	return nil
}

// named is a sequence as an error names it: a range is short, others are not.
func named(v starlark.Value) string {
	if v.Type() == "range" {
		return v.String()
	}
	return "the " + v.Type()
}
