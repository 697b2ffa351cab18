package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/dockertest"
	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// shippedTemplate is the Compose file that is shipped.
const shippedTemplate = "../../scripts/templates/docker-compose.yml"

// slot is a slot of a pool of this test's own.
type slot struct {
	stack.Stack
	env   map[string]string
	ports []compose.Port
	made  *stack.Volumes // the record
}

// ports gives the ports of slot number n, which lies beyond those of users' pools.
func ports(n int) map[string]int {
	return map[string]int{
		"API": 8000 + n, "DB": 5432 + n, "GRAFANA": 3000 + n, "JAEGER_UI": 16686 + n,
		"PROMETHEUS": 9090 + n, "OTLP_GRPC": 4317 + 10*n, "OTLP_HTTP": 4318 + 10*n,
	}
}

// newSlot makes the directory of slot n below root, with a Compose file and what env
// adds to the slot's environment, and takes its stack down when the test ends. It waits
// for the tests of another checkout that have slot n on this Engine now.
func newSlot(t *testing.T, root string, n int, content []byte, env map[string]string) slot {
	t.Helper()
	dockertest.Need(t)
	dockertest.Alone(t, fmt.Sprintf("stack-%d", n))
	dir := filepath.Join(root, "sandboxes", fmt.Sprintf("slot-%d", n))
	s := slot{env: map[string]string{"SLOT_ID": fmt.Sprint(n)}, made: new(stack.Volumes)}
	for name, port := range ports(n) {
		s.env["KTRDR_"+name+"_PORT"] = fmt.Sprint(port)
	}
	for _, name := range []string{"DATA", "MODELS", "STRATEGIES"} {
		shared := filepath.Join(root, "shared", strings.ToLower(name))
		worldtest.Must(t, os.MkdirAll(shared, 0o700))
		s.env["KTRDR_"+name+"_DIR"] = shared
	}
	for name, value := range env {
		s.env[name] = value
	}
	s.Stack = stack.Stack{
		Root:    root,
		Project: fmt.Sprintf("kinfra-test-%d", n),
		Dir:     dir,
		EnvFile: filepath.Join(dir, ".env.sandbox"),
		Files:   []string{filepath.Join(dir, "docker-compose.yml")},
	}
	worldtest.Must(t, os.MkdirAll(dir, 0o700))
	if content == nil {
		content = []byte("services: {}\n") // what the test replaces
	}
	worldtest.Must(t, os.WriteFile(s.Files[0], content, 0o600))
	s.writeEnv(t)
	t.Cleanup(func() {
		if err := s.down(context.Background(), true); err != nil {
			t.Errorf("taking the stack down after the test: %v", err)
		}
		wantNothing(t, s.Project)
	})
	return s
}

// writeEnv writes the slot's environment anew, and reads its ports by it.
func (s *slot) writeEnv(t *testing.T) {
	t.Helper()
	data, err := envfile.Encode(s.env)
	worldtest.Must(t, err)
	worldtest.Must(t, os.WriteFile(s.EnvFile, data, 0o600))
	content, err := os.ReadFile(s.Files[0])
	worldtest.Must(t, err)
	file, err := compose.Parse(content)
	worldtest.Must(t, err)
	s.ports, err = file.Published(s.env)
	worldtest.Must(t, err)
}

func (s slot) up(ctx context.Context, o stack.Options) error {
	o.Ports = s.ports
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Minute
	}
	o.Made, o.Begin, o.Record = *s.made, s.record, s.record
	return stack.Up(ctx, world.Real("test"), s.Stack, o)
}

func (s slot) down(ctx context.Context, volumes bool) error {
	return stack.Down(ctx, world.Real("test"), s.Stack, stack.DownOptions{Volumes: volumes, Made: *s.made, Record: s.record})
}

func (s slot) record(_ context.Context, made stack.Volumes) error {
	*s.made = made
	return nil
}

func shipped(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile(shippedTemplate)
	worldtest.Must(t, err)
	return content
}

// tempRoot is a pool's root.
func tempRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	worldtest.Must(t, err)
	return root
}

// left lists what Docker has under a project's name.
func left(t *testing.T, project string) string {
	t.Helper()
	var all []string
	for _, list := range [][]string{{"ps", "-a", "--format", "container {{.Names}}"}, {"network", "ls", "--format", "network {{.Name}}"}, {"volume", "ls", "--format", "volume {{.Name}}"}} {
		out, err := exec.Command("docker", append(list, "--filter", "label=com.docker.compose.project="+project)...).Output()
		worldtest.Must(t, err)
		all = append(all, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}

func wantNothing(t *testing.T, project string) {
	t.Helper()
	found := left(t, project)
	if network, ok := strings.CutPrefix(found, "network "); ok && isStuck(network) {
		t.Logf("the Engine can't remove the empty network %s, by a fault of its own", network)
		return
	}
	if found != "" {
		t.Errorf("left of project %s:\n%s", project, found)
	}
}

// isStuck tells whether the Engine takes a network without containers to have some
// (github.com/moby/moby/issues/42119).
func isStuck(network string) bool {
	containers, err := exec.Command("docker", "network", "inspect", "--format", "{{len .Containers}}", network).Output()
	if err != nil || strings.TrimSpace(string(containers)) != "0" {
		return false
	}
	out, _ := exec.Command("docker", "network", "rm", network).CombinedOutput()
	return strings.Contains(string(out), "active endpoints")
}

// state asks the Engine how a slot is.
func (s slot) state(t *testing.T, services map[string]int) docker.State {
	t.Helper()
	w := world.Real("test")
	engine, err := docker.Open(w)
	worldtest.Must(t, err)
	containers, err := engine.Containers(t.Context())
	worldtest.Must(t, err)
	states, _ := docker.Survey(w, s.Root, containers, []docker.Expected{{Project: s.Project, Services: services}})
	return states[0]
}

// answer is what a service of the images answers.
type answer struct {
	Status, Host string
	Env          map[string]string
}

func get(t *testing.T, port int, path string) (code int, a answer) {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	worldtest.Must(t, err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && response.Header.Get("Content-Type") == "application/json" {
		worldtest.Must(t, json.NewDecoder(response.Body).Decode(&a))
	}
	return response.StatusCode, a
}
