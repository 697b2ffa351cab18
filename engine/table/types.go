package table

import (
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Type is what a parameter accepts.
type Type struct {
	Name    string // for messages and the reference: "string", "list of ints"
	Accepts func(starlark.Value) bool
	Called  []int // of a function, with how many arguments it is called; empty if that isn't said
}

// String accepts a string.
func String() Type { return of[starlark.String]("a string") }

// Bool accepts True and False.
func Bool() Type { return of[starlark.Bool]("a bool") }

// Int accepts a whole number that fits 32 bits.
func Int() Type {
	return Type{Name: "an int", Accepts: func(v starlark.Value) bool {
		if _, ok := v.(starlark.Int); !ok {
			return false
		}
		_, err := starlark.AsInt32(v)
		return err == nil
	}}
}

// Duration accepts a string such as "200ms" or "1m30s", or a time.duration.
func Duration() Type {
	return Type{Name: `a duration such as "200ms"`, Accepts: func(v starlark.Value) bool {
		_, ok := asDuration(v)
		return ok
	}}
}

// Function accepts anything that can be called. With how many arguments it is called can
// be said, for those who check scripts.
func Function(arguments ...int) Type {
	t := of[starlark.Callable]("a function")
	t.Called = arguments
	return t
}

// Dict accepts a dict.
func Dict() Type { return of[starlark.IterableMapping]("a dict") }

// Struct accepts a struct.
func Struct() Type { return of[*starlarkstruct.Struct]("a struct") }

// Any accepts every value.
func Any() Type { return Type{Name: "a value", Accepts: func(starlark.Value) bool { return true }} }

// List accepts a list or tuple of any values.
func List() Type { return listOf("a list", Any()) }

// Strings accepts a list or tuple of strings.
func Strings() Type { return listOf("a list of strings", String()) }

// Ints accepts a list or tuple of ints.
func Ints() Type { return listOf("a list of ints", Int()) }

// OneOf accepts what one of two types accepts.
func OneOf(a, b Type) Type {
	return Type{Name: a.Name + " or " + b.Name, Accepts: func(v starlark.Value) bool { return a.Accepts(v) || b.Accepts(v) }}
}

// Of accepts the values of a Go type, for types that a binary brings.
func Of[T starlark.Value](name string) Type { return of[T](name) }

// ListOf accepts a list or tuple whose elements are all of a type.
func ListOf(name string, element Type) Type { return listOf(name, element) }

func of[T any](name string) Type {
	return Type{Name: name, Accepts: func(v starlark.Value) bool {
		_, ok := v.(T)
		return ok
	}}
}

func listOf(name string, element Type) Type {
	return Type{Name: name, Accepts: func(v starlark.Value) bool {
		switch v.(type) {
		case *starlark.List, starlark.Tuple:
		default:
			return false
		}
		for e := range starlark.Elements(v.(starlark.Iterable)) {
			if !element.Accepts(e) {
				return false
			}
		}
		return true
	}}
}

func asDuration(v starlark.Value) (time.Duration, bool) {
	switch v := v.(type) {
	case starlark.String:
		d, err := time.ParseDuration(string(v))
		return d, err == nil && d >= 0
	case startime.Duration:
		return time.Duration(v), v >= 0
	}
	return 0, false
}
