package engine

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/table"
)

// Workflow is a command that a file declares.
type Workflow struct {
	Command string // its words: "sandbox provision"
	Help    string // the file's docstring
	Flags   []*Parameter
	Args    []*Parameter

	run  starlark.Callable
	show starlark.Callable // nil: the result isn't shown in text mode
}

// Summary is the first line of the help.
func (w *Workflow) Summary() string { return summary(w.Help) }

func summary(doc string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(doc), "\n")
	return strings.TrimSuffix(strings.TrimSpace(line), ".")
}

func workflowBuiltin() table.Builtin {
	return table.Builtin{
		Name: "workflow", Declares: true,
		Doc: "Declares a command. It stands last in its file, whose docstring is the command's help, and counts only " +
			"in the file that is run, not in one that is loaded.",
		Params: []table.Param{
			{Name: "command", Type: table.String(), Named: true, Help: `the command's words, at most eight, as a string literal: "sandbox provision"`},
			{Name: "run", Type: table.Function(1), Named: true, Help: "is called with the flags and arguments as a struct; what it returns is the command's result"},
			{Name: "show", Type: table.Function(1), Named: true, Optional: true, Help: "is called with the result in text mode, to print it"},
			{Name: "flags", Type: table.Dict(), Named: true, Optional: true, Help: "the command's flags by name: `{\"slot\": flag.ints(help = \"…\")}`"},
			{Name: "args", Type: table.ListOf("a list of arguments (arg.…)", table.Of[*Parameter]("an argument")), Named: true, Optional: true, Help: "its arguments, in order"},
		},
		Errors: "A name that is reserved, used twice or not a word; a required argument after an optional one; a function that can't be called with one argument.",
		Run: func(c *table.Call) (starlark.Value, error) {
			v, err := declareWorkflow(c)
			if err != nil {
				err = fmt.Errorf("workflow: %w", err)
			}
			return v, err
		},
		Example: `def hello(args):
    return struct(text = "hello " + args.name)

workflow(
    command = "hello",
    run = hello,
    show = lambda result: print(result.text),
    flags = {"name": flag.string(default = "you", help = "Whom to greet.")},
)`,
	}
}

func declareWorkflow(c *table.Call) (starlark.Value, error) {
	s := stateOf(c.Thread)
	if !s.declares() {
		return starlark.None, nil
	}
	w := &Workflow{
		Command: c.String("command"),
		run:     c.Callable("run"),
		show:    c.Callable("show"),
	}
	if f, ok := w.run.(*starlark.Function); ok && !takesOne(f) {
		return nil, fmt.Errorf("run wants a function of one parameter, the arguments; %s has %d", f.Name(), f.NumParams())
	}
	if f, ok := w.show.(*starlark.Function); ok && !takesOne(f) {
		return nil, fmt.Errorf("show wants a function of one parameter, the result; %s has %d", f.Name(), f.NumParams())
	}
	if err := checkWords(w.Command); err != nil {
		return nil, err
	}
	for _, other := range s.run.loader.workflows {
		if other.Command == w.Command {
			return nil, fmt.Errorf("the command %q is declared twice", w.Command)
		}
	}
	file, err := s.run.loader.caller(c.Thread)
	if err != nil {
		return nil, err
	}
	found := scan(file.Data)
	if !slices.Contains(found.commands, w.Command) {
		return nil, fmt.Errorf("the command %q can't be found without running the file: "+
			"workflow(…) must begin a line, with the command as a string literal", w.Command)
	}
	w.Help = found.doc
	if w.Flags, err = declaredFlags(c.Dict("flags"), s.run.config.Reserved); err != nil {
		return nil, err
	}
	if w.Args, err = declaredArgs(c.List("args"), w.Flags); err != nil {
		return nil, err
	}
	s.run.loader.workflows = append(s.run.loader.workflows, w)
	return starlark.None, nil
}

// takesOne tells whether a function can be called with one argument.
func takesOne(f *starlark.Function) bool {
	named := f.NumParams() // with a name of their own; first those that can be given without it
	if f.HasKwargs() {
		named--
	}
	if f.HasVarargs() {
		named--
	}
	positional := named - f.NumKwonlyParams()
	for i := min(positional, 1); i < named; i++ {
		if f.ParamDefault(i) == nil {
			return false
		}
	}
	return positional > 0 || f.HasVarargs()
}

// mostWords is how many words a command may have, and mostCommand how many bytes.
const (
	mostWords   = 8
	mostCommand = 200
)

// checkWords refuses a command that can't be typed.
func checkWords(command string) error {
	if len(command) > mostCommand || strings.Count(command, " ") >= mostWords {
		return fmt.Errorf("command %q…: want at most %d words of together %d characters", command[:min(len(command), 20)], mostWords, mostCommand)
	}
	words := strings.Fields(command)
	if len(words) == 0 || strings.Join(words, " ") != command {
		return fmt.Errorf("command %q: want words with one space between them", command)
	}
	for _, w := range words {
		if !isWord(w) {
			return fmt.Errorf("command %q: %q is not a word of lower-case letters, digits and inner dashes", command, w)
		}
	}
	return nil
}

// isWord tells whether s can be a word of a command or the name of a flag.
func isWord(s string) bool {
	for i, r := range s {
		lower, digit := 'a' <= r && r <= 'z', '0' <= r && r <= '9'
		if !lower && (i == 0 || !digit && r != '-') {
			return false
		}
	}
	return s != "" && !strings.HasSuffix(s, "-")
}

func declaredFlags(flags starlark.IterableMapping, reserved []string) ([]*Parameter, error) {
	if flags == nil {
		return nil, nil
	}
	taken := map[string]string{}
	for _, name := range reserved {
		taken[name] = "is one of the binary's own"
	}
	var all []*Parameter
	spelt := map[string]string{} // each flag as the script has it, by its name
	for _, item := range flags.Items() {
		name, isString := starlark.AsString(item[0])
		declared, isFlag := item[1].(*Parameter)
		if !isString || !isFlag || declared.argument {
			return nil, fmt.Errorf("flags wants names with flags, such as \"slot\": flag.ints(…); got %s: %s", item[0], table.Describe(item[1]))
		}
		p := declared.named(strings.ReplaceAll(name, "_", "-"))
		if other := spelt[p.Name]; other != "" {
			return nil, fmt.Errorf("the flags %q and %q are %s", other, name, p.sameName())
		}
		spelt[p.Name] = name
		for _, n := range []string{p.Name, p.Short} {
			if why := taken[n]; n != "" && why != "" {
				return nil, fmt.Errorf("the flag name %q %s", n, why)
			}
			taken[n] = "is used twice"
		}
		if !isWord(p.Name) {
			return nil, fmt.Errorf("%q is not a name for a flag: want a word of lower-case letters, digits and inner dashes", name)
		}
		all = append(all, p)
	}
	return all, nil
}

func declaredArgs(args []starlark.Value, flags []*Parameter) ([]*Parameter, error) {
	taken := map[string]*Parameter{}
	for _, f := range flags {
		taken[f.attr()] = f
	}
	var all []*Parameter
	optional := false
	for _, v := range args {
		p := v.(*Parameter)
		switch {
		case !p.argument:
			return nil, fmt.Errorf("args wants arguments (arg.…), got a flag")
		case !isWord(strings.ReplaceAll(p.Name, "_", "-")):
			return nil, fmt.Errorf("%q is not a name for an argument", p.Name)
		case taken[p.attr()] != nil:
			return nil, usedTwice(taken[p.attr()], p)
		case len(all) > 0 && all[len(all)-1].kind == restKind:
			return nil, fmt.Errorf("the argument %q stands after %q, which takes all that is left", p.Name, all[len(all)-1].Name)
		case optional && !p.Optional && p.kind != restKind:
			return nil, fmt.Errorf("the required argument %q stands after an optional one", p.Name)
		}
		taken[p.attr()] = p
		optional = optional || p.Optional
		all = append(all, p)
	}
	return all, nil
}

// usedTwice is the error of an argument whose name a flag or another argument has.
func usedTwice(first, second *Parameter) error {
	switch {
	case first.Name == second.Name:
		return fmt.Errorf("the name %q is used twice", second.Name)
	case first.argument:
		return fmt.Errorf("the arguments %q and %q are %s", first.Name, second.Name, second.sameName())
	}
	return fmt.Errorf("the flag %q and the argument %q are %s", first.Name, second.Name, second.sameName())
}

// sameName ends a message about names that are the same to run.
func (p *Parameter) sameName() string {
	return fmt.Sprintf("the same name, which is args.%s for run", p.attr())
}
