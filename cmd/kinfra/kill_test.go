package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// rounds is how often each command is killed; `go test -run Killed -count=20` does it
// more often.
func rounds() int {
	if testing.Short() {
		return 3
	}
	return 15
}

// longest is the most that a killed command is given. It takes a few milliseconds more
// where the machine is busy; some rounds then end before anything is written, which
// counts, too.
const longest = 30 * time.Millisecond

// killSome runs a command that is killed at a random moment, again and again, each time
// on a machine that prepare has made, and has the outcome looked at.
func killSome(t *testing.T, args []string, prepare, look func(*testing.T, machine)) {
	t.Helper()
	killed := 0
	for range rounds() {
		m := newMachine(t)
		prepare(t, m)
		wait := rand.N(longest)
		if ended, _ := endedAfter(t, m.kinfra(t, args...), wait, (*os.Process).Kill); ended {
			killed++
		}
		look(t, m)
		if t.Failed() {
			t.Fatalf("killed after %s", wait)
		}
	}
	t.Logf("killed in %d of %d rounds", killed, rounds())
}

// whole tells whether the pool is what an undisturbed run makes of it.
func whole(t *testing.T, m machine, flags ...string) {
	t.Helper()
	m.run(t, append([]string{"e2e", "--existing"}, flags...)...)
	for _, path := range strays(t, m.pool()) {
		t.Errorf("left over: %s", path)
	}
}

func TestKilledProvision(t *testing.T) {
	nothing := func(*testing.T, machine) {}
	killSome(t, []string{"sandbox", "provision"}, nothing, func(t *testing.T, m machine) {
		m.run(t, "sandbox", "slots") // the registry can be read, whatever it says
		m.run(t, "sandbox", "provision")
		whole(t, m)
	})
}

func TestKilledRepair(t *testing.T) {
	spoil := func(t *testing.T, m machine) {
		m.run(t, "sandbox", "provision")
		sandboxes := filepath.Join(m.pool(), "sandboxes")
		for _, name := range []string{"slot-1/.env.sandbox", "slot-2/docker-compose.yml", "slot-3/.env", "slot-4", "slot-5"} {
			if err := os.RemoveAll(filepath.Join(sandboxes, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	killSome(t, []string{"sandbox", "provision"}, spoil, func(t *testing.T, m machine) {
		m.run(t, "sandbox", "provision")
		whole(t, m)
	})
}

func TestKilledRefresh(t *testing.T) {
	scripts := otherPorts(t)
	provision := func(t *testing.T, m machine) { m.run(t, "sandbox", "provision") }
	refresh := []string{"sandbox", "provision", "--refresh", "--scripts", scripts}
	killSome(t, refresh, provision, func(t *testing.T, m machine) {
		m.run(t, refresh...)
		whole(t, m, "--scripts", scripts)
	})
}

func TestKilledDeprovision(t *testing.T) {
	provision := func(t *testing.T, m machine) { m.run(t, "sandbox", "provision") }
	killSome(t, []string{"sandbox", "deprovision", "--yes"}, provision, func(t *testing.T, m machine) {
		m.run(t, "sandbox", "slots")
		m.run(t, "sandbox", "deprovision", "--yes")
		left, err := os.ReadDir(filepath.Join(m.pool(), "sandboxes"))
		if err != nil || len(left) > 0 {
			t.Errorf("left are %v (%v)", left, err)
		}
		m.run(t, "sandbox", "provision")
		whole(t, m)
	})
}

// otherPorts is a directory of scripts with another rule for a port.
func otherPorts(t *testing.T) string {
	t.Helper()
	const pool = `load("@kinfra//pool.star", "PORTS", "PROFILES", "SLOTS", "environment", base = "pool")

pool = slot.pool(
    name = base.name,
    root = "~/.ktrdr",
    profiles = PROFILES,
    slots = SLOTS,
    ports = PORTS | {"api": port(base = 9000)},
    main_port = base.main_port,
    project = base.project,
    environment = environment,
    template = base.template,
    mounts = base.mounts,
    pass_env = base.pass_env,
)
`
	return scriptsWith(t, "pool.star", pool)
}

// scriptsWith is a directory of scripts with one file in it.
func scriptsWith(t *testing.T, name, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
