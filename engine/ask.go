package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/nearest"
	"github.com/ktrdr/kinfra/engine/table"
)

// askModule is the questions of scripts.
func askModule() table.Module {
	return table.Module{
		Name: "ask",
		Doc: "Asks the user: on a terminal there, with `--output events` by an event, whose answer is a line of JSON on stdin. " +
			"Without anybody to ask, the default counts, or the run fails. A dry run asks nothing. An answer is on record, so a run that is resumed doesn't ask again; " +
			"inside a step, the answer is part of the step. Branches of `parallel` ask one at a time.",
		Builtins: []table.Builtin{confirmBuiltin(), chooseBuiltin(), textBuiltin()},
	}
}

const askErrors = "Nobody can be asked and there is no default (2); five answers that are none (2); called while a file is loading."

func confirmBuiltin() table.Builtin {
	return table.Builtin{
		Name: "ask.confirm",
		Doc: "Asks a question that is answered by yes or no. `--yes` answers with yes, and so does a dry run. With `irrevocable = True`, no ends the run, " +
			"so that nothing is done by mistake which can't be taken back.",
		Params: []table.Param{
			messageParam("what will be done, to what, and what is lost"),
			{Name: "default", Type: table.Bool(), Named: true, Optional: true, Help: "the answer if nobody can be asked, or if the user just presses return"},
			{Name: "irrevocable", Type: table.Bool(), Named: true, Optional: true, Default: starlark.False, Help: "what a yes leads to can't be taken back; such a question has no default"},
		},
		Result: "a bool",
		Errors: "No to an irrevocable question (1). " + askErrors,
		Run: func(c *table.Call) (starlark.Value, error) {
			q := &event.Question{Kind: event.Confirm, Irrevocable: c.Bool("irrevocable")}
			if q.Irrevocable && c.Has("default") {
				return nil, errors.New(`ask.confirm: "default" can't be given with irrevocable = True: what can't be taken back is never done without an answer`)
			}
			return askFor(c, q)
		},
		Example: `fake.answers([True])

def remove_notes(args):
    ask.confirm("This removes notes.txt.", irrevocable = True)
    fs.remove("notes.txt")

remove_notes(None)
fs.exists("notes.txt")  # -> False`,
	}
}

func chooseBuiltin() table.Builtin {
	return table.Builtin{
		Name: "ask.choose",
		Doc:  "Asks for one of several choices. On a terminal they are numbered. In a dry run it gives the default, or a value known only when it runs.",
		Params: []table.Param{
			messageParam("what is to be chosen"),
			{Name: "choices", Type: table.Strings(), Help: "the choices, each a text on one line"},
			{Name: "default", Type: table.String(), Named: true, Optional: true, Help: "the answer if nobody can be asked, or if the user just presses return: one of the choices"},
			flagParam(),
		},
		Result: "a string, one of the choices",
		Errors: askErrors,
		Run: func(c *table.Call) (starlark.Value, error) {
			q := &event.Question{Kind: event.Choose, Choices: c.Strings("choices")}
			for i, choice := range q.Choices {
				if strings.TrimSpace(choice) != choice || choice == "" || strings.Contains(choice, "\n") {
					return nil, fmt.Errorf("ask.choose: the choice %q: want a text on one line, without spaces around it", choice)
				}
				if slices.Contains(q.Choices[:i], choice) {
					return nil, fmt.Errorf("ask.choose: the choice %q is given twice", choice)
				}
			}
			if len(q.Choices) == 0 {
				return nil, errors.New("ask.choose: there are no choices")
			}
			return askText(c, q)
		},
		Example: `fake.answers(["big"])
ask.choose("Which profile?", ["small", "big"])  # -> "big"`,
	}
}

func textBuiltin() table.Builtin {
	return table.Builtin{
		Name: "ask.text",
		Doc: "Asks for a text on one line. In a dry run it gives the default, or a value known only when it runs. The answer is shown and on record: " +
			"don't ask for secrets.",
		Params: []table.Param{
			messageParam("what is to be entered"),
			{Name: "default", Type: table.String(), Named: true, Optional: true, Help: "the answer if nobody can be asked, or if the user just presses return"},
			{Name: "pattern", Type: table.String(), Named: true, Optional: true, Help: "a regular expression (RE2) that the whole answer must match; without one, an answer must not be empty"},
			flagParam(),
		},
		Result: "a string",
		Errors: askErrors,
		Run: func(c *table.Call) (starlark.Value, error) {
			q := &event.Question{Kind: event.Write, Pattern: c.String("pattern")}
			if _, err := event.Whole(q.Pattern); err != nil {
				return nil, fmt.Errorf("ask.text: %q: %w", "pattern", err)
			}
			return askText(c, q)
		},
		Example: `fake.answers(["v1.2"])
ask.text("Which version?", pattern = "v[0-9.]+")  # -> "v1.2"`,
	}
}

func messageParam(help string) table.Param {
	return table.Param{Name: "message", Type: table.String(), Help: help}
}

func flagParam() table.Param {
	return table.Param{Name: "flag", Type: table.String(), Named: true, Optional: true, Help: "the flag of the workflow that spares the question; named where nobody can be asked"}
}

// askText asks a question of the arguments of a call that is answered by a text.
func askText(c *table.Call, q *event.Question) (starlark.Value, error) {
	if c.Has("flag") {
		var err error
		if q.Flag, err = stateOf(c.Thread).run.flagNamed(c.String("flag")); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", c.Builtin.Name, "flag", err)
		}
	}
	return askFor(c, q)
}

// askFor asks a question with the message and the default of a call.
func askFor(c *table.Call, q *event.Question) (starlark.Value, error) {
	name, s := c.Builtin.Name, stateOf(c.Thread)
	if q.Message = s.run.config.Output.Ink.Remove(c.String("message")); strings.TrimSpace(q.Message) == "" {
		return nil, fmt.Errorf("%s: \"message\" is empty", name)
	}
	if c.Has("default") {
		data, err := ToJSON(c.Value("default"))
		if err == nil && (q.Kind != event.Write || q.Pattern != "") {
			_, err = q.FromJSON(data)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: \"default\": %w", name, err)
		}
		q.Default = data
	}
	data, err := s.ask(q)
	switch {
	case errors.Is(err, errAnswerUnknown):
		return s.unknown(name), nil
	case errors.Is(err, ErrLoading):
		return nil, fmt.Errorf("%s: %w", name, err)
	case err != nil:
		return nil, err
	}
	return answerValue(data)
}

func answerValue(data json.RawMessage) (starlark.Value, error) {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, &Error{Code: Damaged, Message: fmt.Sprintf("the recorded answer %s is damaged: %v", data, err), Err: err}
	}
	switch v := v.(type) {
	case bool:
		return starlark.Bool(v), nil
	case string:
		return starlark.String(v), nil
	}
	return nil, &Error{Code: Damaged, Message: fmt.Sprintf("the recorded answer %s is damaged: it is neither a bool nor a string", data)}
}

// flagNamed is the name on the command line of a flag that a script names; an error if the
// workflow has none of that name.
func (r *Run) flagNamed(name string) (string, error) {
	names := make([]string, len(r.flags))
	for i, p := range r.flags {
		if names[i] = p.Name; p.Name == strings.ReplaceAll(name, "_", "-") {
			return "--" + p.Name, nil
		}
	}
	return "", fmt.Errorf("the workflow has no flag %q%s", name, nearest.Suggest(name, names))
}
