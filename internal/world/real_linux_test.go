package world_test

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestReadFileOfUnknownSize reads a regular file that claims to be empty.
func TestReadFileOfUnknownSize(t *testing.T) {
	host := world.Real("test").Disk.Host()
	data, err := host.ReadFile("/proc/self/status", 1<<20)
	if err != nil || !strings.Contains(string(data), "Threads:") {
		t.Errorf("got %q, %v", data, err)
	}
	_, err = host.ReadFile("/proc/self/status", 10)
	worldtest.WantErr(t, err, world.ErrTooLarge)
}

// TestGroupIsGone: of a process group that was ended nothing is left, not even dead processes
// that wait for somebody to take note. Process 1 may be none that does.
func TestGroupIsGone(t *testing.T) {
	for range 5 {
		out, err := world.Real("a test").Processes.Run(t.Context(), world.Command{
			Args: []string{"/bin/sh", "-c", "echo $$; sleep 60 & sleep 60 & wait"}, Dir: t.TempDir(), Timeout: 50 * time.Millisecond,
		})
		if !errors.Is(err, world.ErrTimeout) {
			t.Fatalf("the error is %v", err)
		}
		group, err := strconv.Atoi(strings.TrimSpace(string(out.Stdout)))
		if err != nil {
			continue // it was ended before it said so
		}
		if err := syscall.Kill(-group, 0); err != syscall.ESRCH {
			t.Errorf("the group is still there: %v", err)
		}
	}
}
