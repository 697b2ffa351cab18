package builtins

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
)

const hiddenCanary = "c4nary 'in a mine'"

// withCanary is a machine with a secret in its environment, whose programs print what they
// got, in pieces.
func withCanary(t *testing.T, lines string) *machine {
	m := newMachine(t)
	m.fake.Env["KEPT"] = hiddenCanary
	m.script("main.star", lines)
	m.fake.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		all := strings.Join(cmd.Env, "\n") + "\n" + string(cmd.Stdin) + "\n"
		for i := range len(all) {
			cmd.Follow(world.Stdout, []byte(all[i:i+1]))
		}
		code := 0
		if cmd.Args[0] == "fails" {
			code = 7
		}
		return world.Output{Code: code, Stdout: []byte(all)}, nil
	}
	return m
}

// TestProcessesGetSecrets: in variables and on stdin, beside others, and nowhere else.
func TestProcessesGetSecrets(t *testing.T) {
	m := withCanary(t, `
S = secret("env://KEPT")
proc.run(["one", "x"], env = {"A": 1, "TOKEN": S, "B": "b"})
out = proc.run(["two"], stdin = S, env = {"PATH": S})
print(len(out.stdout), out.stdout)
`)
	run, err := m.top("main.star")
	if err != nil {
		t.Fatal(m.explain(run, err))
	}
	commands := m.fake.Commands()
	if len(commands) != 2 {
		t.Fatalf("%d commands were run", len(commands))
	}
	one, two := commands[0], commands[1]
	for _, want := range []string{"A=1", "TOKEN=" + hiddenCanary, "B=b"} {
		if !slices.Contains(one.Env, want) {
			t.Errorf("the environment of one is %q, want %s in it", one.Env, want)
		}
	}
	if len(one.Stdin) > 0 || strings.Contains(strings.Join(one.Args, " "), hiddenCanary) {
		t.Errorf("one has the arguments %q and reads %q", one.Args, one.Stdin)
	}
	if paths := slices.DeleteFunc(slices.Clone(two.Env), func(v string) bool { return !strings.HasPrefix(v, "PATH=") }); string(two.Stdin) != hiddenCanary || !slices.Equal(paths, []string{"PATH=" + hiddenCanary}) {
		t.Errorf("two reads %q and has %q", two.Stdin, paths)
	}
	shown := m.stdout.String() + m.stderr.String()
	if strings.Contains(shown, "c4nary") || strings.Count(shown, "***") < 5 {
		t.Errorf("it printed\n%s", shown)
	}
}

// TestSecretsOfFailures: the error has what the process printed, without the secret.
func TestSecretsOfFailures(t *testing.T) {
	m := withCanary(t, `print(attempt(lambda: proc.run(["fails"], stdin = secret("env://KEPT"))).error)`+"\n"+`proc.run(["fails"], stdin = secret("env://KEPT"))`)
	run, err := m.top("main.star")
	if shown := m.explain(run, err) + m.stdout.String(); err == nil || strings.Contains(shown+err.Error(), "c4nary") || !strings.Contains(shown, "| ***") {
		t.Errorf("it printed\n%s", shown)
	}
}

// TestSecretsOfDryRuns: they are not read, and nothing is started that would get them, also
// what only reads.
func TestSecretsOfDryRuns(t *testing.T) {
	m := withCanary(t, `
def both(read_only):
    print(type(proc.run(["one"], env = {"TOKEN": secret("env://NOT_SET")}, read_only = read_only)))
    proc.run(["two"], stdin = secret("op://a/b/c"), read_only = read_only)

both(True)
both(False)
`).planned()
	run, err := m.top("main.star")
	if err != nil {
		t.Fatal(m.explain(run, err))
	}
	want := strings.Repeat("Would run one\nunknown\nWould run two\n", 2)
	if got := m.stdout.String(); got != want || len(m.fake.Commands()) > 0 {
		t.Errorf("it printed\n%swant\n%sand ran %v", got, want, m.fake.Commands())
	}
}

func TestSecretsThatCanNotBeHad(t *testing.T) {
	for call, want := range map[string]string{
		`proc.run(["x"], env = {"T": secret("env://NOT_SET")})`:        "proc.run: the variable T: secret is not available: env://NOT_SET: the variable NOT_SET is not set, or empty",
		`proc.run(["x"], stdin = secret("env://SHORT"))`:               "proc.run: stdin: secret is not available: env://SHORT: it is shorter than 6 bytes, and could not be kept from showing",
		`proc.run(["x"], env = {"A B": 1, "=": secret("env://KEPT")})`: `"=" is not a variable's name`,
	} {
		m := withCanary(t, call)
		m.fake.Env["SHORT"] = "c4nry"
		run, err := m.top("main.star")
		if err == nil || !strings.Contains(m.explain(run, err), want) || len(m.fake.Commands()) > 0 {
			t.Errorf("%s: got error %v, want %s, and nothing started", call, err, want)
		}
		if errors.Is(err, secret.ErrUnavailable) && m.config.CodeOf(err) != engine.Missing {
			t.Errorf("%s: the code is %v", call, m.config.CodeOf(err))
		}
	}
}
