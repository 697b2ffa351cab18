package world_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestReadWhatIsNoFile reads what would hang, or never end.
func TestReadWhatIsNoFile(t *testing.T) {
	// The name of a socket must be short, so it is given relative to the directory.
	dir := tempDir(t)
	worldtest.Must(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	t.Chdir(dir)
	socket, err := net.Listen("unix", "socket")
	worldtest.Must(t, err)
	defer socket.Close()
	for _, w := range []world.World{world.Real("test"), world.Planned(world.Real("test"))} {
		for _, name := range []string{"pipe", "socket"} {
			for _, f := range []world.Files{w.Disk.Root(dir), worldtest.Below(w.Disk.Host(), dir)} {
				_, err := f.ReadFile(name, 9)
				worldtest.WantErr(t, err, world.ErrNotRegular)
				_, err = f.Lock(t.Context(), name)
				worldtest.WantErr(t, err, world.ErrNotRegular)
				_, err = f.ReadDir(name)
				worldtest.WantErr(t, err, syscall.ENOTDIR)
			}
			_, err := w.Disk.Root(dir + "/" + name).Lstat(".")
			worldtest.WantErr(t, err, syscall.ENOTDIR)
		}
		_, err := w.Disk.Host().ReadFile("/dev/zero", 9)
		worldtest.WantErr(t, err, world.ErrNotRegular)
	}
}

// TestReadLimits reads files at their limit and beyond.
func TestReadLimits(t *testing.T) {
	dir := tempDir(t)
	host := world.Real("test").Disk.Host()
	for size, limit := range map[int64]int64{0: 0, 1: 1, 511: 512, 512: 512, 5000: 1 << 62} {
		path := filepath.Join(dir, "file")
		worldtest.Must(t, os.WriteFile(path, []byte(strings.Repeat("x", int(size))), 0o600))
		data, err := host.ReadFile(path, limit)
		if err != nil || int64(len(data)) != size {
			t.Errorf("%d bytes, limit %d: got %d bytes, %v", size, limit, len(data), err)
		}
		_, err = host.ReadFile(path, size-1)
		worldtest.WantErr(t, err, world.ErrTooLarge)
	}
	huge := filepath.Join(dir, "huge")
	worldtest.Must(t, os.WriteFile(huge, nil, 0o600))
	worldtest.Must(t, os.Truncate(huge, 1<<40))
	_, err := host.ReadFile(huge, 1<<20)
	worldtest.WantErr(t, err, world.ErrTooLarge)
}

// TestModesAreExact creates under a umask that takes everything away.
func TestModesAreExact(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	root := world.Real("test").Disk.Root(tempDir(t))
	worldtest.Must(t, root.CreateFile("file", nil, 0o666))
	worldtest.Must(t, root.Mkdir("dir", 0o755))
	worldtest.Must(t, root.MkdirAll("a/b", 0o775))
	for name, want := range map[string]os.FileMode{"file": 0o666, "dir": 0o755, "a": 0o775, "a/b": 0o775} {
		info, err := root.Lstat(name)
		worldtest.Must(t, err)
		if info.Mode.Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode.Perm(), want)
		}
	}
}

func TestListening(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	worldtest.Must(t, err)
	address := listener.Addr().String()
	w := world.Real("test")
	if listening, err := w.Services.Listening(t.Context(), address); !listening || err != nil {
		t.Errorf("nothing listens on %s, %v", address, err)
	}
	worldtest.Must(t, listener.Close())
	for _, address := range []string{address, "nonsense"} {
		if listening, err := w.Services.Listening(t.Context(), address); listening || err != nil {
			t.Errorf("something listens on %s, %v", address, err)
		}
	}
}

// TestSurroundings asks this machine for what it is.
func TestSurroundings(t *testing.T) {
	w := world.Real("test")
	t.Setenv("WORLD_TEST", "a=b")
	if value, ok := w.Env.Getenv("WORLD_TEST"); value != "a=b" || !ok {
		t.Errorf("the variable is %q, %v", value, ok)
	}
	if !slices.Contains(w.Env.Environ(), "WORLD_TEST=a=b") {
		t.Error("the environment lacks the variable")
	}
	for _, path := range []func() (string, error){w.Env.WorkDir, w.Env.Executable} {
		if got, err := path(); !filepath.IsAbs(got) || err != nil {
			t.Errorf("got path %q, %v", got, err)
		}
	}
	var a, b [16]byte
	w.Env.Random(a[:])
	w.Env.Random(b[:])
	if a == b {
		t.Error("randomness repeats itself")
	}
	if w.Env.UserID() != os.Geteuid() || w.Planned() {
		t.Error("wrong user, or planned")
	}
	before := w.Clock.Now()
	worldtest.Must(t, w.Clock.Sleep(t.Context(), time.Nanosecond))
	if w.Clock.Now().Before(before) {
		t.Error("the clock runs backwards")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	worldtest.WantErr(t, w.Clock.Sleep(ctx, time.Hour), context.Canceled)
}
