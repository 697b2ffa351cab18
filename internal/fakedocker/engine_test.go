package fakedocker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/fakedocker"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
)

const dir = "/pool/sandboxes/slot-1"

// newStack is a machine with an Engine and the files of a stack.
func newStack() (*world.Fake, *fakedocker.Engine, stack.Stack) {
	f := world.NewFake()
	e := fakedocker.Install(f)
	f.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) { return e.Run(cmd) }
	f.Write(dir+"/.env", []byte("WEB_PORT=7001\n"))
	f.Write(dir+"/docker-compose.yml", []byte(`
services:
  web: {image: nginx, ports: ["127.0.0.1:${WEB_PORT}:80"]}
  worker: {image: busybox, deploy: {replicas: 2}, volumes: ["data:/data"]}
volumes: {data: }
`))
	return f, e, stack.Stack{Root: "/pool", Project: "slot-1", Dir: dir, EnvFile: dir + "/.env", Files: []string{dir + "/docker-compose.yml", dir + "/override.yml"}}
}

// states is the containers as the domain reads them from the Engine.
func states(t *testing.T, f *world.Fake) (all []string) {
	t.Helper()
	engine, err := docker.Open(f.World())
	if err != nil {
		t.Fatal(err)
	}
	containers, err := engine.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		all = append(all, strings.TrimSuffix(c.Name+" "+c.State+" "+c.Health, " "))
	}
	return all
}

// listening tells whether the port that the stack publishes is taken.
func listening(t *testing.T, f *world.Fake) bool {
	t.Helper()
	taken, err := f.Listening(t.Context(), "127.0.0.1:7001")
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// TestLife drives the Engine by the domain's own code: from the start to the end.
func TestLife(t *testing.T) {
	f, e, s := newStack()
	if err := stack.Up(t.Context(), f.World(), s, stack.Options{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"slot-1-web-1 running healthy", "slot-1-worker-1 running healthy", "slot-1-worker-2 running healthy"}
	if got := states(t, f); !slices.Equal(got, want) {
		t.Errorf("after the start there are %q", got)
	}
	theirs := fakedocker.Volume{Name: "slot-1_theirs", Project: "slot-1"}
	e.PutVolume(theirs)
	if got := e.Volumes(); len(got) != 2 || got[0].Name != "slot-1_data" || got[0].CreatedAt.After(f.Now()) {
		t.Errorf("there are the volumes %+v", got)
	}
	if !listening(t, f) {
		t.Error("the published port is free")
	}
	e.Put(fakedocker.Container{Name: "slot-1-web-1", Project: "slot-1", Service: "web", Dir: dir, Outcome: fakedocker.Outcome{State: fakedocker.Unhealthy}})
	if got := states(t, f); got[0] != "slot-1-web-1 running unhealthy" || len(got) != 3 {
		t.Errorf("one that got unhealthy is %q", got)
	}
	if err := stack.Restart(t.Context(), f.World(), s, stack.Options{}); err != nil {
		t.Error(err)
	}
	if err := stack.Down(t.Context(), f.World(), s, stack.DownOptions{Volumes: true}); err != nil {
		t.Error(err)
	}
	if got := states(t, f); got != nil || listening(t, f) {
		t.Errorf("after the end there are %q", got)
	}
	if got := e.Volumes(); len(got) != 1 || got[0] != theirs {
		t.Errorf("after the end there are the volumes %+v", got)
	}
}

// TestOutcomes: what a test says of a service is what the domain makes of it.
func TestOutcomes(t *testing.T) {
	for state, want := range map[fakedocker.State]error{
		fakedocker.Healthy: nil, fakedocker.Running: nil, fakedocker.Starting: world.ErrTimeout,
		fakedocker.Unhealthy: stack.ErrUnhealthy, fakedocker.Exited: stack.ErrUnhealthy, fakedocker.Restarting: world.ErrTimeout,
	} {
		f, e, s := newStack()
		e.Expect("web", fakedocker.Outcome{State: state, Code: 3, Logs: "last words\n"})
		err := stack.Up(t.Context(), f.World(), s, stack.Options{})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", state, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "last words") {
			t.Errorf("%s: the logs are not in %v", state, err)
		}
		if left := e.Containers(); err != nil && len(left) > 0 {
			t.Errorf("%s: %d containers are left", state, len(left))
		}
	}
	if len(fakedocker.States()) != 6 {
		t.Errorf("there are the states %q", fakedocker.States())
	}
}

func TestStopped(t *testing.T) {
	f, e, s := newStack()
	e.Stop(true)
	if err := stack.Up(t.Context(), f.World(), s, stack.Options{}); !errors.Is(err, docker.ErrUnavailable) {
		t.Errorf("without an Engine: %v", err)
	}
	if out, err := e.Run(world.Command{Args: []string{"docker", "volume", "rm", "--", "x"}}); err != nil || out.Code == 0 {
		t.Errorf("the command gives %+v, %v", out, err)
	}
	e.Stop(false)
	if err := stack.Up(t.Context(), f.World(), s, stack.Options{}); err != nil {
		t.Errorf("with it again: %v", err)
	}
}

// TestRefuses: what is not played fails, and so does a project that can't be read.
func TestRefuses(t *testing.T) {
	f, e, s := newStack()
	for _, line := range []string{"docker pull nginx", "docker compose --project-name a push", "docker compose"} {
		if _, err := e.Run(world.Command{Args: strings.Fields(line)}); err == nil || !strings.Contains(err.Error(), "doesn't play "+line) {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, spoil := range []string{"/.env", "/docker-compose.yml"} {
		f.Write(dir+spoil, []byte("X='"))
		if err := stack.Up(t.Context(), f.World(), s, stack.Options{}); err == nil {
			t.Errorf("a damaged %s is no error", spoil)
		}
	}
	if _, err := f.Send(t.Context(), world.Request{Network: "tcp", Address: "127.0.0.1:80", ReadOnly: true, Timeout: time.Second}); err == nil {
		t.Error("something listens elsewhere")
	}
}
