package project_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/tools/txtar"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/project"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

const dir = "/src/acme"

// sample is a compose project of testdata.
type sample struct {
	name  string
	path  string
	files []txtar.File
}

func samples(t testing.TB) []sample {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d projects in testdata (%v), want 20", len(paths), err)
	}
	var all []sample
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sample{strings.TrimSuffix(filepath.Base(path), ".txtar"), path, archive.Files})
	}
	return all
}

// machine is one with the project's files.
func (s sample) machine() *world.Fake {
	w := world.NewFake()
	for _, f := range s.files {
		w.Write(path.Join(dir, f.Name), f.Data)
	}
	return w
}

// make plans a pool for the project on a machine, of six slots.
func (s sample) make(t testing.TB, w world.World, others ...pools.State) *project.Plan {
	t.Helper()
	found, file, err := project.Find(w, dir)
	if err != nil || found != dir {
		t.Fatalf("found %s in %s: %v", file, found, err)
	}
	plan, err := project.Make(w, project.Request{Dir: dir, File: file, Worktree: dir, Slots: 6, Others: others})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestGolden compares what is proposed for each project with what is committed.
func TestGolden(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			plan := s.make(t, s.machine().World())
			var got bytes.Buffer
			fmt.Fprintf(&got, "%s in %s, main port %s, passes %q\n", plan.Name, plan.Root, plan.MainPort, plan.PassEnv)
			for _, p := range plan.Ports {
				fmt.Fprintf(&got, "port %s: %d + %d * N by %s, is %d\n", p.Name, p.Base, p.Step, p.Variable, p.Default)
			}
			for _, list := range []struct {
				title    string
				findings []project.Finding
			}{{"change", plan.Changes}, {"by hand", plan.ByHand}, {"note", plan.Notes}} {
				for _, f := range list.findings {
					fmt.Fprintf(&got, "%s: %s\n", list.title, f)
				}
			}
			got.Write(diff.Diff("before", plan.Text, "after", plan.Changed))
			golden := strings.TrimSuffix(s.path, ".txtar") + ".plan"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v (go test -update writes it)", err)
			}
			if !bytes.Equal(want, got.Bytes()) {
				t.Errorf("%s", diff.Diff(golden, want, "got", got.Bytes()))
			}
		})
	}
}

// slotEnv is the variables of a slot that decide about ports, by the rules.
func slotEnv(plan *project.Plan, slot int) map[string]string {
	env := map[string]string{"COMPOSE_PROJECT_NAME": fmt.Sprintf(plan.Project, slot), "COMPOSE_PROFILES": plan.Profiles, "SLOT_ID": fmt.Sprint(slot)}
	for _, p := range plan.Ports {
		env[p.Variable] = fmt.Sprint(p.Base + slot*p.Step)
	}
	return env
}

// TestSixSlots computes what six slots of each project publish, from the changed file
// itself: no number twice, none that the project has without kinfra, and all within
// what a pool may have.
func TestSixSlots(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			plan := s.make(t, s.machine().World())
			if len(plan.ByHand) > 0 {
				return // TestGolden has what is left to do
			}
			file, err := compose.Parse(plan.Changed)
			if err != nil {
				t.Fatal(err)
			}
			owner := map[int]string{}
			for _, p := range plan.Ports {
				if p.Default != 0 {
					owner[p.Default] = "the project itself"
				}
			}
			for slot := 1; slot <= 6; slot++ {
				published, err := file.Published(file.Complete(slotEnv(plan, slot)))
				if err != nil {
					t.Fatal(err)
				}
				mine := map[string]string{}
				for _, p := range published {
					key := fmt.Sprint(p.HostIP, p.Protocol, p.Published)
					if twice := mine[key]; twice != "" {
						t.Errorf("slot %d: %s publishes %s, as %s does", slot, p.Service, p, twice)
					}
					mine[key] = p.Service
					if p.Published < ports.Min || p.Published > ports.Max || p.Last != p.Published {
						t.Errorf("slot %d publishes %s", slot, p)
					}
					who := fmt.Sprintf("slot %d", slot)
					if other := owner[p.Published]; other != "" && other != who {
						t.Errorf("%s publishes %s, as does %s", who, p, other)
					}
					owner[p.Published] = who
				}
			}
		})
	}
}

// TestAgain: what was changed is proposed in the same way, and needs no change.
func TestAgain(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			w := s.machine()
			first := s.make(t, w.World())
			w.Write(path.Join(dir, first.File), first.Changed)
			second := s.make(t, w.World())
			if !bytes.Equal(first.Script, second.Script) {
				t.Errorf("%s", diff.Diff("first", first.Script, "second", second.Script))
			}
			if !bytes.Equal(second.Text, second.Changed) || len(second.Changes) > 0 {
				t.Errorf("changed again: %v\n%s", second.Changes, diff.Diff("once", second.Text, "twice", second.Changed))
			}
			if len(second.ByHand) != len(first.ByHand) {
				t.Errorf("by hand: first %v, then %v", first.ByHand, second.ByHand)
			}
		})
	}
}

// TestBesideOthers makes all projects pools of one machine, one after the other: no
// two get a port, a name or a root in common.
func TestBesideOthers(t *testing.T) {
	var others []pools.State
	taken := map[int]string{}
	for _, s := range samples(t) {
		plan := s.make(t, s.machine().World(), others...)
		state := pools.State{Pool: pools.Pool{Name: plan.Name, Root: "/home/user" + plan.Root[1:], Project: plan.Project}}
		for _, other := range others {
			if other.Name == state.Name || other.Root == state.Root || other.Project == state.Project {
				t.Errorf("%s is the pool %s at %s, as is another one", s.name, state.Name, state.Root)
			}
		}
		for slot := 1; slot <= 6; slot++ {
			entry := registry.Slot{ID: slot}
			for _, p := range plan.Ports {
				number := p.Base + slot*p.Step
				if other := taken[number]; other != "" {
					t.Errorf("slot %d of %s has the port %d, as has %s", slot, s.name, number, other)
				}
				taken[number] = fmt.Sprintf("slot %d of %s", slot, s.name)
				entry.Ports = append(entry.Ports, registry.Count{Name: p.Name, Number: number})
			}
			state.Slots = append(state.Slots, entry)
		}
		others = append(others, state)
	}
}

func TestFind(t *testing.T) {
	w := world.NewFake()
	if _, _, err := project.Find(w.World(), dir+"/a/b"); !errors.Is(err, project.ErrNoFile) {
		t.Errorf("got %v, want ErrNoFile", err)
	}
	names := []string{"docker-compose.yaml", "docker-compose.yml", "compose.yml", "compose.yaml"} // as Compose prefers them, the last most
	for _, name := range names {
		w.Write(dir+"/"+name, nil)
		for _, from := range []string{dir, dir + "/a/b"} {
			if found, file, err := project.Find(w.World(), from); found != dir || file != name || err != nil {
				t.Errorf("from %s: got %s in %s (%v), want %s", from, file, found, err, name)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	const web = "services: {web: {image: nginx, ports: [\"8080:80\"]}}"
	taken := pools.State{Pool: pools.Pool{Name: "acme", Root: "/home/user/.local/share/kinfra/acme", Project: "acme-%d"}}
	for _, test := range []struct {
		name, text string
		change     func(*project.Request)
		is         error
		want       string
	}{
		{"no ports", "services: {web: {image: nginx}}", nil, project.ErrUnfit, "publishes no port"},
		{"no services", "volumes: {}", nil, nil, "there is no services section"},
		{"includes", "include: [other.yaml]\n" + web, nil, compose.ErrUnsupported, "include of other files"},
		{"extends another file", "services: {web: {extends: {file: b.yaml, service: b}, ports: [\"80:80\"]}}", nil, compose.ErrUnsupported, "extends one of another file"},
		{"not YAML", "services: [", nil, nil, "not YAML"},
		{"a bad port", "services: {web: {image: nginx, ports: [\"8080:http\"]}}", nil, nil, "containerPort"},
		{"a bad name", web, func(r *project.Request) { r.Name = "My Shop" }, project.ErrUnfit, `such as "my-shop"`},
		{"a name without end", web, func(r *project.Request) { r.Name = strings.Repeat("a", 65) }, project.ErrUnfit, "want 1 to 64 printable characters"},
		{"the root of all", web, func(r *project.Request) { r.Root = "~/../.." }, project.ErrUnfit, "the whole file system"},
		{"a name that is taken", web, func(r *project.Request) { r.Name, r.Others = "acme", []pools.State{taken} }, project.ErrTaken, "that of the pool at"},
		{"a root that is taken", web, func(r *project.Request) {
			r.Name, r.Root, r.Others = "b", "~/.local/share/kinfra/acme", []pools.State{taken}
		}, project.ErrTaken, "that of the pool"},
		{"too many slots", web, func(r *project.Request) { r.Slots = 60_000 }, nil, `no free ports for "web" in 60000 slots`},
		{"another worktree", web, func(r *project.Request) { r.Worktree = "/elsewhere" }, project.ErrUnfit, "is not in the worktree"},
		{"a file that isn't there", web, func(r *project.Request) { r.File = "other.yaml" }, nil, "reading the compose file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world.NewFake()
			w.Write(dir+"/compose.yaml", []byte(test.text))
			req := project.Request{Dir: dir, File: "compose.yaml", Worktree: dir, Slots: 6}
			if test.change != nil {
				test.change(&req)
			}
			_, err := project.Make(w.World(), req)
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestDirectories: paths are those of the worktree and of the directory of .kinfra/.
func TestDirectories(t *testing.T) {
	for _, test := range []struct{ dir, file, worktree, want string }{
		{dir, "compose.yaml", dir, "."},
		{dir, "deploy/compose.yaml", dir, "deploy"},
		{dir + "/services/a", "compose.yaml", dir, "services/a"},
	} {
		w := world.NewFake()
		w.Write(path.Join(test.dir, test.file), []byte("services: {web: {image: nginx, ports: [\"8080:80\"]}}"))
		plan, err := project.Make(w.World(), project.Request{Dir: test.dir, File: test.file, Worktree: test.worktree, Slots: 1})
		if err != nil {
			t.Fatal(err)
		}
		if plan.ProjectDir != test.want || plan.File != test.file {
			t.Errorf("%s in %s: got the project directory %q of %q, want %q", test.file, test.dir, plan.ProjectDir, plan.File, test.want)
		}
	}
}

// FuzzMake: whatever compose file is read, what is proposed is proven (see prove), or
// refused; and a second run proposes the same.
func FuzzMake(f *testing.F) {
	for _, s := range samples(f) {
		for _, file := range s.files {
			if strings.Contains(file.Name, "compose") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w := world.NewFake()
		w.Write(dir+"/compose.yaml", text)
		req := project.Request{Dir: dir, File: "compose.yaml", Worktree: dir, Slots: 3}
		first, err := project.Make(w.World(), req)
		if err != nil {
			return
		}
		w.Write(dir+"/compose.yaml", first.Changed)
		second, err := project.Make(w.World(), req)
		if err != nil {
			t.Fatalf("what was changed can't be read again: %v\n%s", err, first.Changed)
		}
		if !bytes.Equal(second.Text, second.Changed) && !slices.Equal(first.ByHand, second.ByHand) {
			t.Errorf("changed again:\n%s\n%s", second.Text, second.Changed)
		}
	})
}
