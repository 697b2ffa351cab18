package world_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// changes are those of an old file, of one that isn't there yet, of one that is added
// to, and of another old one.
func changes() []world.Change {
	return []world.Change{
		{Name: "one/file", Data: []byte("new one"), Mode: 0o600, Old: []byte("old one")},
		{Name: "two/file", Data: []byte("new two"), Mode: 0o600},
		{Name: "log/file", Data: []byte(" and new"), Mode: 0o600, Old: []byte("old log"), Append: true},
		{Name: "three/file", Data: []byte("new three"), Mode: 0o600, Old: []byte("old three")},
	}
}

// changeable is a world with directories of these files.
func changeable(t *testing.T) *world.Fake {
	f := world.NewFake()
	f.Write("/tmp/one/file", []byte("old one"))
	f.Write("/tmp/log/file", []byte("old log"))
	f.Write("/tmp/three/file", []byte("old three"))
	worldtest.Must(t, f.Host().Mkdir("/tmp/two", 0o700))
	return f
}

func contents(f *world.Fake) string {
	var texts []string
	for _, name := range []string{"one/file", "two/file", "log/file", "three/file"} {
		data, err := f.Root("/tmp").ReadFile(name, 100)
		if err != nil {
			data = []byte("-")
		}
		texts = append(texts, string(data))
	}
	return strings.Join(texts, ", ")
}

const (
	allOld = "old one, -, old log, old three"
	allNew = "new one, new two, old log and new, new three"
)

func TestChangeAll(t *testing.T) {
	f := changeable(t)
	var (
		mu  sync.Mutex
		ops []string
	)
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		ops = append(ops, what)
	}
	w := world.Faulty(f.World(), func(op, name string) error {
		if op == "rename" {
			op += " " + strings.TrimPrefix(name, "/tmp/")
		}
		note(op)
		return nil
	})
	checked := 0
	check := func() error {
		note("check")
		if got := contents(f); got != allOld && checked == 0 {
			t.Errorf("when it is checked there is %s", got)
		}
		checked++
		return nil
	}
	worldtest.Must(t, world.ChangeAll(w.Disk.Root("/tmp"), w, check, changes()...))
	want := []string{"create", "create", "create", "sync", "sync", "sync", "check",
		"rename one/file", "rename two/file", "append", "append", "sync", "check", "rename three/file", "sync", "sync", "sync"}
	if !slices.Equal(ops, want) {
		t.Errorf("the operations are %q, want %q", ops, want)
	}
	if got := contents(f); got != allNew {
		t.Errorf("there is %s", got)
	}
}

func TestChangeAllIsRefused(t *testing.T) {
	f := changeable(t)
	no := errors.New("no")
	for passes := range 2 { // the second time, something was added already
		left := passes
		check := func() error {
			left--
			if left < 0 {
				return no
			}
			return nil
		}
		worldtest.WantErr(t, world.ChangeAll(f.Root("/tmp"), f.World(), check, changes()...), no)
		if got := contents(f); got != allOld {
			t.Errorf("there is %s", got)
		}
		for _, dir := range []string{"one", "log", "three"} {
			wantNames(t, f.Root("/tmp"), dir, "file")
		}
		wantNames(t, f.Root("/tmp"), "two")
	}
}

// What is added is synced, and taken back where that fails, unless it need not be.
func TestAppendUnsynced(t *testing.T) {
	f := changeable(t)
	w := world.Faulty(f.World(), func(op, name string) error {
		if op == "sync" && name == "/tmp/log/file" {
			return syscall.EIO
		}
		return nil
	})
	c := world.Change{Name: "log/file", Data: []byte("!"), Mode: 0o600, Old: []byte("old log"), Append: true}
	worldtest.WantErr(t, world.ChangeAll(w.Disk.Root("/tmp"), w, nil, c), syscall.EIO)
	if got := contents(f); got != allOld {
		t.Errorf("there is %s", got)
	}
	c.Unsynced = true
	worldtest.Must(t, world.ChangeAll(w.Disk.Root("/tmp"), w, nil, c))
	if got := contents(f); !strings.Contains(got, "old log!") {
		t.Errorf("there is %s", got)
	}
}

// An operation that fails leaves all as it was, and nothing beside it; only the last
// syncs come too late for that.
func TestChangeAllFails(t *testing.T) {
	const operations = 15
	for n := range operations {
		f := changeable(t)
		var (
			mu    sync.Mutex
			count int
		)
		w := world.Faulty(f.World(), func(op, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count == n+1 {
				return syscall.EIO
			}
			return nil
		})
		worldtest.WantErr(t, world.ChangeAll(w.Disk.Root("/tmp"), w, nil, changes()...), syscall.EIO)
		want := allOld
		if n >= operations-3 {
			want = allNew
		}
		if got := contents(f); got != want {
			t.Errorf("when operation %d fails there is %s", n+1, got)
		}
		for _, dir := range []string{"one", "two", "log", "three"} {
			entries, err := f.Root("/tmp").ReadDir(dir)
			worldtest.Must(t, err)
			for _, e := range entries {
				if e.Name != "file" {
					t.Errorf("when operation %d fails, %s/%s is left over", n+1, dir, e.Name)
				}
			}
		}
	}
}

// What can't be put back is told as well.
func TestChangeAllCantGoBack(t *testing.T) {
	f := changeable(t)
	w := world.Faulty(f.World(), func(op, name string) error {
		if op == "rename" && name == "/tmp/three/file" {
			return syscall.EIO
		}
		if op == "remove" {
			return syscall.EACCES
		}
		return nil
	})
	err := world.ChangeAll(w.Disk.Root("/tmp"), w, nil, changes()...)
	worldtest.WantErr(t, err, syscall.EIO)
	worldtest.WantErr(t, err, syscall.EACCES)
	if got := contents(f); got != "old one, new two, old log, old three" {
		t.Errorf("there is %s", got)
	}
}
