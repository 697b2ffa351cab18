package world_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// both are a replacement of an old file, and one of a file that isn't there yet.
func both() []world.Replacement {
	return []world.Replacement{
		{Name: "one/file", Data: []byte("new one"), Mode: 0o600, Old: []byte("old one")},
		{Name: "two/file", Data: []byte("new two"), Mode: 0o600},
		{Name: "three/file", Data: []byte("new three"), Mode: 0o600, Old: []byte("old three")},
	}
}

// three is a world with directories of these files.
func three(t *testing.T) *world.Fake {
	f := world.NewFake()
	f.Write("/tmp/one/file", []byte("old one"))
	f.Write("/tmp/three/file", []byte("old three"))
	must(t, f.Host().Mkdir("/tmp/two", 0o700))
	return f
}

func contents(f *world.Fake) string {
	var texts []string
	for _, name := range []string{"one/file", "two/file", "three/file"} {
		data, err := f.Root("/tmp").ReadFile(name, 100)
		if err != nil {
			data = []byte("-")
		}
		texts = append(texts, string(data))
	}
	return strings.Join(texts, ", ")
}

const (
	allOld = "old one, -, old three"
	allNew = "new one, new two, new three"
)

func TestReplaceAll(t *testing.T) {
	f := three(t)
	var (
		mu  sync.Mutex
		ops []string
	)
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		ops = append(ops, what)
	}
	w := world.Faulty(f, func(op, name string) error {
		if op == "rename" {
			op += " " + strings.TrimPrefix(name, "/tmp/")
		}
		note(op)
		return nil
	})
	check := func() error {
		note("check")
		if got := contents(f); got != allOld {
			t.Errorf("when it is checked there is %s", got)
		}
		return nil
	}
	must(t, world.ReplaceAll(w.Root("/tmp"), w, check, both()...))
	want := []string{"create", "create", "create", "sync", "sync", "sync", "check",
		"rename one/file", "rename two/file", "rename three/file", "sync", "sync", "sync"}
	if !slices.Equal(ops, want) {
		t.Errorf("the operations are %q, want %q", ops, want)
	}
	if got := contents(f); got != allNew {
		t.Errorf("there is %s", got)
	}
}

func TestReplaceAllIsRefused(t *testing.T) {
	f := three(t)
	no := errors.New("no")
	wantErr(t, world.ReplaceAll(f.Root("/tmp"), f, func() error { return no }, both()...), no)
	if got := contents(f); got != allOld {
		t.Errorf("there is %s", got)
	}
	for _, dir := range []string{"one", "three"} {
		wantNames(t, f.Root("/tmp"), dir, "file")
	}
	wantNames(t, f.Root("/tmp"), "two")
}

// An operation that fails leaves all as it was, and nothing beside it; only the last
// syncs come too late for that.
func TestReplaceAllFails(t *testing.T) {
	const operations = 12
	for n := range operations {
		f := three(t)
		var (
			mu    sync.Mutex
			count int
		)
		w := world.Faulty(f, func(op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count == n+1 {
				return syscall.EIO
			}
			return nil
		})
		wantErr(t, world.ReplaceAll(w.Root("/tmp"), w, nil, both()...), syscall.EIO)
		want := allOld
		if n >= operations-3 {
			want = allNew
		}
		if got := contents(f); got != want {
			t.Errorf("when operation %d fails there is %s", n+1, got)
		}
		for _, dir := range []string{"one", "two", "three"} {
			entries, err := f.Root("/tmp").ReadDir(dir)
			must(t, err)
			for _, e := range entries {
				if e.Name != "file" {
					t.Errorf("when operation %d fails, %s/%s is left over", n+1, dir, e.Name)
				}
			}
		}
	}
}

// What can't be put back is told as well.
func TestReplaceAllCantGoBack(t *testing.T) {
	f := three(t)
	w := world.Faulty(f, func(op, name string) error {
		if op == "rename" && name == "/tmp/three/file" {
			return syscall.EIO
		}
		if op == "remove" {
			return syscall.EACCES
		}
		return nil
	})
	err := world.ReplaceAll(w.Root("/tmp"), w, nil, both()...)
	wantErr(t, err, syscall.EIO)
	wantErr(t, err, syscall.EACCES)
	if got := contents(f); got != "old one, new two, old three" {
		t.Errorf("there is %s", got)
	}
}
