package stack_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const canary = "c4nary in a coal mine"

// withSecret is a machine whose stack has a secret, which was read.
func withSecret(t *testing.T) (*machine, stack.Stack) {
	t.Helper()
	m := newMachine()
	m.Env["KEPT_HERE"] = canary
	ref, err := secret.Parse("env://KEPT_HERE")
	worldtest.Must(t, err)
	s := m.stack()
	s.Masks = new(mask.Set)
	value, err := ref.Resolve(t.Context(), m.World(), func(_ secret.Ref, value string) error {
		s.Masks.Add(value)
		return nil
	})
	worldtest.Must(t, err)
	s.Secrets = map[string]secret.Value{"PASSWORD": value}
	return m, s
}

// wantSecretOnlyAtStart: of all commands that were run, only the start, with the build of
// its images, got the secret, in its environment; those that read the same files got *** for it.
func wantSecretOnlyAtStart(t *testing.T, m *machine, starts int) {
	t.Helper()
	for _, cmd := range m.Commands() {
		line := strings.Join(cmd.Args, " ")
		isCompose := strings.Contains(line, "--project-name")
		isStart := isCompose && (strings.Contains(line, "--ansi never up ") || strings.Contains(line, "--ansi never build "))
		want := ""
		switch {
		case isStart:
			want = "PASSWORD=" + canary
			starts--
		case isCompose:
			want = "PASSWORD=***"
		}
		if want != "" && !slices.Contains(cmd.Env, want) {
			t.Errorf("%s lacks %s in its environment: %q", line, want, cmd.Env)
		}
		if strings.Contains(line, canary) || !isStart && strings.Contains(fmt.Sprint(cmd.Env), canary) {
			t.Errorf("%s has the secret", line)
		}
	}
	if starts != 0 {
		t.Errorf("there were too few starts, by %d", starts)
	}
}

func TestOnlyTheStartGetsSecrets(t *testing.T) {
	m, s := withSecret(t)
	m.list = func(look int) []string {
		if look == 0 {
			return nil
		}
		return []string{"a running Up 1 second (healthy)"}
	}
	m.config = `{"services":{"a":{"build":{"args":{"TOKEN":"***"}}}}}`
	s.Build = true
	worldtest.Must(t, stack.Up(t.Context(), m.World(), s, stack.Options{}))
	worldtest.Must(t, stack.Restart(t.Context(), m.World(), s, stack.Options{}))
	m.list = func(int) []string { return nil }
	worldtest.Must(t, stack.Down(t.Context(), m.World(), s, stack.DownOptions{Volumes: true}))
	for _, cmd := range []world.Command{s.Logs(m.World()), s.Exec(m.World(), "a", "up"), s.Shell(m.World(), "up", "")} {
		_, err := m.Attach(t.Context(), cmd)
		if err != nil || slices.Contains(cmd.Env, "PASSWORD="+canary) || !slices.Contains(cmd.Env, "PASSWORD=***") {
			t.Errorf("%q gets the environment %q, %v", cmd.Args, cmd.Env, err)
		}
	}
	wantSecretOnlyAtStart(t, m, 2) // the build, and what follows
}

// TestFailedStartShowsNoSecret: neither what Compose says nor what the service logs
// brings it into the error.
func TestFailedStartShowsNoSecret(t *testing.T) {
	for name, life := range map[string]string{"compose": "", "service": "a exited Exited (1) 1 second ago"} {
		t.Run(name, func(t *testing.T) {
			m, s := withSecret(t)
			up := false
			m.list = func(int) []string {
				if !up || life == "" {
					return nil
				}
				return []string{life}
			}
			m.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				said := []byte("refused: " + canary + "\n")
				switch {
				case slices.Contains(cmd.Args, "config"):
					return world.Output{Stdout: []byte("{}")}, nil
				case slices.Contains(cmd.Args, "down"):
					up = false
				case slices.Contains(cmd.Args, "logs"):
					return world.Output{Stdout: said, Stderr: said}, nil
				case slices.Contains(cmd.Args, "up"):
					up = true
					if life == "" {
						return world.Output{Code: 1, Stdout: said, Stderr: said}, nil
					}
				}
				return world.Output{}, nil
			}
			err := stack.Up(t.Context(), m.World(), s, stack.Options{})
			if err == nil || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "refused: ***") {
				t.Errorf("got error %v, want one with what was said, and *** for the secret", err)
			}
			wantSecretOnlyAtStart(t, m, 1)
		})
	}
}

// TestSecretThatWasNotRead: a stack is not started with *** for a password, but all else
// that can be done with it is.
func TestSecretThatWasNotRead(t *testing.T) {
	m := newMachine()
	s := m.stack()
	s.Secrets = map[string]secret.Value{"PASSWORD": {}}
	err := stack.Up(t.Context(), m.World(), s, stack.Options{})
	if err == nil || !strings.Contains(err.Error(), "the secret for PASSWORD was not read") || len(m.ran) > 0 {
		t.Errorf("got error %v after %q", err, m.ran)
	}
	worldtest.WantErr(t, stack.Up(t.Context(), world.Planned(m.World()), s, stack.Options{}), world.ErrPlanned)
	worldtest.Must(t, stack.Down(t.Context(), m.World(), s, stack.DownOptions{}))
	wantSecretOnlyAtStart(t, m, 0)
}
