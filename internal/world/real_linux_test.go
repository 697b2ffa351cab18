package world_test

import (
	"strings"
	"testing"

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
