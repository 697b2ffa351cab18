package world_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// moment is how long a test waits for a lock that it can't get.
const moment = 40 * time.Millisecond

// TestLock takes a lock twice, through Root and Host.
func TestLock(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, host := s.world.Disk.Root(s.dir), s.world.Disk.Host()
		unlock, err := root.Lock(t.Context(), "lock")
		worldtest.Must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), moment)
		defer cancel()
		_, err = host.Lock(ctx, s.dir+"/lock")
		var locked *world.LockedError
		if !errors.As(err, &locked) || locked.Path != s.dir+"/lock" {
			t.Errorf("got %v, want a *LockedError of %s/lock", err, s.dir)
		}
		worldtest.WantErr(t, err, context.DeadlineExceeded)

		other, err := root.Lock(t.Context(), "other")
		worldtest.Must(t, err)
		defer other()
		unlock()
		again, err := host.Lock(t.Context(), s.dir+"/lock")
		worldtest.Must(t, err)
		unlock() // a second time, which must not end the other's lock
		_, err = root.Lock(ctx, "lock")
		worldtest.WantErr(t, err, context.DeadlineExceeded)
		again()
		_, err = root.Lock(ctx, "lock")
		worldtest.WantErr(t, err, context.DeadlineExceeded) // the lock is free, the context isn't

		if s.world.Planned() {
			wantNames(t, root, ".")
		} else {
			wantInfo(t, root, "lock", 0o600, 0)
		}
	})
}

// TestLockExcludesGoroutines adds to a variable that nothing else guards.
func TestLockExcludesGoroutines(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, count := s.world.Disk.Root(s.dir), 0
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 10 {
					unlock, err := root.Lock(context.Background(), "lock")
					if err != nil {
						t.Error(err)
						return
					}
					count++
					unlock()
				}
			})
		}
		group.Wait()
		if count != 40 {
			t.Errorf("counted %d, want 40", count)
		}
	})
}

func TestLockExcludesProcesses(t *testing.T) {
	path := filepath.Join(tempDir(t), "count")
	worldtest.Must(t, os.WriteFile(path, []byte("0"), 0o600))
	var counters []*exec.Cmd
	for range 4 {
		counter := helper(t, "count", path, "25")
		worldtest.Must(t, counter.Start())
		counters = append(counters, counter)
	}
	for _, counter := range counters {
		worldtest.Must(t, counter.Wait())
	}
	wantRead(t, world.Real("test").Disk.Host(), path, "100")
}

// TestLockEndsWithItsProcess kills the holder, which the error names before.
func TestLockEndsWithItsProcess(t *testing.T) {
	path := filepath.Join(tempDir(t), "lock")
	holder := helper(t, "hold", path)
	_, err := holder.StdinPipe() // stays open
	worldtest.Must(t, err)
	stdout, err := holder.StdoutPipe()
	worldtest.Must(t, err)
	worldtest.Must(t, holder.Start())
	defer holder.Process.Kill()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	worldtest.Must(t, err)
	if line != "locked\n" {
		t.Fatalf("the holder says %q", line)
	}

	host := world.Real("test").Disk.Host()
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	_, err = host.Lock(ctx, path)
	var locked *world.LockedError
	if !errors.As(err, &locked) || locked.Holder != "pid 4711:  [31mholder" {
		t.Errorf("got %q, want the holder's name in printable characters", err)
	}
	worldtest.Must(t, holder.Process.Kill())
	if err := holder.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
	unlock, err := host.Lock(t.Context(), path)
	worldtest.Must(t, err)
	unlock()
	wantRead(t, host, path, "")
}

// TestLockHolderOfAnyContent reads what anybody may have written.
func TestLockHolderOfAnyContent(t *testing.T) {
	path := filepath.Join(tempDir(t), "lock")
	host := world.Real(strings.Repeat("long ", 1000)).Disk.Host()
	unlock, err := host.Lock(t.Context(), path)
	worldtest.Must(t, err)
	defer unlock()
	for _, content := range []string{"", "\x00\xff\xfe", strings.Repeat("é", 1<<16)} {
		worldtest.Must(t, os.WriteFile(path, []byte(content), 0o600))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := host.Lock(ctx, path)
		var locked *world.LockedError
		if !errors.As(err, &locked) || len(locked.Holder) > 200 || !utf8.ValidString(locked.Holder) || strings.ContainsRune(locked.Holder, 0) {
			t.Errorf("holder %q: got %q", content, err)
		}
	}
}
