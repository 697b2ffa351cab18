package table

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/nearest"
)

// Call is one call of a builtin, with its arguments checked against the
// declaration. The methods that return an argument panic if the declaration has
// no such parameter, or one of another type.
type Call struct {
	Thread   *starlark.Thread
	Builtin  *Builtin
	Receiver starlark.Value    // of a method
	values   []starlark.Value  // one per parameter; nil: not given
	few      [6]starlark.Value // the values, where they are not more
	keywords []starlark.Tuple  // what a Keywords parameter takes: pairs of name and value
}

// bind matches the arguments of a call with the builtin's parameters.
func (c *Call) bind(args starlark.Tuple, kwargs []starlark.Tuple) error {
	params := c.Builtin.Params
	if c.values = c.few[:0]; len(params) > len(c.few) {
		c.values = make([]starlark.Value, 0, len(params))
	}
	c.values = c.values[:len(params)]
	if err := c.bindPositional(args); err != nil {
		return err
	}
	for _, kv := range kwargs {
		name := string(kv[0].(starlark.String))
		i := c.index(name)
		if j := c.keywordsIndex(); j >= 0 && (i < 0 || i == j) {
			if err := c.check(j, name, kv[1]); err != nil {
				return err
			}
			if slices.ContainsFunc(c.keywords, func(other starlark.Tuple) bool { return other[0] == kv[0] }) {
				return fmt.Errorf("%s: %q is given twice", c.Builtin.Name, name)
			}
			c.keywords = append(c.keywords, kv)
			continue
		}
		if i >= 0 && params[i].Rest {
			return fmt.Errorf("%s takes %q without a name", c.Builtin.Name, name)
		}
		if i < 0 {
			return fmt.Errorf("%s has no parameter %q%s", c.Builtin.Name, name, nearest.Suggest(name, c.names()))
		}
		if c.values[i] != nil {
			return fmt.Errorf("%s: %q is given twice", c.Builtin.Name, name)
		}
		if err := c.set(i, kv[1]); err != nil {
			return err
		}
	}
	for i := range params {
		if c.values[i] != nil {
			continue
		}
		switch p := &params[i]; {
		case p.Keywords:
		case p.Rest:
			c.values[i] = starlark.Tuple(nil)
		case !p.Optional:
			return fmt.Errorf("%s wants %q (%s): %s", c.Builtin.Name, p.Name, p.Type.Name, p.Help)
		case p.Default != nil:
			c.values[i] = p.Default
		}
	}
	return nil
}

func (c *Call) bindPositional(args starlark.Tuple) error {
	params := c.Builtin.Params
	for i, arg := range args {
		if i < len(params) && params[i].Rest {
			for _, v := range args[i:] {
				if err := c.check(i, c.Builtin.Params[i].Name, v); err != nil {
					return err
				}
			}
			c.values[i] = args[i:]
			return nil
		}
		if i == len(params) || params[i].Named || params[i].Keywords {
			if len(params) == 0 {
				return fmt.Errorf("%s takes no arguments, got %s", c.Builtin.Name, Describe(arg))
			}
			if i == 0 {
				return fmt.Errorf("%s takes its arguments by name, got %s", c.Builtin.Name, Describe(arg))
			}
			return fmt.Errorf("%s takes at most %d argument(s) without a name, got %d", c.Builtin.Name, i, len(args))
		}
		if err := c.set(i, arg); err != nil {
			return err
		}
	}
	return nil
}

// set gives parameter i a value. None stands for "not given" where a parameter is
// optional, has no default, and doesn't take every value.
func (c *Call) set(i int, v starlark.Value) error {
	p := &c.Builtin.Params[i]
	if v == starlark.None && p.Optional && p.Default == nil && !p.Type.Accepts(v) {
		return nil
	}
	if err := c.check(i, p.Name, v); err != nil {
		return err
	}
	c.values[i] = v
	return nil
}

func (c *Call) check(i int, name string, v starlark.Value) error {
	p := &c.Builtin.Params[i]
	if p.Type.Accepts(v) {
		return nil
	}
	if err := laterIn(v); err != nil {
		return fmt.Errorf("%s: %q: %w", c.Builtin.Name, name, err)
	}
	return fmt.Errorf("%s: %q wants %s, got %s", c.Builtin.Name, name, p.Type.Name, Describe(v))
}

// Later is a value that only a real run can know, of whatever type it will be then. Where it
// is no argument that a dry run can go on with, the call fails with why.
type Later interface{ Later() error }

// laterIn is why a value can't be known, or an element of a list; nil if all can.
func laterIn(v starlark.Value) error {
	if later, ok := v.(Later); ok {
		return later.Later()
	}
	switch v.(type) {
	case *starlark.List, starlark.Tuple:
		for e := range starlark.Elements(v.(starlark.Iterable)) {
			if later, ok := e.(Later); ok {
				return later.Later()
			}
		}
	}
	return nil
}

// keywordsIndex is the parameter that takes names of the caller's choice, or -1.
func (c *Call) keywordsIndex() int {
	if last := len(c.Builtin.Params) - 1; last >= 0 && c.Builtin.Params[last].Keywords {
		return last
	}
	return -1
}

func (c *Call) index(name string) int {
	for i := range c.Builtin.Params {
		if c.Builtin.Params[i].Name == name {
			return i
		}
	}
	return -1
}

// names is what arguments can be named.
func (c *Call) names() []string {
	var names []string
	for _, p := range c.Builtin.Params {
		if !p.Rest && !p.Keywords {
			names = append(names, p.Name)
		}
	}
	return names
}

// Value is an argument as it was given; nil if it wasn't and has no default.
func (c *Call) Value(name string) starlark.Value {
	i := c.index(name)
	if i < 0 {
		panic(c.Builtin.Name + " declares no parameter " + name)
	}
	return c.values[i]
}

// Has tells whether an argument was given or has a default.
func (c *Call) Has(name string) bool { return c.Value(name) != nil }

// String is a String argument, "" if it wasn't given.
func (c *Call) String(name string) string {
	s, _ := starlark.AsString(c.orNone(name))
	return s
}

// Bool is a Bool argument, false if it wasn't given.
func (c *Call) Bool(name string) bool {
	b, _ := c.orNone(name).(starlark.Bool)
	return bool(b)
}

// Int is an Int argument, 0 if it wasn't given.
func (c *Call) Int(name string) int {
	n, _ := starlark.AsInt32(c.orNone(name))
	return n
}

// Duration is a Duration argument, 0 if it wasn't given.
func (c *Call) Duration(name string) time.Duration {
	d, _ := asDuration(c.orNone(name))
	return d
}

// Callable is a Function argument, nil if it wasn't given.
func (c *Call) Callable(name string) starlark.Callable {
	f, _ := c.orNone(name).(starlark.Callable)
	return f
}

// List is the elements of a sequence, of any List type.
func (c *Call) List(name string) []starlark.Value {
	seq, _ := c.orNone(name).(starlark.Iterable)
	if seq == nil {
		return nil
	}
	var all []starlark.Value
	for v := range starlark.Elements(seq) {
		all = append(all, v)
	}
	return all
}

// Strings is the elements of a Strings argument.
func (c *Call) Strings(name string) []string {
	var all []string
	for _, v := range c.List(name) {
		s, _ := starlark.AsString(v)
		all = append(all, s)
	}
	return all
}

// Ints is the elements of an Ints argument.
func (c *Call) Ints(name string) []int {
	var all []int
	for _, v := range c.List(name) {
		n, _ := starlark.AsInt32(v)
		all = append(all, n)
	}
	return all
}

// Dict is a Dict argument, nil if it wasn't given.
func (c *Call) Dict(name string) starlark.IterableMapping {
	d, _ := c.orNone(name).(starlark.IterableMapping)
	return d
}

// Rest is the remaining positional arguments.
func (c *Call) Rest(name string) starlark.Tuple { return c.Value(name).(starlark.Tuple) }

// Unknown is the error of the first argument that only a real run can know, nil if there is
// none.
func (c *Call) Unknown() error {
	for i, v := range c.values {
		all := []starlark.Value{v}
		if rest, ok := v.(starlark.Tuple); ok && c.Builtin.Params[i].Rest {
			all = rest
		}
		for _, v := range all {
			if later, ok := v.(Later); ok {
				return later.Later()
			}
		}
	}
	return nil
}

// Keywords is the pairs of name and value that a Keywords parameter took, in order.
func (c *Call) Keywords() []starlark.Tuple { return c.keywords }

func (c *Call) orNone(name string) starlark.Value {
	if v := c.Value(name); v != nil {
		return v
	}
	return starlark.None
}

// Describe says what a value is, for a message: `the string "yes"`, "a dict".
func Describe(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.NoneType:
		return "None"
	case starlark.String:
		return "the string " + shorten(v.String())
	case starlark.Int, starlark.Float:
		return "the " + v.Type() + " " + shorten(v.String())
	case starlark.Bool:
		return v.String()
	case starlark.Callable:
		return v.Type() + " " + v.Name()
	case *starlark.List, starlark.Tuple, *starlark.Dict, *starlark.Set:
		return article(v.Type()) + " " + v.Type() + ": " + shorten(v.String())
	}
	return article(v.Type()) + " " + v.Type()
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an"
	}
	return "a"
}

func shorten(s string) string {
	const most = 60
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}
