package builtins

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/report"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

// TestAnnouncements: what slot.ensure and slot.remove say of a slot. Scripts and agents
// look for these words.
func TestAnnouncements(t *testing.T) {
	created := func(m *machine) { m.mustCommand("provision.star") }
	inSlot1 := func(name string) string { return "/home/user/.pool/sandboxes/slot-1/" + name }
	for _, test := range []struct {
		name     string
		prepare  func(*machine)
		script   string
		words    []string
		real     string
		planned  string
		conflict bool // the command ends with the code of a conflict
	}{
		{
			name: "created", script: "provision.star", words: []string{"--slot", "3"},
			real: lines("Created slot 3 (big)", "", "Created 1 slot(s)",
				"Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Would create slot 3 (big) at /home/user/.pool/sandboxes/slot-3",
				"    Ports: WEB=7003, METRICS=7106", "    Workers: ui=2, batch=4", "", "Would have created 1 slot(s)"),
		},
		{
			name: "skipped", prepare: created, script: "provision.star",
			real: lines("Slot 1: already exists, skipping", "Slot 2: already exists, skipping", "Slot 3: already exists, skipping",
				"", "Skipped 3 existing slot(s)", "Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: already exists, skipping", "Slot 2: already exists, skipping", "Slot 3: already exists, skipping",
				"", "Skipped 3 existing slot(s)"),
		},
		{
			name: "repaired", script: "provision.star", words: []string{"--slot", "1"},
			prepare: func(m *machine) {
				created(m)
				m.remove(inSlot1("docker-compose.yml"))
				m.remove(inSlot1(".env"))
			},
			real: lines("Slot 1: repaired (.env was missing, docker-compose.yml was missing)", "", "Repaired 1 slot(s)",
				"Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: would be repaired (.env was missing, docker-compose.yml was missing)", "", "Would have repaired 1 slot(s)"),
		},
		{
			name: "repaired without an entry", script: "provision.star", words: []string{"--slot", "1"},
			prepare: func(m *machine) {
				created(m)
				m.remove("/home/user/.pool/sandbox/instances.json")
			},
			real: lines("Slot 1: repaired (no registry entry named it)", "", "Repaired 1 slot(s)",
				"Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: would be repaired (no registry entry named it)", "", "Would have repaired 1 slot(s)"),
		},
		{
			name: "drifted", script: "provision.star", words: []string{"--slot", "1"}, conflict: true,
			prepare: func(m *machine) {
				created(m)
				m.otherPorts()
			},
			real: lines("Slot 1: differs from the scripts, left alone",
				"    ports.web is 7001, the scripts say 7201", "    .env.sandbox WEB_PORT is 7001, the scripts say 7201",
				"", "Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: differs from the scripts, left alone",
				"    ports.web is 7001, the scripts say 7201", "    .env.sandbox WEB_PORT is 7001, the scripts say 7201", ""),
		},
		{
			name: "drifted and claimed", script: "provision.star", words: []string{"--slot", "1", "--refresh"}, conflict: true,
			prepare: func(m *machine) {
				created(m)
				m.mustClaim(1, "/home/user/my tree")
				m.remove(inSlot1(".env"))
			},
			real: lines("Slot 1: differs from the scripts, and is claimed by /home/user/my tree, left alone",
				"    .env is nothing, the scripts say a file",
				"", "Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: differs from the scripts, and is claimed by /home/user/my tree, left alone",
				"    .env is nothing, the scripts say a file", ""),
		},
		{
			name: "claimed", script: "provision.star", words: []string{"--slot", "1", "--refresh"},
			prepare: func(m *machine) {
				created(m)
				m.mustClaim(1, "/home/user/tree")
			},
			real: lines("Slot 1: already exists, skipping", "", "Skipped 1 existing slot(s)",
				"Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: already exists, skipping", "", "Skipped 1 existing slot(s)"),
		},
		{
			name: "refreshed", script: "provision.star", words: []string{"--slot", "1", "--refresh"},
			prepare: func(m *machine) {
				created(m)
				m.otherPorts()
				m.fake.Write(inSlot1(".env.sandbox"), []byte("WEB_PORT=\nMINE=secret\n"))
			},
			real: lines("Slot 1: refreshed",
				"    ports.web was 7001, the scripts say 7201",
				"    .env.sandbox DIR was nothing, the scripts say /home/user/.pool/sandboxes/slot-1",
				"    .env.sandbox ID was nothing, the scripts say 1",
				"    .env.sandbox METRICS_PORT was nothing, the scripts say 7102",
				"    .env.sandbox PROFILE was nothing, the scripts say small",
				"    .env.sandbox PROJECT was nothing, the scripts say box-1",
				"    .env.sandbox ROOT was nothing, the scripts say /home/user/.pool",
				"    .env.sandbox UI was nothing, the scripts say 1",
				"    .env.sandbox WEB_PORT was empty, the scripts say 7201",
				"    .env.sandbox MINE was a value, the scripts say nothing",
				"", "Refreshed 1 slot(s)", "Registry: /home/user/.pool/sandbox/instances.json", "kinfra sandbox slots shows the pool"),
			planned: lines("Slot 1: would be refreshed",
				"    ports.web is 7001, the scripts say 7201",
				"    .env.sandbox DIR is nothing, the scripts say /home/user/.pool/sandboxes/slot-1",
				"    .env.sandbox ID is nothing, the scripts say 1",
				"    .env.sandbox METRICS_PORT is nothing, the scripts say 7102",
				"    .env.sandbox PROFILE is nothing, the scripts say small",
				"    .env.sandbox PROJECT is nothing, the scripts say box-1",
				"    .env.sandbox ROOT is nothing, the scripts say /home/user/.pool",
				"    .env.sandbox UI is nothing, the scripts say 1",
				"    .env.sandbox WEB_PORT is empty, the scripts say 7201",
				"    .env.sandbox MINE is a value, the scripts say nothing",
				"", "Would have refreshed 1 slot(s)"),
		},
		{
			name: "removed", prepare: created, script: "deprovision.star", words: []string{"--slot", "2"},
			real: lines("Removed slot 2", "", "Removed 1 slot(s)"),
			planned: lines("Would ask: This removes 1 slot(s) from /home/user/.pool/sandboxes: 2. Their directories go with all that is in them, and so do their registry entries.",
				"Would remove slot 2", "", "Would have removed 1 slot(s)"),
		},
		{
			name: "nothing to remove", script: "deprovision.star",
			real: lines("No slots provisioned."), planned: lines("No slots provisioned."),
		},
	} {
		for want, planned := range map[string]bool{test.real: false, test.planned: true} {
			t.Run(fmt.Sprintf("%s planned %t", test.name, planned), func(t *testing.T) {
				m := newMachine(t)
				if test.prepare != nil {
					test.prepare(m)
				}
				if planned {
					m.planned()
				}
				m.stdout.Reset()
				run, err := m.command(test.script, test.words...)
				if test.conflict != (err != nil) || test.conflict && m.config.CodeOf(err) != 4 {
					t.Fatal(m.explain(run, err))
				}
				equal(t, "the announcement", m.stdout.String(), want)
			})
		}
	}
}

// TestEveryActionIsDescribed: an action that is new in the domain has a text of its own.
func TestEveryActionIsDescribed(t *testing.T) {
	actions := []slot.Action{slot.Created, slot.Skipped, slot.Repaired, slot.Refreshed, slot.Drifted, slot.Removed}
	for _, planned := range []bool{false, true} {
		seen := map[string]slot.Action{}
		for _, action := range actions {
			text := describe(slot.Result{ID: 1, Action: action}, planned)
			if other, ok := seen[text]; ok {
				t.Errorf("%s and %s are both described as %q", action, other, text)
			}
			seen[text] = action
		}
	}
}

func (m *machine) remove(path string) {
	m.Helper()
	if err := m.fake.Host().Remove(path); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) mustClaim(id int, worktree string) {
	m.Helper()
	if err := m.claimSlot(id, worktree); err != nil {
		m.Fatal(err)
	}
}

// otherPorts changes the rule of a port.
func (m *machine) otherPorts() {
	m.script("pool.star", `
load("lib/parts.star", "PARTS")
pool = slot.pool(**dict(PARTS, ports = dict(PARTS["ports"], web = port(base = 7200))))
`)
}

// TestAnnouncementsAreTheSameEveryTime: a hundred runs print the same bytes, whatever
// the order of Go's maps.
func TestAnnouncementsAreTheSameEveryTime(t *testing.T) {
	first := map[bool]string{}
	for n := range 100 {
		for _, planned := range []bool{true, false} {
			m := newShippedMachine(t)
			if planned {
				m.planned()
			}
			printed := m.mustCommand("provision.star")
			if n == 0 {
				first[planned] = printed
			}
			equal(t, fmt.Sprintf("run %d", n), printed, first[planned])
		}
		if t.Failed() {
			return
		}
	}
}

// TestShippedScripts: the commands of the shipped pool, one after another, on one machine.
func TestShippedScripts(t *testing.T) {
	m := newShippedMachine(t)
	m.fake.Listeners = map[string]bool{"127.0.0.1:8002": true}
	for _, step := range []struct {
		script string
		words  []string
		want   []string // how lines of what is printed begin
		not    string
	}{
		{script: "slots.star", want: []string{"No slots provisioned.", "kinfra sandbox provision creates them"}},
		{script: "registry_restore.star", want: []string{"No copies are kept yet."}},
		{script: "ports.star", words: []string{"--check"}, want: []string{"49 ports, no two the same"}},
		{script: "provision.star", words: []string{"--slot=1,2"}, want: []string{"Created slot 1 (light)", "Created slot 2 (light)", "Created 2 slot(s)"}},
		{script: "provision.star", want: []string{"Slot 1: already exists, skipping", "Created slot 6 (heavy)", "Created 4 slot(s)", "Skipped 2 existing slot(s)"}},
		{script: "provision.star", want: []string{"Skipped 6 existing slot(s)"}, not: "Created"},
		{script: "slots.star", want: []string{"Slot  Profile   API Port  Claimed By  Status", "6     heavy     8006      -           stopped"}},
		{script: "ports.star", want: []string{"Port   Slot  Name        Listening", "8002   2     api         yes", "8003   3     api         -"}},
		{script: "registry_restore.star", want: []string{"1           2026-02-02 10:11:12  2      0        good"}},
		{script: "registry_restore.star", words: []string{"1"}, want: []string{"Restored generation 1: 2 slot(s), 0 claimed"}},
		{script: "slots.star", not: "heavy"},
		{script: "provision.star", want: []string{"Slot 6: repaired (no registry entry named it)", "Repaired 4 slot(s)"}},
		{script: "deprovision.star", words: []string{"--slot", "6"}, want: []string{"Removed slot 6", "Removed 1 slot(s)"}},
		{script: "deprovision.star", want: []string{"Removed 5 slot(s)"}},
		{script: "slots.star", want: []string{"No slots provisioned."}},
	} {
		printed := m.mustCommand(step.script, step.words...)
		for _, line := range step.want {
			if !strings.Contains("\n"+printed, "\n"+line) {
				t.Fatalf("%s %q prints\n%s\nwant a line that begins with\n%s", step.script, step.words, printed, line)
			}
		}
		if step.not != "" && strings.Contains(printed, step.not) {
			t.Fatalf("%s %q prints\n%s\nwithout %q", step.script, step.words, printed, step.not)
		}
	}
}

// TestShippedValidation: kinfra e2e in the fake world, where the kinfra that it starts is
// this machine again. A fault in what that does is found by the check that is for it.
func TestShippedValidation(t *testing.T) {
	slot3 := func(root, name string) string { return root + "/sandboxes/slot-3/" + name }
	for _, test := range []struct {
		name  string
		after string // the child's arguments after which the fault is there
		fault func(m *machine, root string)
		hangs string // the child that can't be run to its end
		want  string // the checks that fail, then those that are skipped
	}{
		{name: "none"},
		{
			name: "a file changed by the second run", after: "sandbox provision 2", want: "9 provision again",
			fault: func(m *machine, root string) {
				m.fake.Write(root+"/sandboxes/slot-1/docker-compose.yml", []byte("services: {}"))
			},
		},
		{
			name: "a file touched by the second run", after: "sandbox provision 2", want: "9 provision again",
			fault: func(m *machine, root string) {
				m.fake.Alter(slot3(root, ".env.sandbox"), func(i *world.Info) { i.ModTime = i.ModTime.Add(1) })
			},
		},
		{
			name: "a file written by the dry run", after: "sandbox provision --dry-run 1", want: "2 dry run",
			fault: func(m *machine, root string) { m.fake.Write(root+"/kinfra/log", nil) },
		},
		{
			name: "no environment file", after: "sandbox provision 1", want: "5 environment files, 6 compose files skipped, 9 provision again skipped",
			fault: func(m *machine, root string) { m.remove(slot3(root, ".env.sandbox")) },
		},
		{
			name: "no compose file", after: "sandbox provision 1", want: "6 compose files, 9 provision again skipped",
			fault: func(m *machine, root string) { m.remove(slot3(root, "docker-compose.yml")) },
		},
		{
			name: "no registry", after: "sandbox provision 1", want: "7 registry, 8 sandbox slots skipped, 9 provision again skipped",
			fault: func(m *machine, root string) { m.remove(root + "/sandbox/instances.json") },
		},
		{
			name: "a slot claimed by the second run", after: "sandbox provision 2", want: "9 provision again",
			fault: func(m *machine, root string) {
				m.replace(root+"/sandbox/instances.json", `"claimed_by": null`, `"claimed_by": "/x"`)
			},
		},
		{
			name: "a seventh directory", after: "sandbox provision 1", want: "4 slot directories, 9 provision again skipped",
			fault: func(m *machine, root string) { m.mkdir(root + "/sandboxes/slot-7") },
		},
		{
			name: "a wrong port", after: "sandbox provision 1", want: "5 environment files, 6 compose files skipped, 9 provision again skipped",
			fault: func(m *machine, root string) { m.replace(slot3(root, ".env.sandbox"), "8003", "8004") },
		},
		{
			name: "a fixed port in one template", after: "sandbox provision 1", want: "6 compose files, 9 provision again skipped",
			fault: func(m *machine, root string) {
				m.replace(slot3(root, "docker-compose.yml"), "${KTRDR_API_PORT:-8000}", "8000")
			},
		},
		{
			name: "profiles swapped", after: "sandbox provision 1", want: "7 registry, 8 sandbox slots skipped, 9 provision again skipped",
			fault: func(m *machine, root string) { m.replace(root+"/sandbox/instances.json", "heavy", "light") },
		},
		{name: "a list that hangs", hangs: "sandbox slots 1", want: "8 sandbox slots, 9 provision again skipped"},
		{name: "a second run that hangs", hangs: "sandbox provision 2", want: "9 provision again"},
		{
			name: "a slot claimed", after: "sandbox provision 1", want: "8 sandbox slots, 9 provision again skipped",
			fault: func(m *machine, root string) {
				m.replace(root+"/sandbox/instances.json", `"claimed_by": null`, `"claimed_by": "/x"`)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newShippedMachine(t)
			var mu sync.Mutex
			runs := map[string]int{}
			m.fake.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
				root, words := cmd.Args[4], strings.Join(cmd.Args[5:], " ")
				out := m.child(root, cmd.Args[5:])
				mu.Lock()
				defer mu.Unlock()
				runs[words]++
				switch fmt.Sprintf("%s %d", words, runs[words]) {
				case test.after:
					test.fault(m, root)
				case test.hangs:
					return world.Output{}, world.ErrTimeout
				}
				return out, nil
			}
			run, err := m.command("e2e.star")
			if got := notPassed(run.Report()); got != test.want {
				t.Errorf("the checks that didn't pass: %q, want %q\n%s%s", got, test.want, m.explain(run, err), m.stderr.String())
			}
			if left := listTree(m.fake.World(), "/tmp"); len(left) > 0 {
				t.Errorf("it has left %q", left)
			}
			if left := listTree(m.fake.World(), "/home/user"); len(left) > 0 {
				t.Errorf("it has touched the user's own pool: %q", left)
			}
		})
	}
}

// child is a kinfra that a script starts: `kinfra --scripts DIR --root ROOT WORDS`.
func (m *machine) child(root string, words []string) world.Output {
	c := newShippedMachine(m.TB)
	c.fake, c.config.World, c.options.Root, c.options.RootFlag = m.fake, m.fake.World(), root, root
	if i := slices.Index(words, "--dry-run"); i >= 0 {
		c.planned()
		words = slices.Delete(slices.Clone(words), i, i+1)
	}
	script := map[string]string{"sandbox provision": "provision.star", "sandbox slots": "slots.star"}[strings.Join(words, " ")]
	run, err := c.command(script)
	out := world.Output{Code: int(c.config.CodeOf(err)), Stdout: c.stdout.Bytes()}
	if err != nil {
		out.Stderr = []byte(c.explain(run, err))
	}
	return out
}

// notPassed is the checks of a report that failed, and that were skipped.
func notPassed(r *report.Run) string {
	var all []string
	r.Walk(func(n *report.Node) {
		switch n.Status {
		case event.Passed:
		case event.Failed:
			all = append(all, n.Name)
		default:
			all = append(all, n.Name+" "+string(n.Status))
		}
	})
	return strings.Join(all, ", ")
}

func (m *machine) mkdir(path string) {
	if err := m.fake.Host().Mkdir(path, 0o700); err != nil {
		m.Fatal(err)
	}
}

// replace changes the first place in a file where a text stands.
func (m *machine) replace(path, old, text string) {
	data, err := m.fake.Host().ReadFile(path, 1<<20)
	if err != nil || !strings.Contains(string(data), old) {
		m.Fatalf("%s has no %q: %v", path, old, err)
	}
	m.fake.Write(path, []byte(strings.Replace(string(data), old, text, 1)))
}

// TestRootOfTheCommandLine: --root goes before what a pool says, and scripts can tell it
// from KINFRA_ROOT.
func TestRootOfTheCommandLine(t *testing.T) {
	m := newMachine(t)
	m.options.Root, m.options.RootFlag = "/srv/pool", "/srv/pool"
	m.script("main.star", `
load("pool.star", "pool")
expect.equal([pool.root, kinfra.root], ["/srv/pool", "/srv/pool"])
expect.equal(registry.path(), "/srv/pool/sandbox/instances.json")
expect.equal(pool.at("/tmp/x").root, "/tmp/x")
`)
	if run, err := m.top("main.star"); err != nil {
		t.Error(m.explain(run, err))
	}
	m.options.RootFlag = "" // from KINFRA_ROOT
	m.script("main.star", `expect.equal(kinfra.root, None)`)
	if run, err := m.top("main.star"); err != nil {
		t.Error(m.explain(run, err))
	}
}

// TestPoolThatAsksForItself: a pool.star that needs the pool to define it is a load
// cycle, also where a builtin is the first to ask for it. It once waited for ever.
func TestPoolThatAsksForItself(t *testing.T) {
	m := newMachine(t)
	m.script("pool.star", `pool = registry.path()`)
	m.script("main.star", `registry.path()`)
	run, err := m.top("main.star")
	equal(t, "the error", m.explain(run, err), lines("exit code 2", "error: load cycle: main.star -> pool.star -> pool.star",
		"  --> pool.star:1:21", "1 | pool = registry.path()", "  |                     ^", "  called from main.star:1:14"))
}

// TestPoolFreezesItsFunctions: what a pool's functions hold on to can't change once its
// file is loaded, so that branches which run at once may all call them.
func TestPoolFreezesItsFunctions(t *testing.T) {
	m := newMachine(t)
	m.script("pool.star", `
load("lib/parts.star", "PARTS")
def counting():
    calls = []
    return lambda n: calls.append(n) or 7000 + n
pool = slot.pool(**dict(PARTS, ports = dict(PARTS["ports"], web = counting())))
`)
	m.script("main.star", "load(\"pool.star\", \"pool\")\npool.specs()\n")
	run, err := m.top("main.star")
	if text := m.explain(run, err); !strings.Contains(text, "frozen") {
		t.Errorf("want an error about a frozen list, got\n%s", text)
	}
}

// TestWalkEndsWithTheRun: a large tree is left in the middle when the run ends.
func TestWalkEndsWithTheRun(t *testing.T) {
	m := newMachine(t)
	m.fake.Write("/tmp/a/b/c", nil)
	ctx, cancel := context.WithCancel(context.Background())
	looks := 0
	m.config.World = world.Faulty(m.fake.World(), func(op, _ string) error {
		if op == "readdir" {
			looks++
			cancel()
		}
		return nil
	})
	m.script("main.star", `fs.walk("/tmp")`)
	run := m.newRunUnder(ctx)
	file, _ := m.config.Layers.Find("main.star")
	_, err := run.Load(file, true)
	if err == nil || looks != 1 {
		t.Errorf("%d directories were read, want 1; the error is %v", looks, err)
	}
}
