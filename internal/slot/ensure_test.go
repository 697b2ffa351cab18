package slot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestCreate(t *testing.T) {
	w := world.NewFake()
	var reported []Result
	results := ensure(t, w.World(), specs(3), Options{Report: func(r Result) { reported = append(reported, r) }})
	wantTold(t, results, "1 created\n2 created\n3 created\n")
	wantTold(t, reported, told(results))
	wantWhole(t, w.World(), specs(3))
	if r := results[1]; r.Dir != root+"/sandboxes/slot-2" || r.Profile != "small" || r.Ports[0].Number != 8002 {
		t.Errorf("slot 2 is told as %+v", r)
	}
	if got := string(read(t, w.World(), root+"/sandboxes/slot-2/.env.sandbox")); got != "DATA_DIR='/home/user/my data'\nSLOT_ID=2\nWEB_PORT=8002\n" {
		t.Errorf("its environment is:\n%s", got)
	}
	for name, what := range worldtest.Snapshot(t, w.World(), root) {
		mode, _, _ := strings.Cut(what, " ")
		if mode != "drwx------" && mode != "-rw-------" && mode[0] != 'L' {
			t.Errorf("%s has mode %s", name, mode)
		}
	}
	if s, _ := load(t, w.World()).Slot(2); s.Status != "stopped" || s.ClaimedBy != "" {
		t.Errorf("slot 2 is registered as %+v", s)
	}
}

func TestNothingToDo(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(3), Options{})
	before := worldtest.Snapshot(t, w.World(), root)
	w.Advance(time.Hour)
	counting := world.Faulty(w.World(), func(op, name string) error {
		if !slices.Contains([]string{"read", "lstat", "readdir", "readlink"}, op) {
			t.Errorf("%s of %s", op, name)
		}
		return nil
	})
	wantTold(t, ensure(t, counting, specs(3), Options{}), "1 skipped\n2 skipped\n3 skipped\n")
	wantTold(t, ensure(t, counting, specs(2), Options{Refresh: true}), "1 skipped\n2 skipped\n")
	wantSame(t, before, worldtest.Snapshot(t, w.World(), root))
}

func TestEnsure(t *testing.T) {
	const dir = root + "/sandboxes/slot-2/"
	remove := func(name string) func(*testing.T, *world.Fake) {
		return func(t *testing.T, w *world.Fake) {
			if err := w.Host().RemoveAll(dir + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	entry := func(change func(*registry.Slot)) func(*testing.T, *world.Fake) {
		return func(t *testing.T, w *world.Fake) { alter(t, w.World(), 2, change) }
	}
	unregister := func(t *testing.T, w *world.Fake) {
		err := registry.Open(w.World(), root).Update(t.Context(), func(reg *registry.Registry) error {
			reg.RemoveSlot(2)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) func(*testing.T, *world.Fake) {
		return func(_ *testing.T, w *world.Fake) { w.Write(dir+name, []byte(text)) }
	}
	both := func(first, second func(*testing.T, *world.Fake)) func(*testing.T, *world.Fake) {
		return func(t *testing.T, w *world.Fake) {
			first(t, w)
			second(t, w)
		}
	}
	held := entry(func(s *registry.Slot) { s.ClaimedBy, s.ClaimedAt, s.Status = "/w", "now", "running" })

	for _, test := range []struct {
		name    string
		spoil   func(*testing.T, *world.Fake)
		want    string // of slot 2, without refresh
		refresh string // of slot 2, with refresh
	}{
		{"directory gone", remove(""), "created", "created"},
		{
			"directory gone, other rules", both(remove(""), entry(func(s *registry.Slot) { s.Ports[0].Number, s.Profile, s.Path = 1, "x", "/y" })),
			"created", "created",
		},
		{"no entry", unregister, "repaired; no registry entry named it", "repaired; no registry entry named it"},
		{
			"no entry, a file missing", both(unregister, remove(".env.sandbox")),
			"repaired; no registry entry named it; .env.sandbox was missing", "repaired; no registry entry named it; .env.sandbox was missing",
		},
		{
			"no entry, a file differs", both(unregister, write("docker-compose.yml", "services:\n  db: {}\n")),
			"drifted; docker-compose.yml: 19 bytes, another text from line 2 on -> 32 bytes",
			"refreshed; docker-compose.yml: 19 bytes, another text from line 2 on -> 32 bytes",
		},
		{"neither entry nor directory", both(unregister, remove("")), "created", "created"},
		{"no compose file", remove("docker-compose.yml"), "repaired; docker-compose.yml was missing", "repaired; docker-compose.yml was missing"},
		{"no link", remove(".env"), "repaired; .env was missing", "repaired; .env was missing"},
		{
			"no file at all", both(remove(".env"), both(remove(".env.sandbox"), remove("docker-compose.yml"))),
			"repaired; .env.sandbox was missing; .env was missing; docker-compose.yml was missing",
			"repaired; .env.sandbox was missing; .env was missing; docker-compose.yml was missing",
		},
		{
			"another profile", entry(func(s *registry.Slot) { s.Profile = "large" }),
			"drifted; profile: large -> small", "refreshed; profile: large -> small",
		},
		{
			"other workers", entry(func(s *registry.Slot) {
				s.Workers = []registry.Count{{Name: "batch", Number: 2}, {Name: "gpu", Number: 1}}
			}),
			"drifted; workers.batch: 2 -> 1; workers.gpu: 1 -> nothing", "refreshed; workers.batch: 2 -> 1; workers.gpu: 1 -> nothing",
		},
		{
			"other ports, and a file missing", both(entry(func(s *registry.Slot) { s.Ports = []registry.Count{{Name: "web", Number: 9}} }), remove(".env")),
			"drifted; ports.web: 9 -> 8002; ports.store: nothing -> 8102; .env: nothing -> a file",
			"refreshed; ports.web: 9 -> 8002; ports.store: nothing -> 8102; .env: nothing -> a file",
		},
		{
			"another path", entry(func(s *registry.Slot) { s.Path = "/etc" }),
			"drifted; infrastructure_path: /etc -> /home/user/pool/sandboxes/slot-2", "refreshed; infrastructure_path: /etc -> /home/user/pool/sandboxes/slot-2",
		},
		{"another order of names", entry(func(s *registry.Slot) { slices.Reverse(s.Ports) }), "skipped", "skipped"},
		{"another status", entry(func(s *registry.Slot) { s.Status = "running" }), "skipped", "skipped"},
		{
			"another environment", write(".env.sandbox", "SLOT_ID=2\nWEB_PORT=9\nPASSWORD=canary\n"),
			"drifted; .env.sandbox DATA_DIR: nothing -> /home/user/my data; .env.sandbox WEB_PORT: 9 -> 8002; .env.sandbox PASSWORD: a value -> nothing",
			"refreshed; .env.sandbox DATA_DIR: nothing -> /home/user/my data; .env.sandbox WEB_PORT: 9 -> 8002; .env.sandbox PASSWORD: a value -> nothing",
		},
		{
			"the same environment in another layout", write(".env.sandbox", "# ours\nWEB_PORT=\"8002\"\nSLOT_ID=2\nDATA_DIR=\"/home/user/my data\"\n"),
			"skipped", "skipped",
		},
		{"an environment that isn't one", write(".env.sandbox", "canary!\n"), "drifted; .env.sandbox: *", "refreshed; .env.sandbox: *"},
		{
			"a link elsewhere", both(remove(".env"), func(t *testing.T, w *world.Fake) { w.Host().Symlink("/etc/passwd", dir+".env") }),
			"drifted; .env: a link to /etc/passwd -> a link to .env.sandbox", "refreshed; .env: a link to /etc/passwd -> a link to .env.sandbox",
		},
		{
			"a file for the link", both(remove(".env"), write(".env", "x")),
			"drifted; .env: a file -> a link to .env.sandbox", "refreshed; .env: a file -> a link to .env.sandbox",
		},
		{
			"a large compose file", write("docker-compose.yml", strings.Repeat("#", 3<<20)),
			"drifted; docker-compose.yml: *", "refreshed; docker-compose.yml: *",
		},
		{"held", held, "skipped (held by /w)", "skipped (held by /w)"},
		{
			"held, and different", both(held, both(remove(".env"), entry(func(s *registry.Slot) { s.Profile = "large" }))),
			"drifted (held by /w); profile: large -> small; .env: nothing -> a file", "drifted (held by /w); profile: large -> small; .env: nothing -> a file",
		},
		{
			"held, and its directory gone", both(held, remove("")),
			"drifted (held by /w); directory: nothing -> /home/user/pool/sandboxes/slot-2", "drifted (held by /w); directory: nothing -> /home/user/pool/sandboxes/slot-2",
		},
		{"files that aren't kinfra's", write("docker-compose.override.yml", "x"), "skipped", "skipped"},
	} {
		for _, refresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, refresh %v", test.name, refresh), func(t *testing.T) {
				w := world.NewFake()
				ensure(t, w.World(), specs(3), Options{})
				test.spoil(t, w)
				w.Advance(time.Hour)
				before := worldtest.Snapshot(t, w.World(), root)
				// A dry run tells the same and changes nothing.
				planned := ensure(t, world.Planned(w.World()), specs(3), Options{Refresh: refresh})
				wantSame(t, before, worldtest.Snapshot(t, w.World(), root))

				results := ensure(t, w.World(), specs(3), Options{Refresh: refresh})
				wantTold(t, planned, told(results))
				want := test.want
				if refresh {
					want = test.refresh
				}
				got := strings.TrimPrefix(strings.Split(told(results), "\n")[1], "2 ")
				if prefix, open := strings.CutSuffix(want, "*"); open {
					got, want = got[:min(len(got), len(prefix))], prefix
				}
				if got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if strings.Contains(told(results), "canary") {
					t.Errorf("a secret is told: %s", told(results))
				}
				after := worldtest.Snapshot(t, w.World(), root)
				switch results[1].Action {
				case Skipped, Drifted:
					wantSame(t, before, after)
				default:
					wantWhole(t, w.World(), specs(3))
					wantTold(t, ensure(t, w.World(), specs(3), Options{}), "1 skipped\n2 skipped\n3 skipped\n")
				}
				for name := range before {
					if strings.Contains(name, "/slot-1") || strings.Contains(name, "/slot-3") {
						if before[name] != after[name] {
							t.Errorf("%s was changed", name)
						}
					}
				}
			})
		}
	}
}

// What kinfra doesn't know of an entry survives a refresh, and so does a status.
func TestRefreshKeepsTheRestOfTheEntry(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(2), Options{})
	file := root + "/" + registry.File
	text := strings.Replace(string(read(t, w.World(), file)), `"profile": "small"`, `"note": {"x": 1.50}, "profile": "large"`, 1)
	text = strings.Replace(text, `"stopped"`, `"running"`, 1)
	w.Write(file, []byte(text))
	wantTold(t, ensure(t, w.World(), specs(2), Options{Refresh: true}), "1 refreshed; profile: large -> small\n2 skipped\n")
	after := string(read(t, w.World(), file))
	if !strings.Contains(after, `"x": 1.50`) || !strings.Contains(after, `"profile": "small"`) || !strings.Contains(after, `"running"`) {
		t.Errorf("the registry is now:\n%s", after)
	}
}

// An entry that agrees is not rewritten because its directory is repaired.
func TestRepairLeavesTheEntry(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(2), Options{})
	alter(t, w.World(), 2, func(s *registry.Slot) { slices.Reverse(s.Ports) })
	before := read(t, w.World(), root+"/"+registry.File)
	w.Host().Remove(Dir(root, 2) + "/.env")
	wantTold(t, ensure(t, w.World(), specs(2), Options{}), "1 skipped\n2 repaired; .env was missing\n")
	if after := read(t, w.World(), root+"/"+registry.File); !bytes.Equal(before, after) {
		t.Errorf("the registry is now:\n%s", after)
	}
}

// Over a registry from another machine the free slots are created by today's
// rules, and the held one is reported.
func TestRegistryWithoutDirectories(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(3), Options{})
	for id := range 3 {
		alter(t, w.World(), id+1, func(s *registry.Slot) { s.Ports[0].Number, s.Path = 4316+id, "/home/dev/slot" })
	}
	alter(t, w.World(), 2, func(s *registry.Slot) { s.ClaimedBy = "/w" })
	if err := w.Host().RemoveAll(root + "/sandboxes"); err != nil {
		t.Fatal(err)
	}
	wantTold(t, ensure(t, w.World(), specs(3), Options{}), "1 created\n"+
		"2 drifted (held by /w); infrastructure_path: /home/dev/slot -> /home/user/pool/sandboxes/slot-2; ports.web: 4317 -> 8002; directory: nothing -> /home/user/pool/sandboxes/slot-2\n"+
		"3 created\n")
	reg := load(t, w.World())
	if s, _ := reg.Slot(1); s.Ports[0].Number != 8001 || s.Path != Dir(root, 1) {
		t.Errorf("slot 1 is now %+v", s)
	}
	if s, _ := reg.Slot(2); s.Ports[0].Number != 4317 || s.ClaimedBy != "/w" {
		t.Errorf("slot 2 is now %+v", s)
	}
}

// What no spec names stays.
func TestOtherSlotsAreLeftAlone(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(3), Options{})
	before := worldtest.Snapshot(t, w.World(), root+"/sandboxes/slot-3")
	ensure(t, w.World(), []Spec{spec(5, 8000)}, Options{})
	if ids := len(load(t, w.World()).Slots()); ids != 4 {
		t.Errorf("%d slots are registered", ids)
	}
	wantSame(t, before, worldtest.Snapshot(t, w.World(), root+"/sandboxes/slot-3"))
}

func TestRefused(t *testing.T) {
	const dir = root + "/sandboxes/slot-2"
	move := func(w *world.Fake, name string) {
		if err := w.Host().Rename(name, "/home/user/moved"); err != nil {
			panic(err)
		}
	}
	for _, test := range []struct {
		name  string
		spoil func(w *world.Fake)
		want  string
		is    error
	}{
		{"a link for the directory", func(w *world.Fake) {
			move(w, dir)
			w.Host().Symlink("/home/user/moved", dir)
		}, "want a directory at " + dir + ", there is a symbolic link, which is not followed", ErrBroken},
		{"a file for the directory", func(w *world.Fake) {
			move(w, dir)
			w.Write(dir, nil)
		}, "want a directory at " + dir + ", there is a file", ErrBroken},
		{"a link for the compose file", func(w *world.Fake) {
			move(w, dir+"/docker-compose.yml")
			w.Host().Symlink("/home/user/moved", dir+"/docker-compose.yml")
		}, "want a file at " + dir + "/docker-compose.yml, there is a symbolic link, which is not followed", ErrBroken},
		{"a link within for the environment", func(w *world.Fake) {
			w.Host().Rename(dir+"/.env.sandbox", dir+"/env")
			w.Host().Symlink("env", dir+"/.env.sandbox")
		}, "want a file at " + dir + "/.env.sandbox, there is a symbolic link, which is not followed", ErrBroken},
		{"a directory for the environment", func(w *world.Fake) {
			move(w, dir+"/.env.sandbox")
			w.Host().Mkdir(dir+"/.env.sandbox", 0o700)
		}, "want a file at " + dir + "/.env.sandbox, there is a directory", ErrBroken},
		{"a directory for the link", func(w *world.Fake) {
			move(w, dir+"/.env")
			w.Host().Mkdir(dir+"/.env", 0o700)
		}, "want a link to .env.sandbox at " + dir + "/.env, there is a directory", ErrBroken},
		{"a pipe for the compose file", func(w *world.Fake) {
			w.Alter(dir+"/docker-compose.yml", func(i *world.Info) { i.Mode = fs.ModeNamedPipe | 0o600 })
		}, "want a file at " + dir + "/docker-compose.yml, there is something else", ErrBroken},
		{"a link for the directory of all slots", func(w *world.Fake) {
			move(w, root+"/sandboxes")
			w.Host().Symlink("/home/user/moved", root+"/sandboxes")
		}, "want a directory at " + root + "/sandboxes, there is a symbolic link, which is not followed", ErrBroken},
		{"a directory of another user", func(w *world.Fake) {
			w.Alter(dir, func(i *world.Info) { i.UserID = 0 })
		}, dir + " belongs to user 0, this is user 1000", registry.ErrForeign},
		{"a file of another user", func(w *world.Fake) {
			w.Alter(dir+"/docker-compose.yml", func(i *world.Info) { i.UserID = 0 })
		}, dir + "/docker-compose.yml belongs to user 0, this is user 1000", registry.ErrForeign},
		{"a file without permission", func(w *world.Fake) {
			w.Alter(dir+"/docker-compose.yml", func(i *world.Info) { i.Mode = 0 })
		}, "permission denied", fs.ErrPermission},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world.NewFake()
			w.Write("/etc/passwd", []byte("root"))
			ensure(t, w.World(), specs(3), Options{})
			w.Host().RemoveAll(root + "/sandboxes/slot-3")
			test.spoil(w)
			unreadable := test.is != ErrBroken
			var before map[string]string
			if !unreadable {
				before = worldtest.Snapshot(t, w.World(), "/home")
			}
			_, err := Ensure(t.Context(), w.World(), registry.Open(w.World(), root), specs(4), Options{Refresh: true})
			if !errors.Is(err, test.is) || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if !unreadable {
				wantSame(t, before, worldtest.Snapshot(t, w.World(), "/home"))
			}
		})
	}
}

func TestInvalidSpecs(t *testing.T) {
	with := func(change func(*Spec)) []Spec {
		s := spec(1, 8000)
		change(&s)
		return []Spec{s}
	}
	for _, test := range []struct {
		name  string
		root  string
		specs []Spec
		want  string
	}{
		{"number 0", root, with(func(s *Spec) { s.ID = 0 }), "slot number 0 is not in 1 to 65535"},
		{"negative", root, with(func(s *Spec) { s.ID = -3 }), "slot number -3 is not in 1 to 65535"},
		{"a million", root, with(func(s *Spec) { s.ID = 1e6 }), "slot number 1000000 is not in 1 to 65535"},
		{"twice", root, append(specs(2), spec(1, 9000)), "slot 1 is given twice"},
		{"no profile", root, with(func(s *Spec) { s.Profile = "" }), "slot 1 has no profile"},
		{"a port's name twice", root, with(func(s *Spec) { s.Ports[1].Name = "web" }), `slot 1: the name "web" stands twice`},
		{"a key that isn't one", root, with(func(s *Spec) { s.Env["A-B"] = "" }), ".env.sandbox of slot 1: "},
		{"a value that can't be written", root, with(func(s *Spec) { s.Env["A"] = "\x00" }), ".env.sandbox of slot 1: "},
		{"a root that isn't UTF-8", "/home/user/\xff", specs(1), `the root "/home/user/\xff" is not UTF-8`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world.NewFake()
			before := worldtest.Snapshot(t, w.World(), "/home")
			_, err := Ensure(t.Context(), w.World(), registry.Open(w.World(), test.root), test.specs, Options{})
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			wantSame(t, before, worldtest.Snapshot(t, w.World(), "/home"))
		})
	}
}

func TestDamagedRegistryStopsEverything(t *testing.T) {
	w := world.NewFake()
	w.Write(root+"/"+registry.File, nil)
	before := worldtest.Snapshot(t, w.World(), root)
	_, err := Ensure(t.Context(), w.World(), registry.Open(w.World(), root), specs(2), Options{})
	if !errors.Is(err, registry.ErrDamaged) {
		t.Errorf("the error is %v", err)
	}
	wantSame(t, before, worldtest.Snapshot(t, w.World(), root))
}

func TestCancelled(t *testing.T) {
	w := world.NewFake()
	ctx, cancel := context.WithCancel(t.Context())
	stop := world.Faulty(w.World(), func(op, name string) error {
		if op == "create" {
			cancel()
		}
		return nil
	})
	if _, err := Ensure(ctx, stop, registry.Open(stop, root), specs(20), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	wantWhole(t, w.World(), nil)
	ensure(t, w.World(), specs(20), Options{})
	wantWhole(t, w.World(), specs(20))
}

// A slot that the registry has lost is still its holder's: it gets an entry with the
// claim, and is otherwise left alone.
func TestLostSlotOfAHolder(t *testing.T) {
	held := func() (map[int]Holder, error) {
		return map[int]Holder{1: {"/w", "then"}, 2: {"/v", "then"}, 4: {"/x", ""}}, nil
	}
	w := world.NewFake()
	all := specs(4)
	ensure(t, w.World(), all[:3], Options{})
	w.Write(root+"/"+registry.File, []byte(`{"version": 2, "local_prod": null, "instances": {}, "slots": {}}`))
	w.Write(Dir(root, 2)+"/"+ComposeName, []byte("services: {}"))
	before := read(t, w.World(), Dir(root, 2)+"/"+ComposeName)

	wantTold(t, ensure(t, w.World(), all, Options{Refresh: true, Held: held}), `1 repaired (held by /w); no registry entry named it
2 drifted (held by /v); docker-compose.yml: 12 bytes, another text from line 1 on -> 32 bytes
3 repaired; no registry entry named it
4 created
`)
	reg := load(t, w.World())
	for id, want := range map[int]string{1: "/w", 3: "", 4: ""} {
		if s, ok := reg.Slot(id); !ok || s.ClaimedBy != want {
			t.Errorf("slot %d is held by %q (registered: %v), want %q", id, s.ClaimedBy, ok, want)
		}
	}
	if after := read(t, w.World(), Dir(root, 2)+"/"+ComposeName); !bytes.Equal(before, after) {
		t.Error("the file of a slot that somebody holds was changed")
	}
}

// What can't be known of holders stops all.
func TestHoldersThatAreNotKnown(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(1), Options{})
	if err := w.Host().Remove(root + "/" + registry.File); err != nil {
		t.Fatal(err)
	}
	unknown := errors.New("damaged")
	held := func() (map[int]Holder, error) { return nil, unknown }
	if _, err := Ensure(t.Context(), w.World(), registry.Open(w.World(), root), specs(1), Options{Held: held}); !errors.Is(err, unknown) {
		t.Errorf("got %v, want %v", err, unknown)
	}
	if _, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{Held: held}); !errors.Is(err, unknown) {
		t.Errorf("got %v, want %v", err, unknown)
	}
}
