package docker_test

import (
	"context"
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/dockertest"
	"github.com/ktrdr/kinfra/internal/world"
)

func open(t *testing.T, w world.World) *docker.Engine {
	t.Helper()
	e, err := docker.Open(w)
	must(t, err)
	return e
}

// TestVolumes: one request tells of all volumes.
func TestVolumes(t *testing.T) {
	e := newEngine(t, 200, `{"Volumes":[
		{"Name":"slot-1_data","CreatedAt":"2026-01-02T03:04:05Z","Labels":{"com.docker.compose.project":"slot-1"}},
		{"Name":"by hand","Labels":null}],"Warnings":null}`)
	got, err := open(t, e.World()).Volumes(t.Context())
	want := []docker.Volume{{Name: "by hand"}, {Name: "slot-1_data", Project: "slot-1", CreatedAt: "2026-01-02T03:04:05Z"}}
	if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(e.requests, []string{"GET /volumes docker"}) {
		t.Errorf("got %+v, %v, asked %q", got, err, e.requests)
	}
	for _, tt := range []struct {
		code int
		body string
	}{{200, "[]"}, {500, `{"message":"out of luck"}`}} {
		if _, err := open(t, newEngine(t, tt.code, tt.body).World()).Volumes(t.Context()); !errors.Is(err, docker.ErrUnavailable) {
			t.Errorf("%d %s: %v", tt.code, tt.body, err)
		}
	}
}

// TestVolumesByCommand: what a wrapper of docker prints is no volume, and one that goes
// meanwhile is no error.
func TestVolumesByCommand(t *testing.T) {
	w := world.NewFake()
	w.Env["DOCKER_HOST"] = "ssh://user@host"
	w.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		if cmd.Args[2] == "ls" {
			return world.Output{Stdout: []byte("WARNING: this docker is a wrapper\n\"a_data\"\n\"gone\"\n")}, nil
		}
		if got := strings.Join(cmd.Args[len(cmd.Args)-3:], " "); got != "-- a_data gone" {
			t.Errorf("inspected %s", got)
		}
		return world.Output{Code: 1, Stdout: []byte("WARNING: again\n" + `{"Name":"a_data","CreatedAt":"now","Labels":{"com.docker.compose.project":"a"}}` + "\n"),
			Stderr: []byte("Error: No such volume: gone\n")}, nil
	}
	got, err := open(t, w.World()).Volumes(t.Context())
	if want := []docker.Volume{{Name: "a_data", Project: "a", CreatedAt: "now"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestHasImage asks for each image on its own.
func TestHasImage(t *testing.T) {
	there := newEngine(t, 200, `{"Id":"x"}`)
	if ok, err := open(t, there.World()).HasImage(t.Context(), "registry:5000/a/b:1@sha256:0"); !ok || err != nil || there.requests[0] != "GET /images/registry:5000/a/b:1@sha256:0/json docker" {
		t.Errorf("got %v, %v, asked %q", ok, err, there.requests)
	}
	if ok, err := open(t, newEngine(t, 404, `{"message":"No such image: a"}`).World()).HasImage(t.Context(), "a"); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if _, err := open(t, newEngine(t, 500, `{"message":"out of luck"}`).World()).HasImage(t.Context(), "a"); !errors.Is(err, docker.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestRealVolumes: both ways of asking give the same, of volumes, images and networks.
func TestRealVolumes(t *testing.T) {
	dockertest.Need(t)
	const name = "kinfra-test-volumes_data"
	must(t, exec.Command("docker", "volume", "create", "--label", "com.docker.compose.project=kinfra-test-volumes", name).Run())
	t.Cleanup(func() { must(t, exec.Command("docker", "volume", "rm", name).Run()) })
	var found []docker.Volume
	for _, tls := range []string{"", "1"} {
		e := open(t, withTLS(world.Real("test"), tls))
		volumes, err := e.Volumes(t.Context())
		must(t, err)
		for _, v := range volumes {
			if v.Name == name {
				found = append(found, v)
			}
		}
		for image, want := range map[string]bool{"kinfra-test/service": true, "kinfra-test/service:latest": true, "kinfra-test/there-is-none:1": false} {
			if ok, err := e.HasImage(t.Context(), image); ok != want || err != nil {
				t.Errorf("image %s: %v, %v", image, ok, err)
			}
		}
	}
	const network = "kinfra-test-volumes_default"
	must(t, exec.Command("docker", "network", "create", "--label", "com.docker.compose.project=kinfra-test-volumes", network).Run())
	t.Cleanup(func() { must(t, exec.Command("docker", "network", "rm", network).Run()) })
	var networks []docker.Network
	for _, tls := range []string{"", "1"} {
		list, err := open(t, withTLS(world.Real("test"), tls)).Networks(t.Context(), "kinfra-test-volumes")
		must(t, err)
		networks = append(networks, list...)
	}
	if len(networks) != 2 || networks[0] != networks[1] || networks[0].Name != network || networks[0].ID == "" {
		t.Errorf("got %+v", networks)
	}
	if len(found) != 2 || found[0] != found[1] || found[0].Project != "kinfra-test-volumes" || found[0].CreatedAt == "" {
		t.Errorf("got %+v", found)
	}
}
