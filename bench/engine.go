package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/envfile"
)

// engine stands in for a Docker Engine on which all stacks of a pool run.
type engine struct {
	host     string // as DOCKER_HOST has it
	requests atomic.Int64
	server   *http.Server
	dir      string
}

// container is what the Engine's list tells of one, as far as it matters here.
type container struct {
	ID     string `json:"Id"`
	Names  []string
	State  string
	Status string
	Labels map[string]string
}

// startEngine starts an engine that tells of the pool at root that all its services
// run, one container each.
func startEngine(root string) (*engine, error) {
	all, err := containers(root)
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kinfra-bench-engine-") // short: a socket's path has 100 bytes
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	e := &engine{host: "unix://" + socket, dir: dir}
	e.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})}
	go e.server.Serve(listener)
	return e, nil
}

func (e *engine) stop() {
	e.server.Close()
	os.RemoveAll(e.dir)
}

// containers is what runs when all slots of the pool at root are up: as many of each
// service as its slot's files say.
func containers(root string) ([]container, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "sandboxes", "slot-*"))
	if err != nil {
		return nil, err
	}
	var all []container
	for _, dir := range dirs {
		env, replicas, err := stackIn(dir)
		if err != nil {
			return nil, fmt.Errorf("what runs in %s: %w", dir, err)
		}
		for service, n := range replicas {
			for i := range n {
				all = append(all, containerOf(env["COMPOSE_PROJECT_NAME"], service, i+1, dir))
			}
		}
	}
	return all, nil
}

// stackIn reads the files of a slot: its environment, and how many containers each
// service has under that.
func stackIn(dir string) (env map[string]string, replicas map[string]int, err error) {
	data, err := os.ReadFile(filepath.Join(dir, ".env.sandbox"))
	if err == nil {
		env, err = envfile.Decode(data)
	}
	if err != nil {
		return nil, nil, err
	}
	if data, err = os.ReadFile(filepath.Join(dir, "docker-compose.yml")); err != nil {
		return nil, nil, err
	}
	file, err := compose.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	replicas, err = file.Replicas(env)
	return env, replicas, err
}

func containerOf(project, service string, number int, dir string) container {
	name := fmt.Sprintf("%s-%s-%d", project, service, number)
	return container{
		ID: name, Names: []string{"/" + name}, State: "running", Status: "Up 3 minutes (healthy)",
		Labels: map[string]string{
			"com.docker.compose.project":             project,
			"com.docker.compose.service":             service,
			"com.docker.compose.oneoff":              "False",
			"com.docker.compose.project.working_dir": dir,
		},
	}
}
