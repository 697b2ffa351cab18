package builtins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.starlark.net/starlark"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
)

// Secret is the value that stands for a secret, by its reference. The error doesn't show that.
func Secret(reference string) (starlark.Value, error) {
	ref, err := secret.Parse(reference)
	if err != nil {
		return nil, err
	}
	return &secretValue{ref}, nil
}

// ReadSecret reads the value of a secret by its reference.
func ReadSecret(ctx context.Context, w world.World, reference string) (string, error) {
	ref, err := secret.Parse(reference)
	if err != nil {
		return "", err
	}
	// Whoever has asked for the value is the one who masks it.
	value, err := ref.Resolve(ctx, w, func(secret.Ref, string) error { return nil })
	if err != nil {
		return "", err
	}
	return value.Reveal(), nil
}

// Reference is where the secret is kept.
func (s *secretValue) Reference() string { return s.ref.String() }

// conceal has what is read on a thread masked in its run.
func conceal(t *starlark.Thread) secret.Conceal {
	return func(ref secret.Ref, value string) error {
		return engine.Current(t).Conceal(ref.String(), value)
	}
}

// reveal reads a secret for a process that is about to be started. In a dry run it is a
// world.ErrPlanned.
func (s *secretValue) reveal(t *starlark.Thread) (string, error) {
	value, err := s.ref.Resolve(engine.Context(t), engine.World(t), conceal(t))
	if err != nil {
		return "", err
	}
	return value.Reveal(), nil
}

// secretType accepts secrets.
func secretType() table.Type { return table.Of[*secretValue]("a secret") }

// words accepts the arguments of a command, and secrets among them: commandOf refuses these
// with a reason.
func words() table.Type {
	return table.ListOf("a list of strings", table.OneOf(table.String(), secretType()))
}

// commandOf is the arguments of a command that a call was given.
func commandOf(c *table.Call) ([]string, error) {
	var all []string
	for _, v := range c.List("args") {
		word, ok := starlark.AsString(v)
		if !ok {
			return nil, &table.ArgumentError{Err: hint.Wrap(fmt.Errorf("%s: a secret can't be an argument: all users of the machine can read those of a process", c.Builtin.Name),
				"give it in a variable, with env = {…}, or as stdin, if the program can read it there")}
		}
		all = append(all, word)
	}
	return all, nil
}

// hiddenValues are the secrets that a process gets: in variables and on stdin.
type hiddenValues struct {
	env   map[string]*secretValue
	stdin *secretValue
}

// secretsOf parts the values of a dict of variables from the secrets among them.
func secretsOf(dict starlark.IterableMapping) (plain *starlark.Dict, secrets map[string]*secretValue) {
	plain, secrets = starlark.NewDict(0), map[string]*secretValue{}
	if dict == nil {
		return plain, secrets
	}
	for _, kv := range dict.Items() {
		name, isName := starlark.AsString(kv[0])
		if s, ok := kv[1].(*secretValue); ok && isName {
			secrets[name] = s
			kv[1] = starlark.String(s.String()) // in a dry run, which has nothing better
		}
		_ = plain.SetKey(kv[0], kv[1]) // what was a key is one
	}
	return plain, secrets
}

// readInto puts the secrets into a command that is about to be started. In a dry run they are
// not read, and read is false.
func (h hiddenValues) readInto(t *starlark.Thread, cmd *world.Command) (read bool, err error) {
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(h.env)) {
		if values[name], err = h.env[name].reveal(t); err != nil {
			return false, unlessPlanned(fmt.Errorf("the variable %s: %w", name, err))
		}
	}
	if cmd.Env, err = withVariables(cmd.Env, values); err != nil {
		return false, err
	}
	if h.stdin != nil {
		text, err := h.stdin.reveal(t)
		if err != nil {
			return false, unlessPlanned(fmt.Errorf("stdin: %w", err))
		}
		cmd.Stdin = []byte(text)
	}
	return true, nil
}

func unlessPlanned(err error) error {
	if errors.Is(err, world.ErrPlanned) {
		return nil
	}
	return err
}
