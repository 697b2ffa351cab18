package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptedEngine stands in for a Docker Engine on which nothing runs, so that stories
// say the same on every machine. It counts what it is asked.
type scriptedEngine struct {
	mu       sync.Mutex
	requests []string
}

// engineKey is where a story keeps its engine.
type engineKey struct{}

// startEngine makes a scripted engine the one that DOCKER_HOST names.
func startEngine(e *testscript.Env) error {
	dir, err := os.MkdirTemp("", "engine") // the story's own directory is too long a name for a socket
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	engine := &scriptedEngine{}
	server := &http.Server{Handler: engine}
	go server.Serve(listener)
	e.Defer(func() {
		server.Close()
		os.RemoveAll(dir)
	})
	e.Values[engineKey{}] = engine
	e.Setenv("DOCKER_HOST", "unix://"+socket)
	e.Setenv("ENGINE_SOCKET", socket)
	return nil
}

func (s *scriptedEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/volumes"):
		fmt.Fprint(w, "{}")
	case strings.Contains(r.URL.Path, "/images/"):
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"No such image"}`)
	default:
		fmt.Fprint(w, "[]")
	}
}

// `asked N` fails unless the engine has been asked exactly N times since the last look,
// each time for the list of containers.
func askedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: asked N")
	}
	engine := ts.Value(engineKey{}).(*scriptedEngine)
	engine.mu.Lock()
	defer engine.mu.Unlock()
	if fmt.Sprint(len(engine.requests)) != args[0] {
		ts.Fatalf("the engine was asked %d times, want %s: %s", len(engine.requests), args[0], strings.Join(engine.requests, ", "))
	}
	for _, request := range engine.requests {
		if !strings.HasSuffix(request, "/containers/json") {
			ts.Fatalf("the engine was asked for %s", request)
		}
	}
	engine.requests = nil
}
