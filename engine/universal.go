package engine

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/table"
)

// universal is the builtins without a module.
func universal() table.Module {
	return table.Module{Builtins: []table.Builtin{
		workflowBuiltin(), stepBuiltin(), checkBuiltin(), parallelBuiltin(), waitBuiltin(), attemptBuiltin(), onExitBuiltin(), evidenceBuiltin(),
		plannedBuiltin(), failBuiltin(), concludeBuiltin(), resourceBuiltin(), structBuiltin(),
	}}
}

func attemptBuiltin() table.Builtin {
	return table.Builtin{
		Name:   "attempt",
		Doc:    "Calls a function and returns how that went, since Starlark has no exceptions. The end of the run itself (Ctrl-C, a time-out, a limit) can't be caught.",
		Params: []table.Param{{Name: "run", Type: table.Function(0), Help: "called without arguments"}},
		Result: "`struct(ok, value, error)`: `ok` is a bool, `value` what run returned (None if it failed), `error` the message (\"\" if it didn't)",
		Run: func(c *table.Call) (starlark.Value, error) {
			v, err := stateOf(c.Thread).call(c.Thread, c.Callable("run"))
			if err != nil && !catchable(Context(c.Thread), err) {
				return nil, err
			}
			message := ""
			if err != nil {
				v, message = starlark.None, err.Error()
			}
			return Struct("ok", err == nil, "value", v, "error", message), nil
		},
		Example: `result = attempt(lambda: fs.read("missing.txt"))
result.ok  # -> False
result.value  # -> None`,
	}
}

func evidenceBuiltin() table.Builtin {
	return table.Builtin{
		Name: "evidence",
		Doc:  "Puts something on record in the report of the current step or check: a command's output, a file's content.",
		Params: []table.Param{
			{Name: "name", Type: table.String(), Help: "what it is"},
			{Name: "value", Type: table.Any(), Help: "text as it is, anything else as JSON; cut after 1 MiB"},
		},
		Errors: "Called outside of steps and checks; a value that has no JSON form.",
		Run: func(c *table.Call) (starlark.Value, error) {
			s := stateOf(c.Thread)
			if s.node == nil {
				return nil, errors.New("evidence belongs to a step or check, and none is running")
			}
			text, isText := starlark.AsString(c.Value("value"))
			if !isText {
				encoded, err := ToJSON(c.Value("value"))
				if err != nil {
					return nil, fmt.Errorf("evidence %q: %w", c.String("name"), err)
				}
				text = string(encoded)
			}
			text = s.run.config.Masks.Text(s.run.config.Output.Ink.Remove(text)) // before it is cut, perhaps within a secret
			if most := s.run.config.Limits.Value; len(text) > most {
				text = strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("\n[cut after %d of %d bytes]", most, len(text))
			}
			if s.collecting() {
				return starlark.None, nil
			}
			return starlark.None, s.run.emit(&event.Event{Type: event.Noted, Key: s.node.key, Name: c.String("name"), Text: text})
		},
		Example: `def verify():
    evidence("notes", fs.read("notes.txt"))

check("the notes are there", verify)`,
	}
}

func plannedBuiltin() table.Builtin {
	return table.Builtin{
		Name:   "planned",
		Doc:    "Tells whether this is a dry run. Few scripts need it: in a dry run nothing changes, whatever a script does.",
		Result: "a bool",
		Run: func(c *table.Call) (starlark.Value, error) {
			return starlark.Bool(stateOf(c.Thread).run.config.World.Planned()), nil
		},
		Example: `print("Would write the list" if planned() else "Wrote the list")
planned()  # -> False`,
	}
}

const codeHelp = "how the command ends: failed (1), usage (2), unavailable (3), conflict (4), damaged (5) or missing (6)"

func failBuiltin() table.Builtin {
	return table.Builtin{
		Name: "fail", Expects: true,
		Doc: "Ends the workflow with an error.",
		Params: []table.Param{
			{Name: "message", Type: table.Any(), Rest: true, Help: "what went wrong; several parts are joined by spaces"},
			{Name: "code", Type: table.String(), Named: true, Optional: true, Default: starlark.String("failed"), Help: codeHelp},
			{Name: "hint", Type: table.String(), Named: true, Optional: true, Help: "what to do next"},
		},
		Errors: "Always.",
		Run: func(c *table.Call) (starlark.Value, error) {
			code, err := codeNamed(c.String("code"))
			if err != nil {
				return nil, &table.ArgumentError{Err: fmt.Errorf("fail: %w", err)}
			}
			parts := make([]string, 0, 1)
			for _, v := range c.Rest("message") {
				parts = append(parts, TextOf(v))
			}
			return nil, &Error{Code: code, Message: Current(c.Thread).Ink().Remove(strings.Join(parts, " ")), Next: c.String("hint")}
		},
		Example: `fail("no slot is free", code = "unavailable", hint = "try again later")
# fails: no slot is free`,
	}
}

func concludeBuiltin() table.Builtin {
	return table.Builtin{
		Name: "conclude",
		Doc:  "Makes the command end with a code other than 0 although its workflow succeeds and its result is shown. The first call counts. In a dry run, none does after a process was not started that may change things.",
		Params: []table.Param{
			{Name: "message", Type: table.String(), Help: "why"},
			{Name: "code", Type: table.String(), Named: true, Help: codeHelp},
			{Name: "hint", Type: table.String(), Named: true, Optional: true, Help: "what to do next"},
		},
		Errors: "An unknown code.",
		Run: func(c *table.Call) (starlark.Value, error) {
			code, err := codeNamed(c.String("code"))
			if err != nil {
				return nil, fmt.Errorf("conclude: %w", err)
			}
			s := stateOf(c.Thread)
			if !s.mayChange() {
				return nil, fmt.Errorf("conclude: %w", ErrLoading)
			}
			r := s.run
			if s.plan.isUnsure() {
				return starlark.None, nil // whether it comes to that, the real run knows
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.conclusion == nil {
				r.conclusion = &Error{Code: code, Message: c.String("message"), Next: c.String("hint")}
			}
			return starlark.None, nil
		},
		Example: `def list_slots(args):
    slots = registry.slots()
    if not slots:
        conclude("there are no slots", code = "unavailable")
    return [s.id for s in slots]

list_slots(None)  # -> [1, 2, 3]`,
	}
}

func resourceBuiltin() table.Builtin {
	return table.Builtin{
		Name:   "resource",
		Doc:    "Gives the text of a file that comes with the scripts, such as a template.",
		Params: []table.Param{{Name: "label", Type: table.String(), Help: "its label, as in load: through the layers, or \"./x\" beside this file"}},
		Result: "a string",
		Errors: "A file that isn't there, is larger than 1 MiB, or lies outside the layers.",
		Run: func(c *table.Call) (starlark.Value, error) {
			file, err := Resource(c.Thread, c.String("label"))
			if err != nil {
				return nil, &Error{Code: Usage, Message: "resource: " + err.Error(), Err: err}
			}
			return starlark.String(file.Data), nil
		},
		Example: `resource("pool.star").splitlines()[0]
# -> '"""A small pool, for tests of the builtins."""'`,
	}
}

// TextOf is a value as print shows it.
func TextOf(v starlark.Value) string {
	if s, ok := starlark.AsString(v); ok {
		return s
	}
	return v.String()
}
