package main

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// What could not be written is no success: it may be what a shell evaluates, or the
// only trace of what has been done.
func TestFullStdout(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full")
	}
	m := newMachine(t)
	m.run(t, "sandbox", "provision", "--slot", "1")
	for _, args := range []string{
		"version", "version --output json", "--help", "completion bash", "scripts show pool.star", "sandbox slots", "sandbox slots --output json", "sandbox env 1",
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		var stderr strings.Builder
		cmd := m.kinfra(t, strings.Fields(args)...)
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run() // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != 1 || stderr.String() != "error: writing to stdout: no space left on device\n" {
			t.Errorf("kinfra %s: exit code %d\n%s", args, code, stderr.String())
		}
	}
}

// A reader that goes away, as head does, ends the output and not the work: what was
// begun is completed, and cleaned up after.
func TestBrokenPipe(t *testing.T) {
	m := newMachine(t)
	for _, args := range []string{"sandbox provision", "e2e", "scripts list"} {
		cmd := m.kinfra(t, strings.Fields(args)...)
		out := unreadPipe(t)
		cmd.Stdout, cmd.Stderr = out, out
		_ = cmd.Run() // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != 141 {
			t.Errorf("kinfra %s: exit code %d, want 141", args, code)
		}
	}
	if left, err := os.ReadDir(m.tmp); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
	whole(t, m)
}

// unreadPipe is the end of a pipe that nobody reads any more.
func unreadPipe(t *testing.T) *os.File {
	t.Helper()
	lines, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	lines.Close()
	t.Cleanup(func() { out.Close() })
	return out
}

// A report that can't be written is an error beside the object that has been printed,
// not in its place and not a second one.
func TestReportThatCannotBeWritten(t *testing.T) {
	m := newMachine(t)
	script := filepath.Join(m.home, "top.star")
	if err := os.WriteFile(script, []byte("x = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tooLong := strings.Repeat("x", 300) // for a file's name, which is known only when it is written
	for _, args := range [][]string{{"sandbox", "slots"}, {"run", script}} {
		var stdout, stderr strings.Builder
		cmd := m.kinfra(t, append(args, "--output", "json", "--report", "json="+filepath.Join(m.home, tooLong))...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasPrefix(stderr.String(), "error: writing the report: ") {
			t.Errorf("kinfra %v: exit code %d\n%s", args, code, stderr.String())
		}
		if n := strings.Count(stdout.String(), `"version": 1`); n != 1 {
			t.Errorf("kinfra %v: %d objects\n%s", args, n, stdout.String())
		}
	}
}

// A report takes the place of a file, never of a pipe, a device or a link such as
// /dev/stdout.
func TestReportInPlaceOfNoFile(t *testing.T) {
	m := newMachine(t)
	pipe, link := filepath.Join(m.home, "pipe"), filepath.Join(m.home, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, m.home} {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		cmd := m.kinfra(t, "e2e", "--report", "json="+path)
		out, _ := cmd.CombinedOutput() // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != 2 || string(out) != "error: --report json="+path+": there is something else than a file\nhint: name a file that is to be written or replaced\n" {
			t.Errorf("%s: exit code %d\n%s", path, code, out)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s has been replaced: %v", path, err)
		}
	}
}

// A terminal that is closed interrupts as Ctrl-C does, and may do so twice.
func TestClosedTerminal(t *testing.T) {
	// Also where the tests were started by nohup, a child is not to ignore it.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	m := newMachine(t)
	scripts := provisionThatFirst(t, `proc.run(["sleep", "60"])`)
	code, out := endedAt(t, m.kinfra(t, "e2e", "--scripts", scripts), "ok    2 dry run", func(p *os.Process) error {
		return errors.Join(p.Signal(syscall.SIGHUP), p.Signal(syscall.SIGHUP))
	})
	if code != 130 || !strings.HasSuffix(out, "interrupted\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if left, err := os.ReadDir(m.tmp); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}
