package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/world"
)

// twoContainers is an Engine's answer: a database of slot 2, and a worker of slot 1.
const twoContainers = `[
 {"Id":"b2","Names":["/slot-2-db-1"],"Image":"db:1","State":"running","Status":"Up 3 minutes (healthy)","Created":1,
  "Labels":{"com.docker.compose.project":"slot-2","com.docker.compose.service":"db","com.docker.compose.oneoff":"False",
   "com.docker.compose.project.working_dir":"/r/sandboxes/slot-2","com.docker.compose.project.config_files":"/r/sandboxes/slot-2/a.yml,/r/b.yml"},
  "Ports":[{"IP":"127.0.0.1","PrivatePort":5432,"PublicPort":5434,"Type":"tcp"},{"PrivatePort":80,"Type":"tcp"}],
  "Mounts":[{"Type":"volume","Name":"slot-2_data"},{"Type":"bind","Source":"/x"}]},
 {"Id":"a1","Names":["/slot-1-worker-run-1"],"Image":"w","State":"exited","Status":"Exited (1) 2 hours ago",
  "Labels":{"com.docker.compose.project":"slot-1","com.docker.compose.service":"worker","com.docker.compose.oneoff":"True"}}]`

// TestContainers reads an answer, by exactly one request.
func TestContainers(t *testing.T) {
	e := newEngine(t, 200, twoContainers)
	got, err := e.containers(t)
	must(t, err)
	want := []docker.Container{
		{ID: "a1", Name: "slot-1-worker-run-1", Image: "w", State: "exited", Status: "Exited (1) 2 hours ago", Project: "slot-1", Service: "worker", OneOff: true},
		{
			ID: "b2", Name: "slot-2-db-1", Image: "db:1", State: "running", Status: "Up 3 minutes (healthy)", Health: "healthy",
			Project: "slot-2", Service: "db", Dir: "/r/sandboxes/slot-2", Files: []string{"/r/sandboxes/slot-2/a.yml", "/r/b.yml"},
			Ports:   []docker.Port{{HostIP: "127.0.0.1", Host: 5434, Target: 5432, Protocol: "tcp"}, {Target: 80, Protocol: "tcp"}},
			Volumes: []string{"slot-2_data"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	const request = "GET /containers/json?all=1&filters=%7B%22label%22%3A%5B%22com.docker.compose.project%22%5D%7D docker"
	if len(e.requests) != 1 || e.requests[0] != request || len(e.dialed) != 1 || e.dialed[0] != "unix /var/run/docker.sock" {
		t.Errorf("asked %q of %q", e.requests, e.dialed)
	}
}

func TestManyContainersAreOneRequest(t *testing.T) {
	one := `{"Id":"x","Names":["/n"],"State":"running","Status":"Up","Labels":{"com.docker.compose.project":"p"}}`
	e := newEngine(t, 200, "["+strings.Repeat(one+",", 4999)+one+"]")
	got, err := e.containers(t)
	if len(got) != 5000 || err != nil || len(e.requests) != 1 {
		t.Errorf("%d containers by %d requests, %v", len(got), len(e.requests), err)
	}
}

func TestHealth(t *testing.T) {
	for status, want := range map[string]string{
		"Up 3 seconds":                     "",
		"Up 3 seconds (healthy)":           "healthy",
		"Up 3 seconds (unhealthy)":         "unhealthy",
		"Up 3 seconds (health: starting)":  "starting",
		"Up 3 seconds (Paused)":            "",
		"Restarting (1) 2 seconds ago":     "",
		"Up Less than a second (healthy) ": "",
	} {
		e := newEngine(t, 200, fmt.Sprintf(`[{"Id":"x","Status":%q}]`, status))
		got, err := e.containers(t)
		if err != nil || got[0].Health != want {
			t.Errorf("%q: got %+v, %v, want %q", status, got, err, want)
		}
	}
}

// TestNoEngine fails to connect in all the ways there are.
func TestNoEngine(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fs.ErrNotExist, "the socket /var/run/docker.sock is not there"},
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.EACCES, "permission denied"},
		{context.DeadlineExceeded, "no answer in time"},
		{world.ErrTimeout, "no answer in time"},
		{errors.New("no route"), "no route"},
	} {
		w := world.NewFake()
		w.Answer = func(context.Context, world.Request) ([]byte, error) {
			return nil, &net.OpError{Op: "dial", Net: "unix", Err: tt.err}
		}
		_, err := (&engine{Fake: w}).containers(t)
		unavailable(t, err, "unix:///var/run/docker.sock", tt.want)
		if !errors.Is(err, tt.err) {
			t.Errorf("%v hides its cause %v", err, tt.err)
		}
	}
}

// TestTimeIsLimited: an Engine that is asked has a moment to accept the connection and
// some seconds for its answer, and is asked for what changes nothing.
func TestTimeIsLimited(t *testing.T) {
	w := world.NewFake()
	w.Answer = func(_ context.Context, req world.Request) ([]byte, error) {
		if req.ConnectTimeout <= 0 || req.ConnectTimeout > time.Second || req.Timeout > time.Minute || !req.ReadOnly {
			t.Errorf("the request is %+v", req)
		}
		return nil, world.ErrTimeout
	}
	_, err := (&engine{Fake: w}).containers(t)
	unavailable(t, err, "no answer in time")
}

// TestCancelled: what ends the run is not an Engine that is missing.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := world.NewFake()
	w.Answer = func(ctx context.Context, _ world.Request) ([]byte, error) {
		cancel()
		return nil, ctx.Err()
	}
	opened, err := docker.Open(w.World())
	must(t, err)
	_, err = opened.Containers(ctx)
	if !errors.Is(err, context.Canceled) || errors.Is(err, docker.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestBadAnswers gets what is no list of containers, or a part of one.
func TestBadAnswers(t *testing.T) {
	for _, tt := range []struct{ answer, want string }{
		{"", "unexpected EOF"},
		{"SSH-2.0-OpenSSH\r\n", "doesn't speak HTTP"},
		{"HTTP/1.0 200 OK\r\n", "unexpected EOF"},
		{"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n[]", "unexpected EOF"},
		{"HTTP/1.0 200 OK\r\n\r\n[{\"Id\":", "not a list of containers"},
		{"HTTP/1.0 200 OK\r\n\r\n{}", "not a list of containers"},
		{"HTTP/1.1 500 Internal Server Error\r\n\r\n{\"message\":\"out of luck\"}", "500 Internal Server Error: out of luck"},
		{"HTTP/1.0 403 Forbidden\r\n\r\n<html>", "403 Forbidden"},
	} {
		_, err := newRawEngine(tt.answer).containers(t)
		unavailable(t, err, tt.want)
	}
}

// FuzzAnswer reads whatever comes: no answer makes the reader fail otherwise than by
// an error.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]")
	f.Add("HTTP/1.0 200 OK\r\n\r\n" + twoContainers)
	f.Add("HTTP/1.1 400 Bad Request\r\n\r\n{\"message\":1}")
	f.Fuzz(func(t *testing.T, answer string) {
		_, err := newRawEngine(answer).containers(t)
		if err != nil && !errors.Is(err, docker.ErrUnavailable) {
			t.Errorf("%q: %v", answer, err)
		}
	})
}
