package docker_test

import (
	"fmt"
	"testing"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/world"
)

// one is a container of slot-1 in the pool at /pool, as "service state status".
func one(service, state, status string) docker.Container {
	return docker.Container{ID: service + status, Name: "slot-1-" + service, Project: "slot-1", Service: service, Dir: "/pool/sandboxes/slot-1", State: state, Status: status}
}

func up(service string) docker.Container { return one(service, "running", "Up 1 second") }

func checked(service, health string) docker.Container {
	c := up(service)
	c.Health = health
	return c
}

func TestStatus(t *testing.T) {
	oneOff := up("api")
	oneOff.OneOff = true
	oneOff.State = "exited"
	two := map[string]int{"api": 1, "db": 1}
	jobs := map[string]int{"api": 1, "job": 1}
	done := one("job", "exited", "Exited (0) 1 second ago")
	tests := []struct {
		name       string
		containers []docker.Container
		services   map[string]int
		want       docker.Status
		up, all    int
	}{
		{"nothing", nil, two, docker.Stopped, 0, 2},
		{"nothing known", nil, nil, docker.Stopped, 0, 0},
		{"all", []docker.Container{up("api"), checked("db", "healthy")}, two, docker.Running, 2, 2},
		{"all, of unknown services", []docker.Container{up("api"), up("db")}, nil, docker.Running, 2, 2},
		{"one is missing", []docker.Container{up("api")}, two, docker.Partial, 1, 2},
		{"one has ended", []docker.Container{up("api"), one("db", "exited", "Exited (1)")}, two, docker.Partial, 1, 2},
		{"one was made only", []docker.Container{up("api"), one("db", "created", "Created")}, two, docker.Partial, 1, 2},
		{"one is paused", []docker.Container{up("api"), one("db", "paused", "Up 1 second (Paused)")}, two, docker.Partial, 1, 2},
		{"all were stopped", []docker.Container{one("api", "exited", "Exited (0)"), one("db", "exited", "Exited (137)")}, two, docker.Stopped, 0, 2},
		{"one starts", []docker.Container{up("api"), checked("db", "starting")}, two, docker.Starting, 1, 2},
		{"one starts, another was made only", []docker.Container{one("api", "created", ""), checked("db", "starting")}, two, docker.Starting, 0, 2},
		{"one is unhealthy", []docker.Container{up("api"), checked("db", "unhealthy")}, two, docker.Unhealthy, 1, 2},
		{"the only one is unhealthy", []docker.Container{checked("api", "unhealthy")}, two, docker.Unhealthy, 0, 2},
		{"one is restarted", []docker.Container{up("api"), one("db", "restarting", "Restarting (1)")}, two, docker.Unhealthy, 1, 2},
		{"unhealthy before starting", []docker.Container{checked("api", "starting"), checked("db", "unhealthy")}, two, docker.Unhealthy, 0, 2},
		{"replicas", []docker.Container{up("api"), up("api"), up("db")}, map[string]int{"api": 3, "db": 1}, docker.Partial, 3, 4},
		{"no replicas wanted", []docker.Container{up("api")}, map[string]int{"api": 1, "db": 0}, docker.Running, 1, 1},
		{"made by compose run", []docker.Container{up("api"), up("db"), oneOff}, two, docker.Running, 2, 2},
		{"a job is done", []docker.Container{up("api"), done}, jobs, docker.Running, 2, 2},
		{"a job has failed", []docker.Container{up("api"), one("job", "exited", "Exited (2) 1 second ago")}, jobs, docker.Partial, 1, 2},
		{"a job is done, the rest starts", []docker.Container{checked("api", "starting"), done}, jobs, docker.Starting, 1, 2},
		{"a job is done, the rest has failed", []docker.Container{one("db", "exited", "Exited (1)"), done}, map[string]int{"db": 1, "job": 1}, docker.Stopped, 1, 2},
		{"only a job, done", []docker.Container{done}, map[string]int{"job": 1}, docker.Stopped, 1, 1},
		{"only a job, done, of unknown services", []docker.Container{done}, nil, docker.Stopped, 1, 1},
		{"exit code 0 of what is restarted", []docker.Container{up("db"), one("api", "exited", "Exited (0)")}, two, docker.Partial, 1, 2},
	}
	for _, tt := range tests {
		states, strays := docker.Survey(world.NewFake().World(), "/pool", tt.containers, []docker.Expected{{Project: "slot-1", Services: tt.services, Restarted: map[string]bool{"api": true}}})
		s := states[0]
		if s.Status != tt.want || s.Up != tt.up || s.Want != tt.all || len(strays) > 0 {
			t.Errorf("%s: %s, %d of %d, want %s, %d of %d", tt.name, s.Status, s.Up, s.Want, tt.want, tt.up, tt.all)
		}
	}
}

// TestOwnership: a container is the slot's if its labels name the slot's project and a
// path below the root, however that is spelt.
func TestOwnership(t *testing.T) {
	w := world.NewFake()
	must(t, w.Host().MkdirAll("/home/user/pool/sandboxes", 0o700))
	must(t, w.Host().Symlink("/home/user/pool", "/tmp/link"))
	must(t, w.Host().Symlink("link", "/tmp/again"))
	must(t, w.Host().Symlink("loop", "/tmp/loop"))
	must(t, w.Host().Symlink("/etc", "/home/user/pool/etc"))
	tests := []struct {
		project, dir, file string
		want               string
	}{
		{"slot-1", "/home/user/pool/sandboxes/slot-1", "", "ours"},
		{"slot-1", "", "/home/user/pool/sandboxes/slot-1/docker-compose.yml", "ours"},
		{"slot-1", "/home/user/worktree", "/home/user/pool/x.yml", "ours"},
		{"slot-1", "/tmp/link/sandboxes/slot-1", "", "ours"},
		{"slot-1", "/tmp/again/sandboxes/slot-1", "", "ours"},
		{"slot-1", "/home/user/pool", "", "ours"},
		{"slot-1", "/home/user/pool/../pool2/slot-1", "", "in the way"},
		{"slot-1", "/home/user/pool2/sandboxes/slot-1", "", "in the way"},
		{"slot-1", "/home/user", "", "in the way"},
		{"slot-1", "/tmp/loop/x", "", "in the way"},
		{"slot-1", "home/user/pool/slot-1", "", "in the way"},
		{"slot-1", "", "", "in the way"},
		{"slot-9", "/home/user/pool/sandboxes/slot-9", "", "stray"},
		{"slot-9", "/elsewhere/slot-9", "", "nobody's"},
		{"", "/home/user/pool", "", "nobody's"},
	}
	for _, tt := range tests {
		for _, root := range []string{"/home/user/pool", "/tmp/link", "/tmp/again", "/home/user/pool/"} {
			c := docker.Container{ID: "x", Project: tt.project, Service: "s", Dir: tt.dir, State: "running"}
			if tt.file != "" {
				c.Files = []string{"/elsewhere/base.yml", tt.file}
			}
			states, strays := docker.Survey(w.World(), root, []docker.Container{c}, []docker.Expected{{Project: "slot-0"}, {Project: "slot-1"}})
			got := "nobody's"
			switch {
			case len(states[1].Containers) == 1 && states[1].Up == 1:
				got = "ours"
			case len(states[1].InTheWay) == 1 && states[1].Up == 0:
				got = "in the way"
			case len(strays) == 1:
				got = "stray"
			}
			if got != tt.want || len(states[0].Containers) > 0 {
				t.Errorf("root %s, project %q in %q by %q: %s, want %s", root, tt.project, tt.dir, tt.file, got, tt.want)
			}
		}
	}
}

func TestServices(t *testing.T) {
	containers := []docker.Container{up("worker"), up("worker"), checked("api", "healthy"), one("job", "exited", "Exited (0)"), one("pair", "exited", "Exited (0)"), up("pair")}
	states, _ := docker.Survey(world.NewFake().World(), "/pool", containers, []docker.Expected{{Project: "slot-1", Services: map[string]int{"worker": 3, "api": 1, "db": 1, "job": 1, "pair": 2}}})
	got := fmt.Sprint(states[0].Services)
	if want := "[{api running 1 1} {db stopped 0 1} {job done 1 1} {pair running 2 2} {worker partial 2 3}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
