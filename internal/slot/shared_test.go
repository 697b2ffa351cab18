package slot

import (
	"errors"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

func TestMakeShared(t *testing.T) {
	w := world.NewFake()
	if err := w.Host().MkdirAll("/pool/shared/data/mine", 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := MakeShared(w.World(), "/pool", []string{"shared/data", "shared/a:b"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"/pool/shared/data": "drwxr-xr-x", "/pool/shared/data/mine": "drwxr-xr-x", "/pool/shared/a:b": "drwx------"} {
		if info, err := w.Host().Lstat(name); err != nil || info.Mode.String() != want {
			t.Errorf("%s is %v (%v), want %s", name, info.Mode, err, want)
		}
	}
	if err := w.Host().Symlink("/elsewhere", "/pool/out"); err != nil {
		t.Fatal(err)
	}
	if err := MakeShared(w.World(), "/pool", []string{"out/data"}); !errors.Is(err, world.ErrEscape) {
		t.Errorf("through a link out of the pool: %v", err)
	}
	w.Write("/file", nil)
	if err := MakeShared(w.World(), "/file", []string{"data"}); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestCheckShared(t *testing.T) {
	for _, dir := range []string{"", ".", "/data", "../data", "a/../../b", "a/..",
		"sandboxes", "sandboxes/slot-9", "sandbox/instances.json", "kinfra", "./kinfra/x", "shared/../kinfra", "Sandboxes/data",
	} {
		if err := CheckShared([]string{"fine", dir}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", dir, err)
		}
	}
	if err := CheckShared([]string{"shared/data", "a:b", "shared/kinfra", "sandboxes2"}); err != nil {
		t.Error(err)
	}
}
