package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/world"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// engine is a scripted Docker Engine in a fake machine, which records what it is asked.
type engine struct {
	*world.Fake
	requests []string // "GET /containers/json?all=1 Host"
	dialed   []string // "unix /var/run/docker.sock"
}

// newEngine answers every request with a body.
func newEngine(t *testing.T, code int, body string) *engine {
	e := &engine{Fake: world.NewFake()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.requests = append(e.requests, fmt.Sprintf("%s %s %s", r.Method, r.URL, r.Host))
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	e.Answer = func(ctx context.Context, req world.Request) ([]byte, error) {
		e.dialed = append(e.dialed, req.Network+" "+req.Address)
		req.Network, req.Address = "tcp", server.Listener.Addr().String()
		answer, err := world.Real("test").Services.Send(ctx, req)
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		return io.ReadAll(answer)
	}
	return e
}

// newRawEngine answers every request with these bytes.
func newRawEngine(answer string) *engine {
	e := &engine{Fake: world.NewFake()}
	e.Answer = func(context.Context, world.Request) ([]byte, error) { return []byte(answer), nil }
	return e
}

func (e *engine) containers(t *testing.T) ([]docker.Container, error) {
	t.Helper()
	opened, err := docker.Open(e.Fake.World())
	if err != nil {
		return nil, err
	}
	return opened.Containers(t.Context())
}

// unavailable checks that an error says why there is no Engine, and what to do.
func unavailable(t *testing.T, err error, texts ...string) {
	t.Helper()
	if !errors.Is(err, docker.ErrUnavailable) {
		t.Errorf("got error %v, want %v", err, docker.ErrUnavailable)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error lacks %q: %v", text, err)
		}
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) {
		t.Errorf("there is no hint with: %v", err)
	}
}
