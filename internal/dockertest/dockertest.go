// Package dockertest lets tests run stacks on a real Docker Engine where no image can
// be pulled. It makes the images that a stack names: one static program, which
// answers like the programs that they would hold.
//
// An image of such a name that wasn't made here is left alone, and used. What was made
// here stays, for the next test; `go run ./internal/dockertest/images -remove` removes
// it.
package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// Demand is the variable that, set to 1, makes tests fail that would be skipped for
// want of an Engine.
const Demand = "KINFRA_DEMAND_DOCKER"

// Need sees to a Docker Engine with Compose v2 and the images. Where there is none, the
// test is skipped, or fails if Demand says so.
func Need(t testing.TB) {
	t.Helper()
	if testing.Short() && os.Getenv(Demand) != "1" {
		t.Skip("needs a Docker Engine, and -short is set")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := Missing(ctx)
	switch {
	case err == nil:
	case os.Getenv(Demand) == "1":
		t.Fatalf("%s is set, and there is no Docker Engine to test with: %v", Demand, err)
	default:
		t.Skipf("needs a Docker Engine: %v (install Debian's docker.io or Docker's own, start it, and run .ci/compose/install for Compose v2)", err)
	}
	if _, _, err := Install(ctx); err != nil {
		t.Fatalf("making the images: %v", err)
	}
}

// Alone waits until no other run of the tests called name, of this checkout or another
// one, works on the Engine, whose names and ports they would share. It stays alone
// until the test has ended.
func Alone(t testing.TB, name string) {
	t.Helper()
	path := filepath.Join(os.TempDir(), "kinfra-test-"+name+".lock")
	unlock, err := world.Real(t.Name()).Disk.Host().Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
}

// Missing tells what is missing for running stacks; nil if nothing is.
func Missing(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return err
	}
	system, err := docker(ctx, nil, "version", "--format", "{{.Server.Os}}")
	if err != nil {
		return err
	}
	if os := strings.TrimSpace(system); os != "linux" {
		return fmt.Errorf("the Docker Engine runs containers of %s, not of linux", os)
	}
	version, err := docker(ctx, nil, "compose", "version", "--short")
	if err != nil {
		return errors.New("there is no Compose v2")
	}
	if v := strings.TrimPrefix(version, "v"); strings.HasPrefix(v, "1.") {
		return fmt.Errorf("docker compose is version %s", strings.TrimSpace(v))
	}
	return nil
}
