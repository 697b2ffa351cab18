package builtins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/lastwords"
	"github.com/ktrdr/kinfra/internal/world"
)

const outputResult = "`struct(code, stdout, stderr)`; in a dry run, a value known only when it runs, unless it is read_only"

// procModule is processes. They get a clean environment, and end with the run.
func procModule() table.Module {
	return table.Module{
		Name: "proc", Doc: "Processes. A command is a list of arguments, never a shell's line; it gets a clean environment, and is ended with the run.",
		Builtins: []table.Builtin{{
			Name: "proc.run", Changes: true, Doc: "Runs a command and waits for it. What it prints is shown as it comes, and kept with the step. Secrets that it gets are read when it starts, and masked in all that is shown or kept; in a dry run they are not read, and it isn't started.", Result: outputResult, Run: procRun,
			Params: append([]table.Param{
				{Name: "args", Type: words(), Help: "the program, which is looked for in PATH, and its arguments"},
				{Name: "cwd", Type: table.String(), Named: true, Optional: true, Help: "its working directory; kinfra's own if left out"},
				{Name: "env", Type: table.Dict(), Named: true, Optional: true, Help: "variables that it gets beside PATH, HOME, the locale and what docker needs: strings, ints and secrets"},
				{Name: "stdin", Type: table.OneOf(table.String(), secretType()), Named: true, Optional: true, Default: starlark.String(""), Help: "what it reads: a string or a secret"},
			}, outputParams()...),
			Errors: "A program that isn't there; a time-out; with check, an exit code other than 0: what it printed says why. A secret among the arguments, or one that can't be had (6).",
			Example: `proc.run(["git", "rev-parse", "HEAD"], read_only = True).stdout
# -> "4f2a9c1\n"
proc.run(["git", "push"], check = False).code  # -> 1`,
		}},
	}
}

// outputParams are what all calls that start a process have in common.
func outputParams() []table.Param {
	return []table.Param{
		{Name: "timeout", Type: table.Duration(), Named: true, Optional: true, Default: starlark.String("1m"), Help: "how long it may take"},
		{Name: "read_only", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "it changes nothing: run it in a dry run, too"},
		{Name: "quiet", Type: table.Bool(), Named: true, Optional: true, Help: "don't show what it prints as it comes: the script reads it. Left out, that goes for what is read_only"},
		{Name: "check", Type: table.Bool(), Named: true, Optional: true, Default: starlark.True, Help: "fail if its exit code isn't 0"},
	}
}

func procRun(c *table.Call) (starlark.Value, error) {
	w := engine.World(c.Thread)
	plain, secrets := secretsOf(c.Dict("env"))
	extra, err := stringMap(plain)
	if err != nil {
		return nil, &table.ArgumentError{Err: fmt.Errorf("proc.run: env: %w", err)}
	}
	env, err := withVariables(world.CleanEnv(w), extra)
	if err != nil {
		return nil, &table.ArgumentError{Err: fmt.Errorf("proc.run: env: %w", err)}
	}
	cwd := "."
	if c.Has("cwd") {
		cwd = c.String("cwd")
	}
	dir, err := absolute(w, cwd)
	if err != nil {
		return nil, fmt.Errorf("proc.run: cwd: %w", err)
	}
	hidden := hiddenValues{env: secrets}
	text, isText := starlark.AsString(c.Value("stdin"))
	if !isText {
		hidden.stdin = c.Value("stdin").(*secretValue) // by its type
	}
	args, err := commandOf(c)
	if err != nil {
		return nil, err
	}
	return runProcess(c, world.Command{Args: args, Dir: dir, Env: env, Stdin: []byte(text)}, hidden)
}

// withVariables is an environment with further variables, which take the place of
// those of the same name: programs don't agree on which of two counts.
func withVariables(env []string, extra map[string]string) ([]string, error) {
	env = slices.DeleteFunc(env, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := extra[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if strings.ContainsAny(name, "=\x00") || name == "" {
			return nil, fmt.Errorf("%q is not a variable's name", name)
		}
		if strings.ContainsRune(extra[name], 0) {
			return nil, fmt.Errorf("%s has a NUL byte in its value", name)
		}
		env = append(env, name+"="+extra[name])
	}
	return env, nil
}

// runProcess runs a command with what outputParams say and the secrets that it gets, and
// converts its output.
func runProcess(c *table.Call, cmd world.Command, secrets hiddenValues) (starlark.Value, error) {
	cmd.Timeout, cmd.ReadOnly = c.Duration("timeout"), c.Bool("read_only")
	if len(cmd.Args) == 0 {
		return nil, &table.ArgumentError{Err: fmt.Errorf("%s: the command is empty", c.Builtin.Name)}
	}
	quiet := cmd.ReadOnly
	if c.Has("quiet") {
		quiet = c.Bool("quiet")
	}
	read, err := secrets.readInto(c.Thread, &cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Builtin.Name, err)
	}
	if !read && cmd.ReadOnly { // a dry run would start it, and has no secrets
		return wouldRun(c, cmd), nil
	}
	printer := engine.Current(c.Thread).Printer(quiet)
	cmd.Follow = printer.Print
	out, err := engine.World(c.Thread).Processes.Run(engine.Context(c.Thread), cmd)
	printer.Close()
	switch {
	case errors.Is(err, world.ErrPlanned):
		return wouldRun(c, cmd), nil
	case errors.Is(err, world.ErrTimeout), errors.Is(err, world.ErrTooLarge):
		return nil, fmt.Errorf("%s: %w%s", c.Builtin.Name, err, lastwords.Until(linesOf(printer)))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.Builtin.Name, err)
	case c.Bool("check") && out.Code != 0:
		return nil, fmt.Errorf("%s: %s", c.Builtin.Name, lastwords.Failed(cmd.Args, out.Code, linesOf(printer)))
	}
	return engine.Struct("code", out.Code, "stdout", utf8Text(out.Stdout), "stderr", utf8Text(out.Stderr)), nil
}

// wouldRun is the result of a command that a dry run doesn't start.
func wouldRun(c *table.Call, cmd world.Command) starlark.Value {
	engine.Current(c.Thread).Announce("Would run " + world.ShellLine(cmd.Args))
	return engine.Unknown(c.Thread, c.Builtin.Name)
}

// linesOf are the last lines that a process has printed.
func linesOf(p *engine.Printer) []lastwords.Line {
	var all []lastwords.Line
	for _, piece := range p.Said() {
		for line := range strings.Lines(piece.Text) {
			all = append(all, lastwords.Line{Text: line, Stderr: piece.Stream == string(world.Stderr)})
		}
	}
	return all
}

func utf8Text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
