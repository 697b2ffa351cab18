// Package docker tells what runs on the Docker Engine: the containers that Compose
// made, to which stack of which root each belongs, and how each stack is.
//
// It only reads. All stacks together cost one list request, GET /containers/json,
// whose answer has what is needed in every version of the API. All volumes cost one
// more, GET /volumes, where somebody asks for them.
//
// The request is HTTP/1.0 sent through [world.Services], not through
// the Engine's Go client or net/http. Measured inside this program, as the time of
// a whole process that never meets Docker: linking that client costs each of its
// runs 1.5 ms (two regular expressions of image references, and telemetry), linking
// net/http and crypto/tls 0.5 ms, this nothing; an empty Go program takes 2 ms, and
// listing the slots may take four of it. An Engine that is reached by TLS or SSH is
// asked through the docker command, which brings both.
package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// ErrUnavailable is returned where the Engine can't be asked: it doesn't run, it
// can't be reached, or this user may not. The error is an [*UnavailableError].
var ErrUnavailable = errors.New("docker engine not reachable")

// UnavailableError says why the Engine can't be asked.
type UnavailableError struct {
	Host   string // its address: "unix:///var/run/docker.sock"
	Origin string // where that address is from: "DOCKER_HOST"; empty for the default
	Reason string // what is wrong with it: "permission denied"
	Err    error  // the cause; may be nil
}

func (e *UnavailableError) Error() string {
	from := ""
	if e.Origin != "" {
		from = ", from " + e.Origin
	}
	return fmt.Sprintf("asking the docker engine at %s%s: %s", e.Host, from, e.Reason)
}

func (e *UnavailableError) Unwrap() error        { return e.Err }
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// IsSlow tells whether an error means that the Engine, which can be reached for all one
// knows, didn't answer in time.
func IsSlow(err error) bool {
	return errors.Is(err, ErrUnavailable) && (errors.Is(err, world.ErrTimeout) || errors.Is(err, context.DeadlineExceeded))
}

// Engine is a Docker Engine.
type Engine struct {
	world    world.World
	endpoint Endpoint
}

// Open finds the Engine that the docker command would talk to (see [Locate]). It
// doesn't connect yet.
func Open(w world.World) (*Engine, error) {
	endpoint, err := Locate(w)
	if err != nil {
		return nil, err
	}
	return &Engine{world: w, endpoint: endpoint}, nil
}

// Container is a container of the Engine.
type Container struct {
	ID       string
	Name     string // without the leading slash
	Image    string
	State    string // created, running, paused, restarting, removing, exited or dead
	Status   string // the Engine's words: "Up 3 seconds (healthy)", "Exited (1) 2 hours ago"
	Health   string // starting, healthy or unhealthy; empty without a health check
	Project  string // of Compose, as is what follows; empty if Compose didn't make it
	Service  string
	Dir      string   // the project's directory
	Files    []string // the project's files
	OneOff   bool     // made by `compose run`
	Ports    []Port
	Volumes  []string // names of the volumes that it uses
	Networks []string // names of the networks that it is on, also while it doesn't run; sorted
}

// Port is a port that a container publishes.
type Port struct {
	HostIP   string
	Host     int // 0 where it is only exposed, or its container doesn't run
	Target   int
	Protocol string // tcp, udp or sctp
}

// The labels that Compose gives its containers, networks and volumes.
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelDir     = "com.docker.compose.project.working_dir"
	labelFiles   = "com.docker.compose.project.config_files"
	labelOneOff  = "com.docker.compose.oneoff"
)

// listTimeout is how long the Engine may take for its answer. Connecting has a
// shorter limit of its own.
const listTimeout = 10 * time.Second

// Containers lists the containers that Compose made, running or not, sorted by
// project, service and name. It is one request, whatever their number.
func (e *Engine) Containers(ctx context.Context) ([]Container, error) {
	return e.list(ctx, labelProject)
}

// All lists all containers, as Containers does.
func (e *Engine) All(ctx context.Context) ([]Container, error) { return e.list(ctx, "") }

func (e *Engine) list(ctx context.Context, label string) ([]Container, error) {
	var summaries []summary
	var err error
	if e.endpoint.direct() {
		summaries, err = e.listDirectly(ctx, label)
	} else {
		summaries, err = e.listByCommand(ctx, label)
	}
	if err != nil {
		return nil, err
	}
	containers := make([]Container, len(summaries))
	for i, s := range summaries {
		containers[i] = s.container()
	}
	slices.SortFunc(containers, func(a, b Container) int {
		return slices.Compare([]string{a.Project, a.Service, a.Name}, []string{b.Project, b.Service, b.Name})
	})
	return containers, nil
}

// summary is a container in the Engine's answer, as far as it is of interest here.
type summary struct {
	ID     string `json:"Id"`
	Names  []string
	Image  string
	State  string
	Status string
	Labels map[string]string
	Ports  []struct {
		IP          string
		PrivatePort int
		PublicPort  int
		Type        string
	}
	Mounts          []mountAnswer
	NetworkSettings struct {
		Networks map[string]struct{}
	}
}

type mountAnswer struct{ Type, Name string }

func (s summary) container() Container {
	c := Container{
		ID:      s.ID,
		Image:   s.Image,
		State:   s.State,
		Status:  s.Status,
		Health:  health(s.Status),
		Project: s.Labels[labelProject],
		Service: s.Labels[labelService],
		Dir:     s.Labels[labelDir],
		OneOff:  strings.EqualFold(s.Labels[labelOneOff], "true"),
	}
	if len(s.Names) > 0 {
		c.Name = strings.TrimPrefix(s.Names[0], "/")
	}
	if files := s.Labels[labelFiles]; files != "" {
		c.Files = strings.Split(files, ",")
	}
	for _, p := range s.Ports {
		c.Ports = append(c.Ports, Port{HostIP: p.IP, Host: p.PublicPort, Target: p.PrivatePort, Protocol: p.Type})
	}
	for _, m := range s.Mounts {
		if m.Type == "volume" {
			c.Volumes = append(c.Volumes, m.Name)
		}
	}
	c.Networks = slices.Sorted(maps.Keys(s.NetworkSettings.Networks))
	return c
}

// health is the state of the health check as the Engine puts it into the status.
// Only the newest versions of the API say it apart from that text, which all have.
func health(status string) string {
	switch {
	case strings.HasSuffix(status, "(healthy)"):
		return "healthy"
	case strings.HasSuffix(status, "(unhealthy)"):
		return "unhealthy"
	case strings.HasSuffix(status, "(health: starting)"):
		return "starting"
	}
	return ""
}
