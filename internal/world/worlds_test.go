package world_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// A stage is a world with an empty directory in it.
type stage struct {
	name  string
	world world.World
	dir   string
}

// stages are all the worlds there are.
func stages(t testing.TB) []stage {
	planned, faked := tempDir(t), world.NewFake()
	return []stage{
		{"real", world.Real("test"), tempDir(t)},
		{"planned", world.Planned(world.Real("test")), planned},
		{"planned twice", world.Planned(world.Planned(world.Real("test"))), planned},
		{"fake", world.NewFake().World(), "/home/user"},
		{"planned over fake", world.Planned(faked.World()), "/home/user"},
		{"elsewhere", world.In(world.Real("test"), "/"), tempDir(t)},
		{"faulty", world.Faulty(world.Real("test"), func(op, name string) error { return nil }), tempDir(t)},
	}
}

// tempDir is t.TempDir by its real name: on macOS there is a link on the way.
func tempDir(t testing.TB) string {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// inAll runs a test in all worlds.
func inAll(t *testing.T, run func(t *testing.T, s stage)) {
	for _, s := range stages(t) {
		t.Run(s.name, func(t *testing.T) { run(t, s) })
	}
}

// wantRead checks what a file holds.
func wantRead(t testing.TB, f world.Files, name, want string) {
	t.Helper()
	got, err := f.ReadFile(name, 1<<20)
	if err != nil || string(got) != want {
		t.Errorf("reading %s: got %q, %v, want %q", name, got, err, want)
	}
}

// wantNames checks what a directory lists.
func wantNames(t testing.TB, f world.Files, dir string, want ...string) {
	t.Helper()
	infos, err := f.ReadDir(dir)
	worldtest.Must(t, err)
	var got []string
	for _, info := range infos {
		got = append(got, info.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

// reason is an error without the operation and the paths.
func reason(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// TestErrorsOfFiles gives every operation what it must refuse.
func TestErrorsOfFiles(t *testing.T) {
	tests := []struct {
		name string
		want error
		do   func(f world.Files) error
	}{
		{"read missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.ReadFile("missing", 9); return err }},
		{"read below missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.ReadFile("missing/x", 9); return err }},
		{"read below a file", syscall.ENOTDIR, func(f world.Files) error { _, err := f.ReadFile("file/x", 9); return err }},
		{"read a directory", world.ErrNotRegular, func(f world.Files) error { _, err := f.ReadFile("full", 9); return err }},
		{"read too much", world.ErrTooLarge, func(f world.Files) error { _, err := f.ReadFile("file", 3); return err }},
		{"read a link to nowhere", fs.ErrNotExist, func(f world.Files) error { _, err := f.ReadFile("nowhere", 9); return err }},
		{"read a loop", syscall.ELOOP, func(f world.Files) error { _, err := f.ReadFile("loop", 9); return err }},
		{"read a name too long", syscall.ENAMETOOLONG, func(f world.Files) error { _, err := f.ReadFile(strings.Repeat("x", 256), 9); return err }},
		{"read a zero byte", syscall.EINVAL, func(f world.Files) error { _, err := f.ReadFile("fi\x00le", 9); return err }},
		{"lstat missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.Lstat("missing"); return err }},
		{"lstat through a loop", syscall.ELOOP, func(f world.Files) error { _, err := f.Lstat("loop/x"); return err }},
		{"list missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.ReadDir("missing"); return err }},
		{"list a file", syscall.ENOTDIR, func(f world.Files) error { _, err := f.ReadDir("file"); return err }},
		{"readlink of a file", syscall.EINVAL, func(f world.Files) error { _, err := f.ReadLink("file"); return err }},
		{"readlink missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.ReadLink("missing"); return err }},
		{"create over a file", fs.ErrExist, func(f world.Files) error { return f.CreateFile("file", nil, 0o600) }},
		{"create over a link to nowhere", fs.ErrExist, func(f world.Files) error { return f.CreateFile("nowhere", nil, 0o600) }},
		{"create below missing", fs.ErrNotExist, func(f world.Files) error { return f.CreateFile("missing/x", nil, 0o600) }},
		{"create below a file", syscall.ENOTDIR, func(f world.Files) error { return f.CreateFile("file/x", nil, 0o600) }},
		{"create the top", fs.ErrExist, func(f world.Files) error { return f.CreateFile(".", nil, 0o600) }},
		{"append to missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.Append("missing"); return err }},
		{"append through a link", world.ErrNotRegular, func(f world.Files) error { _, err := f.Append("loop"); return err }},
		{"append to a directory", syscall.EISDIR, func(f world.Files) error { _, err := f.Append("empty"); return err }},
		{"append to the top", syscall.EISDIR, func(f world.Files) error { _, err := f.Append("."); return err }},
		{"mkdir over a file", fs.ErrExist, func(f world.Files) error { return f.Mkdir("file", 0o700) }},
		{"mkdir the top", fs.ErrExist, func(f world.Files) error { return f.Mkdir(".", 0o700) }},
		{"mkdir below missing", fs.ErrNotExist, func(f world.Files) error { return f.Mkdir("missing/x", 0o700) }},
		{"mkdirall over a file", syscall.ENOTDIR, func(f world.Files) error { return f.MkdirAll("file", 0o700) }},
		{"mkdirall below a file", syscall.ENOTDIR, func(f world.Files) error { return f.MkdirAll("file/x/y", 0o700) }},
		{"mkdirall over a link to nowhere", fs.ErrExist, func(f world.Files) error { return f.MkdirAll("nowhere", 0o700) }},
		{"symlink over a file", fs.ErrExist, func(f world.Files) error { return f.Symlink("x", "file") }},
		{"symlink to nothing", fs.ErrNotExist, func(f world.Files) error { return f.Symlink("", "x") }},
		{"rename missing", fs.ErrNotExist, func(f world.Files) error { return f.Rename("missing", "x") }},
		{"rename into missing", fs.ErrNotExist, func(f world.Files) error { return f.Rename("file", "missing/x") }},
		{"rename a file over a directory", fs.ErrExist, func(f world.Files) error { return f.Rename("file", "empty") }},
		{"rename a directory over one", fs.ErrExist, func(f world.Files) error { return f.Rename("full", "empty") }},
		{"rename a directory over a file", syscall.ENOTDIR, func(f world.Files) error { return f.Rename("full", "file") }},
		{"rename a directory into itself", syscall.EINVAL, func(f world.Files) error { return f.Rename("full", "full/x") }},
		{"rename the top", syscall.EINVAL, func(f world.Files) error { return f.Rename(".", "x") }},
		{"remove missing", fs.ErrNotExist, func(f world.Files) error { return f.Remove("missing") }},
		{"remove a full directory", syscall.ENOTEMPTY, func(f world.Files) error { return f.Remove("full") }},
		{"remove the top", syscall.EINVAL, func(f world.Files) error { return f.Remove(".") }},
		{"remove all of the top", syscall.EINVAL, func(f world.Files) error { return f.RemoveAll(".") }},
		{"remove all of missing", nil, func(f world.Files) error { return f.RemoveAll("missing/x") }},
		{"sync missing", fs.ErrNotExist, func(f world.Files) error { return f.Sync("missing") }},
		{"lock below missing", fs.ErrNotExist, func(f world.Files) error { _, err := f.Lock(t.Context(), "missing/x"); return err }},
		{"lock a directory", world.ErrNotRegular, func(f world.Files) error { _, err := f.Lock(t.Context(), "full"); return err }},
		{"lock a link", world.ErrNotRegular, func(f world.Files) error { _, err := f.Lock(t.Context(), "nowhere"); return err }},
	}
	inAll(t, func(t *testing.T, s stage) {
		root := s.world.Disk.Root(s.dir)
		worldtest.Must(t, root.CreateFile("file", []byte("text"), 0o600))
		worldtest.Must(t, root.Mkdir("empty", 0o700))
		worldtest.Must(t, root.MkdirAll("full/sub", 0o700))
		worldtest.Must(t, root.Symlink("missing", "nowhere"))
		worldtest.Must(t, root.Symlink("loop", "loop"))
		for _, tt := range tests {
			// The top of Host is another one than the Root's.
			hosts := map[string]world.Files{"root": root}
			if !strings.Contains(tt.name, "top") {
				hosts["host"] = worldtest.Below(s.world.Disk.Host(), s.dir)
			}
			for host, f := range hosts {
				err := tt.do(f)
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %s: got %v, want %v", host, tt.name, err, tt.want)
				}
				if err != nil && !strings.Contains(err.Error(), s.dir) {
					t.Errorf("%s: %s: %q doesn't name the absolute path", host, tt.name, err)
				}
			}
		}
		wantNames(t, root, ".", "empty", "file", "full", "loop", "nowhere")
		wantNames(t, root, "full", "sub")
	})
}

// TestTopOfHost asks the impossible of "/".
func TestTopOfHost(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		host := s.world.Disk.Host()
		worldtest.WantErr(t, host.Mkdir("/", 0o700), fs.ErrExist)
		worldtest.WantErr(t, host.Remove("/"), syscall.EINVAL)
		worldtest.WantErr(t, host.RemoveAll("/."), syscall.EINVAL)
		worldtest.WantErr(t, host.Rename("/", s.dir+"/x"), syscall.EINVAL)
		worldtest.Must(t, host.MkdirAll("/", 0o700))
		for _, relative := range []string{"", ".", "x", "../x"} {
			if _, err := host.Lstat(relative); err == nil {
				t.Errorf("the relative path %q was taken", relative)
			}
		}
	})
}

// TestChangesAreSeen makes changes and looks at them through Root and Host.
func TestChangesAreSeen(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, host := s.world.Disk.Root(s.dir+"/new/root"), worldtest.Below(s.world.Disk.Host(), s.dir+"/new/root")
		_, err := root.Lstat(".")
		worldtest.WantErr(t, err, fs.ErrNotExist)
		worldtest.WantErr(t, root.Mkdir("a", 0o700), fs.ErrNotExist)
		worldtest.Must(t, root.RemoveAll("a"))
		worldtest.Must(t, root.MkdirAll("a/b", 0o751))
		worldtest.Must(t, root.MkdirAll("a/b", 0o700))
		worldtest.Must(t, root.CreateFile("a/b/file", []byte("one"), 0o666))
		worldtest.Must(t, root.Symlink("b/file", "a/link"))
		worldtest.Must(t, host.Symlink("a", "dir"))

		wantRead(t, root, "dir/link", "one")
		wantRead(t, host, "dir/./link", "one")
		wantNames(t, host, "dir", "b", "link")
		if target, err := host.ReadLink("dir/link"); target != "b/file" || err != nil {
			t.Errorf("the link points to %q, %v", target, err)
		}
		wantInfo(t, root, "a/b/file", 0o666, 3)
		wantInfo(t, root, "a/b", fs.ModeDir|0o751, 0)
		wantInfo(t, host, ".", fs.ModeDir|0o751, 0)

		worldtest.Must(t, root.Rename("a/b", "c"))
		wantRead(t, host, "c/file", "one")
		_, err = host.ReadFile("a/link", 9)
		worldtest.WantErr(t, err, fs.ErrNotExist)
		worldtest.Must(t, host.CreateFile("other", []byte("two"), 0o600))
		worldtest.Must(t, root.Rename("other", "c/file"))
		wantRead(t, root, "c/file", "two")
		worldtest.Must(t, root.Rename("c/file", "c/file"))
		worldtest.Must(t, root.Sync("c/file"))
		worldtest.Must(t, root.Sync("."))

		worldtest.Must(t, host.Remove("a/link"))
		worldtest.Must(t, host.Remove("a"))
		worldtest.Must(t, root.RemoveAll("c"))
		worldtest.Must(t, root.RemoveAll("dir/x"))
		wantNames(t, root, ".", "dir")
		worldtest.Must(t, root.MkdirAll("c", 0o700))
		wantNames(t, root, "c")
	})
}

func wantInfo(t *testing.T, f world.Files, name string, mode fs.FileMode, size int64) {
	t.Helper()
	info, err := f.Lstat(name)
	worldtest.Must(t, err)
	if info.Mode != mode || info.Size != size {
		t.Errorf("%s: mode %v, size %d, want %v, %d", name, info.Mode, info.Size, mode, size)
	}
	if info.Name == "" || info.ModTime.IsZero() {
		t.Errorf("%s: incomplete: %+v", name, info)
	}
}

// TestRootIsClosed tries the ways out of a root; nothing outside is read or
// changed.
func TestRootIsClosed(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		host := worldtest.Below(s.world.Disk.Host(), s.dir)
		worldtest.Must(t, host.MkdirAll("root/sub", 0o700))
		worldtest.Must(t, host.CreateFile("secret", []byte("secret"), 0o600))
		worldtest.Must(t, host.Symlink("..", "root/up"))
		worldtest.Must(t, host.Symlink("sub/../../secret", "root/sneaky"))
		worldtest.Must(t, host.Symlink(s.dir+"/secret", "root/absolute"))
		worldtest.Must(t, host.Symlink(s.dir+"/root/sub", "root/home"))
		worldtest.Must(t, host.Symlink("../sub/..", "root/sub/harmless"))
		root := s.world.Disk.Root(s.dir + "/root")
		for _, name := range []string{"../secret", "up/secret", "sneaky", "absolute", "home/x", s.dir + "/secret", "sub/../../secret"} {
			_, err := root.ReadFile(name, 9)
			worldtest.WantErr(t, err, world.ErrEscape)
		}
		for _, name := range []string{"../x", "up/x", "home/x", "/x", "sub/harmless/up/x"} {
			worldtest.WantErr(t, root.CreateFile(name, nil, 0o600), world.ErrEscape)
			worldtest.WantErr(t, root.MkdirAll(name, 0o700), world.ErrEscape)
			worldtest.WantErr(t, root.Symlink("x", name), world.ErrEscape)
			worldtest.WantErr(t, root.Rename("sub", name), world.ErrEscape)
			worldtest.WantErr(t, root.Rename(name, "y"), world.ErrEscape)
			worldtest.WantErr(t, root.RemoveAll(name), world.ErrEscape)
			worldtest.WantErr(t, root.Sync(name), world.ErrEscape)
			_, err := root.Lock(t.Context(), name)
			worldtest.WantErr(t, err, world.ErrEscape)
		}
		wantNames(t, root, "sub/harmless", "absolute", "home", "sneaky", "sub", "up")
		worldtest.Must(t, root.Remove("up")) // the link itself is inside
		wantNames(t, host, ".", "root", "secret")
		wantRead(t, host, "secret", "secret")
	})
}

// TestRenameToAlias gives a directory the name that it has, by way of a link. The
// real world is as package os has it, and the others follow.
func TestRenameToAlias(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, host := s.world.Disk.Root(s.dir), worldtest.Below(s.world.Disk.Host(), s.dir)
		worldtest.Must(t, root.Mkdir("dir", 0o700))
		worldtest.Must(t, root.Symlink(".", "here"))
		worldtest.WantErr(t, host.Rename("dir", "dir"), fs.ErrExist)
		worldtest.WantErr(t, root.Rename("dir", "dir"), fs.ErrExist)
		worldtest.Must(t, host.Rename("dir", "here/dir"))
		worldtest.WantErr(t, root.Rename("dir", "here/dir"), fs.ErrExist)
		wantNames(t, root, ".", "dir", "here")
	})
}

// TestChainOfLinks follows as many links as a root allows, and more.
func TestChainOfLinks(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, host := s.world.Disk.Root(s.dir), s.world.Disk.Host()
		worldtest.Must(t, root.CreateFile("0", []byte("end"), 0o600))
		for i := range 9 {
			worldtest.Must(t, root.Symlink(strconv.Itoa(i), strconv.Itoa(i+1)))
		}
		wantRead(t, root, "8", "end")
		wantRead(t, host, s.dir+"/9", "end")
		_, err := root.ReadFile("9", 9)
		worldtest.WantErr(t, err, syscall.ELOOP)
	})
}

// TestReadIsACopy changes what was written and read.
func TestReadIsACopy(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root, data := s.world.Disk.Root(s.dir), []byte("text")
		worldtest.Must(t, root.CreateFile("file", data, 0o600))
		data[0] = 'X'
		read, err := root.ReadFile("file", 4)
		worldtest.Must(t, err)
		wantRead(t, root, "file", "text")
		read[0] = 'X'
		wantRead(t, root, "file", "text")
	})
}
