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
	"syscall"
	"testing"
	"time"

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

// TestInterruptedTests: tests that are in a call which nothing can interrupt end within two
// seconds, by themselves, and the child that runs them with them.
func TestInterruptedTests(t *testing.T) {
	for name, end := range map[string]func(*os.Process) error{
		"interrupted": interrupt,
		"terminated":  func(p *os.Process) error { return p.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			m, cmd := stuckTests(t)
			began := time.Now()
			code, out := endedAt(t, cmd, "error: begun", end)
			if code != 130 || !strings.Contains(out, "interrupted\n") {
				t.Errorf("exit code %d\n%s", code, out)
			}
			if left := confinedIn(t, m); len(left) > 0 {
				t.Errorf("left are the processes %v", left)
			}
			if took := time.Since(began); took > 20*time.Second { // the call alone takes minutes
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestKilledTests: when the process that has started them is killed, the tests end.
func TestKilledTests(t *testing.T) {
	m, cmd := stuckTests(t)
	code, out := endedAt(t, cmd, "error: begun", (*os.Process).Kill)
	if code != -1 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for tries := 0; len(confinedIn(t, m)) > 0; tries++ {
		if tries == 100 {
			t.Fatalf("left are the processes %v", confinedIn(t, m))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stuckTests is a command that runs tests, of which the first says that it has begun, and the
// second one doesn't end.
func stuckTests(t *testing.T) (machine, *exec.Cmd) {
	t.Helper()
	m := newMachine(t)
	text := `
def test_begun():
    for i in range(3000000):
        pass
    fail("begun")

def test_stuck():
    x = []
    for i in range(400000):
        x = [x]
    str(x)
`
	if err := os.WriteFile(filepath.Join(m.home, "stuck_test.star"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return m, m.kinfra(t, "test", "stuck_test.star")
}

// confinedIn is the processes that work in the home of a machine, where the system tells.
func confinedIn(t *testing.T, m machine) (pids []string) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if at, err := os.Readlink(dir); err == nil && at == m.home {
			pids = append(pids, filepath.Base(filepath.Dir(dir)))
		}
	}
	return pids
}
