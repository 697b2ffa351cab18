package world_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// helperVariable names what this program does, other than testing, where a test
// needs a process of its own.
const helperVariable = "WORLD_TEST_HELPER"

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		if err := helpers[name](os.Args[1], os.Args[2:]...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var helpers = map[string]func(path string, more ...string) error{
	"hold":     holdLock,
	"count":    countUnderLock,
	"fulldisk": createOnFullDisk,
	"attach":   attachShell,
}

// helper is this program as a process of its own.
func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	worldtest.Must(t, err)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// holdLock takes the lock, says so, and holds it until its standard input ends.
func holdLock(path string, _ ...string) error {
	unlock, err := world.Real("pid 4711: \x1b[31mholder\n").Disk.Host().Lock(context.Background(), path)
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// countUnderLock adds 1 to the number in a file, again and again.
func countUnderLock(path string, more ...string) error {
	times, err := strconv.Atoi(more[0])
	if err != nil {
		return err
	}
	w := world.Real("counter")
	for range times {
		unlock, err := w.Disk.Host().Lock(context.Background(), path+".lock")
		if err != nil {
			return err
		}
		if err := increment(path); err != nil {
			return err
		}
		unlock()
	}
	return nil
}

func increment(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(data))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strconv.Itoa(n+1)), 0o600)
}

// createOnFullDisk creates a file larger than files may be.
func createOnFullDisk(path string, _ ...string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 10, Max: 10}); err != nil {
		return err
	}
	err := world.Real("test").Disk.Host().CreateFile(path, make([]byte, 100), 0o600)
	if !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("creating a file over the limit: got %v, want %w", err, syscall.EFBIG)
	}
	return nil
}
