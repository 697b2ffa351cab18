package pools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const dir = "/home/user/.local/state/kinfra/pools"

func shop(root string) Pool {
	return Pool{Name: "shop", Root: root, Project: "shop-%d", Source: "/src/shop/.kinfra/pool.star", ProjectDir: "/src/shop"}
}

func put(t *testing.T, l *List, p Pool) bool {
	t.Helper()
	isNew, err := l.Put(p)
	if err != nil {
		t.Fatal(err)
	}
	return isNew
}

// listed is what a list holds, a line each.
func listed(t *testing.T, l *List) string {
	t.Helper()
	all, problems := l.All()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "%s %s\n", p.Name, p.Root)
	}
	return b.String()
}

func TestList(t *testing.T) {
	w := world.NewFake()
	l := Open(w.World(), dir)
	if got := listed(t, l); got != "" {
		t.Errorf("a list that isn't there holds %q", got)
	}
	unlock, err := l.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if !put(t, l, shop("/b")) || !put(t, l, shop("/a")) || put(t, l, shop("/b")) {
		t.Error("a root is new once")
	}
	other := shop("/a")
	other.Name = "zoo"
	if put(t, l, other) {
		t.Error("a root that gets another name is not new")
	}
	if got, want := listed(t, l), "shop /b\nzoo /a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	all, _ := l.All()
	if all[0] != shop("/b") {
		t.Errorf("got %+v, want what was put there", all[0])
	}
	for _, root := range []string{"/b", "/nowhere"} {
		if err := l.Forget(root); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := listed(t, l), "zoo /a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOneRootUnderTwoNames: a root behind a link is the one that it leads to.
func TestOneRootUnderTwoNames(t *testing.T) {
	w := world.NewFake()
	if err := errors.Join(w.Host().MkdirAll("/data/pool", 0o700), w.Host().Symlink("/data/pool", "/pool")); err != nil {
		t.Fatal(err)
	}
	l := Open(w.World(), dir)
	if err := w.Host().MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, l, shop("/data/pool"))
	if put(t, l, shop("/pool")) {
		t.Error("the root counts as another one under its link's name")
	}
	if others, _ := l.Others(t.Context(), "/data/pool"); len(others) > 0 {
		t.Errorf("the pool is held to be another than itself: %v", others)
	}
}

func TestWithoutHome(t *testing.T) {
	l := Open(world.NewFake().World(), "")
	unlock, err := l.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if put(t, l, shop("/a")) || listed(t, l) != "" || l.Forget("/a") != nil {
		t.Error("a list that is kept nowhere holds something")
	}
}

func TestDamage(t *testing.T) {
	entry := func(change func(map[string]any)) string {
		m := map[string]any{"version": 1, "name": "shop", "root": "/a", "project": "shop-%d", "project_directory": ""}
		change(m)
		data, _ := json.Marshal(m)
		return string(data)
	}
	for _, test := range []struct{ name, content, want string }{
		{"empty", "", "not JSON"},
		{"a list", "[]", "not JSON"},
		{"another version", entry(func(m map[string]any) { m["version"] = 2 }), "version 2: want 1"},
		{"no name", entry(func(m map[string]any) { m["name"] = "" }), `the name is ""`},
		{"a relative root", entry(func(m map[string]any) { m["root"] = "../x" }), "an absolute path"},
		{"too large", strings.Repeat(" ", maxEntry+1), world.ErrTooLarge.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world.NewFake()
			w.Write(dir+"/x.json", []byte(test.content))
			w.Write(dir+"/good.json", []byte(entry(func(map[string]any) {})))
			w.Write(dir+"/lock", nil)
			w.Write(dir+"/note.txt", []byte("mine"))
			all, problems := Open(w.World(), dir).All()
			if len(all) != 1 || len(problems) != 1 {
				t.Fatalf("got %v and %v, want the good pool and one problem", all, problems)
			}
			if err := problems[0]; !errors.Is(err, ErrList) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an ErrList with %q", err, test.want)
			}
		})
	}
}

func TestBounded(t *testing.T) {
	w := world.NewFake()
	for i := range maxPools + 1 {
		w.Write(fmt.Sprintf("%s/%d.json", dir, i), fmt.Appendf(nil, `{"version": 1, "name": "n", "root": "/%d", "project": "p-%%d"}`, i))
	}
	if all, problems := Open(w.World(), dir).All(); len(all) != maxPools || len(problems) != 1 {
		t.Errorf("got %d pools and %v", len(all), problems)
	}
}

// TestFailures: a write that fails leaves the list as it was.
func TestFailures(t *testing.T) {
	for _, op := range []string{"create", "sync", "rename"} {
		t.Run(op, func(t *testing.T) {
			fake := world.NewFake()
			if err := fake.Host().MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, Open(fake.World(), dir), shop("/a"))
			before := listed(t, Open(fake.World(), dir))
			failed := 0
			w := world.Faulty(fake.World(), func(o, _ string) error {
				if o != op || failed > 0 {
					return nil
				}
				failed++
				return syscall.ENOSPC
			})
			changed := shop("/a")
			changed.Name = "other"
			if _, err := Open(w, dir).Put(changed); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v, want ENOSPC (%d)", err, failed)
			}
			if got := listed(t, Open(fake.World(), dir)); got != before {
				t.Errorf("got %q, want %q", got, before)
			}
		})
	}
}

// TestTwoAtOnce: processes that add a pool each lose nothing.
func TestTwoAtOnce(t *testing.T) {
	w := world.Real("a test")
	home := t.TempDir()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			l := Open(w, home+"/pools")
			unlock, err := l.Lock(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if _, err := l.Put(shop(fmt.Sprintf("/root-%02d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, problems := Open(w, home+"/pools").All(); len(all) != 20 || len(problems) > 0 {
		t.Errorf("got %d pools and %v, want 20", len(all), problems)
	}
}

// An error of the system is nothing to remove a file of the list for.
func TestSystemErrors(t *testing.T) {
	w := world.NewFake()
	l := Open(w.World(), dir)
	unlock, err := l.Lock(t.Context())
	worldtest.Must(t, err)
	put(t, l, shop("/b"))
	unlock()
	w.Write("/b/"+registry.File, []byte(`{"version": 2, "slots": {}}`))
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		states, problems := Open(w, dir).States(t.Context())
		for _, s := range states {
			problems = append(problems, s.Problem)
			if s.Gone {
				t.Error("the pool passes for gone")
			}
		}
		for _, err := range problems {
			worldtest.NoDamage(t, err, registry.ErrDamaged)
			if h, ok := errors.AsType[interface {
				error
				Hint() string
			}](err); ok && strings.HasPrefix(h.Hint(), "remove ") {
				t.Errorf("it advises: %s", h.Hint())
			}
		}
	})
}

// A pool that is listed outlasts a loss of power, and so do the directories that were made
// for the list.
func TestListIsDurable(t *testing.T) {
	w := world.NewFake()
	var v worldtest.Volatile
	l := Open(v.Watch(w.World()), dir)
	unlock, err := l.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	put(t, l, shop("/a"))
	v.Check(t)
}
