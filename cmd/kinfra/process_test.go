package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is an empty home, with a directory of its own for temporary files.
type machine struct {
	home, tmp string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	return machine{home: t.TempDir(), tmp: t.TempDir()}
}

func (m machine) pool() string { return filepath.Join(m.home, ".ktrdr") }

// kinfra is the binary as a user would call it: TestMain has put it on the PATH.
func (m machine) kinfra(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("kinfra", args...)
	cmd.Env = append(os.Environ(), "HOME="+m.home, "TMPDIR="+m.tmp, "KINFRA_ROOT=", "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
	cmd.Dir = m.home
	return cmd
}

// run runs a command that must succeed.
func (m machine) run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := m.kinfra(t, args...).CombinedOutput(); err != nil {
		t.Fatalf("kinfra %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// endedAfter starts a command, calls end with its process after a while, and waits for
// it. Where it ended by itself before that, ended is false.
func endedAfter(t *testing.T, cmd *exec.Cmd, wait time.Duration, end func(*os.Process) error) (ended bool, stderr string) {
	t.Helper()
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
		return false, text.String()
	case <-time.After(wait):
	}
	if err := end(cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-done
	return true, text.String()
}

// strays are the temporary files and directories below dir.
func strays(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), ".tmp-") {
			found = append(found, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
