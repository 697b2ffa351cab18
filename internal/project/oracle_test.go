package project_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/envfile"
)

// demand is the variable that makes the test below fail, not skip, where Compose isn't
// installed (.ci/compose/install does that).
const demand = "KINFRA_DEMAND_COMPOSE"

// TestAgreesWithCompose has the real Compose say what each changed project publishes:
// by itself what it published before, and in a slot the slot's ports.
func TestAgreesWithCompose(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err == nil {
		err = exec.Command(docker, "compose", "version").Run()
	}
	switch {
	case err != nil && os.Getenv(demand) == "1":
		t.Fatalf("Compose v2 is not installed: %v", err)
	case err != nil:
		t.Skipf("Compose v2 is not installed: %v", err)
	}
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			plan := s.make(t, s.machine().World())
			o := oracle{t: t, docker: docker, dir: t.TempDir(), file: plan.File}
			for _, f := range s.files {
				o.write(f.Name, f.Data)
			}
			before := o.published(nil)
			o.write(plan.File, plan.Changed)
			if after := o.published(nil); !slices.Equal(before, after) {
				t.Errorf("by itself it published %q, and publishes %q when it is changed", before, after)
			}
			if len(plan.ByHand) > 0 {
				return
			}
			const slot = 3
			var want []string
			for _, p := range plan.Ports {
				want = append(want, fmt.Sprint(p.Base+slot*p.Step))
			}
			slices.Sort(want)
			if got := slices.Compact(o.published(slotEnv(plan, slot))); !slices.Equal(got, want) {
				t.Errorf("slot %d publishes %q, want %q", slot, got, want)
			}
		})
	}
}

// oracle is the real Compose in a directory with a project.
type oracle struct {
	t           *testing.T
	docker, dir string
	file        string
}

func (o oracle) write(name string, data []byte) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// published is the ports of the host, sorted; "" for one that Docker chooses.
func (o oracle) published(env map[string]string) []string {
	o.t.Helper()
	required := map[string]string{"IMAGE": "web", "SECRET": "s", "PORT": "8079"} // of testdata/required.txtar
	for name := range env {
		delete(required, name)
	}
	var files []string
	for name, variables := range map[string]map[string]string{"required.env": required, "slot.env": env} {
		data, err := envfile.Encode(variables)
		if err != nil {
			o.t.Fatal(err)
		}
		o.write(name, data)
	}
	if _, err := os.Stat(filepath.Join(o.dir, ".env")); err == nil {
		files = append(files, "--env-file", ".env")
	}
	files = append(files, "--env-file", "required.env", "--env-file", "slot.env")
	args := slices.Concat([]string{"compose", "--project-name", "oracle"}, files, []string{"-f", o.file, "config", "--format", "json"})
	cmd := exec.Command(o.docker, args...)
	cmd.Dir = o.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "DOCKER_CONFIG=" + os.Getenv("DOCKER_CONFIG")}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("docker compose config: %v: %s", err, &stderr)
	}
	var config struct {
		Services map[string]struct {
			Ports []struct{ Published string }
		}
	}
	if err := json.Unmarshal(out, &config); err != nil {
		o.t.Fatal(err)
	}
	var all []string
	for _, s := range config.Services {
		for _, p := range s.Ports {
			if p.Published == "0" { // as good as none
				p.Published = ""
			}
			all = append(all, p.Published)
		}
	}
	slices.Sort(all)
	return all
}
