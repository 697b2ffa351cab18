package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// The test binary, started with these variables, is a process that updates a
// registry; see TestProcesses.
const (
	childRoot  = "REGISTRY_TEST_ROOT"
	childFirst = "REGISTRY_TEST_FIRST"
)

const updates = 15 // of each process or goroutine

func TestMain(m *testing.M) {
	if root := os.Getenv(childRoot); root != "" {
		first := 0
		fmt.Sscan(os.Getenv(childFirst), &first)
		if err := addMany(context.Background(), Open(world.Real("a test"), root), first); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func addMany(ctx context.Context, s *Store, first int) error {
	for i := range updates {
		if err := s.Update(ctx, put(first+i)); err != nil {
			return err
		}
	}
	return nil
}

func wantSlots(t *testing.T, s *Store, n int) {
	t.Helper()
	r, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(r.Slots()); got != n {
		t.Errorf("%d of %d updates are there", got, n)
	}
	for name := range worldtest.Snapshot(t, world.Real(""), s.Root()) {
		if strings.Contains(name, ".tmp-") {
			t.Errorf("%s was left over", name)
		}
	}
}

// No update is lost among goroutines, and no reader ever sees a part of one.
func TestGoroutines(t *testing.T) {
	const writers = 8
	dir := t.TempDir()
	var wg, readers sync.WaitGroup
	done := make(chan struct{})
	readers.Go(func() {
		s := Open(world.Real("a reader"), dir)
		for last := 0; ; {
			r, err := s.Load(t.Context())
			if err != nil || len(r.Slots()) < last {
				t.Errorf("a reader saw %v, %v", r, err)
				return
			}
			last = len(r.Slots())
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range writers {
		wg.Go(func() {
			if err := addMany(t.Context(), Open(world.Real("a writer"), dir), 1+i*updates); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
	wantSlots(t, Open(world.Real(""), dir), writers*updates)
}

func TestProcesses(t *testing.T) {
	const writers = 4
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), childRoot+"="+dir, fmt.Sprint(childFirst, "=", 1+i*updates))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	wantSlots(t, Open(world.Real(""), dir), writers*updates)
}

func TestRealFiles(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(file string) error
	}{
		{"a pipe", func(file string) error { return syscall.Mkfifo(file, 0o600) }},
		{"a directory", func(file string) error { return os.Mkdir(file, 0o700) }},
		{"a link to nowhere", func(file string) error { return os.Symlink("/nowhere", file) }},
		{"a link out of the root", func(file string) error { return os.Symlink("/etc/passwd", file) }},
		{"empty", func(file string) error { return os.WriteFile(file, nil, 0o600) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Open(world.Real(""), t.TempDir())
			if err := os.Mkdir(filepath.Dir(s.Path()), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(s.Path()); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(s.Path())
			if err := s.Update(t.Context(), put(1)); !errors.Is(err, ErrDamaged) {
				t.Errorf("the error is %v", err)
			}
			if after, err := os.Lstat(s.Path()); err != nil || !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
}

// A root whose parents are missing is made with them.
func TestRealRootIsMade(t *testing.T) {
	s := Open(world.Real(""), filepath.Join(t.TempDir(), "a", "b"))
	update(t, s, put(1))
	info, err := os.Stat(s.Root())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the root is %v, %v", info, err)
	}
	wantSlots(t, s, 1)
}

// A file that is too large to be read gives way to a copy in one command, and stays.
func TestRestoreOverALargeFile(t *testing.T) {
	for _, size := range []int64{MaxSize + 1, maxDamaged + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := Open(world.Real(""), t.TempDir())
			update(t, s, put(1))
			if err := os.Truncate(s.Path(), size); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load(t.Context()); !errors.Is(err, ErrDamaged) {
				t.Fatalf("the error is %v", err)
			}
			if _, err := s.Restore(t.Context(), 1); err != nil {
				t.Fatalf("%v (%s)", err, hintOf(err))
			}
			wantSlots(t, s, 1)
			all, err := s.Generations(t.Context())
			if err != nil || len(all) != 2 || all[1].Size != size || all[1].Err == nil {
				t.Errorf("the copies are %+v, %v", all, err)
			}
		})
	}
}

// What stands aside for a copy comes back where that can't be put in its place.
func TestRestoreOverALargeFileFails(t *testing.T) {
	dir := t.TempDir()
	w := world.Real("")
	update(t, Open(w, dir), put(1))
	s := Open(world.Faulty(w, func(op, name string) error {
		if op == "create" && strings.Contains(name, ".tmp-") {
			return syscall.ENOSPC
		}
		return nil
	}), dir)
	if err := os.Truncate(s.Path(), maxDamaged+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(t.Context(), 1); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the error is %v", err)
	}
	if info, err := os.Stat(s.Path()); err != nil || info.Size() != maxDamaged+1 {
		t.Errorf("the registry is %v, %v", info, err)
	}
	if all, err := s.Generations(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("the copies are %+v, %v", all, err)
	}
}

// A root that can't be made can be chosen elsewhere.
func TestRootCannotBeMade(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EROFS, syscall.ENOSPC, syscall.EACCES} {
		s := Open(world.Faulty(world.NewFake().World(), func(op, _ string) error {
			if op == "mkdirall" {
				return errno
			}
			return nil
		}), root)
		err := s.Update(t.Context(), put(1))
		want := "choose another root with --root or KINFRA_ROOT, or see who may write there and whether there is room: ls -ld /home/user; df -h /home/user"
		if !errors.Is(err, errno) || hintOf(err) != want {
			t.Errorf("%v (%s)", err, hintOf(err))
		}
	}
}
