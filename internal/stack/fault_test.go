package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestOldVolume uses a slot again with another password (fault 4): the volume of the
// holder before keeps the old one, until the start is a clean one.
func TestOldVolume(t *testing.T) {
	t.Parallel()
	const database = `
services:
  db:
    image: timescale/timescaledb:latest-pg16
    environment: {POSTGRES_PASSWORD: "${KTRDR_DB_PASSWORD}"}
    ports: ["127.0.0.1:${KTRDR_DB_PORT}:5432"]
    volumes: ["db-data:/var/lib/postgresql/data"]
    healthcheck: {test: ["CMD", "pg_isready"], interval: 200ms}
volumes:
  db-data:
`
	s := newSlot(t, tempRoot(t), 43, []byte(database), map[string]string{"KTRDR_DB_PASSWORD": "first"})
	login := func(password string, want int) {
		t.Helper()
		if code, _ := get(t, ports(43)["DB"], "/login?password="+password); code != want {
			t.Errorf("login with %s: code %d, want %d", password, code, want)
		}
	}
	worldtest.Must(t, s.up(t.Context(), stack.Options{Clean: true}))
	login("first", 200)
	worldtest.Must(t, s.down(t.Context(), false))

	s.env["KTRDR_DB_PASSWORD"] = "second"
	s.writeEnv(t)
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	login("first", 200) // the same holder's data outlives a stop
	worldtest.Must(t, s.up(t.Context(), stack.Options{Clean: true}))
	login("second", 200)
	login("first", 401)
}

// TestFailedStart starts stacks that can't come up (fault 5), and sees why in the
// error, and nothing left.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	const backend = "KTRDR_BACKEND_IMAGE"
	tests := []struct {
		name, image, content string
		timeout              time.Duration
		want                 error
		text                 []string
	}{
		{"exits at once", "kinfra-test/exit", portless, 0, stack.ErrUnhealthy,
			[]string{"service api", "-api-1", "Exited (1)", "| ImportError: no module named ktrdr"}},
		{"exits at once and is restarted", "kinfra-test/exit", strings.ReplaceAll(portless, "depends_on", "restart: always\n    depends_on"), 0,
			stack.ErrUnhealthy, []string{"service api", "| ImportError: no module named ktrdr"}},
		{"is unhealthy", "kinfra-test/unhealthy", portless, 15 * time.Second, world.ErrTimeout,
			[]string{"not healthy after 15s", "service api", "(unhealthy)", "| refusing / since the tables are missing"}},
		{"crashes later", "kinfra-test/crash", strings.Replace(portless, "volumes:\n  data:", slow+"volumes:\n  data:", 1), 0, stack.ErrUnhealthy,
			[]string{"service api", "Exited (3)", "| panic: out of luck"}},
		{"without a health check", "kinfra-test/exit", plain, 0, stack.ErrUnhealthy, []string{"service api", "Exited (1)"}},
		{"without a health check, restarted", "kinfra-test/exit", plain + "    restart: always\n", 0, stack.ErrUnhealthy, []string{"service api", "ImportError"}},
		{"never gets ready", "kinfra-test/unhealthy", strings.ReplaceAll(portless, "retries: 3", "retries: 1000"), time.Second, world.ErrTimeout,
			[]string{"not healthy after 1s"}},
		{"image missing", "kinfra-test/there-is-none", portless, 0, stack.ErrImageMissing,
			[]string{"image kinfra-test/there-is-none is not here and could not be pulled"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSlot(t, tempRoot(t), 60+i, []byte(tt.content), map[string]string{backend: tt.image})
			err := s.up(t.Context(), stack.Options{Clean: true, Timeout: tt.timeout})
			worldtest.WantErr(t, err, tt.want)
			for _, text := range tt.text {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("the error lacks %q: %v", text, err)
				}
			}
			wantNothing(t, s.Project)
		})
	}
}

// late is healthy once a file is there that its health check doesn't wait for. What waits
// for it is not started by the Compose that has seen it unhealthy.
const late = `
services:
  db:
    image: kinfra-test/service
    volumes: ["./state:/state"]
    healthcheck: {test: ["CMD", "cat", "/state/ready"], interval: 200ms, retries: 2}
  api:
    image: kinfra-test/service
    command: ["serve", "80"]
    depends_on:
      db: {condition: service_healthy}
`

// TestLateHealthOnDocker has a database whose first start takes longer than its health
// check has patience.
func TestLateHealthOnDocker(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 59, []byte(late), nil)
	state := filepath.Join(s.Dir, "state")
	worldtest.Must(t, os.Mkdir(state, 0o700))
	var seen atomic.Int32 // by Compose, which gives up, and by the start
	sees := func() {
		if seen.Add(1) == 2 {
			if err := os.WriteFile(filepath.Join(state, "ready"), nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	byCompose, byStart := sync.OnceFunc(sees), sync.OnceFunc(sees)
	worldtest.Must(t, s.up(t.Context(), stack.Options{Follow: func(_ world.Stream, line []byte) {
		if strings.Contains(string(line), "is unhealthy") {
			byCompose()
		}
	}, Report: func(s docker.ServiceState) {
		if s.Service == "db" && s.Status == docker.Unhealthy {
			byStart()
		}
	}}))
	if all := containers(t, s.Project); !strings.Contains(all, " api running") {
		t.Errorf("there are\n%s", all)
	}
}

// slow is a service that keeps the stack of small from being up after api was healthy.
const slow = `  slow:
    image: kinfra-test/unhealthy
    healthcheck: {test: ["CMD", "curl", "http://localhost/"], interval: 200ms, retries: 100000}
    depends_on:
      api: {condition: service_healthy}
`

// portless is small without a port.
var portless = strings.ReplaceAll(small, `ports: ["127.0.0.1:${KTRDR_API_PORT}:80"]`, "")

// plain has no health check.
const plain = `
services:
  api:
    image: ${KTRDR_BACKEND_IMAGE}
    command: ["serve", "80"]
`

// containers are the ids of a project's containers, and their services and states.
func containers(t *testing.T, project string) string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "-a", "--no-trunc", "--format", `{{.ID}} {{.Label "com.docker.compose.service"}} {{.State}}`, "--filter", "label=com.docker.compose.project="+project).Output()
	worldtest.Must(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestFailedStartKeepsWhatRan: a start that fails before Compose has begun leaves the
// same containers; one that fails later leaves what there is, with its volumes. One from
// nothing is taken down, but for volumes that were there before.
func TestFailedStartKeepsWhatRan(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 54, []byte(portless), nil)
	worldtest.Must(t, os.WriteFile(filepath.Join(s.Dir, "Dockerfile"), []byte("FROM scratch\nCOPY nowhere /\n"), 0o600))
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	before := containers(t, s.Project)
	for name, content := range map[string]string{
		"a mistake":             portless + "nonsense: {}\n",
		"a variable that lacks": strings.Replace(portless, "${SLOT_ID}", "${LACKS:?it is needed}", 1),
		"an image that lacks":   strings.Replace(portless, "image: kinfra-test/service", "image: kinfra-test/there-is-none:1", 1),
		"a build that fails":    strings.Replace(portless, "\nvolumes:", "\n  built: {build: .}\nvolumes:", 1),
	} {
		worldtest.Must(t, os.WriteFile(s.Files[0], []byte(content), 0o600))
		for _, clean := range []bool{false, true} {
			err := s.up(t.Context(), stack.Options{Clean: clean})
			if err == nil || !strings.Contains(err.Error(), "nothing was changed: what ran of project "+s.Project+" still runs") {
				t.Errorf("%s: got %v", name, err)
			}
			if after := containers(t, s.Project); after != before {
				t.Errorf("%s: there were\n%s\nand are\n%s", name, before, after)
			}
		}
	}
	worldtest.Must(t, os.WriteFile(s.Files[0], []byte(portless), 0o600))
	s.env["KTRDR_BACKEND_IMAGE"] = "kinfra-test/exit"
	s.writeEnv(t)
	err := s.up(t.Context(), stack.Options{})
	worldtest.WantErr(t, err, stack.ErrUnhealthy)
	if err == nil || !strings.Contains(err.Error(), "nothing was removed; now: api ") {
		t.Errorf("got %v", err)
	}
	if after := containers(t, s.Project); !strings.Contains(after, " plain running") {
		t.Errorf("there are\n%s", after)
	}
	worldtest.Must(t, s.down(t.Context(), false))
	worldtest.WantErr(t, s.up(t.Context(), stack.Options{}), stack.ErrUnhealthy)
	if got, want := left(t, s.Project), "volume "+s.Project+"_data"; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
}

// TestSwitchesOfTheProject: what the project's env file says of Compose's own switches
// breaks no start.
func TestSwitchesOfTheProject(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 56, []byte(portless), nil)
	s.BaseDir, s.BaseEnv = s.Dir, filepath.Join(s.Dir, ".env.project")
	worldtest.Must(t, os.WriteFile(s.BaseEnv, []byte("COMPOSE_IGNORE_ORPHANS=true\nCOMPOSE_REMOVE_ORPHANS=false\nCOMPOSE_PROJECT_NAME=elsewhere\nCOMPOSE_FILE=nowhere.yml\n"+
		"COMPOSE_ENV_FILES=/nowhere\nCOMPOSE_DISABLE_ENV_FILE=1\nCOMPOSE_PROFILES=none\nCOMPOSE_PARALLEL_LIMIT=1\nCOMPOSE_PROGRESS=tty\nCOMPOSE_ANSI=always\nCOMPOSE_MENU=1\nCOMPOSE_STATUS_STDOUT=1\nCOMPOSE_COMPATIBILITY=1\nCOMPOSE_BAKE=0\n"), 0o600))
	for range 2 {
		worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	}
	wantNothing(t, "elsewhere")
	worldtest.Must(t, stack.Restart(t.Context(), world.Real("test"), s.Stack, stack.Options{}))
}

// TestVolumesOfOthers: a volume of the project's name that the stack hasn't made keeps a
// clean start from being made, and no way to end the stack removes it, nor a network that
// another's stopped container is on.
func TestVolumesOfOthers(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 57, []byte(portless), nil)
	theirs, stopped := s.Project+"_theirs", s.Project+"-other"
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %q: %s", args, out)
		}
		return string(out)
	}
	docker("volume", "create", "--label", "com.docker.compose.project="+s.Project, theirs)
	t.Cleanup(func() { docker("volume", "rm", theirs) })
	before := docker("volume", "inspect", theirs)
	worldtest.WantErr(t, s.up(t.Context(), stack.Options{Clean: true}), stack.ErrForeignVolumes)
	if got, want := left(t, s.Project), "volume "+theirs; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}

	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	network := s.Project + "_default"
	docker("create", "--name", stopped, "--network", network, "kinfra-test/service")
	gone := false
	t.Cleanup(func() {
		if !gone {
			docker("rm", "--force", stopped)
		}
	})
	worldtest.Must(t, s.down(t.Context(), true))
	if got, want := left(t, s.Project), "network "+network+"\nvolume "+theirs; got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
	docker("rm", stopped)
	gone = true
	worldtest.Must(t, s.down(t.Context(), true))
	if after := docker("volume", "inspect", theirs); after != before {
		t.Errorf("the other's volume was %s and is %s", before, after)
	}
}

// TestVolumeMadeAnew: what somebody else has made under the name of a volume of the stack
// isn't taken for it.
func TestVolumeMadeAnew(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 58, []byte(portless), nil)
	volume := s.Project + "_data"
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	worldtest.Must(t, s.down(t.Context(), false))
	made := (*s.made)[volume]
	worldtest.Must(t, exec.Command("docker", "volume", "rm", volume).Run())
	for docker := made; docker == made; { // the Engine tells times in seconds
		worldtest.Must(t, exec.Command("docker", "volume", "create", "--label", "com.docker.compose.project="+s.Project, volume).Run())
		out, err := exec.Command("docker", "volume", "inspect", "--format", "{{.CreatedAt}}", volume).Output()
		worldtest.Must(t, err)
		if docker = strings.TrimSpace(string(out)); docker == made {
			worldtest.Must(t, exec.Command("docker", "volume", "rm", volume).Run())
		}
	}
	worldtest.Must(t, s.down(t.Context(), true))
	worldtest.WantErr(t, s.up(t.Context(), stack.Options{Clean: true}), stack.ErrForeignVolumes)
	worldtest.Must(t, exec.Command("docker", "volume", "rm", volume).Run()) // fails if it is not there
}

// TestInterruptedStart ends the context in the middle of a start.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"migrate", "plain", "api"} {
		t.Run(when, func(t *testing.T) {
			s := newSlot(t, tempRoot(t), 53, []byte(portless), nil)
			ctx, cancel := context.WithCancel(t.Context())
			err := s.up(ctx, stack.Options{Clean: true, Report: func(s docker.ServiceState) {
				if s.Service == when {
					cancel()
				}
			}})
			cancel()
			worldtest.WantErr(t, err, context.Canceled)
			wantNothing(t, s.Project)
		})
	}
}

// TestCallersEnvironment has variables in the shell that would lead Compose elsewhere
// (fault 8).
func TestCallersEnvironment(t *testing.T) {
	s := newSlot(t, tempRoot(t), 45, []byte(small), nil)
	other := filepath.Join(t.TempDir(), "other.yml")
	worldtest.Must(t, os.WriteFile(other, []byte("services: {other: {image: kinfra-test/service}}\n"), 0o600))
	t.Setenv("COMPOSE_PROJECT_NAME", "kinfra-test-elsewhere")
	t.Setenv("COMPOSE_FILE", other)
	t.Setenv("COMPOSE_PROFILES", "none")
	t.Setenv("COMPOSE_ENV_FILES", "/dev/null")
	t.Setenv("COMPOSE_IGNORE_ORPHANS", "1")
	t.Setenv("COMPOSE_PARALLEL_LIMIT", "none")
	t.Setenv("DOCKER_DEFAULT_PLATFORM", "none/such")
	t.Setenv("KTRDR_API_PORT", "8049")
	t.Setenv("SLOT_ID", "49")
	t.Setenv("KTRDR_BACKEND_IMAGE", "kinfra-test/exit")
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	code, a := get(t, ports(45)["API"], "/")
	if code != 200 || a.Env["SLOT"] != "45" {
		t.Errorf("code %d from slot %q", code, a.Env["SLOT"])
	}
	wantNothing(t, "kinfra-test-elsewhere")

	// what the pool passes on by name does get through
	s.Pass = []string{"KTRDR_BACKEND_IMAGE"}
	worldtest.WantErr(t, s.up(t.Context(), stack.Options{Clean: true}), stack.ErrUnhealthy)
	wantNothing(t, s.Project)
}

// TestWorktreePaths mounts worktrees of any name (fault 9), each into a service of its
// own.
func TestWorktreePaths(t *testing.T) {
	t.Parallel()
	names := []string{"plain", "with space", "hash # hash", "$HOME ${USER:-x} $$", "a:b:ro", "quote \" ' `", "- dash", "ünï",
		`back\slash`, "tab\tnewline\n", "{a: b}", "*x", "!tag", " edges ", strings.Repeat("long/", 150)}
	root := tempRoot(t)
	s := newSlot(t, root, 46, nil, nil)
	content := "services:\n"
	for i, name := range names {
		service := fmt.Sprintf("s%d", i)
		content += fmt.Sprintf("  %s: {image: kinfra-test/service}\n", service)
		worktree := filepath.Join(root, "trees", name)
		worldtest.Must(t, os.MkdirAll(filepath.Join(worktree, "src $x: #1"), 0o700))
		worldtest.Must(t, os.WriteFile(filepath.Join(worktree, "src $x: #1", "code.py"), []byte("the code of "+name), 0o600))
		override, err := stack.Override(worktree, map[string][]stack.Mount{
			service: {{Source: "src $x: #1", Target: "/app/src"}, {Source: ".", Target: "/all: $it", ReadOnly: true}},
		}, nil)
		worldtest.Must(t, err)
		file := filepath.Join(s.Dir, fmt.Sprintf("override-%d.yml", i))
		worldtest.Must(t, os.WriteFile(file, override, 0o600))
		s.Files = append(s.Files, file)
	}
	worldtest.Must(t, os.WriteFile(s.Files[0], []byte(content), 0o600))
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	w := world.Real("test")
	for i, name := range names {
		for _, path := range []string{"/app/src/code.py", "/all: $it/src $x: #1/code.py"} {
			cmd := s.Exec(w, "-T", fmt.Sprintf("s%d", i), "cat", path)
			cmd.Timeout = time.Minute
			out, err := w.Processes.Run(t.Context(), cmd)
			if err != nil || string(out.Stdout) != "the code of "+name {
				t.Errorf("%q: %s holds %q, %q, %v", name, path, out.Stdout, out.Stderr, err)
			}
		}
	}
}

// TestStateIsWhatIs changes a stack behind kinfra's back (fault 10).
func TestStateIsWhatIs(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 47, []byte(small), nil)
	worldtest.Must(t, s.up(t.Context(), stack.Options{}))
	services := map[string]int{"migrate": 1, "api": 1, "plain": 1}
	steps := []struct {
		command []string
		want    docker.Status
		up      int
	}{
		{nil, docker.Running, 3},
		{[]string{"kill", s.Project + "-plain-1"}, docker.Partial, 2},
		{[]string{"rm", s.Project + "-plain-1"}, docker.Partial, 2},
		{[]string{"kill", s.Project + "-api-1"}, docker.Stopped, 1},
	}
	for _, step := range steps {
		if step.command != nil {
			out, err := exec.Command("docker", step.command...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		state := s.state(t, services)
		if state.Status != step.want || state.Up != step.up || state.Want != 3 {
			t.Errorf("after %q: %s, %d of %d, want %s, %d of 3", step.command, state.Status, state.Up, state.Want, step.want, step.up)
		}
	}
}

// TestForeignProject meets containers of another root under the slot's name, and
// leaves them alone.
func TestForeignProject(t *testing.T) {
	t.Parallel()
	theirs := newSlot(t, tempRoot(t), 51, []byte(plain), map[string]string{"KTRDR_BACKEND_IMAGE": "kinfra-test/service"})
	worldtest.Must(t, theirs.up(t.Context(), stack.Options{}))
	before := left(t, theirs.Project)
	ours := theirs
	ours.Root = tempRoot(t)
	ours.Dir = ours.Root

	for name, do := range map[string]func() error{
		"up":       func() error { return ours.up(t.Context(), stack.Options{}) },
		"clean up": func() error { return ours.up(t.Context(), stack.Options{Clean: true}) },
		"restart":  func() error { return stack.Restart(t.Context(), world.Real("test"), ours.Stack, stack.Options{}) },
	} {
		err := do()
		worldtest.WantErr(t, err, stack.ErrInTheWay)
		if err == nil || !strings.Contains(err.Error(), theirs.Dir) {
			t.Errorf("%s: the error doesn't name the other's directory: %v", name, err)
		}
	}
	worldtest.Must(t, ours.down(t.Context(), true))
	if after := left(t, theirs.Project); after != before {
		t.Errorf("the other's project was\n%s\nand is\n%s", before, after)
	}
	if state := ours.state(t, nil); len(state.InTheWay) != 1 || state.Up != 0 || state.Status != docker.Stopped {
		t.Errorf("our state is %+v", state)
	}
}

// TestPortTaken starts a stack whose port this process has.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	s := newSlot(t, tempRoot(t), 49, []byte(small), nil)
	port := ports(49)["API"]
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	worldtest.Must(t, err)
	defer listener.Close()

	want := []string{fmt.Sprintf("port %d of service api is taken by", port), fmt.Sprintf("(pid %d)", os.Getpid())}
	check := func(err error) {
		t.Helper()
		worldtest.WantErr(t, err, stack.ErrPortTaken)
		for _, text := range want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("the error lacks %q: %v", text, err)
			}
		}
		wantNothing(t, s.Project)
	}
	check(s.up(t.Context(), stack.Options{}))

	// taken between the check and the start
	blind := &blindOnce{}
	check(stack.Up(t.Context(), blind.of(world.Real("test")), s.Stack, stack.Options{Ports: s.ports}))
	if blind.asked.Load() < 2 {
		t.Error("the port was not looked at again")
	}
}

// blindOnce takes every port for free the first time.
type blindOnce struct{ asked atomic.Int32 }

func (b *blindOnce) of(w world.World) world.World {
	services := w.Services
	w.Services = worldtest.Services{Services: services, OnTryListen: func(ctx context.Context, network, address string) error {
		if b.asked.Add(1) == 1 {
			return nil
		}
		return services.TryListen(ctx, network, address)
	}}
	return w
}

// TestPortOfContainer starts two stacks on one port.
func TestPortOfContainer(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	first := newSlot(t, root, 48, []byte(small), nil)
	second := newSlot(t, root, 50, []byte(small), map[string]string{"KTRDR_API_PORT": fmt.Sprint(ports(48)["API"])})
	worldtest.Must(t, first.up(t.Context(), stack.Options{}))
	err := second.up(t.Context(), stack.Options{})
	taken, ok := errors.AsType[*stack.PortTakenError](err)
	if !ok || len(taken.Ports) != 1 || taken.Ports[0].By != "container "+first.Project+"-api-1" {
		t.Errorf("got %v", err)
	}
	wantNothing(t, second.Project)
}

// TestDownWithoutFiles takes a stack down whose directory was removed by hand.
func TestDownWithoutFiles(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(s slot) error{
		"no directory":  func(s slot) error { return os.RemoveAll(s.Dir) },
		"no valid file": func(s slot) error { return os.WriteFile(s.Files[0], []byte("not: [yaml"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSlot(t, tempRoot(t), 52, []byte(portless), nil)
			worldtest.Must(t, s.up(t.Context(), stack.Options{}))
			worldtest.Must(t, gone(s))
			worldtest.Must(t, s.down(t.Context(), true))
			wantNothing(t, s.Project)
		})
	}
}
