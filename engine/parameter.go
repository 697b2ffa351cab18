package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/spf13/pflag"

	"github.com/ktrdr/kinfra/engine/nearest"
)

// kind is the type of a flag's or an argument's value.
type kind string

const (
	boolKind     kind = "bool"
	intKind      kind = "int"
	stringKind   kind = "string"
	durationKind kind = "duration"
	intsKind     kind = "ints"
	stringsKind  kind = "strings"
	restKind     kind = "rest"
)

// Parameter is a flag or an argument of a workflow. It is the value of a flag.… or
// arg.… call, too.
type Parameter struct {
	Name     string // as it is typed: "least-profile"
	Short    string // a flag's one letter, or ""
	Help     string
	Choices  []string // the values that it takes; none: any
	Optional bool     // an argument that may be left out

	kind     kind
	argument bool
	standard starlark.Value // its value when it is not given
}

func (p *Parameter) String() string        { return "<" + p.Type() + " " + string(p.kind) + ">" }
func (p *Parameter) Freeze()               {}
func (p *Parameter) Truth() starlark.Bool  { return true }
func (p *Parameter) Hash() (uint32, error) { return 0, errors.New("unhashable: " + p.Type()) }

// Type is what scripts see as its type.
func (p *Parameter) Type() string {
	if p.argument {
		return "arg"
	}
	return "flag"
}

func (p *Parameter) named(name string) *Parameter {
	q := *p
	q.Name = name
	return &q
}

// attr is the parameter's name in the struct that the workflow gets.
func (p *Parameter) attr() string { return strings.ReplaceAll(p.Name, "-", "_") }

// Rest tells whether the argument takes all that is left of the command line, flags
// included.
func (p *Parameter) Rest() bool { return p.kind == restKind }

// Number tells whether the argument is a whole number.
func (p *Parameter) Number() bool { return p.kind == intKind }

// AddFlags declares the workflow's flags.
func (w *Workflow) AddFlags(flags *pflag.FlagSet) {
	for _, p := range w.Flags {
		v := &flagValue{parameter: p}
		f := flags.VarPF(v, p.Name, p.Short, p.help())
		if p.kind == boolKind {
			f.NoOptDefVal = "true"
		}
	}
	for _, p := range w.Args {
		if p.Rest() {
			flags.SetInterspersed(false)
		}
	}
}

func (p *Parameter) help() string {
	if len(p.Choices) > 0 {
		return fmt.Sprintf("%s (%s)", p.Help, strings.Join(p.Choices, ", "))
	}
	return p.Help
}

// flagValue collects what the command line gives for a flag.
type flagValue struct {
	parameter *Parameter
	value     starlark.Value // nil: not given
	texts     []string       // as they were given
}

func (v *flagValue) Type() string { return string(v.parameter.kind) }

// String is the default, for the help; empty where it goes without saying.
func (v *flagValue) String() string {
	if v.parameter == nil || v.parameter.standard == nil || !bool(v.parameter.standard.Truth()) {
		return ""
	}
	if s, ok := starlark.AsString(v.parameter.standard); ok {
		return s
	}
	return v.parameter.standard.String()
}

func (v *flagValue) Set(text string) error {
	v.texts = append(v.texts, text)
	switch v.parameter.kind {
	case intsKind, stringsKind:
		var all []starlark.Value
		if old, ok := v.value.(*starlark.List); ok {
			all = slices.Collect(starlark.Elements(old))
		}
		for part := range strings.SplitSeq(text, ",") {
			one, err := v.parameter.parse(part)
			if err != nil {
				return err
			}
			all = append(all, one)
		}
		v.value = starlark.NewList(all)
		return nil
	}
	one, err := v.parameter.parse(text)
	v.value = one
	return err
}

// parse reads one value.
func (p *Parameter) parse(text string) (starlark.Value, error) {
	if len(p.Choices) > 0 && !slices.Contains(p.Choices, text) {
		return nil, fmt.Errorf("want one of %s%s", strings.Join(p.Choices, ", "), nearest.Suggest(text, p.Choices))
	}
	switch p.kind {
	case boolKind:
		switch text {
		case "true":
			return starlark.True, nil
		case "false":
			return starlark.False, nil
		}
		return nil, errors.New("want true or false")
	case intKind, intsKind:
		v, err := parseInt(text)
		if err != nil {
			return nil, errors.New("want a whole number")
		}
		return v, nil
	case durationKind:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return nil, errors.New(`want a duration such as "90s" or "1h30m"`)
		}
		return startime.Duration(d), nil
	}
	return starlark.String(text), nil
}

// CommandLine is flags and words in a form that gives the same again, whatever was said
// between them, for the record of a run.
func (w *Workflow) CommandLine(flags *pflag.FlagSet, words []string) []string {
	var line []string
	for _, p := range w.Flags {
		if f := flags.Lookup(p.Name); f != nil && f.Changed {
			for _, text := range f.Value.(*flagValue).texts {
				line = append(line, "--"+p.Name+"="+text)
			}
		}
	}
	if len(words) > 0 {
		line = append(append(line, "--"), words...)
	}
	return line
}

// Arguments turns a parsed command line into what the workflow's run gets: a struct
// of all its flags and arguments.
func (w *Workflow) Arguments(flags *pflag.FlagSet, words []string) (starlark.Value, error) {
	fields := starlark.StringDict{}
	for _, p := range w.Flags {
		fields[p.attr()] = p.standard
		if f := flags.Lookup(p.Name); f != nil && f.Changed {
			fields[p.attr()] = f.Value.(*flagValue).value
		}
	}
	for _, p := range w.Args {
		value, left, err := p.take(words)
		if err != nil {
			return nil, err
		}
		fields[p.attr()], words = value, left
	}
	if len(words) > 0 {
		return nil, UsageError("", "%s: unexpected argument %q", w.Command, words[0])
	}
	args := starlarkstruct.FromStringDict(starlarkstruct.Default, fields)
	args.Freeze()
	return args, nil
}

// take reads an argument from the front of the words.
func (p *Parameter) take(words []string) (v starlark.Value, left []string, err error) {
	switch {
	case p.kind == restKind:
		all := make([]starlark.Value, len(words))
		for i, w := range words {
			all[i] = starlark.String(w)
		}
		return starlark.NewList(all), nil, nil
	case len(words) == 0 && p.Optional:
		return p.standard, nil, nil
	case len(words) == 0:
		return nil, nil, UsageError("", "the argument %s is missing: %s", strings.ToUpper(p.Name), p.Help)
	}
	v, err = p.parse(words[0])
	if err != nil {
		return nil, nil, UsageError("", "the argument %s is %q: %s", strings.ToUpper(p.Name), words[0], err)
	}
	return v, words[1:], nil
}
