package slot

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// The test binary, started with this variable, is a process that ensures a pool
// below that root; see TestKilled.
const childRoot = "SLOT_TEST_ROOT"

const children = 40 // slots of that pool

func TestMain(m *testing.M) {
	if dir := os.Getenv(childRoot); dir != "" {
		w := world.Real("a test")
		noisy := world.Faulty(w, func(op, name string) error {
			fmt.Println(op) // so that the parent can kill it anywhere
			return nil
		})
		if _, err := Ensure(context.Background(), noisy, registry.Open(noisy, dir), specs(children), Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func realPool(t testing.TB, dir string, n int) []Result {
	t.Helper()
	w := world.Real("a test")
	results, err := Ensure(t.Context(), w, registry.Open(w, dir), specs(n), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// Processes that are killed while they provision leave nothing that the next one
// doesn't complete.
func TestKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range 12 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childRoot+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, out, int64(100+400*i))
		cmd.Process.Kill()
		cmd.Wait()
	}
	for _, r := range realPool(t, dir, children) {
		if r.Action == Drifted {
			t.Errorf("slot %d has drifted: %v", r.ID, r.Drift)
		}
	}
	wantRealPool(t, dir, children)
}

// wantRealPool checks that the pool is whole, with nothing beside.
func wantRealPool(t *testing.T, dir string, n int) {
	t.Helper()
	w := world.Real("")
	reg, err := registry.Open(w, dir).Load(t.Context())
	if err != nil || len(reg.Slots()) != n {
		t.Fatalf("the registry has %d slots, %v", len(reg.Slots()), err)
	}
	for name := range worldtest.Snapshot(t, w, dir) {
		if strings.Contains(name, ".tmp-") {
			t.Errorf("%s is left over", name)
		}
	}
	for _, r := range realPool(t, dir, n) {
		if r.Action != Skipped {
			t.Errorf("then slot %d is %s", r.ID, r.Action)
		}
	}
}

func TestSideBySide(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 4 {
		wg.Go(func() {
			w := world.Real("a test")
			results, err := Ensure(t.Context(), w, registry.Open(w, dir), specs(6), Options{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range results {
				if r.Action == Created {
					created++
				} else if r.Action != Skipped {
					t.Errorf("slot %d is %s", r.ID, r.Action)
				}
			}
		})
	}
	wg.Wait()
	if created != 6 {
		t.Errorf("6 slots were created %d times", created)
	}
	wantRealPool(t, dir, 6)
}

// A root may have any name that a JSON file can hold.
func TestRealRoots(t *testing.T) {
	for _, name := range []string{"with space", "#", "$HOME", `"quoted"`, "it's", "new\nline", "größe", "-f", `back\slash`} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			realPool(t, dir, 2)
			wantRealPool(t, dir, 2)
			if _, err := os.Stat(filepath.Join(dir, "sandboxes", "slot-2", "docker-compose.yml")); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkCreate is a pool of six slots from nothing, durable.
func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		realPool(b, dir, 6)
	}
}

// BenchmarkNothingToDo is a look at a pool of six slots that agrees.
func BenchmarkNothingToDo(b *testing.B) {
	dir := b.TempDir()
	realPool(b, dir, 6)
	for b.Loop() {
		realPool(b, dir, 6)
	}
}
