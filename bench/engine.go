package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
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
	answer, err := json.Marshal(containers(root))
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

// replicas is how many workers of each kind the shipped pool's slots have.
var replicas = map[int]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 6: 4}

func containers(root string) []container {
	var all []container
	for slot, workers := range replicas {
		services := map[string]int{
			"db": 1, "backend": 1, "jaeger": 1, "prometheus": 1, "grafana": 1, "backtest-worker": workers, "training-worker": workers,
		}
		for service, n := range services {
			for i := range n {
				project := fmt.Sprintf("slot-%d", slot)
				name := fmt.Sprintf("%s-%s-%d", project, service, i+1)
				all = append(all, container{
					ID: name, Names: []string{"/" + name}, State: "running", Status: "Up 3 minutes (healthy)",
					Labels: map[string]string{
						"com.docker.compose.project":             project,
						"com.docker.compose.service":             service,
						"com.docker.compose.oneoff":              "False",
						"com.docker.compose.project.working_dir": filepath.Join(root, "sandboxes", project),
					},
				})
			}
		}
	}
	return all
}
