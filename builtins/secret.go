package builtins

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/secret"
)

func secretBuiltin() table.Builtin {
	return table.Builtin{
		Name: "secret", Declares: true,
		Doc: "Names a secret by where it is kept. A script can't read it; it prints as ***, and has no JSON. A process gets it in a variable, or on stdin (`proc.run`); " +
			"a step may return it, and is recorded with the reference. It is read when it is used, in no dry run. Once it was read, its value is masked as *** in all that the run shows or keeps, also in what processes print. " +
			"slot.pool takes secrets for variables of the stack: these are read when that is started, and Docker Compose gets them in its environment, from which the template takes them: `${DB_PASSWORD}`. " +
			"Docker keeps the variables of a container and shows them to whoever may ask it (`docker inspect`).",
		Params: []table.Param{
			{Name: "ref", Type: table.String(), Help: "where it is kept: `env://NAME`, a variable of the caller's environment; `file:///PATH` or `file://~/PATH`, a file of the user's own that is closed to others; `op://VAULT/ITEM/FIELD`, read by 1Password's command op"},
		},
		Result: "a secret",
		Errors: "A text that is no such reference. Once it is used, a secret that can't be had (6): a variable that isn't set or is empty, a file that others may read, a command that fails or takes more than 10 seconds, a value of fewer than 6 bytes, which can't be masked.",
		Run: func(c *table.Call) (starlark.Value, error) {
			v, err := Secret(c.String("ref"))
			if err != nil {
				return nil, fmt.Errorf("secret: %w", err)
			}
			return v, nil
		},
		Example: `password = secret("env://DB_PASSWORD")
str(password)  # -> "***"
secret("DB_PASSWORD")  # fails: secret:`,
	}
}

// secretValue is a secret in a script: where it is kept, since a script never has what
// is kept there.
type secretValue struct{ ref secret.Ref }

func (s *secretValue) String() string        { return secret.Value{}.String() }
func (s *secretValue) Type() string          { return "secret" }
func (s *secretValue) Freeze()               {}
func (s *secretValue) Truth() starlark.Bool  { return true }
func (s *secretValue) Hash() (uint32, error) { return 0, errors.New("a secret is no key") }

// CompareSameType refuses to tell whether two secrets are the same.
func (s *secretValue) CompareSameType(syntax.Token, starlark.Value, int) (bool, error) {
	return false, errors.New("a secret can't be compared")
}

// Binary says why text can't be put around a secret.
func (s *secretValue) Binary(op syntax.Token, _ starlark.Value, _ starlark.Side) (starlark.Value, error) {
	if op != syntax.PLUS {
		return nil, nil
	}
	return nil, hint.Wrap(errors.New("a secret can't be joined with text, which would give it away"),
		"give it to the process as it is, in a variable or as stdin, and let that put the rest around it")
}

func (p *Pool) setSecrets(secrets starlark.IterableMapping) error {
	if secrets == nil {
		return nil
	}
	p.secrets = map[string]secret.Ref{}
	for _, kv := range secrets.Items() {
		name, ok := starlark.AsString(kv[0])
		if !ok {
			return fmt.Errorf("secrets has the key %s: want the name of a variable", kv[0])
		}
		if err := secret.CheckName(name); err != nil {
			return fmt.Errorf("secrets: %w", err)
		}
		value, ok := kv[1].(*secretValue)
		if !ok { // which is not shown: it may be the secret itself
			return fmt.Errorf("the secret %s is a value of type %s: want secret(…)", name, kv[1].Type())
		}
		if slices.Contains(p.passEnv, name) {
			return fmt.Errorf("%s stands in secrets and in pass_env: want it in one of them", name)
		}
		p.secrets[name] = value.ref
	}
	return nil
}

// checkNoSecrets refuses an environment, which goes into a file, that has a secret in
// it, or another value for one.
func (p *Pool) checkNoSecrets(environment starlark.IterableMapping) error {
	for _, kv := range environment.Items() {
		name, _ := starlark.AsString(kv[0])
		if _, both := p.secrets[name]; both {
			return fmt.Errorf("%s stands among the pool's secrets, too: want it in one place", name)
		}
		if _, is := kv[1].(*secretValue); is {
			return hint.Wrap(fmt.Errorf("%s is a secret, and these variables go into a file", name), "give it to slot.pool: secrets = {%q: secret(…)}", name)
		}
	}
	return nil
}

// withSecrets is an environment with the variables that hold secrets set, to nothing
// that shows: the template may require them.
func (p *Pool) withSecrets(env map[string]string) map[string]string {
	if len(p.secrets) == 0 {
		return env
	}
	all := maps.Clone(env)
	for name := range p.secrets {
		all[name] = secret.Value{}.Reveal()
	}
	return all
}
