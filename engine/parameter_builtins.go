package engine

import (
	"fmt"
	"slices"
	"strconv"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/table"
)

func parseInt(text string) (starlark.Value, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	return starlark.MakeInt64(n), err
}

func flagModule() table.Module {
	common := []table.Param{
		{Name: "help", Type: table.String(), Named: true, Help: "one line for --help"},
		{Name: "short", Type: table.String(), Named: true, Optional: true, Help: "its one-letter form"},
	}
	choices := table.Param{Name: "choices", Type: table.Strings(), Named: true, Optional: true, Help: "the values that it takes; any if left out"}
	return table.Module{
		Name: "flag",
		Doc:  "The flags of a workflow. One that isn't given has its default, which is None (or an empty list, or False) unless it is said.",
		Builtins: []table.Builtin{
			flagBuiltin(boolKind, "Declares a switch: True when it is given.", `flags = {"force": flag.bool(short = "f", help = "Also claimed ones.")}`, starlark.False, common...),
			flagBuiltin(intKind, "Declares a flag that takes a whole number.", `flags = {"retries": flag.int(default = 3, help = "How often to try again.")}`, starlark.None, withDefault(common, table.Int())...),
			flagBuiltin(stringKind, "Declares a flag that takes a text.", `flags = {"form": flag.string(choices = ["text", "csv"], help = "The form.")}`, starlark.None, append(withDefault(common, table.String()), choices)...),
			flagBuiltin(durationKind, "Declares a flag that takes a duration such as 90s or 1h30m.", `flags = {"within": flag.duration(default = "5m", help = "At most so long.")}`, starlark.None, withDefault(common, table.Duration())...),
			flagBuiltin(intsKind, "Declares a flag that takes whole numbers: given several times, or separated by commas.", `flags = {"slot": flag.ints(help = "Only these slots.")}`, nil, common...),
			flagBuiltin(stringsKind, "Declares a flag that takes texts: given several times, or separated by commas.", `flags = {"service": flag.strings(help = "Only these services.")}`, nil, append(common[:2:2], choices)...),
		},
	}
}

func withDefault(params []table.Param, t table.Type) []table.Param {
	return append(params[:len(params):len(params)],
		table.Param{Name: "default", Type: t, Named: true, Optional: true, Help: "its value when it isn't given"})
}

func flagBuiltin(k kind, doc, example string, standard starlark.Value, params ...table.Param) table.Builtin {
	return table.Builtin{
		Name: "flag." + string(k), Declares: true, Doc: doc, Params: params, Result: "a flag, for `workflow(flags = …)`", Example: example,
		Errors: "A short form that isn't one letter.",
		Run: func(c *table.Call) (starlark.Value, error) {
			return newParameter(c, k, standard)
		},
	}
}

func argModule() table.Module {
	name := table.Param{Name: "name", Type: table.String(), Help: "its name, in the help and in the struct that run gets"}
	help := table.Param{Name: "help", Type: table.String(), Named: true, Optional: true, Default: starlark.String(""), Help: "one line for --help"}
	optional := table.Param{Name: "optional", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "it may be left out; it is then None"}
	return table.Module{
		Name: "arg",
		Doc:  "The arguments of a workflow, in order.",
		Builtins: []table.Builtin{
			argBuiltin(intKind, "Declares an argument that is a whole number.", `args = [arg.int("slot", optional = True, help = "The slot's number.")]`, name, help, optional),
			argBuiltin(stringKind, "Declares an argument that is a text.", `args = [arg.string("state", choices = ["on", "off"])]`, name, help, optional,
				table.Param{Name: "choices", Type: table.Strings(), Named: true, Optional: true, Help: "the values that it takes; any if left out"}),
			argBuiltin(restKind, "Declares an argument that takes all that is left of the command line, flags included, as a list.", `args = [arg.string("service"), arg.rest("command", help = "A command.")]`, name, help),
		},
	}
}

func argBuiltin(k kind, doc, example string, params ...table.Param) table.Builtin {
	return table.Builtin{
		Name: "arg." + string(k), Declares: true, Doc: doc, Params: params, Result: "an argument, for `workflow(args = […])`", Example: example,
		Run: func(c *table.Call) (starlark.Value, error) {
			p, err := newParameter(c, k, starlark.None)
			if err != nil {
				return nil, err
			}
			p.argument, p.Name = true, c.String("name")
			p.Optional = k == restKind || c.Bool("optional")
			return p, nil
		},
	}
}

// newParameter reads what flags and arguments have in common.
func newParameter(c *table.Call, k kind, standard starlark.Value) (*Parameter, error) {
	p := &Parameter{kind: k, Help: c.String("help"), standard: standard}
	if standard == nil {
		p.standard = starlark.NewList(nil)
	}
	for _, declared := range slices.Backward(c.Builtin.Params) { // choices before the default, which must be one
		switch declared.Name {
		case "short":
			if p.Short = c.String("short"); p.Short != "" && (len(p.Short) != 1 || !isWord(p.Short)) {
				return nil, fmt.Errorf("%s: short is %q, want one lower-case letter", c.Builtin.Name, p.Short)
			}
		case "choices":
			p.Choices = c.Strings("choices")
		case "default":
			if err := p.setDefault(c); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (p *Parameter) setDefault(c *table.Call) error {
	v := c.Value("default")
	if v == nil {
		return nil
	}
	if s, ok := starlark.AsString(v); ok { // durations, too, may be given as text
		parsed, err := p.parse(s)
		if err != nil {
			return fmt.Errorf("%s: default is %q: %w", c.Builtin.Name, s, err)
		}
		v = parsed
	}
	p.standard = v
	return nil
}
