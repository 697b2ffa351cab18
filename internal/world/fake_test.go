package world_test

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestFakeClock(t *testing.T) {
	f := world.NewFake()
	start := f.Now()
	worldtest.Must(t, f.Sleep(t.Context(), time.Hour))
	worldtest.Must(t, f.Sleep(t.Context(), -time.Hour))
	f.Advance(-time.Minute)
	if got := f.Now().Sub(start); got != 59*time.Minute {
		t.Errorf("the clock moved by %s", got)
	}
	worldtest.Must(t, f.Host().CreateFile("/tmp/file", nil, 0o600))
	info, err := f.Host().Lstat("/tmp/file")
	worldtest.Must(t, err)
	dir, err := f.Host().Lstat("/tmp")
	worldtest.Must(t, err)
	if !info.ModTime.Equal(f.Now()) || !dir.ModTime.Equal(f.Now()) {
		t.Errorf("file of %s in a directory of %s, want %s", info.ModTime, dir.ModTime, f.Now())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	worldtest.WantErr(t, f.Sleep(ctx, time.Hour), context.Canceled)
}

func TestFakeRandomIsTheSameInEveryRun(t *testing.T) {
	var a, b, c [16]byte
	f := world.NewFake()
	f.Random(a[:])
	f.Random(b[:])
	world.NewFake().Random(c[:])
	if a == b || a != c {
		t.Errorf("got %x, %x, and anew %x", a, b, c)
	}
}

func TestFakeRun(t *testing.T) {
	f := world.NewFake()
	cmd := world.Command{Args: []string{"git", "status"}, Dir: "/tmp", Timeout: time.Second}
	_, err := f.Run(t.Context(), cmd)
	worldtest.WantErr(t, err, exec.ErrNotFound)
	f.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		return world.Output{Code: len(cmd.Args)}, nil
	}
	out, err := f.Run(t.Context(), cmd)
	if out.Code != 2 || err != nil {
		t.Errorf("got %v, %v", out, err)
	}
	if got := f.Commands(); len(got) != 2 || got[1].Args[0] != "git" {
		t.Errorf("recorded %v", got)
	}
}

func TestFakeSurroundings(t *testing.T) {
	f := world.NewFake()
	f.Env = map[string]string{"B": "2", "A": ""}
	f.Listeners = map[string]bool{"127.0.0.1:80": true}
	if _, ok := f.Getenv("A"); !ok || !slices.Equal(f.Environ(), []string{"A=", "B=2"}) {
		t.Errorf("environment %q", f.Environ())
	}
	for address, want := range map[string]bool{"127.0.0.1:80": true, "127.0.0.1:81": false} {
		if got, err := f.Listening(t.Context(), address); got != want || err != nil {
			t.Errorf("%s listens: %v, %v", address, got, err)
		}
	}
	dir, err := f.WorkDir()
	worldtest.Must(t, err)
	wantNames(t, f.Host(), dir)
	if exe, err := f.Executable(); exe != f.Exe || err != nil {
		t.Errorf("the program is %q, %v", exe, err)
	}
}

// TestFakePermissions meets files that the user may not use, also in a plan.
func TestFakePermissions(t *testing.T) {
	for _, planned := range []bool{false, true} {
		for _, user := range []int{0, 1000} {
			f := world.NewFake()
			f.User = user
			f.Write("/tmp/locked/dir/file", []byte("x"))
			f.Write("/tmp/secret", []byte("x"))
			f.Write("/tmp/shared/file", []byte("x"))
			f.Alter("/tmp/locked/dir", func(i *world.Info) { i.Mode = fs.ModeDir | 0o500 })
			f.Alter("/tmp/secret", func(i *world.Info) { i.Mode = 0o044 })
			f.Alter("/tmp/shared", func(i *world.Info) { i.Mode, i.UserID = fs.ModeDir|0o750, 7 })
			var w world.World = f.World()
			if planned {
				w = world.Planned(f.World())
			}
			root := w.Disk.Root("/tmp")
			results := map[string]error{
				"create": root.CreateFile("locked/dir/new", nil, 0o600),
				"mkdir":  root.MkdirAll("locked/dir/a/b", 0o700),
				"link":   root.Symlink("x", "locked/dir/link"),
				"out":    root.Rename("locked/dir/file", "file"),
				"in":     root.Rename("secret", "locked/dir/secret"),
				"remove": root.Remove("locked/dir/file"),
				"tree":   root.RemoveAll("locked"),
				"group":  root.CreateFile("shared/new", nil, 0o600),
			}
			_, results["read"] = root.ReadFile("secret", 9)
			_, results["lock"] = root.Lock(t.Context(), "locked/dir/lock")
			for name, err := range results {
				if user == 1000 && !errors.Is(err, fs.ErrPermission) {
					t.Errorf("user %d, planned %v: %s: got %v, want no permission", user, planned, name, err)
				}
				if user == 0 && errors.Is(err, fs.ErrPermission) {
					t.Errorf("user 0, planned %v: %s: got %v", planned, name, err)
				}
			}
		}
	}
}

// TestFakeWrite plays another program, which writes in place.
func TestFakeWrite(t *testing.T) {
	f := world.NewFake()
	f.Write("/new/dir/file", []byte("one"))
	f.Alter("/new/dir/file", func(i *world.Info) { i.Mode, i.UserID = 0o640, 42 })
	f.Write("/new/dir/file", []byte("four"))
	wantRead(t, f.Root("/new"), "dir/file", "four")
	wantInfo(t, f.Root("/new"), "dir/file", 0o640, 4)
	f.Alter("/new/dir/file", func(i *world.Info) { i.Mode |= fs.ModeNamedPipe })
	_, err := f.Host().ReadFile("/new/dir/file", 9)
	worldtest.WantErr(t, err, world.ErrNotRegular)
}

// TestFaulty has every operation fail, and sees that it wasn't done.
func TestFaulty(t *testing.T) {
	fake := world.NewFake()
	fake.Write("/tmp/file", []byte("x"))
	asked := ""
	w := world.Faulty(fake.World(), func(op, name string) error {
		asked = op + " " + name
		return syscall.ENOSPC
	})
	operations := map[string]func(f world.Files) error{
		"read":      func(f world.Files) error { _, err := f.ReadFile("file", 9); return err },
		"lstat":     func(f world.Files) error { _, err := f.Lstat("file"); return err },
		"readdir":   func(f world.Files) error { _, err := f.ReadDir("file"); return err },
		"readlink":  func(f world.Files) error { _, err := f.ReadLink("file"); return err },
		"create":    func(f world.Files) error { return f.CreateFile("file", nil, 0o600) },
		"append":    func(f world.Files) error { _, err := f.Append("file"); return err },
		"mkdir":     func(f world.Files) error { return f.Mkdir("file", 0o700) },
		"mkdirall":  func(f world.Files) error { return f.MkdirAll("file", 0o700) },
		"symlink":   func(f world.Files) error { return f.Symlink("x", "file") },
		"rename":    func(f world.Files) error { return f.Rename("other", "file") },
		"remove":    func(f world.Files) error { return f.Remove("file") },
		"removeall": func(f world.Files) error { return f.RemoveAll("file") },
		"sync":      func(f world.Files) error { return f.Sync("file") },
		"lock":      func(f world.Files) error { _, err := f.Lock(t.Context(), "file"); return err },
	}
	for op, do := range operations {
		for _, f := range []world.Files{w.Disk.Root("/tmp"), worldtest.Below(w.Disk.Host(), "/tmp")} {
			err := do(f)
			worldtest.WantErr(t, err, syscall.ENOSPC)
			var path *fs.PathError
			if !errors.As(err, &path) || path.Op != op || path.Path != "/tmp/file" || asked != op+" /tmp/file" {
				t.Errorf("%s: asked for %q, got %v", op, asked, err)
			}
		}
	}
	wantNames(t, fake.Host(), "/tmp", "file")
}

// TestFakeIsSafeForGoroutines is for the race detector.
func TestFakeIsSafeForGoroutines(t *testing.T) {
	f := world.NewFake()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			root := f.Root("/tmp")
			name := string(rune('a' + i))
			if err := world.Replace(root, f.World(), name, []byte(name), 0o600); err != nil {
				t.Error(err)
			}
			if err := f.Sleep(context.Background(), time.Second); err != nil {
				t.Error(err)
			}
			if _, err := root.ReadDir("."); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	wantNames(t, f.Host(), "/tmp", "a", "b", "c", "d", "e", "f", "g", "h")
}
