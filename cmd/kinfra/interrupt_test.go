package main

import (
	"bufio"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

func interrupt(p *os.Process) error { return p.Signal(os.Interrupt) }

// A run that is interrupted takes back itself what it has begun: there is nothing for
// the next one to clear away.
func TestInterruptedProvision(t *testing.T) {
	for range rounds() {
		m := newMachine(t)
		cmd := m.kinfra(t, "sandbox", "provision")
		wait := rand.N(longest)
		_, stderr := endedAfter(t, cmd, wait, interrupt)
		code := cmd.ProcessState.ExitCode()
		// A process that is interrupted before it listens for that has no code, and is
		// cleared up after by the next one.
		if code != 0 && code != 130 && code != -1 {
			t.Fatalf("interrupted after %s: exit code %d\n%s", wait, code, stderr)
		}
		if left := strays(t, m.pool()); len(left) > 0 && code != -1 {
			t.Fatalf("interrupted after %s: left over are %v", wait, left)
		}
		m.run(t, "sandbox", "slots")
		m.run(t, "sandbox", "provision")
		whole(t, m)
		if left := strays(t, m.pool()); len(left) > 0 {
			t.Fatalf("interrupted after %s and provisioned again: left over are %v", wait, left)
		}
	}
}

// A run that is interrupted while it waits for the lock ends at once, says so, and has
// changed nothing.
func TestInterruptedWhileWaiting(t *testing.T) {
	m := newMachine(t)
	if err := os.MkdirAll(filepath.Dir(filepath.Join(m.pool(), registry.LockFile)), 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := world.Real("the test").Disk.Root(m.pool()).Lock(t.Context(), registry.LockFile)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	scripts := provisionThatFirst(t, `[on_exit(lambda: None), print("begun")]`)
	code, out := endedAt(t, m.kinfra(t, "sandbox", "provision", "--scripts", scripts), "begun", interrupt)
	if code != 130 || out != "begun\ninterrupted\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(m.pool(), "sandboxes")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there are slots: %v", err)
	}
}

// A validation that is interrupted ends its children and removes its temporary root.
func TestInterruptedValidation(t *testing.T) {
	m := newMachine(t)
	scripts := provisionThatFirst(t, `proc.run(["sleep", "60"])`)
	code, out := endedAt(t, m.kinfra(t, "e2e", "--scripts", scripts), "ok    2 dry run", interrupt)
	if code != 130 || !strings.HasSuffix(out, "interrupted\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for _, dir := range []string{m.tmp, m.home} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s are %v (%v)", dir, left, err)
		}
	}
}

// provisionThatFirst is a directory of scripts in which provisioning does something
// before all else.
func provisionThatFirst(t *testing.T, does string) string {
	t.Helper()
	return scriptsWith(t, "provision.star", `"""Do something, then provision."""

load("@kinfra//provision.star", "show", _provision = "provision")

def provision(args):
    `+does+`
    return _provision(args)

workflow(command = "sandbox provision", run = provision, show = show, flags = {
    "slot": flag.ints(help = "Only these slots."),
    "refresh": flag.bool(help = "Bring them into line."),
})
`)
}

// endedAt starts a command, calls end with its process once it has written a line that
// contains some text, and gives its exit code and all that it wrote.
func endedAt(t *testing.T, cmd *exec.Cmd, text string, end func(*os.Process) error) (code int, output string) {
	t.Helper()
	lines, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		output += scanner.Text() + "\n"
		if strings.Contains(scanner.Text(), text) {
			if err := end(cmd.Process); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the exit code tells
	return cmd.ProcessState.ExitCode(), output
}
