package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// How often the workflow with a stack is killed, over runs that are resumed and runs that
// are taken back.
const (
	stackflowKills      = 40
	stackflowKillsShort = 3
)

// tryStackflow is tryWorkflow with a real stack in the workflow.
func tryStackflow(ctx context.Context, l *lab) (finding, error) {
	if err := needEngine(ctx); err != nil {
		return finding{}, err
	}
	program, err := l.buildKinfra(ctx)
	if err != nil {
		return finding{}, err
	}
	dir, err := l.newDir("stackflow")
	if err != nil {
		return finding{}, err
	}
	s := &stacks{lab: l, stuck: map[string]bool{}}
	k := &killing{program: program, dir: dir, known: map[string]bool{}, flags: []string{"--stack"}, env: engineEnv()}
	k.stack = &yard{stacks: s, project: newProject()}
	k.resumesNext = func() bool { return k.undone%2 == 0 } // every other run, since there are few
	defer os.RemoveAll(dir)
	defer k.stack.clear()
	if err := k.prepare(ctx); err != nil {
		return finding{}, err
	}
	f, err := k.killAll(ctx, pick(l, stackflowKills, stackflowKillsShort), l.progress)
	f.figures += s.ofStuck()
	return f, err
}

// mounted is what of the worktree the stack sees.
const mounted = "src"

// stackPool is a pool of one slot: its port less 1, its project, and its stack.
const stackPool = `"""A pool of one slot."""

pool = slot.pool(
    name = "torture",
    root = "~/.torture",
    profiles = [profile("small")],
    slots = {1: "small"},
    ports = {"web": port(base = %d)},
    main_port = "web",
    project = %q,
    environment = lambda slot: {"WEB_PORT": slot.ports["web"]},
    template = """%s""",
    mounts = {"web": {%q: "/src"}},
)
`

// writePool makes a pool whose stack is on the real Engine that of a user, and in the
// worktree what the stack sees of it.
func (y *yard) writePool(ctx context.Context, home, worktree string) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	layer := filepath.Join(home, ".config", "kinfra", "scripts")
	if err := os.MkdirAll(layer, 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf(stackPool, port-1, y.project, stackTemplate, mounted)
	if err := os.WriteFile(filepath.Join(layer, "pool.star"), []byte(text), 0o600); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(worktree, mounted), 0o755)
}

// engineEnv is what a program with a home of its own needs to know to find the Engine,
// and Compose, which is among the user's plugins.
func engineEnv() []string {
	env := []string{"DOCKER_CONFIG=" + cmp.Or(os.Getenv("DOCKER_CONFIG"), filepath.Join(os.Getenv("HOME"), ".docker"))}
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// state is what is on the Engine once no Compose works on it any more: containers, each
// with its state and health, networks and volumes.
func (y *yard) state(ctx context.Context) ([]string, error) {
	y.awaitCompose(ctx)
	var all []string
	for kind, names := range y.onEngine(ctx) {
		for _, name := range names {
			line := kind + " " + name
			if kind == "container" {
				how, err := stateOfContainer(ctx, name)
				if err != nil {
					return nil, err
				}
				line += ": " + how
			}
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all, nil
}

// stateOfContainer is "running, healthy", or "created, " where it has not run.
func stateOfContainer(ctx context.Context, name string) (string, error) {
	out, err := runDocker(ctx, "container", "inspect", "--format", "{{json .State}}", name)
	if err != nil {
		return "", err
	}
	var state struct {
		Status string
		Health struct{ Status string }
	}
	err = json.Unmarshal([]byte(out), &state)
	return state.Status + ", " + state.Health.Status, err
}
