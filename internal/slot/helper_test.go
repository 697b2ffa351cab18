package slot

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const root = "/home/user/pool"

const template = "services:\n  web:\n    image: web\n"

// spec is slot n of the pool of these tests, with ports from base on.
func spec(n, base int) Spec {
	return Spec{
		ID:      n,
		Profile: "small",
		Workers: []registry.Count{{Name: "batch", Number: 1}},
		Ports:   []registry.Count{{Name: "web", Number: base + n}, {Name: "store", Number: base + 100 + n}},
		Env:     map[string]string{"SLOT_ID": fmt.Sprint(n), "WEB_PORT": fmt.Sprint(base + n), "DATA_DIR": "/home/user/my data"},
		Compose: []byte(template),
	}
}

func specs(n int) []Spec {
	var all []Spec
	for i := range n {
		all = append(all, spec(i+1, 8000))
	}
	return all
}

func ensure(t *testing.T, w world.World, all []Spec, opts Options) []Result {
	t.Helper()
	results, err := Ensure(t.Context(), w, registry.Open(w, root), all, opts)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// told is what results say, a line each.
func told(results []Result) string {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "%d %s", r.ID, r.Action)
		if r.ClaimedBy != "" {
			fmt.Fprintf(&b, " (held by %s)", r.ClaimedBy)
		}
		for _, reason := range r.Reasons {
			fmt.Fprintf(&b, "; %s", reason)
		}
		for _, d := range r.Drift {
			fmt.Fprintf(&b, "; %s: %s -> %s", d.Field, d.Have, d.Want)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func wantTold(t *testing.T, results []Result, want string) {
	t.Helper()
	if got := told(results); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func wantSame(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s was %q, is %q", name, before[name], after[name])
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s is new", name)
		}
	}
}

func read(t *testing.T, w world.World, name string) []byte {
	t.Helper()
	data, err := w.Disk.Host().ReadFile(name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func load(t *testing.T, w world.World) *registry.Registry {
	t.Helper()
	reg, err := registry.Open(w, root).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// alter changes a slot's entry.
func alter(t *testing.T, w world.World, id int, change func(*registry.Slot)) {
	t.Helper()
	err := registry.Open(w, root).Update(t.Context(), func(reg *registry.Registry) error {
		s, _ := reg.Slot(id)
		change(&s)
		return reg.PutSlot(s)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantWhole checks that the pool is exactly what the specs say, with nothing beside.
func wantWhole(t *testing.T, w world.World, all []Spec) {
	t.Helper()
	reg := load(t, w)
	if len(reg.Slots()) != len(all) {
		t.Errorf("%d slots are registered", len(reg.Slots()))
	}
	want := map[string]bool{}
	for _, s := range all {
		dir := Dir(root, s.ID)
		entry, ok := reg.Slot(s.ID)
		if !ok || entry.Path != dir || entry.Profile != s.Profile || !slices.Equal(entry.Ports, s.Ports) || !slices.Equal(entry.Workers, s.Workers) {
			t.Errorf("slot %d is registered as %+v", s.ID, entry)
		}
		if got := string(read(t, w, dir+"/.env.sandbox")); !strings.Contains(got, "SLOT_ID="+fmt.Sprint(s.ID)+"\n") {
			t.Errorf("the environment of slot %d is %s", s.ID, got)
		}
		if got := read(t, w, dir+"/docker-compose.yml"); !bytes.Equal(got, s.Compose) {
			t.Errorf("the compose file of slot %d is %s", s.ID, got)
		}
		if to, err := w.Disk.Host().ReadLink(dir + "/.env"); err != nil || to != ".env.sandbox" {
			t.Errorf("the link of slot %d leads to %q, %v", s.ID, to, err)
		}
		for _, name := range []string{"", "/.env", "/.env.sandbox", "/docker-compose.yml"} {
			want[dir+name] = true
		}
	}
	for name := range worldtest.Snapshot(t, w, root+"/sandboxes") {
		if !want[name] {
			t.Errorf("%s is left over", name)
		}
	}
	for name := range worldtest.Snapshot(t, w, root) {
		if strings.Contains(name, ".tmp-") {
			t.Errorf("%s is left over", name)
		}
	}
}
