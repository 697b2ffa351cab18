package compose_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/compose"
	"github.com/ktrdr/kinfra/internal/envfile"
)

// demand is the variable that makes the tests below fail, not skip, where Compose
// isn't installed (.ci/compose/install does that).
const demand = "KINFRA_DEMAND_COMPOSE"

// dockerCompose returns the path of a docker command that has Compose v2.
func dockerCompose(t *testing.T) string {
	t.Helper()
	docker, err := exec.LookPath("docker")
	if err == nil {
		var version []byte
		version, err = exec.Command(docker, "compose", "version", "--short").Output()
		if v := strings.TrimPrefix(string(version), "v"); err == nil && !strings.HasPrefix(v, "2.") {
			err = fmt.Errorf("docker compose is version %q", v)
		}
	}
	switch {
	case err == nil:
		return docker
	case os.Getenv(demand) == "1":
		t.Fatalf("Compose v2 is not installed: %v", err)
	default:
		t.Skipf("Compose v2 is not installed: %v", err)
	}
	return ""
}

// config runs docker compose config on s with its environment and nothing else.
func (s sample) config(t *testing.T, docker string, flags ...string) (stdout []byte, err error) {
	t.Helper()
	path, err := filepath.Abs(s.path)
	if err != nil {
		t.Fatal(err)
	}
	env, err := envfile.Encode(s.env)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "env"), env, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"compose", "--project-directory", filepath.Dir(path), "--project-name", "oracle", "--env-file", filepath.Join(dir, "env"), "-f", path, "config"}
	cmd := exec.Command(docker, append(args, flags...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "DOCKER_CONFIG=" + os.Getenv("DOCKER_CONFIG")}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if stdout, err = cmd.Output(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return stdout, nil
}

// TestAgreesWithCompose compares services and ports of the whole corpus with what
// the real Compose makes of them.
func TestAgreesWithCompose(t *testing.T) {
	docker := dockerCompose(t)
	for _, s := range samples(t, "*.yml", 30) {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			out, err := s.config(t, docker, "--format", "json")
			if err != nil {
				t.Fatal(err)
			}
			wantServices, wantPorts := parseConfig(t, out)
			services, ports, err := s.resolve()
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(services)
			if !slices.Equal(services, wantServices) {
				t.Errorf("services: got %q, Compose has %q", services, wantServices)
			}
			var got []string
			for _, p := range ports {
				got = append(got, p.Service+" "+binding(p))
			}
			slices.Sort(got)
			if !slices.Equal(got, wantPorts) {
				t.Errorf("ports: got\n%s\nCompose has\n%s", strings.Join(got, "\n"), strings.Join(wantPorts, "\n"))
			}
		})
	}
}

// parseConfig returns sorted services and ports, written as by binding.
func parseConfig(t *testing.T, out []byte) (services, ports []string) {
	t.Helper()
	var config struct {
		Services map[string]struct {
			Ports []struct {
				HostIP    string `json:"host_ip"`
				Published string `json:"published"`
				Target    int    `json:"target"`
				Protocol  string `json:"protocol"`
			} `json:"ports"`
		} `json:"services"`
	}
	if err := json.Unmarshal(out, &config); err != nil {
		t.Fatalf("docker compose config: %v in %s", err, out)
	}
	for name, s := range config.Services {
		services = append(services, name)
		for _, p := range s.Ports {
			published := p.Published
			if published == "0" { // as good as none: Docker chooses
				published = ""
			}
			ports = append(ports, fmt.Sprintf("%s [%s]:%s:%d/%s", name, p.HostIP, published, p.Target, cmp.Or(p.Protocol, "tcp")))
		}
	}
	slices.Sort(services)
	slices.Sort(ports)
	return services, ports
}

// TestComposeRefusesToo checks that what the corpus calls invalid is so to
// Compose, and that it takes the files that this package is stricter about.
func TestComposeRefusesToo(t *testing.T) {
	docker := dockerCompose(t)
	for _, s := range samples(t, "invalid/*.yml", 50) {
		t.Run(s.path, func(t *testing.T) {
			t.Parallel()
			if out, err := s.config(t, docker, "--format", "json"); err == nil {
				t.Errorf("Compose takes it: %s", out)
			}
		})
	}
	for _, s := range samples(t, "stricter/*.yml", 5) {
		t.Run(s.path, func(t *testing.T) {
			t.Parallel()
			if _, err := s.config(t, docker, "--format", "json"); err != nil {
				t.Errorf("Compose refuses it, too: %v", err)
			}
		})
	}
}

// TestVariablesAgreeWithCompose compares the variables' names. Of their defaults
// Compose 2.40 shows those of any one reference.
func TestVariablesAgreeWithCompose(t *testing.T) {
	docker := dockerCompose(t)
	for _, s := range samples(t, "*.yml", 30) {
		if slices.Contains([]string{"extends", "long_variables"}, s.name()) {
			continue // config --variables resolves these without interpolation, and fails
		}
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			out, err := s.config(t, docker, "--variables", "--format", "json")
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := json.Unmarshal(out, &want); err != nil {
				t.Fatalf("docker compose config: %v in %s", err, out)
			}
			f, err := compose.Parse(s.data)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			for _, v := range f.Variables() {
				got[v.Name] = nil
			}
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, slices.Sorted(maps.Keys(want))) {
				t.Errorf("got %q, Compose has %q", names, slices.Sorted(maps.Keys(want)))
			}
		})
	}
}
