package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/dockertest"
)

// stackMachine is a machine whose pool is on the real Docker Engine, with a worktree.
type stackMachine struct {
	machine
	project, tree string
}

func newStackMachine(t *testing.T, project string, firstPort int) stackMachine {
	t.Helper()
	dockertest.Need(t)
	dockertest.Alone(t, "stories")
	if err := removeFromEngine(project); err != nil { // what a run that was killed has left
		t.Fatal(err)
	}
	if os.Getenv("DOCKER_CONFIG") == "" {
		t.Setenv("DOCKER_CONFIG", filepath.Join(os.Getenv("HOME"), ".docker"))
	}
	m := stackMachine{newMachine(t), project, t.TempDir()}
	if err := writePool(filepath.Join(m.home, ".config", "kinfra", "scripts"), project, firstPort); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(m.tree, "ktrdr"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeFromEngine(project); err != nil {
			t.Errorf("removing what the test has left on the Docker Engine: %v", err)
		}
	})
	m.run(t, "sandbox", "provision")
	return m
}

// sandbox is a command of the pool, given in the worktree.
func (m stackMachine) sandbox(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := m.kinfra(t, append([]string{"sandbox"}, args...)...)
	cmd.Dir = m.tree
	return cmd
}

// must runs a command in the worktree that must succeed, and gives what it wrote.
func (m stackMachine) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.sandbox(t, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kinfra sandbox %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// wantNothing fails if there is anything of the project on the Engine.
func (m stackMachine) wantNothing(t *testing.T) {
	t.Helper()
	for _, kind := range kindsOnEngine() {
		names, err := onEngine(kind, m.project)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) > 0 {
			t.Errorf("left on the Docker Engine, %s: %v", kind, names)
		}
	}
}

// awaitCompose waits until no Compose works on the project any more: one whose kinfra
// was killed may live on for a moment.
func (m stackMachine) awaitCompose(t *testing.T) {
	t.Helper()
	for {
		out, err := exec.Command("ps", "-A", "-o", "args").Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), "--project-name "+m.project) {
			return
		}
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// moments of a start, in the order in which they come.
func moments() []string { return []string{"  db: stopped", "  db: starting", "  backend: starting"} }

// Whenever a start is killed, a release leaves nothing of it, also nothing that a
// Compose that has outlived its kinfra starts later.
func TestKilledUpReleased(t *testing.T) {
	m := newStackMachine(t, "story-killed", 28000)
	for _, when := range moments() {
		m.must(t, "claim")
		if code, out := endedAt(t, m.sandbox(t, "up"), when, (*os.Process).Kill); code != -1 {
			t.Fatalf("it was not killed: code %d\n%s", code, out)
		}
		m.must(t, "release")
		m.awaitCompose(t)
		m.wantNothing(t)
		if t.Failed() {
			t.Fatalf("killed at %q", when)
		}
	}
}

// Whenever a start is killed, starting it again brings all of it up.
func TestKilledUpStartedAgain(t *testing.T) {
	m := newStackMachine(t, "story-started-again", 28200)
	m.must(t, "claim")
	for _, when := range moments() {
		endedAt(t, m.sandbox(t, "up"), when, (*os.Process).Kill)
		m.must(t, "up")
		m.awaitCompose(t)
		if slots := m.must(t, "status"); !strings.HasPrefix(slots, "Slot 1 (light): running\n") {
			t.Fatalf("killed at %q, then started again:\n%s", when, slots)
		}
		m.must(t, "down", "--volumes")
	}
	m.must(t, "release")
	m.wantNothing(t)
}

// A start that is interrupted takes itself down, and a claim that was made for it ends.
func TestInterruptedUp(t *testing.T) {
	m := newStackMachine(t, "story-interrupted", 28400)
	for _, when := range moments() {
		code, out := endedAt(t, m.sandbox(t, "claim", "--up"), when, interrupt)
		if code != 130 || !strings.Contains(out, "\ninterrupted\n") {
			t.Fatalf("interrupted at %q: code %d\n%s", when, code, out)
		}
		m.wantNothing(t)
		if slots := m.must(t, "slots"); strings.Contains(slots, filepath.Base(m.tree)) {
			t.Errorf("interrupted at %q, the claim is still there:\n%s", when, slots)
		}
		if _, err := os.Lstat(filepath.Join(m.tree, ".env.sandbox")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("interrupted at %q, the worktree still has the slot's variables (%v)", when, err)
		}
	}
	m.must(t, "claim")
	if code, out := endedAt(t, m.sandbox(t, "up"), "  db: starting", interrupt); code != 130 {
		t.Errorf("code %d\n%s", code, out)
	}
	m.wantNothing(t)
	if slots := m.must(t, "slots"); !strings.Contains(slots, filepath.Base(m.tree)) {
		t.Errorf("a claim that was there before has ended:\n%s", slots)
	}
}
