package docker_test

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/dockertest"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestRealEngine reads a container from a real Engine, directly and by the docker
// command, which must agree.
func TestRealEngine(t *testing.T) {
	dockertest.Need(t)
	const project = "kinfra-test-list"
	const volume = "kinfra-test-list_data"
	t.Cleanup(func() { must(t, exec.Command("docker", "volume", "rm", volume).Run()) })
	out, err := exec.Command("docker", "run", "--detach", "--rm",
		"--label", "com.docker.compose.project="+project, "--label", "com.docker.compose.service=s",
		"--label", "com.docker.compose.project.working_dir=/a dir, with 'comma'", "--label", "com.docker.compose.project.config_files=/a.yml,/b.yml",
		"--volume", volume+":/data", "--volume", "/tmp:/of-the-host", "--health-cmd", "curl http://localhost/", "kinfra-test/service").Output()
	must(t, err)
	id := strings.TrimSpace(string(out))
	t.Cleanup(func() { must(t, exec.Command("docker", "rm", "--force", id).Run()) })

	var found []docker.Container
	for _, tls := range []string{"", "1"} {
		w := withTLS(world.Real("test"), tls)
		e, err := docker.Open(w)
		must(t, err)
		containers, err := e.Containers(t.Context())
		must(t, err)
		for _, c := range containers {
			if c.ID == id {
				c.Status = "" // has the time in it
				found = append(found, c)
			}
		}
	}
	if len(found) != 2 || !reflect.DeepEqual(found[0], found[1]) {
		t.Fatalf("got %+v", found)
	}
	c := found[0]
	if c.Project != project || c.Service != "s" || c.Dir != "/a dir, with 'comma'" || len(c.Files) != 2 || c.Health != "starting" || !c.Running() || !reflect.DeepEqual(c.Networks, []string{"bridge"}) || !reflect.DeepEqual(c.Volumes, []string{volume}) {
		t.Errorf("got %+v", c)
	}
}

// withTLS makes Locate take the Engine for one that is spoken to by TLS, without
// telling the docker command so.
func withTLS(w world.World, tls string) world.World {
	env := w.Env
	w.Env = worldtest.Environment{Environment: env, OnGetenv: func(name string) (string, bool) {
		switch {
		case name == "DOCKER_TLS_VERIFY":
			return tls, true
		case name == "DOCKER_HOST" && tls != "":
			return "tcp://nowhere:1", true
		}
		return env.Getenv(name)
	}}
	return w
}
