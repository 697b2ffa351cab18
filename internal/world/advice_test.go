package world_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// What was temporary is gone by the time that somebody looks.
func TestAdviceNamesWhatStays(t *testing.T) {
	w := world.Faulty(world.NewFake().World(), func(string, string) error { return syscall.EACCES })
	for _, name := range []string{"dir/.x.tmp-0123456789abcdef", "dir/.x.tmp-0123456789abcdef/in/it"} {
		err := w.Disk.Root("/a").CreateFile(name, nil, 0o600)
		if got, want := hintOf(err), "see who may read and write there: ls -ld /a/dir; take it over with chown, or allow it with chmod"; got != want {
			t.Errorf("%v (%s)", err, got)
		}
	}
	full := world.Faulty(world.NewFake().World(), func(string, string) error { return syscall.ENOSPC })
	err := full.Disk.Root("/a").CreateFile("dir/.x.tmp-0123456789abcdef/in/it", nil, 0o600)
	if got := hintOf(err); got != "make room, or choose another directory; df -h /a/dir shows what there is" {
		t.Errorf("%v (%s)", err, got)
	}
}

func hintOf(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

// Errors of the system tell what to do, and are what they were.
func TestAdvice(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EACCES:  "see who may read and write there: ls -ld /a /a/b; take it over with chown, or allow it with chmod",
		syscall.EROFS:   "nothing can be written to the file system of /a: choose another directory",
		syscall.ENOSPC:  "make room, or choose another directory; df -h /a shows what there is",
		syscall.ENOTDIR: "choose another path, or move away what stands where a directory is needed",
		syscall.EIO:     "the disk below /a may be failing: see the log of the system (dmesg)",
		syscall.EMFILE:  "this process may not open so many files: raise the limit (ulimit -n shows it), and try again",
		syscall.ENFILE:  "too many files are open on this machine: end what has them open, and try again",
		syscall.ESTALE:  "",
	} {
		w := world.Faulty(world.NewFake().World(), func(string, string) error { return errno })
		err := w.Disk.Root("/a").CreateFile("b", nil, 0o600)
		got := hintOf(err)
		if text := "create /a/b: " + errno.Error(); got != want || err.Error() != text || !errors.Is(err, errno) {
			t.Errorf("%v (%s)", err, got)
		}
		if _, ok := err.(*fs.PathError); !ok {
			t.Errorf("%T is no path error", err)
		}
	}
}

// What is to be typed is one word to a shell, whatever is in a path.
func TestAdviceIsQuoted(t *testing.T) {
	w := world.Faulty(world.NewFake().World(), func(string, string) error { return syscall.EACCES })
	err := w.Disk.Root("/a b").CreateFile("it's", nil, 0o600)
	if got, want := hintOf(err), `see who may read and write there: ls -ld '/a b' '/a b/it'\''s'; take it over with chown, or allow it with chmod`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for word, want := range map[string]string{"": "''", "/a/é-1_+@%.b": "/a/é-1_+@%.b", "$x": "'$x'", "a\nb": "'a\nb'", "--report=html=a:b,c": "--report=html=a:b,c", "=ls": "'=ls'", "~": "'~'", "a;b": "'a;b'"} {
		if got := world.ShellWord(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
	if got, want := world.ShellLine([]string{"kinfra", "run", "a b.star"}), "kinfra run 'a b.star'"; got != want {
		t.Errorf("the line is %s, want %s", got, want)
	}
}
