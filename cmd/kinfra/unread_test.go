package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where nobody reads what a run prints, Ctrl-C and its time-out end it all the same: what it
// did is undone, how it ended is on record, and its reports are written.
func TestUnreadRun(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		end    func(*os.Process) error
		code   int
		status string
	}{
		"interrupted":         {nil, interrupt, 130, "interrupted"},
		"interrupted, events": {[]string{"--output", "events"}, interrupt, 130, "interrupted"},
		"interrupted, JSON":   {[]string{"--output", "json"}, interrupt, 130, "interrupted"},
		"timed out":           {[]string{"--timeout", "3s"}, func(*os.Process) error { return nil }, 124, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			text := `"""Print without end."""

def talk(args):
    step("begin", lambda: fs.write("begun", ""), undo = lambda _: fs.remove("begun"))
    step("tell", lambda: [print(n) for n in range(1000000000)])

workflow(command = "talk", run = talk)
`
			if err := os.WriteFile(filepath.Join(m.home, "talk.star"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := m.kinfra(t, append([]string{"run", "talk.star", "--report", "json=report.json"}, test.args...)...)
			out := heldPipe(t)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waitUntilFull(t, cmd, out)
			if err := test.end(cmd.Process); err != nil {
				t.Fatal(err)
			}
			if code := codeInTime(t, cmd); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if _, err := os.Stat(filepath.Join(m.home, "begun")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the step was not undone: %v", err)
			}
			if _, err := os.Stat(filepath.Join(m.home, "report.json")); err != nil {
				t.Error(err)
			}
			list, err := m.kinfra(t, "runs", "list").Output()
			if err != nil || !strings.Contains(string(list), test.status) {
				t.Errorf("the record doesn't say that it was %s (%v):\n%s", test.status, err, list)
			}
		})
	}
}

// So it is with a command that is no script.
func TestUnreadCommand(t *testing.T) {
	m := newMachine(t)
	cmd := m.kinfra(t, "doc", "--output", "json")
	out := heldPipe(t)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntilFull(t, cmd, out)
	if err := interrupt(cmd.Process); err != nil {
		t.Fatal(err)
	}
	code := codeInTime(t, cmd)
	if code != 130 || stderr.String() != "interrupted\n" {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
}

// heldPipe is the end of a pipe that somebody holds and doesn't read.
func heldPipe(t *testing.T) *os.File {
	t.Helper()
	lines, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lines.Close(); out.Close() })
	return out
}

// waitUntilFull waits until a process has filled a pipe, and its last page with what still fits.
func waitUntilFull(t *testing.T, cmd *exec.Cmd, out *os.File) {
	t.Helper()
	full := 0
	for deadline := time.Now().Add(time.Minute); full < 10; time.Sleep(10 * time.Millisecond) {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(out.Fd()), Events: unix.POLLOUT}}, 0); n == 0 && err == nil {
			full++
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			t.Fatal("the process does not fill the pipe")
		}
	}
}

// codeInTime is the exit code of a process, which is killed if it doesn't end.
func codeInTime(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait() // the exit code tells
	return cmd.ProcessState.ExitCode()
}
