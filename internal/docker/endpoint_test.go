package docker_test

import (
	"context"
	"errors"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/world"
)

// remoteMeta is where docker keeps the context called remote: its directory is the
// SHA-256 of the name.
const (
	remoteID   = "b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a"
	remoteMeta = "contexts/meta/" + remoteID + "/meta.json"
)

func TestLocate(t *testing.T) {
	const home = "/home/user/.docker/"
	socket := `{"Name":"remote","Endpoints":{"docker":{"Host":"unix:///run/user/1000/docker.sock"}}}`
	fallback := docker.Endpoint{Host: "unix:///var/run/docker.sock"}
	remote := docker.Endpoint{Host: "unix:///run/user/1000/docker.sock", Origin: "the docker context remote"}
	tests := []struct {
		name  string
		env   map[string]string
		files map[string]string
		want  docker.Endpoint
	}{
		{"nothing", nil, nil, fallback},
		{"host", map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "remote"}, nil, docker.Endpoint{Host: "tcp://h:1", Origin: "DOCKER_HOST"}},
		{"host by TLS", map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1"}, nil, docker.Endpoint{Host: "tcp://h:1", Origin: "DOCKER_HOST", TLS: true}},
		{"empty host", map[string]string{"DOCKER_HOST": ""}, nil, fallback},
		{"context", map[string]string{"DOCKER_CONTEXT": "remote"}, map[string]string{home + remoteMeta: socket}, remote},
		{"current context", nil, map[string]string{home + "config.json": `{"currentContext":"remote"}`, home + remoteMeta: socket}, remote},
		{"context over current", map[string]string{"DOCKER_CONTEXT": "default"}, map[string]string{home + "config.json": `{"currentContext":"remote"}`}, fallback},
		{"configuration elsewhere", map[string]string{"DOCKER_CONFIG": "/etc/d"}, map[string]string{"/etc/d/config.json": `{"currentContext":"remote"}`, "/etc/d/" + remoteMeta: socket}, remote},
		{"context by TLS", map[string]string{"DOCKER_CONTEXT": "remote"}, map[string]string{home + remoteMeta: socket, home + "contexts/tls/" + remoteID + "/docker/ca.pem": ""},
			docker.Endpoint{Host: remote.Host, Origin: remote.Origin, TLS: true}},
		{"no context in the configuration", nil, map[string]string{home + "config.json": `{"auths":{}}`}, fallback},
	}
	for _, tt := range tests {
		w := world.NewFake()
		for name, value := range tt.env {
			w.Env[name] = value
		}
		for path, content := range tt.files {
			w.Write(path, []byte(content))
		}
		got, err := docker.Locate(w.World())
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestLocateFails(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"there is no such context": {},
		"reading":                  {remoteMeta: "{"},
		"names no host":            {remoteMeta: "{}"},
	} {
		w := world.NewFake()
		w.Write("/home/user/.docker/config.json", []byte(`{"currentContext":"remote"}`))
		for path, content := range files {
			w.Write("/home/user/.docker/"+path, []byte(content))
		}
		_, err := docker.Locate(w.World())
		unavailable(t, err, "remote", name)
	}
	w := world.NewFake()
	w.Write("/home/user/.docker/config.json", []byte("{"))
	if _, err := docker.Locate(w.World()); !errors.Is(err, docker.ErrUnavailable) {
		t.Errorf("a broken configuration: %v", err)
	}
}

// TestAddress sees what is connected to.
func TestAddress(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///run/d.sock":      "unix /run/d.sock",
		"tcp://127.0.0.1:2375":    "tcp 127.0.0.1:2375",
		"tcp://docker":            "tcp docker:2375",
		"tcp://[::1]":             "tcp [::1]:2375",
		"tcp://docker:1/":         "tcp docker:1",
		"ssh://user@host":         "",
		"npipe:////./pipe/docker": "",
		"nonsense":                "",
	} {
		e := newEngine(t, 200, "[]")
		e.Env["DOCKER_HOST"] = host
		_, err := e.containers(t)
		if want == "" {
			unavailable(t, err, host, "docker command")
		} else if err != nil || !slices.Equal(e.dialed, []string{want}) {
			t.Errorf("%s: connected to %q, %v, want %q", host, e.dialed, err, want)
		}
	}
}

func TestLocal(t *testing.T) {
	for host, want := range map[string]bool{
		"unix:///run/d.sock": true, "tcp://127.0.0.1:2375": true, "tcp://localhost:2375": true, "tcp://[::1]": true,
		"tcp://docker:2375": false, "tcp://10.0.0.1": false, "ssh://localhost": false,
	} {
		w := world.NewFake()
		w.Env["DOCKER_HOST"] = host
		e, err := docker.Open(w.World())
		must(t, err)
		if e.Local() != want {
			t.Errorf("%s: local is %v", host, !want)
		}
	}
}

// TestByCommand asks an Engine by SSH, and one by TLS.
func TestByCommand(t *testing.T) {
	for _, env := range []map[string]string{
		{"DOCKER_HOST": "ssh://user@host"},
		{"DOCKER_HOST": "tcp://host:2376", "DOCKER_TLS_VERIFY": "1"},
	} {
		w := world.NewFake()
		for name, value := range env {
			w.Env[name] = value
		}
		w.Env["COMPOSE_FILE"] = "leak"
		w.Handle = func(context.Context, world.Command) (world.Output, error) {
			return world.Output{Stdout: []byte("WARNING: this docker is a wrapper\n" + `["a1","n,other/n","image","running","Up 1 second (healthy)","/home/a,p_data","p_default","p","s","/d, x","/d/a.yml,/d/b.yml","False"]` + "\n")}, nil
		}
		got, err := (&engine{Fake: w}).containers(t)
		want := []docker.Container{{
			ID: "a1", Name: "n", Image: "image", State: "running", Status: "Up 1 second (healthy)", Health: "healthy",
			Project: "p", Service: "s", Dir: "/d, x", Files: []string{"/d/a.yml", "/d/b.yml"},
			Volumes: []string{"p_data"}, Networks: []string{"p_default"},
		}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
		commands := w.Commands()
		if len(commands) != 1 || !commands[0].ReadOnly || slices.ContainsFunc(commands[0].Env, func(s string) bool { return strings.HasPrefix(s, "COMPOSE") }) {
			t.Errorf("ran %+v", commands)
		}
	}
}

func TestByCommandFails(t *testing.T) {
	for _, tt := range []struct {
		out  world.Output
		err  error
		want string
	}{
		{world.Output{Code: 1, Stderr: []byte("error during connect: no such host\n")}, nil, "no such host"},
		{world.Output{Stdout: []byte("[\"a\"]")}, nil, "fields"},
		{world.Output{Stdout: []byte("{")}, nil, "docker printed"},
		{world.Output{}, world.ErrTimeout, "timed out"},
		{world.Output{}, exec.ErrNotFound, "not there"},
	} {
		w := world.NewFake()
		w.Env["DOCKER_HOST"] = "ssh://user@host"
		w.Handle = func(context.Context, world.Command) (world.Output, error) { return tt.out, tt.err }
		_, err := (&engine{Fake: w}).containers(t)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, docker.ErrUnavailable) {
			t.Errorf("want %q, got %v", tt.want, err)
		}
	}
}
