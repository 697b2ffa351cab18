package doctor_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/doctor"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const root = "/home/user/pool"

// machine is a machine with a pool of two slots, an Engine that lists containers, and
// programs that answer.
func machine(t *testing.T, containers string, programs map[string]world.Output) *world.Fake {
	t.Helper()
	w := world.NewFake()
	w.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		if !cmd.ReadOnly {
			t.Errorf("it runs %q, which may change something", cmd.Args)
		}
		out, ok := programs[strings.Join(cmd.Args[:2], " ")]
		if !ok {
			return world.Output{}, fs.ErrNotExist
		}
		return out, nil
	}
	if containers != "" {
		w.Answer = func(context.Context, world.Request) ([]byte, error) {
			return []byte("HTTP/1.0 200 OK\r\n\r\n" + containers), nil
		}
	}
	return w
}

func provision(t *testing.T, w *world.Fake) {
	t.Helper()
	var specs []slot.Spec
	for id := 1; id <= 2; id++ {
		specs = append(specs, slot.Spec{ID: id, Profile: "small", Env: map[string]string{"SLOT_ID": fmt.Sprint(id)}, Compose: []byte("services:\n  web:\n    image: web\n")})
	}
	if _, err := slot.Ensure(t.Context(), w.World(), registry.Open(w.World(), root), specs, slot.Options{}); err != nil {
		t.Fatal(err)
	}
}

// told is what was found, a line each, without what is well.
func told(all []doctor.Finding) string {
	var lines []string
	for _, f := range all {
		if f.Verdict != doctor.OK {
			lines = append(lines, fmt.Sprintf("%s %s: %s", f.Verdict, f.Area, f.Text))
			if f.Cure == "" {
				lines = append(lines, "  without a cure")
			}
		}
	}
	return strings.Join(lines, "\n")
}

func look(t *testing.T, w *world.Fake) []doctor.Finding {
	t.Helper()
	return doctor.Pool(t.Context(), w.World(), lifecycle.Definition{Root: root, Project: "slot-%d"})
}

func TestPool(t *testing.T) {
	file := filepath.Join(root, registry.File)
	for _, test := range []struct {
		name   string
		change func(*testing.T, *world.Fake)
		want   string // the lines begin so
		cause  doctor.Cause
	}{
		{"well", func(*testing.T, *world.Fake) {}, "", 0},
		{"no pool", func(t *testing.T, w *world.Fake) { must(t, w.Host().RemoveAll(root)) }, "", 0},
		{"a root of another user", func(_ *testing.T, w *world.Fake) { w.Alter(root, func(i *world.Info) { i.UserID++ }) }, "fail root: /home/user/pool belongs to user", doctor.Damaged},
		{"a root for all", func(_ *testing.T, w *world.Fake) {
			w.Alter(root, func(i *world.Info) { i.Mode = fs.ModeDir | 0o777 })
		}, "warn root: others may write", 0},
		{"a root that can't be written", func(_ *testing.T, w *world.Fake) {
			w.Alter(root, func(i *world.Info) { i.Mode = fs.ModeDir | 0o500 })
		}, "fail root: /home/user/pool can't be written by its owner (mode 0500)", doctor.Damaged},
		{"slots that may not be read", func(_ *testing.T, w *world.Fake) {
			w.Alter(root+"/sandboxes", func(i *world.Info) { i.Mode = fs.ModeDir })
		}, "fail slots: the slots' directory can't be read: readdir /home/user/pool/sandboxes: permission denied", doctor.System},
		{"a slot that may not be read", func(_ *testing.T, w *world.Fake) {
			w.Alter(slot.Dir(root, 2), func(i *world.Info) { i.Mode = fs.ModeDir })
		}, "fail slots: slot 2: lstat /home/user/pool/sandboxes/slot-2/.env.sandbox: permission denied", doctor.System},
		{"a file as root", func(t *testing.T, w *world.Fake) { must(t, w.Host().RemoveAll(root)); w.Write(root, nil) }, "fail root: unusable root: /home/user/pool is not a directory", doctor.Damaged},
		{"a damaged registry", func(_ *testing.T, w *world.Fake) { w.Write(file, []byte("{")) }, "fail registry: reading the registry", doctor.Damaged},
		{"a damaged ledger", func(t *testing.T, w *world.Fake) {
			w.Write(filepath.Join(root, claim.File), []byte("{"))
		}, "fail claims:", doctor.Damaged},
		{"another writer", func(t *testing.T, w *world.Fake) {
			data, err := w.Host().ReadFile(file, 1<<20)
			must(t, err)
			w.Write(file, append(data, '\n'))
		}, "warn writers: another tool has written", 0},
		{"version 1", func(_ *testing.T, w *world.Fake) { w.Write(file, []byte(`{"version": 1, "instances": {}}`)) }, "warn registry: /home/user/pool/sandbox/instances.json is of version 1\nwarn writers:\nwarn leftovers:\nwarn leftovers:", 0},
		{"a missing file", func(t *testing.T, w *world.Fake) {
			must(t, w.Host().Remove(filepath.Join(slot.Dir(root, 2), slot.EnvName)))
		}, "warn slots: slot 2: /home/user/pool/sandboxes/slot-2/.env.sandbox can't be found", 0},
		{"leftovers", func(_ *testing.T, w *world.Fake) {
			w.Write(root+"/sandboxes/.slot-3.tmp-0123456789abcdef/x", nil)
			w.Write(root+"/sandboxes/slot-7/x", nil)
			w.Write(root+"/sandboxes/mine/x", nil)
		}, "warn leftovers: /home/user/pool/sandboxes/.slot-3.tmp-0123456789abcdef was left\nwarn leftovers: /home/user/pool/sandboxes/slot-7 is", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := machine(t, "", nil)
			provision(t, w)
			test.change(t, w)
			found := look(t, w)
			got, want := strings.Split(told(found), "\n"), strings.Split(test.want, "\n")
			if !slices.EqualFunc(got, want, strings.HasPrefix) || test.want == "" && got[0] != "" {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), test.want)
			}
			for _, f := range found {
				if f.Verdict == doctor.Fail && f.Cause != test.cause {
					t.Errorf("%s: the cause is %d, want %d", f.Text, f.Cause, test.cause)
				}
			}
		})
	}
}

// An error of the system is not damage, and what may be whole is not to be given up for it.
func TestSystemErrors(t *testing.T) {
	w := machine(t, "", nil)
	provision(t, w)
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		for _, f := range doctor.Pool(t.Context(), w, lifecycle.Definition{Root: root, Project: "slot-%d"}) {
			if f.Verdict == doctor.Fail && (f.Cause != doctor.System || f.Cure == "") {
				t.Errorf("the cause is %d: %s: %s (%s)", f.Cause, f.Area, f.Text, f.Cure)
			}
			if f.Verdict != doctor.OK {
				worldtest.Harmless(t, f.Cure)
			}
		}
	})
}

func TestContainers(t *testing.T) {
	container := func(name, project, dir string) string {
		return fmt.Sprintf(`{"Id": %q, "Names": [%q], "State": "running", "Status": "Up", "Labels": {"com.docker.compose.project": %q, "com.docker.compose.service": "web", "com.docker.compose.project.working_dir": %q}}`, name, "/"+name, project, dir)
	}
	list := "[" + strings.Join([]string{
		container("mine", "slot-1", slot.Dir(root, 1)),
		container("theirs", "slot-2", "/elsewhere"),
		container("lost", "slot-9", slot.Dir(root, 9)),
	}, ",") + "]"
	w := machine(t, list, nil)
	provision(t, w)
	const want = `warn containers: slot 1: it has 1 container(s), but nobody holds it
warn containers: slot 2: the container theirs has its project name, but is none of this pool
warn containers: the container lost (project slot-9) is of this pool, but of none of its slots`
	if got := told(look(t, w)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMachine(t *testing.T) {
	good := map[string]world.Output{
		"docker version": {Stdout: []byte("27.1.0\n")},
		"docker compose": {Stdout: []byte("v2.40.3\n")},
		"git --version":  {Stdout: []byte("git version 2.39.5\n")},
	}
	w := machine(t, "[]", good)
	var texts []string
	for _, f := range doctor.Machine(t.Context(), w.World()) {
		texts = append(texts, fmt.Sprintf("%s %s: %s", f.Verdict, f.Area, f.Text))
	}
	want := []string{"ok docker: Engine 27.1.0 at unix:///var/run/docker.sock", "ok compose: version 2.40.3", "ok git: version 2.39.5"}
	if !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
	for _, f := range doctor.Machine(t.Context(), machine(t, "", nil).World()) {
		if f.Verdict == doctor.OK || f.Cure == "" || f.Verdict == doctor.Fail && f.Cause != doctor.Missing {
			t.Errorf("nothing is there, and %s is %s (%s)", f.Area, f.Verdict, f.Text)
		}
	}
	broken := map[string]world.Output{"docker version": {Stdout: []byte("27\n")}, "docker compose": {Code: 1, Stderr: []byte("out of order\n")}, "git --version": {Code: 1}}
	if got := told(doctor.Machine(t.Context(), machine(t, "[]", broken).World())); !strings.Contains(got, "fail compose: ") || !strings.Contains(got, "warn git: ") || strings.Contains(got, "docker:") {
		t.Errorf("got\n%s", got)
	}
}

func TestOthers(t *testing.T) {
	w := machine(t, "", nil)
	list := pools.Open(w.World(), "/state/pools")
	must(t, w.Host().MkdirAll("/state/pools", 0o700))
	for name, port := range map[string]int{"a": 9000, "b": 9000, "gone": 0, "damaged": 0} {
		_, err := list.Put(pools.Pool{Name: name, Root: "/" + name, Project: name + "-%d"})
		must(t, err)
		if port != 0 {
			must(t, registry.Open(w.World(), "/"+name).Update(t.Context(), func(r *registry.Registry) error {
				return r.PutSlot(registry.Slot{ID: 1, Path: "/x", Profile: "p", Ports: []registry.Count{{Name: "web", Number: port}}})
			}))
		}
	}
	w.Write("/damaged/"+registry.File, []byte("{"))
	got := told(doctor.Others(t.Context(), list, "/a"))
	for _, want := range []string{
		`warn pools: two pools can't run at once: port 9000 is used twice: slot 1 of pool "a" at /a "web" and slot 1 of pool "b" at /b "web"`,
		`warn pools: pool "gone": its root /gone is gone`,
		`fail pools: pool "damaged": reading the registry`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
