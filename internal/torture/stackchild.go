package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
)

// What a process does with the stack of a slot.
const (
	deedClaim   = "claim"
	deedUp      = "up"
	deedRelease = "release"
)

// mounted is what of the worktree the stack sees.
const mounted = "src"

func (p pool) manager(w world.World, project string) *lifecycle.Manager {
	return lifecycle.New(w, lifecycle.Definition{
		Root: p.root, Project: project, Mounts: map[string][]stack.Mount{"web": {{Source: mounted, Target: "/src"}}},
	}, p.Pool)
}

// doneReport is how many events a process had that wasn't killed.
type doneReport struct {
	Events int `json:"events"`
}

// do has a process of its own do a deed, and kills it at an event; 0 is none.
func (y yard) do(ctx context.Context, deed string, killAt int) (events int, killed bool, err error) {
	cmd, err := order{Role: "stack", Dir: y.dir, Name: deed, Project: y.project, KillAt: killAt}.command(ctx)
	if err != nil {
		return 0, false, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if killAt > 0 && wasKilled(cmd) && ctx.Err() == nil {
			return 0, true, nil
		}
		return 0, false, fmt.Errorf("%w: %s", err, &stderr)
	}
	var report doneReport
	err = json.Unmarshal(stdout.Bytes(), &report)
	return report.Events, false, err
}

// doWithStack is a process that does one deed.
func doWithStack(ctx context.Context, c child) error {
	var events atomic.Int64
	w := world.Faulty(c.world(), func(op, _ string) error {
		switch op {
		case "read", "lstat", "readdir", "readlink", "listen": // to be killed at these is to be killed at the next other one
			return nil
		}
		if events.Add(1) == int64(c.KillAt) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // it comes at once
		}
		return nil
	})
	p := openPool(w, c.Dir)
	if err := p.doDeed(ctx, c.Name, p.manager(w, c.Project)); err != nil {
		return err
	}
	return c.out.Encode(doneReport{Events: int(events.Load())})
}

func (p pool) doDeed(ctx context.Context, deed string, m *lifecycle.Manager) error {
	if deed == deedClaim {
		_, err := p.claim(ctx, 0)
		return err
	}
	s, held, err := p.Find(ctx, p.tree(0))
	switch {
	case err != nil:
		return err
	case !held && deed == deedRelease:
		return p.Reconcile(ctx) // it is given back already; the next change clears away what the killed one has left
	case !held:
		return fmt.Errorf("the worktree holds no slot")
	case deed == deedRelease:
		return m.Release(ctx, *s.Claim)
	}
	return m.Up(ctx, *s.Claim, lifecycle.UpOptions{Timeout: time.Minute})
}

// awaitCompose waits until no Compose works on the project any more: one whose starter
// was killed lives on for a moment.
func (y yard) awaitCompose(ctx context.Context) {
	for ctx.Err() == nil {
		out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "args").Output()
		if err != nil || !strings.Contains(string(out), "--project-name "+fmt.Sprintf(y.project, 1)) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func runDocker(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, &stderr)
	}
	return string(out), nil
}
