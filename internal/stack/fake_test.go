package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// machine is a fake machine with a scripted Engine and Compose.
type machine struct {
	*world.Fake
	mu      sync.Mutex
	looks   int                                                       // list requests so far
	list    func(look int) []string                                   // containers at a look, as "service state status"
	compose func(ctx context.Context, command string) (string, error) // plays Compose, and says what it prints when it fails
	ran     []string                                                  // commands of docker, without what all have
	envs    map[string][]string                                       // of the Compose commands so far, by their first word
	config  string                                                    // what Compose makes of the files
	volumes []docker.Volume
	mounts  []string        // volumes that the containers at a look use
	network string          // a network of the project, by its name
	lacks   map[string]bool // images that aren't there
	silent  func() error    // why a question about containers isn't answered; may be nil
}

const project = "slot-1"

func newMachine() *machine {
	m := &machine{Fake: world.NewFake(), list: func(int) []string { return nil }, envs: map[string][]string{}, config: "{}"}
	for _, path := range []string{"/usr/bin/docker", "/usr/lib/docker/cli-plugins/docker-compose", "/pool/sandboxes/slot-1/docker-compose.yml"} {
		m.Write(path, nil)
		m.Alter(path, func(i *world.Info) { i.Mode = 0o755 })
	}
	m.Answer = answerWith(m, m.containers)
	m.Handle = m.handle
	m.Pause = 100 * time.Microsecond // so that Compose gets its turn
	return m
}

// answerWith is what the machine's Engine answers, which has these containers.
func answerWith(m *machine, containers func() string) func(context.Context, world.Request) ([]byte, error) {
	return func(_ context.Context, req world.Request) ([]byte, error) {
		path, err := worldtest.Path(req)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(path, "/containers") {
			if m.silent != nil {
				if err := m.silent(); err != nil {
					return nil, err
				}
			}
			return []byte("HTTP/1.0 200 OK\r\n\r\n" + containers()), nil
		}
		code, body := m.serve(path)
		return fmt.Appendf(nil, "HTTP/1.0 %d\r\n\r\n%s", code, body), nil
	}
}

// serve answers what the Engine is asked besides its containers.
func (m *machine) serve(path string) (code int, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []map[string]any
	switch {
	case strings.HasPrefix(path, "/images"):
		image := strings.TrimSuffix(strings.TrimPrefix(path, "/images/"), "/json")
		if m.lacks[image] {
			return 404, `{"message":"No such image: ` + image + `"}`
		}
		return 200, "{}"
	case strings.HasPrefix(path, "/networks") && m.network != "":
		all = append(all, map[string]any{"Id": "id-of-" + m.network, "Name": m.network})
	case strings.HasPrefix(path, "/volumes"):
		for _, v := range m.volumes {
			all = append(all, map[string]any{"Name": v.Name, "CreatedAt": v.CreatedAt, "Labels": map[string]string{"com.docker.compose.project": v.Project}})
		}
		data, _ := json.Marshal(map[string]any{"Volumes": all})
		return 200, string(data)
	}
	data, _ := json.Marshal(all)
	return 200, string(data)
}

func (m *machine) containers() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []map[string]any
	for _, line := range m.list(m.looks) {
		words := strings.SplitN(line, " ", 3)
		var mounts []map[string]string
		for _, name := range m.mounts {
			mounts = append(mounts, map[string]string{"Type": "volume", "Name": name})
		}
		all = append(all, map[string]any{
			"Mounts": mounts,
			"Id":     words[0], "Names": []string{"/" + words[0]}, "State": words[1], "Status": words[2],
			"Labels": map[string]string{
				"com.docker.compose.project": project, "com.docker.compose.service": words[0],
				"com.docker.compose.project.working_dir": "/pool/sandboxes/slot-1",
			},
		})
	}
	m.looks++
	data, _ := json.Marshal(all)
	return string(data)
}

// handle plays docker. Compose is done when compose returns.
func (m *machine) handle(ctx context.Context, cmd world.Command) (world.Output, error) {
	line := strings.TrimPrefix(strings.Join(cmd.Args, " "), "docker ")
	common := "compose --project-name slot-1 --project-directory /pool/sandboxes/slot-1 --env-file /pool/sandboxes/slot-1/.env --file /pool/sandboxes/slot-1/docker-compose.yml "
	rest, isCompose := strings.CutPrefix(line, common)
	m.mu.Lock()
	m.ran = append(m.ran, rest)
	m.mu.Unlock()
	if !isCompose {
		return world.Output{}, nil
	}
	command := strings.Fields(strings.TrimPrefix(rest, "--ansi never "))[0]
	m.mu.Lock()
	m.envs[command] = cmd.Env
	m.mu.Unlock()
	if command == "config" {
		return world.Output{Stdout: []byte(m.config)}, nil
	}
	if m.compose == nil {
		return world.Output{}, nil
	}
	stderr, err := m.compose(ctx, command)
	if stderr != "" {
		return world.Output{Code: 1, Stderr: []byte(stderr)}, err
	}
	return world.Output{}, err
}

// tellsDown notes whether the last that Compose was told is to take the stack down.
func (m *machine) tellsDown(down *bool) {
	m.compose = func(_ context.Context, command string) (string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		*down = command == "down"
		return "", nil
	}
}

func (m *machine) stack() stack.Stack {
	dir := "/pool/sandboxes/slot-1"
	return stack.Stack{Root: "/pool", Project: project, Dir: dir, EnvFile: dir + "/.env", Files: []string{dir + "/docker-compose.yml"}}
}

// TestWatch plays the lives of containers, a look each, of which the last goes on.
func TestWatch(t *testing.T) {
	const run, healthy, starting = "a running Up 1 second", "a running Up 1 second (healthy)", "a running Up 1 second (health: starting)"
	const unhealthy = "a running Up 1 second (unhealthy)"
	const restarting, exited = "a restarting Restarting (1) 1 second ago", "a exited Exited (1) 1 second ago"
	tests := []struct {
		name  string
		lives []string
		want  error
	}{
		{"gets healthy", []string{"a created Created", starting, starting, healthy}, nil},
		{"has no check", []string{run}, nil},
		{"has no check, and ends", []string{run, run, run, exited}, stack.ErrUnhealthy},
		{"ends", []string{starting, exited}, stack.ErrUnhealthy},
		{"ends well", []string{starting, "a exited Exited (0) 1 second ago"}, nil},
		{"gets unhealthy, and healthy late", []string{starting, unhealthy, unhealthy, unhealthy, healthy}, nil},
		{"gets unhealthy, and stays so", []string{starting, unhealthy}, world.ErrTimeout},
		{"gets unhealthy, and ends", []string{starting, unhealthy, exited}, stack.ErrUnhealthy},
		{"is restarted twice", []string{starting, restarting, starting, restarting, starting, healthy}, nil},
		{"is restarted again and again", []string{starting, restarting, starting, restarting, starting, restarting, starting, healthy}, stack.ErrUnhealthy},
		{"without a check, restarted again and again", []string{run, restarting, run, restarting, run, restarting, run}, stack.ErrUnhealthy},
		{"never gets ready", []string{starting}, world.ErrTimeout},
		{"is never started", []string{"a created Created"}, world.ErrTimeout},
	}
	for _, tt := range tests {
		m := newMachine()
		down := false
		m.list = func(look int) []string {
			if look == 0 || down {
				return nil
			}
			return []string{tt.lives[min(look, len(tt.lives))-1]}
		}
		m.tellsDown(&down)
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Minute})
		if late := errors.Is(err, world.ErrTimeout); !errors.Is(err, tt.want) || late && tt.want != world.ErrTimeout {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if down != (err != nil) {
			t.Errorf("%s: taken down is %v after error %v", tt.name, down, err)
		}
	}
}

// TestLateHealth: Compose starts nothing that waits for an unhealthy container, and gives
// up. It is run again once that one is healthy, and only then, while the time lasts.
func TestLateHealth(t *testing.T) {
	const starting, unhealthy, healthy = "a running Up 1 second (health: starting)", "a running Up 1 second (unhealthy)", "a running Up 1 second (healthy)"
	const restarting, exited = "a restarting Restarting (1) 1 second ago", "a exited Exited (1) 1 second ago"
	for _, tt := range []struct {
		name  string
		lives []string // while Compose isn't at work
		want  error
		ups   int
	}{
		{"gets healthy", []string{unhealthy, unhealthy, unhealthy, healthy}, nil, 2},
		{"was healthy meanwhile", []string{healthy}, nil, 2},
		{"is restarted", []string{restarting, starting, starting, healthy}, nil, 2},
		{"is restarted again and again", []string{restarting, starting, restarting, starting, restarting, starting}, stack.ErrUnhealthy, 1},
		{"stays unhealthy", []string{unhealthy}, world.ErrTimeout, 1},
		{"ends", []string{unhealthy, exited}, stack.ErrUnhealthy, 1},
		{"another is unhealthy, too", []string{unhealthy, healthy + "/c running Up 1 second (unhealthy)"}, nil, 2},
	} {
		m := newMachine()
		ups, since, down := 0, 0, false
		m.list = func(look int) []string {
			switch {
			case look == 0 || down:
				return nil
			case ups == 0:
				return []string{starting, "b created Created"}
			case ups == 2:
				return []string{healthy, "b running Up 1 second (healthy)"}
			}
			since++
			return append(strings.Split(tt.lives[min(since, len(tt.lives))-1], "/"), "b created Created")
		}
		m.compose = func(_ context.Context, command string) (string, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			down = command == "down"
			if command != "up" {
				return "", nil
			}
			if ups++; ups == 1 {
				return "dependency failed to start: container a is unhealthy", nil
			}
			if since < len(tt.lives) {
				t.Errorf("%s: Compose is run again too early", tt.name)
			}
			return "", nil
		}
		var phases []string
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Minute, Phase: func(words string) { phases = append(phases, words) }})
		if again := slices.Contains(phases, "starting the other containers"); !slices.Contains(phases, "waiting until a is healthy, to start what needs it") || again != (ups == 2) {
			t.Errorf("%s: the phases were %q", tt.name, phases)
		}
		if late := errors.Is(err, world.ErrTimeout); !errors.Is(err, tt.want) || late && tt.want != world.ErrTimeout || ups != tt.ups {
			t.Errorf("%s: got %v after %d runs of Compose, want %v after %d", tt.name, err, ups, tt.want, tt.ups)
		}
		if down != (err != nil) {
			t.Errorf("%s: taken down is %v after error %v", tt.name, down, err)
		}
	}
}

// TestRestartGivesUp: a restart isn't made again for what is healthy late, and says what it
// is that Compose has given up on.
func TestRestartGivesUp(t *testing.T) {
	m := newMachine()
	m.list = func(int) []string {
		return []string{"a running Up 1 second (unhealthy)", "b running Up 1 second (unhealthy)"}
	}
	m.compose = func(context.Context, string) (string, error) {
		return "dependency failed to start: container a is unhealthy", nil
	}
	err := stack.Restart(t.Context(), m.World(), m.stack(), stack.Options{})
	unhealthy, ok := errors.AsType[*stack.UnhealthyError](err)
	if !ok || errors.Is(err, world.ErrTimeout) || len(unhealthy.Failures) != 1 || unhealthy.Failures[0].Service != "a" {
		t.Errorf("got %v", err)
	}
}

// TestRestartedWhileAnotherStarts: a container that is restarted again and again may wait
// for another that isn't ready. It fails when it is restarted for other reasons.
func TestRestartedWhileAnotherStarts(t *testing.T) {
	for _, tt := range []struct {
		name    string
		crashes int // how often it ends; another is healthy after ten lives of it
		other   string
		want    error
	}{
		{"until that is there", 11, "b running Up 1 second (unhealthy)", nil},
		{"always", 1000, "b running Up 1 second (health: starting)", stack.ErrUnhealthy},
		{"while that is restarted, too", 1000, "b restarting Restarting (1) 1 second ago", stack.ErrUnhealthy},
	} {
		m := newMachine()
		down := false
		m.list = func(look int) []string {
			life := look / 4
			switch {
			case look == 0 || down:
				return nil
			case life >= 10:
				tt.other = "b running Up 1 second (healthy)"
			}
			if life < tt.crashes && look%4 > 1 {
				return []string{"a restarting Restarting (1) 1 second ago", tt.other}
			}
			return []string{"a running Up 1 second", tt.other}
		}
		m.tellsDown(&down)
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Minute})
		if !errors.Is(err, tt.want) || errors.Is(err, world.ErrTimeout) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestStoppedMeanwhile: exit code 0 of a service that the Engine restarts whatever it ends
// with means that somebody has stopped it.
func TestStoppedMeanwhile(t *testing.T) {
	for config, want := range map[string]error{
		`{"services":{"a":{"image":"a"}}}`:                                                   nil,
		`{"services":{"a":{"image":"a","restart":"on-failure"}}}`:                            nil,
		`{"services":{"a":{"image":"a","restart":"unless-stopped"}}}`:                        stack.ErrUnhealthy,
		`{"services":{"a":{"image":"a","deploy":{"restart_policy":{"condition":"any"}}}}}`:   stack.ErrUnhealthy,
		`{"services":{"a":{"image":"a","restart":"always","deploy":{"restart_policy":{}}}}}`: nil,
	} {
		m := newMachine()
		m.config = config
		down := false
		m.list = func(look int) []string {
			if look == 0 || down {
				return nil
			}
			return []string{"a exited Exited (0) 1 second ago"}
		}
		m.tellsDown(&down)
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{})
		if !errors.Is(err, want) || errors.Is(err, world.ErrTimeout) {
			t.Errorf("%s: got %v, want %v", config, err, want)
		}
	}
}

// TestSlowAnswers: an Engine that doesn't answer in time while a stack starts is asked again,
// until the time is over. One that refuses isn't.
func TestSlowAnswers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to int // the questions about containers that it doesn't answer
		with     error
		want     error
	}{
		{"for a while", 3, 8, world.ErrTimeout, nil},
		{"for a while, by its own limit", 3, 8, context.DeadlineExceeded, nil},
		{"at the end, when the volumes are recorded", 10, 14, world.ErrTimeout, nil},
		{"always", 3, 1 << 30, world.ErrTimeout, world.ErrTimeout},
		{"it is gone", 3, 1 << 30, syscall.ECONNREFUSED, docker.ErrUnavailable},
	} {
		m := newMachine()
		m.config = `{"volumes":{"data":{"name":"slot-1_data"}}}`
		m.list = func(look int) []string {
			if look == 0 {
				return nil
			}
			return []string{"a running Up 1 second"}
		}
		asked := 0
		m.silent = func() error {
			if asked++; asked >= tt.from && asked < tt.to {
				return tt.with
			}
			return nil
		}
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Minute})
		if !errors.Is(err, tt.want) || errors.Is(err, stack.ErrUnhealthy) != (tt.want == world.ErrTimeout) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == world.ErrTimeout && !strings.Contains(fmt.Sprint(err), "not healthy after 1m0s, and asking the docker engine at ") {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

// TestSlowEngine: where each look takes a second, what ends at once is still seen to end.
func TestSlowEngine(t *testing.T) {
	m := newMachine()
	m.list = func(look int) []string {
		worldtest.Must(t, m.Sleep(t.Context(), time.Second))
		switch {
		case look == 0:
			return nil
		case look < 6:
			return []string{"a running Up 1 second"}
		}
		return []string{"a exited Exited (1) 1 second ago"}
	}
	err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Minute})
	worldtest.WantErr(t, err, stack.ErrUnhealthy)
}

// TestClockThatJumps: a wall clock that is set while a stack starts ends no start before
// its time, and makes none endless; nor does it make a service count as up at once.
func TestClockThatJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, jump := range []time.Duration{year, -year} {
		for life, want := range map[string]error{
			"a running Up 1 second (health: starting)": world.ErrTimeout,
			"a running Up 1 second":                    nil, // without a check
		} {
			m := newMachine()
			looks, down := 0, false
			m.list = func(look int) []string {
				if look == 0 || down {
					return nil
				}
				m.Advance(jump)
				looks++
				return []string{life}
			}
			m.compose = func(_ context.Context, command string) (string, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				down = command == "down"
				return "", nil
			}
			err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Minute})
			if !errors.Is(err, want) {
				t.Errorf("by %s, %s: got %v, want %v", jump, life, err, want)
			}
			if least := 7; looks < least || looks > 310 { // of 200 ms each: at least until it counts as up
				t.Errorf("by %s, %s: %d looks", jump, life, looks)
			}
		}
	}
}

// TestWatchOldContainers: what has ended before is started again, not taken for a
// failure; what still doesn't run when Compose is done is one.
func TestWatchOldContainers(t *testing.T) {
	for _, starts := range []bool{true, false} {
		m := newMachine()
		done, down := make(chan bool), false
		m.list = func(look int) []string {
			switch {
			case down:
				return nil
			case look < 5:
				return []string{"a exited Exited (137) 1 hour ago"}
			case look == 5:
				close(done)
			}
			if !starts {
				return []string{"a exited Exited (137) 1 hour ago"}
			}
			return []string{"a running Up 1 second (healthy)"}
		}
		m.compose = func(ctx context.Context, command string) (string, error) {
			if command == "up" {
				select {
				case <-done:
				case <-ctx.Done():
				}
				return "", ctx.Err()
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			down = true
			return "", nil
		}
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Timeout: time.Hour})
		if starts == (err != nil) || !starts && !errors.Is(err, stack.ErrUnhealthy) || errors.Is(err, world.ErrTimeout) {
			t.Errorf("starts is %v: got %v", starts, err)
		}
	}
}

// TestTakeDownAgain: a container that appears after the stack was taken down is
// removed, too.
func TestTakeDownAgain(t *testing.T) {
	m := newMachine()
	downs, looksAfter, removed := 0, 0, false
	m.list = func(int) []string {
		if downs == 0 || removed {
			return nil
		}
		if looksAfter++; looksAfter < 3 {
			return nil // what Down itself sees
		}
		return []string{"late created Created"}
	}
	m.compose = func(_ context.Context, command string) (string, error) {
		if command != "down" {
			return "out of luck", nil
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		downs++
		return "", nil
	}
	m.Handle = func(ctx context.Context, cmd world.Command) (world.Output, error) {
		out, err := m.handle(ctx, cmd)
		if slices.Contains(cmd.Args, "rm") {
			m.mu.Lock()
			defer m.mu.Unlock()
			removed = strings.Join(cmd.Args, " ") == "docker rm --force --volumes -- late"
		}
		return out, err
	}
	err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{})
	if err == nil || !strings.Contains(err.Error(), "out of luck") || downs != 2 || !removed {
		t.Errorf("taken down %d times, removed is %v, error %v", downs, removed, err)
	}
}

// TestDownThatLeavesSomething says so.
func TestDownThatLeavesSomething(t *testing.T) {
	m := newMachine()
	m.list = func(int) []string { return []string{"a running Up 1 second"} }
	err := stack.Down(t.Context(), m.World(), m.stack(), stack.DownOptions{Volumes: true})
	if err == nil || !strings.Contains(err.Error(), "1 containers are left, a the first") {
		t.Errorf("got %v", err)
	}
}

// TestPlanned changes nothing in a dry run, and says so.
func TestPlanned(t *testing.T) {
	m := newMachine()
	w := world.Planned(m.World())
	worldtest.WantErr(t, stack.Up(t.Context(), w, m.stack(), stack.Options{}), world.ErrPlanned)
	m.list = func(int) []string { return []string{"a running Up 1 second"} }
	var told []string
	noted := world.Noted(w, func(op world.Operation) { told = append(told, strings.Join(op.Args, " ")) })
	worldtest.WantErr(t, stack.Up(t.Context(), noted, m.stack(), stack.Options{Clean: true}), world.ErrPlanned)
	if len(told) != 2 || !strings.Contains(told[0], " down ") || !strings.Contains(told[1], " up ") {
		t.Errorf("a start with clean volumes would run %q", told)
	}
	worldtest.WantErr(t, stack.Restart(t.Context(), w, m.stack(), stack.Options{}), world.ErrPlanned)
	worldtest.WantErr(t, stack.Down(t.Context(), w, m.stack(), stack.DownOptions{Volumes: true}), world.ErrPlanned)
	if len(m.ran) > 0 {
		t.Errorf("a dry run ran %q", m.ran)
	}
}

func TestNoEngine(t *testing.T) {
	m := newMachine()
	m.Answer = nil
	worldtest.WantErr(t, stack.Up(t.Context(), m.World(), m.stack(), stack.Options{}), docker.ErrUnavailable)
	worldtest.WantErr(t, stack.Down(t.Context(), m.World(), m.stack(), stack.DownOptions{Volumes: true}), docker.ErrUnavailable)
	if len(m.ran) > 0 {
		t.Errorf("without an Engine it ran %q", m.ran)
	}
}

// TestCheckCompose finds the plugin without a process, and says what there is instead.
func TestCheckCompose(t *testing.T) {
	answers := func(docker, standalone string) func(context.Context, world.Command) (world.Output, error) {
		return func(_ context.Context, cmd world.Command) (world.Output, error) {
			version := docker
			if cmd.Args[0] == "docker-compose" {
				version = standalone
			}
			switch version {
			case "":
				return world.Output{}, exec.ErrNotFound
			case "unknown":
				return world.Output{Code: 1, Stderr: []byte("docker: 'compose' is not a docker command.\n")}, nil
			}
			return world.Output{Stdout: []byte(version + "\n")}, nil
		}
	}
	tests := []struct {
		name, plugin       string
		config             string
		docker, standalone string
		runs               int
		want               error
		text               string
	}{
		{"user's plugin", "/home/user/.docker/cli-plugins/docker-compose", "", "", "", 0, nil, ""},
		{"system's plugin", "/usr/libexec/docker/cli-plugins/docker-compose", "", "", "", 0, nil, ""},
		{"configured plugin", "/opt/p/docker-compose", `{"cliPluginsExtraDirs":["/opt/p"]}`, "", "", 0, nil, ""},
		{"elsewhere", "", "", "v2.40.3", "", 1, nil, ""},
		{"newer", "", "", "5.0.1", "", 1, nil, ""},
		{"1.x as a plugin", "", "", "1.29.2", "", 1, stack.ErrNoCompose, "version 1.29.2"},
		{"1.x on its own", "", "", "unknown", "1.29.2", 2, stack.ErrNoCompose, "only the program docker-compose, version 1.29.2"},
		{"none", "", "", "unknown", "", 2, stack.ErrNoCompose, "'compose' is not a docker command"},
		{"no docker", "", "", "", "", 1, stack.ErrNoCompose, "no docker command in PATH"},
	}
	for _, tt := range tests {
		f := world.NewFake()
		f.Write("/usr/bin/docker", nil)
		f.Alter("/usr/bin/docker", func(i *world.Info) { i.Mode = 0o755 })
		if tt.plugin != "" {
			f.Write(tt.plugin, nil)
			f.Alter(tt.plugin, func(i *world.Info) { i.Mode = 0o755 })
		}
		if tt.config != "" {
			f.Write("/home/user/.docker/config.json", []byte(tt.config))
		}
		f.Handle = answers(tt.docker, tt.standalone)
		err := stack.CheckCompose(t.Context(), f.World())
		if !errors.Is(err, tt.want) || tt.text != "" && !strings.Contains(fmt.Sprint(err), tt.text) || len(f.Commands()) != tt.runs {
			t.Errorf("%s: got %v after %d processes, want %v, %q, %d", tt.name, err, len(f.Commands()), tt.want, tt.text, tt.runs)
		}
	}
}

// TestIncompleteStack leaves nothing to Compose's defaults.
func TestIncompleteStack(t *testing.T) {
	for name, spoil := range map[string]func(*stack.Stack){
		"no project":    func(s *stack.Stack) { s.Project = "" },
		"no files":      func(s *stack.Stack) { s.Files = nil },
		"no env file":   func(s *stack.Stack) { s.EnvFile = "" },
		"relative file": func(s *stack.Stack) { s.Files = []string{"docker-compose.yml"} },
		"relative dir":  func(s *stack.Stack) { s.Dir = "." },
	} {
		m := newMachine()
		s := m.stack()
		spoil(&s)
		if err := stack.Up(t.Context(), m.World(), s, stack.Options{}); err == nil {
			t.Errorf("%s: up has no error", name)
		}
		if err := stack.Down(t.Context(), m.World(), s, stack.DownOptions{}); err == nil {
			t.Errorf("%s: down has no error", name)
		}
		if m.looks > 0 || len(m.ran) > 0 {
			t.Errorf("%s: it was tried", name)
		}
	}
}

// TestStuckNetwork: a network that the Engine wrongly takes to be in use is left, and
// one that is in use is an error.
func TestStuckNetwork(t *testing.T) {
	for _, containers := range []string{"{}", `{"x":{}}`} {
		m := newMachine()
		m.network = "n1"
		tries := 0
		m.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
			switch strings.Join(cmd.Args[1:3], " ") {
			case "network inspect":
				return world.Output{Stdout: []byte("WARNING: a wrapper\n" + containers + "\n")}, nil
			case "network rm":
				tries++
				return world.Output{Code: 1, Stderr: []byte("Error response from daemon: network n has active endpoints\n")}, nil
			}
			return world.Output{}, nil
		}
		err := stack.Down(t.Context(), m.World(), m.stack(), stack.DownOptions{Volumes: true})
		if (err != nil) != (containers != "{}") || (tries > 1) != (containers == "{}") {
			t.Errorf("with %s containers: %d tries, %v", containers, tries, err)
		}
	}
}

// TestPortOfStartingContainer: what a killed start has left is not in its own way: while
// a container is being started, its ports are taken, but not yet listed.
func TestPortOfStartingContainer(t *testing.T) {
	const created, ended, runs = "a created Created", "a exited Exited (0) 1 second ago", "a running Up 1 second (healthy)"
	for _, test := range []struct {
		name, life, holder string
		listed             int // the look from which the port is listed with the container
		want               error
		looks              int // that this takes at most
	}{
		{"being started", created, "", 3, nil, 20},
		{"being started, on a slow machine", created, "docker-proxy", 60, nil, 80},
		{"being started for ever", created, "docker-proxy", 1000, stack.ErrPortTaken, 80},
		{"restarted meanwhile", ended, "docker-proxy", 1, nil, 20},
		{"another has its port", ended, "python3", 1000, stack.ErrPortTaken, 1},
		{"it runs", runs, "", 1000, stack.ErrPortTaken, 1},
	} {
		m := newMachine()
		m.Listeners = map[string]bool{"127.0.0.1:8001": true}
		if test.holder != "" {
			m.Write("/proc/net/tcp", []byte("   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n"))
			m.Write("/proc/12/comm", []byte(test.holder+"\n"))
			worldtest.Must(t, m.Host().Mkdir("/proc/12/fd", 0o700))
			worldtest.Must(t, m.Host().Symlink("socket:[111]", "/proc/12/fd/3"))
		}
		m.list = func(look int) []string {
			if look < test.listed {
				return []string{test.life}
			}
			m.Listeners = nil
			return []string{runs}
		}
		port := compose.Port{Service: "a", HostIP: "127.0.0.1", Published: 8001, Protocol: "tcp"}
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{Ports: []compose.Port{port}})
		if !errors.Is(err, test.want) || m.looks > test.looks {
			t.Errorf("%s: got %v after %d looks, want %v after %d at most", test.name, err, m.looks, test.want, test.looks)
		}
	}
}

// TestComposeGivesUp: where Compose fails and a container has ended since, that one is
// why; also one that was there before, unless it had ended before already.
func TestComposeGivesUp(t *testing.T) {
	const starting, healthy = "a running Up 1 second (health: starting)", "a running Up 1 hour (healthy)"
	const restarting, exited = "a restarting Restarting (1) 1 second ago", "a exited Exited (1) 1 second ago"
	for name, test := range map[string]struct {
		before, meanwhile, after string
		fails                    bool
	}{
		"restarted":                       {"", restarting, starting, true},
		"restarted, of before":            {healthy, restarting, starting, true},
		"restarting all the time":         {restarting, restarting, restarting, true},
		"ended, of before":                {healthy, healthy, exited, true},
		"ended before, started and ended": {exited, starting, exited, true},
		"unhealthy":                       {healthy, healthy, "a running Up 1 hour (unhealthy)", false},
		"ended before":                    {exited, exited, exited, false},
		"as it was":                       {healthy, healthy, healthy, false},
	} {
		m := newMachine()
		looked := make(chan bool)
		down := false
		m.list = func(look int) []string {
			var lines []string
			switch {
			case down:
				return nil
			case look == 0:
				lines = []string{test.before}
			case look < 4:
				lines = []string{test.meanwhile}
			case look == 4:
				close(looked)
				fallthrough
			default:
				lines = []string{test.after, "b created Created"}
			}
			return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
		}
		m.compose = func(_ context.Context, command string) (string, error) {
			if command == "up" {
				<-looked
				return "out of luck", nil
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			down = command == "down"
			return "", nil
		}
		err := stack.Up(t.Context(), m.World(), m.stack(), stack.Options{})
		unhealthy, ok := errors.AsType[*stack.UnhealthyError](err)
		if ok != test.fails || err == nil || ok && (len(unhealthy.Failures) != 1 || unhealthy.Failures[0].Service != "a") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
