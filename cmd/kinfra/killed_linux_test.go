package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// What a killed kinfra has started ends with it, and so doesn't run beside what a resume
// starts again.
func TestProcessesEndWithKilledKinfra(t *testing.T) {
	m := newMachine(t)
	script := `
def main(_args):
    step("wait", lambda: proc.run(["sh", "-c", "echo $$ > pid; exec sleep 120"], timeout = "3m"))

workflow(command = "wait", run = main)
`
	if err := os.WriteFile(filepath.Join(m.home, "wait.star"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := m.kinfra(t, "run", "wait.star")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, filepath.Join(m.home, "pid"))
	defer syscall.Kill(child, syscall.SIGKILL)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(time.Millisecond) {
		if ended(child) {
			return
		}
	}
	t.Errorf("process %d outlived the kinfra that had started it", child)
}

// childOf waits for the number of a process to be written to a file.
func childOf(t *testing.T, name string) int {
	t.Helper()
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(time.Millisecond) {
		if data, err := os.ReadFile(name); err == nil && bytes.HasSuffix(data, []byte("\n")) {
			pid, err := strconv.Atoi(string(bytes.TrimSpace(data)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("no process was started")
	return 0
}

// ended tells whether a process is gone, or dead and not yet waited for.
func ended(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}
