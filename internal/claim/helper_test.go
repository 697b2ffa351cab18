package claim

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const (
	root  = "/home/user/pool"
	trees = "/home/user/trees/"
)

var order = []string{"small", "large", "huge"}

// machine is a fake world with a pool of slots of these profiles, and worktrees a
// to e.
func machine(t testing.TB, profiles ...string) (*world.Fake, *Pool) {
	t.Helper()
	w := world.NewFake()
	provision(t, w.World(), root, profiles...)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		worldtest.Must(t, w.Host().MkdirAll(trees+name, 0o755))
	}
	return w, open(w.World())
}

func open(w world.World) *Pool { return Open(w, registry.Open(w, root)) }

// provision makes slots.
func provision(t testing.TB, w world.World, root string, profiles ...string) {
	t.Helper()
	worldtest.Must(t, registry.Open(w, root).Update(t.Context(), func(r *registry.Registry) error {
		for i, profile := range profiles {
			dir := slot.Dir(root, i+1)
			worldtest.Must(t, w.Disk.Host().MkdirAll(dir, 0o700))
			worldtest.Must(t, w.Disk.Host().CreateFile(dir+"/"+slot.EnvName, fmt.Appendf(nil, "SLOT=%d\n", i+1), 0o600))
			if err := r.PutSlot(registry.Slot{ID: i + 1, Path: dir, Profile: profile}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	if hintOf(err) == "" {
		t.Errorf("no hint with: %v", err)
	}
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// request is a claim of a worktree of the test machine.
func request(tree string) Request { return Request{Worktree: trees + tree, Order: order} }

func claim(t testing.TB, p *Pool, tree string) Claim {
	t.Helper()
	c, _, err := p.Claim(t.Context(), request(tree))
	worldtest.Must(t, err)
	return c
}

func target(c Claim) Target { return Target{Slot: c.Slot, Token: c.Token} }

func release(t testing.TB, p *Pool, c Claim) {
	t.Helper()
	worldtest.Must(t, p.Release(t.Context(), target(c)))
}

func list(t testing.TB, p *Pool) []Slot {
	t.Helper()
	all, err := p.List(t.Context())
	worldtest.Must(t, err)
	return all
}

// holders are the holders of all slots, each by its last element: "a - b|c", where c
// is in conflict with b.
func holders(t testing.TB, p *Pool) string {
	t.Helper()
	var parts []string
	for _, s := range list(t, p) {
		part := "-"
		if s.Claim != nil {
			part = path.Base(s.Claim.Worktree)
		}
		if s.Contender != nil {
			part += "|" + path.Base(s.Contender.Worktree)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func wantHolders(t testing.TB, p *Pool, want string) {
	t.Helper()
	if got := holders(t, p); got != want {
		t.Fatalf("the holders are %s, want %s", got, want)
	}
}

// entered are the holders as the file has them.
func entered(t testing.TB, p *Pool) string {
	t.Helper()
	reg, err := p.store.Load(t.Context())
	worldtest.Must(t, err)
	var parts []string
	for _, s := range reg.Slots() {
		part := "-"
		if s.ClaimedBy != "" {
			part = path.Base(s.ClaimedBy)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func wantEntered(t testing.TB, p *Pool, want string) {
	t.Helper()
	if got := entered(t, p); got != want {
		t.Fatalf("the registry has %s, want %s", got, want)
	}
}

// read is a file's content, "" if it isn't there.
func read(t testing.TB, w world.World, name string) string {
	t.Helper()
	data, err := w.Disk.Host().ReadFile(name, 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

// enter writes a claim into the registry as another tool does.
func enter(t testing.TB, p *Pool, id int, tree, at string) {
	t.Helper()
	change(t, p, func(s *registry.Slot) {
		if s.ID == id {
			s.ClaimedBy, s.ClaimedAt = tree, at
		}
	})
}

// change edits the registry in place and without a lock, as the older tools do.
func change(t testing.TB, p *Pool, edit func(*registry.Slot)) {
	t.Helper()
	reg, err := p.store.Load(t.Context())
	worldtest.Must(t, err)
	for _, s := range reg.Slots() {
		edit(&s)
		worldtest.Must(t, reg.PutSlot(s))
	}
	p.w.Disk.(*world.Fake).Write(p.store.Path(), reg.JSON())
}

func wantSame(t testing.TB, w world.World, before map[string]string) {
	t.Helper()
	after := worldtest.Snapshot(t, w, "/home/user")
	for name, what := range after {
		if before[name] != what {
			t.Errorf("%s was changed:\n%s\n%s", name, before[name], what)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			t.Errorf("%s was removed", name)
		}
	}
}
