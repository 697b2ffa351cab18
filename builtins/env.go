package builtins

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/envfile"
)

// envModule is the caller's environment, and env files.
func envModule() table.Module {
	return table.Module{
		Name: "env", Doc: "The caller's environment, and env files.",
		Builtins: []table.Builtin{
			{
				Name: "env.get", Doc: "Gives a variable of the caller's environment.",
				Params: []table.Param{
					{Name: "name", Type: table.String(), Help: "its name"},
					{Name: "default", Type: table.Any(), Optional: true, Help: "what to give if it isn't set; None if left out"},
				},
				Result: "a string, or the default",
				Run: func(c *table.Call) (starlark.Value, error) {
					if value, ok := engine.World(c.Thread).Env.Getenv(c.String("name")); ok {
						return starlark.String(value), nil
					}
					return c.Value("default"), nil
				},
				Example: `env.get("HOME")  # -> "/home/user"
env.get("NOT_SET", "none")  # -> "none"`,
			},
			{
				Name: "env.decode", Expects: true, Doc: "Gives the variables of an env file, as Compose reads it.",
				Params: []table.Param{{Name: "text", Type: table.String(), Help: "the file's text"}},
				Result: "a dict of strings, sorted by name", Errors: "A text that isn't an env file.",
				Run: func(c *table.Call) (starlark.Value, error) {
					vars, err := envfile.Decode([]byte(c.String("text")))
					if err != nil {
						return nil, fmt.Errorf("env.decode: %w", err)
					}
					return stringDict(vars), nil
				},
				Example: `env.decode("PORT=7001\nNAME='a b'\n")  # -> {"NAME": "a b", "PORT": "7001"}`,
			},
			written(envfile.Encode, table.Builtin{
				Name: "env.encode", Doc: "Gives the text of an env file that Compose and a shell both read back as it was meant.",
				Errors: "A name that isn't one; a value that can't be written so that both read it back.",
				Example: `text = env.encode({"PORT": 7001, "NAME": "a b"})
env.decode(text)  # -> {"NAME": "a b", "PORT": "7001"}`,
			}),
			written(envfile.Export, table.Builtin{
				Name: "env.export", Doc: "Gives the text with which a shell exports variables, for `eval`. It can be printed, whatever is in the values.",
				Errors:  "Those of env.encode.",
				Example: `env.export({"NAME": "a b"})  # -> "export NAME='a b'\n"`,
			}),
		},
	}
}

// written declares a builtin that writes variables as a text.
func written(write func(map[string]string) ([]byte, error), b table.Builtin) table.Builtin {
	b.Params = []table.Param{{Name: "vars", Type: table.Dict(), Help: "names, with strings or ints as values"}}
	b.Result = "a string: a line for each variable, sorted"
	b.Run = func(c *table.Call) (starlark.Value, error) {
		vars, err := stringMap(c.Dict("vars"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
		text, err := write(vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
		return starlark.String(text), nil
	}
	return b
}
