//go:build linux

package attack

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fileAttacks aren't scripts at all.
func fileAttacks() []attack {
	var all []attack
	add := func(name string, code int, says string, make func(path string) error) {
		all = append(all, attack{"a file that is " + name, func(t *testing.T, dir string) {
			t.Helper()
			if err := make(filepath.Join(dir, "attack.star")); err != nil {
				t.Fatal(err)
			}
		}, code, says})
	}
	link := func(to string) func(string) error { return func(path string) error { return os.Symlink(to, path) } }
	large := func(text string) func(string) error {
		return func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat(text, (100<<20)/len(text))), 0o600)
		}
	}
	add("a directory", 2, "error: ", func(path string) error { return os.MkdirAll(filepath.Join(path, "attack.star"), 0o700) })
	add("a pipe", 2, "error: ", func(path string) error { return syscall.Mkfifo(path, 0o600) })
	add("a socket", 2, "error: ", socket)
	add("a link to itself", 2, "error: ", link("attack.star"))
	add("a link to nothing", 2, "error: ", link("nothing"))
	add("a link to zeros", 2, "error: ", link("/dev/zero"))
	add("a link to the terminal", 2, "error: ", link("/dev/tty"))
	add("a link to a process's memory", 2, "error: ", link("/proc/self/mem"))
	add("a link to the directory above", 2, "error: ", link(".."))
	add("100 MB of zeros", 2, "KiB", func(path string) error {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 100<<20)
	})
	add("100 MB of statements", 2, "KiB", large("x = 1\n"))
	add("100 MB of a line", 2, "KiB", large("x"))
	add("a program", -1, "error: ", func(path string) error {
		data, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return err
		}
		return os.WriteFile(path, data[:900<<10], 0o600)
	})
	all = append(all, attack{"files of very long names", func(t *testing.T, dir string) {
		script("load('./"+strings.Repeat("a", 250)+".star', 'x')\nload('./"+strings.Repeat("a", 10_000)+".star', 'y')\n")(t, dir)
		scripts(map[string]string{strings.Repeat("a", 250) + ".star": "x = undefined\n"})(t, dir)
	}, 2, "error: "})
	all = append(all, attack{"a directory of many files", func(t *testing.T, dir string) {
		script("x = 1\n")(t, dir)
		for _, n := range strings.Fields(numbered("N ", 7000)) {
			scripts(map[string]string{n + ".star": "workflow(command = 'a" + n + "', run = print)\n"})(t, dir)
		}
	}, 0, ""})
	all = append(all, attack{"a script that loads what is no file", func(t *testing.T, dir string) {
		script("load('./pipe.star', 'x')\nload('./zero.star', 'y')\n")(t, dir)
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe.star"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.star")); err != nil {
			t.Fatal(err)
		}
	}, 2, "error: "})
	return all
}

// socket makes one, whose name may be short only.
func socket(path string) error {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	return os.Rename(filepath.Join(dir, "s"), path)
}
