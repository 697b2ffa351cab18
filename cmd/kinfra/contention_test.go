package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClaimsAtTheSameMoment: of 64 processes that claim 6 slots at the same moment, 6 get
// one each, and 58 are told that none is free; and so again once these are released.
func TestClaimsAtTheSameMoment(t *testing.T) {
	const processes, slots = 64, 6
	m := newMachine(t)
	m.run(t, "sandbox", "provision")
	for range 2 {
		claimers := make([]*claimer, processes)
		start, started, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		for i := range claimers {
			claimers[i] = newClaimer(t, m, filepath.Join(m.home, fmt.Sprintf("worktree-%d", i)), start)
		}
		if err := errors.Join(start.Close(), started.Close()); err != nil { // now all of them go
			t.Fatal(err)
		}
		holders := map[int]*claimer{}
		for _, c := range claimers {
			slot, ok := c.outcome(t)
			if !ok {
				continue
			}
			if other := holders[slot]; other != nil {
				t.Errorf("slot %d was given to %s and to %s", slot, other.worktree, c.worktree)
			}
			holders[slot] = c
		}
		if len(holders) != slots {
			t.Errorf("%d slots were given out, want %d", len(holders), slots)
		}
		wantHolders(t, m, holders)
		for _, c := range holders {
			m.run(t, "sandbox", "release", "--for", c.worktree)
		}
		wantHolders(t, m, nil)
	}
}

// claimer is a process that claims a slot for a worktree of its own.
type claimer struct {
	worktree string
	cmd      *exec.Cmd
	stdout   bytes.Buffer
	stderr   bytes.Buffer
}

// newClaimer starts a process that claims as soon as its standard input ends.
func newClaimer(t *testing.T, m machine, worktree string, stdin io.Reader) *claimer {
	t.Helper()
	if err := os.MkdirAll(worktree, 0o700); err != nil {
		t.Fatal(err)
	}
	worktree, err := filepath.EvalSymlinks(worktree) // as a claim has it
	if err != nil {
		t.Fatal(err)
	}
	c := &claimer{worktree: worktree}
	c.cmd = m.kinfra(t)
	c.cmd.Path = "/bin/sh"
	c.cmd.Args = []string{"sh", "-c", `read -r _; exec kinfra sandbox claim --output json --for "$1"`, "sh", worktree}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = stdin, &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// outcome is the slot that it got; ok is false where it was told that none is free.
func (c *claimer) outcome(t *testing.T) (slot int, ok bool) {
	t.Helper()
	_ = c.cmd.Wait() // its code says it
	var answer struct {
		Result struct{ Slot int }
		Error  struct{ Message string }
	}
	if err := json.Unmarshal(c.stdout.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v\n%s%s", c.worktree, err, &c.stdout, &c.stderr)
	}
	_, err := os.Lstat(filepath.Join(c.worktree, ".env.sandbox"))
	hasEnv := err == nil
	switch code := c.cmd.ProcessState.ExitCode(); {
	case code == 0 && answer.Result.Slot > 0 && hasEnv:
		return answer.Result.Slot, true
	case code == 3 && strings.Contains(answer.Error.Message, "slot 1 (light) is held by ") && !hasEnv:
	default:
		t.Errorf("%s: code %d, a copy of the slot's variables: %t\n%s%s", c.worktree, code, hasEnv, &c.stdout, &c.stderr)
	}
	return 0, false
}

// wantHolders compares the registry, as the older tools read it, with who got what.
func wantHolders(t *testing.T, m machine, holders map[int]*claimer) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.pool(), "sandbox", "instances.json"))
	if err != nil {
		t.Fatal(err)
	}
	var registry struct {
		Slots map[int]struct {
			ClaimedBy string `json:"claimed_by"`
		}
	}
	if err := json.Unmarshal(data, &registry); err != nil {
		t.Fatal(err)
	}
	for id, slot := range registry.Slots {
		want := ""
		if holders[id] != nil {
			want = holders[id].worktree
		}
		if slot.ClaimedBy != want {
			t.Errorf("slot %d is claimed by %q in the registry, want %q", id, slot.ClaimedBy, want)
		}
	}
}
