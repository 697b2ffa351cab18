package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	e.Connect = func(ctx context.Context, network, address string) (net.Conn, error) {
		e.dialed = append(e.dialed, network+" "+address)
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	return e
}

// newRawEngine answers every connection with these bytes, then closes it.
func newRawEngine(answer string) *engine {
	e := &engine{Fake: world.NewFake()}
	e.Connect = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			there.Read(make([]byte, 1<<12))
			io.WriteString(there, answer)
			there.Close()
		}()
		return here, nil
	}
	return e
}

func (e *engine) containers(t *testing.T) ([]docker.Container, error) {
	t.Helper()
	opened, err := docker.Open(e.Fake)
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
