package lifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const (
	root  = "/home/user/pool"
	trees = "/home/user/trees/"
)

// machine is a fake machine with a pool of one slot, and an Engine and a Compose that
// start and stop its one service.
type machine struct {
	*world.Fake
	t      *testing.T
	claims *claim.Pool
	m      *lifecycle.Manager

	mu       sync.Mutex
	running  bool
	foreign  bool                   // a container of another root has the project's name
	comes    int                    // the look at the Engine from which on it has; 0 for none
	looks    int                    // so far
	volume   bool                   // there is a volume of the slot's project name
	created  string                 // when it was made, as the Engine says
	commands []string               // "up", "down", "volume rm", …
	files    []string               // the compose files that its container names
	on       map[string]func() bool // called with a command, which fails if it gives false
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{Fake: world.NewFake(), t: t, on: map[string]func() bool{}, created: made}
	m.Handle, m.Answer = m.docker, m.engine
	for _, path := range []string{"/usr/bin/docker", "/usr/lib/docker/cli-plugins/docker-compose"} {
		m.Write(path, nil)
		m.Alter(path, func(i *world.Info) { i.Mode = 0o755 })
	}
	dir := slot.Dir(root, 1)
	m.Write(filepath.Join(dir, slot.EnvName), []byte("WEB_PORT=8001\n"))
	m.Write(filepath.Join(dir, slot.ComposeName), []byte("services:\n  web:\n    image: web\n    ports: [\"127.0.0.1:${WEB_PORT}:80\"]\n"))
	for _, name := range []string{"a", "b"} {
		worldtest.Must(t, m.Host().MkdirAll(trees+name+"/src", 0o755))
	}
	store := registry.Open(m.Fake.World(), root)
	worldtest.Must(t, store.Update(t.Context(), func(r *registry.Registry) error {
		return r.PutSlot(registry.Slot{ID: 1, Path: dir, Profile: "small"})
	}))
	m.claims = claim.Open(m.Fake.World(), store)
	m.m = lifecycle.New(m.Fake.World(), lifecycle.Definition{
		Root: root, Project: "slot-%d", Mounts: map[string][]stack.Mount{"web": {{Source: "src", Target: "/src"}}},
	}, m.claims)
	return m
}

// made is when a volume was made.
const made = "2026-01-02T03:04:05Z"

// engine answers with the list of containers, volumes or networks.
func (m *machine) engine(_ context.Context, req world.Request) ([]byte, error) {
	path, err := worldtest.Path(req)
	if err != nil {
		return nil, err
	}
	answer := "[]"
	switch {
	case strings.HasPrefix(path, "/containers"):
		answer = m.list()
	case strings.HasPrefix(path, "/volumes"):
		answer = m.listVolumes()
	case strings.HasPrefix(path, "/images"):
		answer = "{}"
	}
	return []byte("HTTP/1.0 200 OK\r\n\r\n" + answer), nil
}

func (m *machine) listVolumes() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.volume {
		return "{}"
	}
	return fmt.Sprintf(`{"Volumes":[{"Name":"slot-1_data","CreatedAt":%q,"Labels":{"com.docker.compose.project":"slot-1"}}]}`, m.created)
}

// leftVolume is a volume that an earlier holder's stack has made and that is still there.
func (m *machine) leftVolume() {
	m.t.Helper()
	c := m.claim("b")
	target := claim.Target{Slot: c.Slot, Token: c.Token}
	worldtest.Must(m.t, m.claims.VolumesUsed(m.t.Context(), target, claim.Volumes{"slot-1_data": made}))
	worldtest.Must(m.t, m.claims.Release(m.t.Context(), target))
	m.volume = true
}

func (m *machine) list() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []map[string]any{}
	add := func(name, dir string, mounts ...map[string]string) {
		all = append(all, map[string]any{
			"Mounts": mounts,
			"Id":     name, "Names": []string{"/" + name}, "State": "running", "Status": "Up 1 second (healthy)",
			"Labels": map[string]string{
				"com.docker.compose.project": "slot-1", "com.docker.compose.service": "web", "com.docker.compose.project.working_dir": dir,
				"com.docker.compose.project.config_files": strings.Join(m.files, ","),
			},
		})
	}
	if m.running {
		add("web", slot.Dir(root, 1), map[string]string{"Type": "volume", "Name": "slot-1_data"})
	}
	m.looks++
	if m.foreign || m.comes > 0 && m.looks >= m.comes {
		add("theirs", "/home/other")
	}
	data, _ := json.Marshal(all)
	return string(data)
}

// docker plays the docker command.
func (m *machine) docker(_ context.Context, cmd world.Command) (world.Output, error) {
	command := strings.Join(cmd.Args[1:3], " ")
	if i := slices.Index(cmd.Args, "never"); i > 0 { // docker compose … --ansi never COMMAND
		command = cmd.Args[i+1]
	}
	if !cmd.ReadOnly && command != "config" {
		m.commands = append(m.commands, command)
	}
	if f := m.on[command]; f != nil && !f() {
		return world.Output{Code: 1, Stderr: []byte("out of luck")}, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case command == "up":
		m.running, m.volume = true, true
	case command == "down": // as of a file that doesn't name the volume any more
		m.running = false
	case command == "rm --force":
		m.running = false
	case command == "volume rm":
		m.volume = false
	case command == "config":
		return world.Output{Stdout: []byte(`{"services":{"web":{"image":"web"}},"volumes":{"data":{"name":"slot-1_data"}}}`)}, nil
	}
	return world.Output{}, nil
}

// claim has a worktree claim the slot.
func (m *machine) claim(name string) claim.Claim {
	m.t.Helper()
	c, _, err := m.claims.Claim(m.t.Context(), claim.Request{Worktree: trees + name, Order: []string{"small"}})
	worldtest.Must(m.t, err)
	return c
}

// slot is the slot as it stands. It may be called while Compose runs, which must not be
// ended by a test that fails, since its end is waited for.
func (m *machine) slot() claim.Slot {
	m.t.Helper()
	all, err := m.claims.List(m.t.Context())
	if err != nil {
		m.t.Error(err)
		return claim.Slot{}
	}
	return all[0]
}

// holder is the worktree that holds the slot; empty for none.
func (m *machine) holder() string {
	if c := m.slot().Claim; c != nil {
		return strings.TrimPrefix(c.Worktree, trees)
	}
	return ""
}

// started tells whether the slot's volumes are noted as those of its holder.
func (m *machine) started() bool {
	c := m.slot().Claim
	return c != nil && c.Started
}

// locked tells whether somebody works on the slot.
func (m *machine) locked() bool {
	unlock, err := m.Root(root).TryLock("kinfra/slots/1.lock")
	if err == nil {
		unlock()
	}
	return errors.Is(err, world.ErrHeld)
}

func (m *machine) up(c claim.Claim) error {
	return m.m.Up(m.t.Context(), c, lifecycle.UpOptions{})
}

func (m *machine) wantCommands(want ...string) {
	m.t.Helper()
	if !slices.Equal(m.commands, want) {
		m.t.Errorf("docker was given %q, want %q", m.commands, want)
	}
	m.commands = nil
}

// TestUp: when Compose starts the stack, nobody else can work on the slot, the volumes
// are noted as the holder's, and the worktree's code is mounted.
func TestUp(t *testing.T) {
	m := newMachine(t)
	m.leftVolume() // of the holder before
	c := m.claim("a")
	m.on["up"] = func() bool {
		override, _ := m.Host().ReadFile(filepath.Join(slot.Dir(root, 1), stack.OverrideName), 1<<10)
		for what, holds := range map[string]bool{
			"the slot is locked":        m.locked(),
			"the volumes are noted":     m.started(),
			"the worktree is mounted":   strings.Contains(string(override), trees+"a/src"),
			"it is not yet on record":   m.slot().Status != "running",
			"no volume of others is on": !m.volume,
		} {
			if !holds {
				t.Errorf("when it is started: not so that %s", what)
			}
		}
		return true
	}
	worldtest.Must(t, m.up(c))
	m.wantCommands("down", "volume rm", "up")
	if m.slot().Status != "running" || m.locked() {
		t.Errorf("after it: the status on record is %q, locked is %v", m.slot().Status, m.locked())
	}

	// the same holder's volumes stay
	m.on["up"] = nil
	worldtest.Must(t, m.m.Down(t.Context(), c, false))
	worldtest.Must(t, m.up(c))
	m.wantCommands("down", "up")
}

// TestSlotGoesBeforeTheCaller: what the slot sets is not the caller's, in what Compose gets
// as in what kinfra knows of the stack's ports.
func TestSlotGoesBeforeTheCaller(t *testing.T) {
	m := newMachine(t)
	m.Env["WEB_PORT"], m.Env["TZ"], m.Env["TOKEN"] = "17399", "caller", "caller"
	m.Write(filepath.Join(slot.Dir(root, 1), slot.EnvName), []byte("WEB_PORT=8001\nTZ=UTC\n"))
	m.Write(filepath.Join(slot.Dir(root, 1), slot.ComposeName), []byte("services: {web: {image: x, ports: [\"127.0.0.1:${WEB_PORT}:80\"]}}\n"))
	manager := m.manager(lifecycle.Definition{Project: "slot-%d", Pass: []string{"WEB_PORT", "TOKEN"}})
	s, err := manager.Stack(1, trees+"a")
	worldtest.Must(t, err)
	env := s.Logs(m.Fake.World()).Env
	for _, entry := range env {
		if name, _, _ := strings.Cut(entry, "="); name == "WEB_PORT" || name == "TZ" {
			t.Errorf("Compose gets %q", env)
		}
	}
	if !slices.Contains(env, "TOKEN=caller") {
		t.Errorf("Compose gets %q, want TOKEN", env)
	}
	m.Listen("127.0.0.1:17399", true)
	worldtest.Must(t, manager.Up(t.Context(), m.claim("a"), lifecycle.UpOptions{}))
}

// TestUpRefused: a start that was refused has not made the volumes the holder's, so
// the one that succeeds still begins with clean ones.
func TestUpRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil, mend func(*machine)
		want        error
	}{
		"another's container":                 {func(m *machine) { m.foreign = true }, func(m *machine) { m.foreign = false }, stack.ErrInTheWay},
		"another's container that comes late": {func(m *machine) { m.comes = 2 }, func(m *machine) { m.comes = 0 }, nil},
		"another's port": {
			func(m *machine) { m.Listeners = map[string]bool{"127.0.0.1:8001": true} },
			func(m *machine) { m.Listeners = nil }, stack.ErrPortTaken,
		},
		"a volume in use": {
			func(m *machine) { m.on["volume rm"] = func() bool { return false } },
			func(m *machine) { m.on["volume rm"] = nil }, nil,
		},
		"nothing to mount": {
			func(m *machine) { worldtest.Must(m.t, m.Host().RemoveAll(trees+"a/src")) },
			func(m *machine) { worldtest.Must(m.t, m.Host().MkdirAll(trees+"a/src", 0o755)) }, stack.ErrNoSource,
		},
		"no engine": {func(m *machine) { m.Answer = nil }, func(m *machine) { m.Answer = m.engine }, docker.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.leftVolume()
			c := m.claim("a")
			test.spoil(m)
			err := m.up(c)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got the error %v, want %v", err, test.want)
			}
			if m.started() || m.running {
				t.Errorf("the volumes are noted: %v; something runs: %v", m.started(), m.running)
			}
			test.mend(m)
			m.on["up"] = func() bool {
				if m.volume && m.created == made {
					t.Error("it was started with the volume of the holder before")
				}
				return true
			}
			worldtest.Must(t, m.up(c))
		})
	}
}

// TestRelease: the slot is given back once nothing of it is left, never before.
func TestRelease(t *testing.T) {
	m := newMachine(t)
	c := m.claim("a")
	worldtest.Must(t, m.up(c))
	m.commands = nil
	m.on["down"] = func() bool {
		if m.holder() != "a" || !m.locked() {
			t.Errorf("when it is stopped, %q holds the slot, and it is locked: %v", m.holder(), m.locked())
		}
		return false
	}
	m.on["rm --force"] = func() bool { return false }
	if err := m.m.Release(t.Context(), c); err == nil || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("got the error %v", err)
	}
	if m.holder() != "a" || m.locked() {
		t.Errorf("what could not be stopped is held by %q, and locked: %v", m.holder(), m.locked())
	}

	// it can be tried again, also after the volumes could not be removed
	m.on["rm --force"] = nil
	m.on["volume rm"] = func() bool { return false }
	if err := m.m.Release(t.Context(), c); err == nil || m.holder() != "a" || !m.volume {
		t.Errorf("with a volume that stays it is held by %q, error %v", m.holder(), err)
	}
	m.on["volume rm"] = nil
	worldtest.Must(t, m.m.Release(t.Context(), c))
	if m.holder() != "" || m.volume || m.slot().Status != "stopped" {
		t.Errorf("after it, it is held by %q, its volume is there: %v, recorded is %q", m.holder(), m.volume, m.slot().Status)
	}
}

// TestReleaseUnstarted needs no Docker.
func TestReleaseUnstarted(t *testing.T) {
	m := newMachine(t)
	m.Answer = nil
	worldtest.Must(t, m.m.Release(t.Context(), m.claim("a")))
	m.wantCommands()
	if m.holder() != "" {
		t.Errorf("it is still held by %q", m.holder())
	}
}

// TestReleaseOfWhatOthersStarted: what the older tool, or a plain docker compose, has
// started in a slot that kinfra never started doesn't outlive the claim.
func TestReleaseOfWhatOthersStarted(t *testing.T) {
	m := newMachine(t)
	c := m.claim("a")
	m.running, m.volume = true, true
	worldtest.Must(t, m.m.Release(t.Context(), c))
	if m.running || m.volume || m.holder() != "" {
		t.Errorf("it runs: %v, its volume is there: %v, held by %q", m.running, m.volume, m.holder())
	}

	// another's is none of it
	c = m.claim("a")
	m.foreign = true
	worldtest.Must(t, m.m.Release(t.Context(), c))
	if !m.foreign || m.holder() != "" {
		t.Errorf("another's runs: %v, held by %q", m.foreign, m.holder())
	}

	// it is not released while that can't be asked for any more
	m.foreign = false
	c = m.claim("a")
	ctx, stop := context.WithCancel(t.Context())
	m.Answer = func(context.Context, world.Request) ([]byte, error) {
		stop()
		return nil, context.Canceled
	}
	worldtest.WantErr(t, m.m.Release(ctx, c), context.Canceled)
	if m.holder() != "a" {
		t.Errorf("held by %q", m.holder())
	}
}

// TestForeignVolume: a volume of the slot's project name that nothing says was made for
// the slot keeps a new holder's stack from being started, and no command removes it.
func TestForeignVolume(t *testing.T) {
	m := newMachine(t)
	m.volume = true
	c := m.claim("a")
	for range 2 {
		err := m.up(c)
		worldtest.WantErr(t, err, stack.ErrForeignVolumes)
		if err == nil || !strings.Contains(err.Error(), "slot-1_data (of "+made+")") {
			t.Errorf("the error doesn't name it: %v", err)
		}
	}
	m.wantCommands()
	if m.started() {
		t.Error("it is noted as the holder's")
	}
	worldtest.Must(t, m.m.Down(t.Context(), c, true))
	worldtest.Must(t, m.m.Release(t.Context(), c))
	if !m.volume {
		t.Error("it was removed")
	}

	// a name that the record has proves nothing where the time is another
	m.leftVolume()
	m.created = "2026-01-02T03:04:06Z"
	c = m.claim("a")
	worldtest.WantErr(t, m.up(c), stack.ErrForeignVolumes)
	worldtest.Must(t, m.m.Release(t.Context(), c))

	// a dry run tells it, too
	w := world.Planned(m.Fake.World())
	planned := lifecycle.New(w, lifecycle.Definition{Root: root, Project: "slot-%d"}, claim.Open(w, registry.Open(w, root)))
	worldtest.WantErr(t, planned.Up(t.Context(), m.claim("a"), lifecycle.UpOptions{}), stack.ErrForeignVolumes)
}

// TestVolumesOnRecord: which volumes may be made is on record before Compose is started,
// and when the Engine has made them is once they are there.
func TestVolumesOnRecord(t *testing.T) {
	m := newMachine(t)
	c := m.claim("a")
	onRecord := func() string {
		made, err := m.claims.Made(t.Context(), claim.Target{Slot: c.Slot, Token: c.Token})
		if err != nil || len(made) > 1 {
			t.Errorf("on record is %v, %v", made, err)
		}
		return made["slot-1_data"]
	}
	m.on["up"] = func() bool {
		if got := onRecord(); !strings.HasPrefix(got, "until ") {
			t.Errorf("when it is started, on record is %q", got)
		}
		return true
	}
	worldtest.Must(t, m.up(c))
	if got := onRecord(); got != made {
		t.Errorf("once it runs, on record is %q", got)
	}

	// what has changed since is on record when the containers are gone
	m.created = "2026-01-02T03:05:00Z"
	worldtest.Must(t, m.m.Down(t.Context(), c, false))
	if got := onRecord(); got != m.created {
		t.Errorf("once it is down, on record is %q", got)
	}
	worldtest.Must(t, m.m.Release(t.Context(), c))
	if m.volume {
		t.Error("a release has left the volume")
	}
}

// TestFailedStartOnRecord: a start that has failed where something ran leaves it, and
// the slot recorded as it was; one from nothing is taken down, and recorded as stopped.
func TestFailedStartOnRecord(t *testing.T) {
	m := newMachine(t)
	c := m.claim("a")
	worldtest.Must(t, m.up(c))
	m.on["up"] = func() bool { return false }
	err := m.up(c)
	for _, want := range []string{"out of luck", "nothing was removed; now: web running (1/1)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want %q", err, want)
		}
	}
	if !m.running || !m.volume || m.slot().Status != "running" {
		t.Errorf("it runs: %v, recorded is %q", m.running, m.slot().Status)
	}
	worldtest.Must(t, m.m.Down(t.Context(), c, true))
	if err := m.up(c); err == nil || m.running || m.slot().Status != "stopped" {
		t.Errorf("got the error %v; it runs: %v, recorded is %q", err, m.running, m.slot().Status)
	}

	// one that was refused has changed nothing
	m.on["up"] = nil
	worldtest.Must(t, m.up(c))
	m.foreign = true
	worldtest.WantErr(t, m.up(c), stack.ErrInTheWay)
	if !m.running || m.slot().Status != "running" {
		t.Errorf("it runs: %v, recorded is %q", m.running, m.slot().Status)
	}
}

// TestFormerHolder: who holds the slot no longer can't touch what runs in it.
func TestFormerHolder(t *testing.T) {
	m := newMachine(t)
	former := m.claim("a")
	worldtest.Must(t, m.m.Release(t.Context(), former))
	worldtest.Must(t, m.up(m.claim("b")))
	m.commands = nil
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"up":      func() error { return m.up(former) },
		"down":    func() error { return m.m.Down(ctx, former, true) },
		"restart": func() error { return m.m.Restart(ctx, former, lifecycle.UpOptions{}) },
		"release": func() error { return m.m.Release(ctx, former) },
		"reclaim": func() error { return m.m.Reclaim(ctx, former) },
	} {
		t.Run(name, func(t *testing.T) { worldtest.WantErr(t, do(), claim.ErrNotHolder) })
	}
	m.wantCommands()
	if !m.running || m.holder() != "b" {
		t.Errorf("it runs: %v, held by %q", m.running, m.holder())
	}
}

// TestReclaim takes a slot back from a claim that is stale, and from no other.
func TestReclaim(t *testing.T) {
	m := newMachine(t)
	c := m.claim("a")
	worldtest.Must(t, m.up(c))
	m.commands = nil
	worldtest.WantErr(t, m.m.Reclaim(t.Context(), c), claim.ErrNotStale)
	m.wantCommands()
	worldtest.Must(t, m.Host().RemoveAll(trees+"a"))
	worldtest.Must(t, m.m.Reclaim(t.Context(), c))
	if m.running || m.volume || m.holder() != "" {
		t.Errorf("it runs: %v, its volume is there: %v, held by %q", m.running, m.volume, m.holder())
	}
}

// TestSurvey tells how the slot is, what of it isn't known, and that the Engine can't be
// asked.
func TestSurvey(t *testing.T) {
	m := newMachine(t)
	worldtest.Must(t, m.up(m.claim("a")))
	m.commands = nil
	look := func() string {
		t.Helper()
		all, err := m.m.Survey(t.Context())
		worldtest.Must(t, err)
		s := all.Slots[0]
		return fmt.Sprintf("%s %d/%d, problem %v, engine %v", s.State.Status, s.State.Up, s.State.Want, s.Problem != nil, all.Engine != nil)
	}
	want := func(want string) {
		t.Helper()
		if got := look(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	want("running 1/1, problem false, engine false")
	m.running = false
	m.foreign = true
	want("stopped 0/1, problem false, engine false")
	m.running = true
	worldtest.Must(t, m.Host().Remove(filepath.Join(slot.Dir(root, 1), slot.ComposeName)))
	want("running 1/1, problem true, engine false")
	m.Answer = nil
	want(" 0/0, problem false, engine true")
	m.wantCommands()
}
