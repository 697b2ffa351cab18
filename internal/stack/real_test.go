package stack_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestShippedStack brings the shipped template up in two slots at once, light and
// heavy, sees each answer on its own ports, and takes both down.
func TestShippedStack(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	light := newSlot(t, root, 40, shipped(t), map[string]string{"KTRDR_BACKTEST_WORKERS": "1", "KTRDR_TRAINING_WORKERS": "1"})
	heavy := newSlot(t, root, 41, shipped(t), map[string]string{"KTRDR_BACKTEST_WORKERS": "4", "KTRDR_TRAINING_WORKERS": "4"})
	services := func(workers int) map[string]int {
		return map[string]int{"db": 1, "backend": 1, "backtest-worker": workers, "training-worker": workers, "jaeger": 1, "prometheus": 1, "grafana": 1}
	}

	var seen []string
	var group sync.WaitGroup
	for _, s := range []slot{light, heavy} {
		group.Go(func() {
			options := stack.Options{Clean: true}
			if s.Project == light.Project {
				options.Report = func(s docker.ServiceState) { seen = append(seen, fmt.Sprintf("%s %s", s.Service, s.Status)) }
			}
			if err := s.up(t.Context(), options); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, want := range []string{"db starting", "db running", "backend running", "training-worker running", "grafana running"} {
		if !slices.Contains(seen, want) {
			t.Errorf("progress lacks %q: %q", want, seen)
		}
	}

	for _, tt := range []struct {
		slot
		number, workers, containers int
	}{{light, 40, 1, 7}, {heavy, 41, 4, 13}} {
		state := tt.state(t, services(tt.workers))
		if state.Status != docker.Running || state.Up != tt.containers || state.Want != tt.containers {
			t.Errorf("slot %d is %s, %d of %d, want running with %d: %+v", tt.number, state.Status, state.Up, state.Want, tt.containers, state.Services)
		}
		for name, port := range ports(tt.number) {
			path := "/api/v1/health"
			if name == "DB" {
				path = "/login?password=localdev"
			}
			code, a := get(t, port, path)
			if code != 200 || name == "API" && a.Env["KTRDR_SLOT"] != fmt.Sprint(tt.number) {
				t.Errorf("slot %d, %s at %d: code %d from slot %q", tt.number, name, port, code, a.Env["KTRDR_SLOT"])
			}
		}
	}
	if light.state(t, services(4)).Status != docker.Partial {
		t.Error("a slot that lacks workers is not partial")
	}

	// again: there is nothing to do
	worldtest.Must(t, light.up(t.Context(), stack.Options{}))
	for _, s := range []slot{light, heavy} {
		worldtest.Must(t, s.down(t.Context(), true))
		wantNothing(t, s.Project)
		if state := s.state(t, services(1)); state.Status != docker.Stopped || state.Up != 0 || state.Want != 7 {
			t.Errorf("after down: %s, %d of %d", state.Status, state.Up, state.Want)
		}
		worldtest.Must(t, s.down(t.Context(), true))
	}
}

// TestRestart restarts a stack, and refuses to restart what was not started. It also
// runs a program in a container, and reads a log.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 42, []byte(small), nil)
	w := world.Real("test")
	worldtest.WantErr(t, stack.Restart(t.Context(), w, s.Stack, stack.Options{}), stack.ErrNotStarted)
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	_, before := get(t, ports(42)["API"], "/")
	worldtest.Must(t, stack.Restart(t.Context(), w, s.Stack, stack.Options{}))
	code, after := get(t, ports(42)["API"], "/")
	if code != 200 || after.Host != before.Host {
		t.Errorf("after a restart, code %d from %s, was %s", code, after.Host, before.Host)
	}

	cmd := s.Exec(w, "-T", "api", "env")
	cmd.Timeout = time.Minute
	out, err := w.Processes.Run(t.Context(), cmd)
	if err != nil || !strings.Contains(string(out.Stdout), "SLOT=42\n") {
		t.Errorf("exec printed %q, %q, %v", out.Stdout, out.Stderr, err)
	}
	cmd = s.Logs(w, "--no-log-prefix", "api")
	cmd.Timeout = time.Minute
	out, err = w.Processes.Run(t.Context(), cmd)
	if err != nil || !strings.Contains(string(out.Stdout), "listening on 80") {
		t.Errorf("logs printed %q, %q, %v", out.Stdout, out.Stderr, err)
	}
}

// small is a stack that is up soon. The first service ends by itself, as a migration
// does.
const small = `
services:
  migrate:
    image: kinfra-test/service
    command: ["env"]
  api:
    image: ${KTRDR_BACKEND_IMAGE:-kinfra-test/service}
    command: ["serve", "80"]
    ports: ["127.0.0.1:${KTRDR_API_PORT}:80"]
    environment:
      SLOT: ${SLOT_ID}
    volumes: ["data:/data"]
    depends_on:
      migrate: {condition: service_completed_successfully}
    healthcheck:
      test: ["CMD", "curl", "http://localhost/"]
      interval: 200ms
      retries: 3
  plain:
    image: kinfra-test/service
volumes:
  data:
`
