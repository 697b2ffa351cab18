package envfile_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/envfile"
)

// TestComposeReadsBack has the real Compose read the nasty values, with
// --env-file and from the .env beside the Compose file. Where Compose isn't
// installed it is skipped, unless KINFRA_DEMAND_COMPOSE is 1.
func TestComposeReadsBack(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err == nil {
		err = exec.Command(docker, "compose", "version").Run()
	}
	if err != nil {
		if os.Getenv("KINFRA_DEMAND_COMPOSE") == "1" {
			t.Fatalf("Compose is not installed: %v", err)
		}
		t.Skipf("Compose is not installed: %v", err)
	}
	vars := map[string]string{}
	for i, value := range nasty {
		vars[fmt.Sprintf("NASTY_%03d", i)] = value
		if refusable(value) {
			delete(vars, fmt.Sprintf("NASTY_%03d", i))
		}
	}
	data, err := envfile.Encode(vars)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
	}{
		{".env", nil},
		{"vars.env", []string{"--env-file", "vars.env"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range map[string]string{tt.name: string(data), "compose.yml": "services: {web: {image: x}}\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(docker, append(append([]string{"compose"}, tt.args...), "-p", "oracle", "config", "--environment")...)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "DOCKER_CONFIG=" + os.Getenv("DOCKER_CONFIG")}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for line := range strings.SplitSeq(string(out), "\n") {
				key, value, _ := strings.Cut(line, "=")
				got[key] = value
			}
			for key, value := range vars {
				if got[key] != value {
					t.Errorf("%s: Compose reads %q, want %q", key, got[key], value)
				}
			}
		})
	}
}
