package stack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// TestEnvironment: a Compose command gets nothing of the caller's that the slot sets, that is
// Compose's own, or that kinfra sets.
func TestEnvironment(t *testing.T) {
	m := newMachine()
	m.Env = map[string]string{
		"PATH": "/usr/bin", "HOME": "/home/user", "DOCKER_HOST": m.Env["DOCKER_HOST"], "LANG": "C", "TOKEN": "caller", // reach it
		"TZ": "caller", "WEB_PORT": "17399", "LEVEL": "caller", "PWD": "/elsewhere", "COMPOSE_FILE": "/elsewhere.yml",
		"COMPOSE_IGNORE_ORPHANS": "true", "DOCKER_WEB_PORT": "17399", "BUILDX_BUILDER": "elsewhere",
	}
	s := m.stack()
	s.Sets = []string{"TZ", "WEB_PORT", "LEVEL", "PATH"}
	s.Pass = []string{"TOKEN", "LEVEL", "PWD", "COMPOSE_FILE", "COMPOSE_IGNORE_ORPHANS"}
	want := []string{"COMPOSE_IGNORE_ORPHANS=false", "DOCKER_HOST=" + m.Env["DOCKER_HOST"], "HOME=/home/user", "LANG=C", "PATH=/usr/bin", "PWD=" + s.Dir, "TOKEN=caller"}

	m.list = func(int) []string { return []string{runs} }
	worldtest.Must(t, stack.Up(t.Context(), m.World(), s, stack.Options{}))
	envs := map[string][]string{"exec": s.Exec(m.World(), "web").Env, "logs": s.Logs(m.World()).Env, "shell": s.Shell(m.World(), "web", "").Env}
	for _, command := range []string{"config", "up"} {
		envs[command] = m.envs[command]
	}
	for command, got := range envs {
		if got := slices.Sorted(slices.Values(got)); !slices.Equal(got, want) {
			t.Errorf("%s gets %q\nwant %q", command, got, want)
		}
	}
	s.BaseDir = "/src/shop"
	if got := s.Logs(m.World()).Env; !slices.Contains(got, "PWD=/src/shop") || slices.Contains(got, "PWD="+s.Dir) {
		t.Errorf("in a project's directory, logs gets %q", got)
	}
}

// redirected is a project that shows where Compose was led.
const redirected = `
services:
  web:
    image: nginx
    ports: ["${DOCKER_WEB_PORT:-17300}:80"]
    environment: {LEVEL: "${LEVEL:-none}", ZONE: "${TZ:-none}"}
    volumes: ["${PWD}/data:/data"]
  debug:
    image: nginx
    profiles: [debug]
`

// TestComposeIsNotRedirected has Compose read a project, and sees that the caller's
// environment changes nothing of it, nor what the project's .env says of Compose's own
// switches, but for those of the project.
func TestComposeIsNotRedirected(t *testing.T) {
	if out, err := exec.Command("docker", "compose", "version", "--short").Output(); err != nil || !strings.HasPrefix(strings.TrimPrefix(string(out), "v"), "2.") {
		if os.Getenv("KINFRA_DEMAND_COMPOSE") == "1" {
			t.Fatalf("Compose v2 is not installed: %v, %q", err, out)
		}
		t.Skipf("Compose v2 is not installed: %v, %q", err, out)
	}
	dir, elsewhere := t.TempDir(), t.TempDir()
	own, project := filepath.Join(dir, "slot"), filepath.Join(dir, "project")
	s := stack.Stack{
		Root: dir, Project: "kinfra-test-env", Dir: own, EnvFile: filepath.Join(own, ".env.sandbox"), Files: []string{filepath.Join(own, "docker-compose.yml")},
		BaseDir: project, BaseEnv: filepath.Join(project, ".env"), Sets: []string{"TZ"},
	}
	for path, text := range map[string]string{
		s.EnvFile: "TZ=Europe/Vienna\n", s.Files[0]: redirected, s.BaseEnv: "",
		filepath.Join(elsewhere, "compose.yml"): "services: {other: {image: busybox}}\n", filepath.Join(elsewhere, "env"): "LEVEL=elsewhere\n",
	} {
		worldtest.Must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		worldtest.Must(t, os.WriteFile(path, []byte(text), 0o600))
	}
	config := func(t *testing.T) string {
		t.Helper()
		w := world.Real("test")
		cmd := s.Logs(w)
		cmd.Args, cmd.Timeout = append(slices.DeleteFunc(cmd.Args, func(arg string) bool { return arg == "logs" }), "config"), time.Minute
		out, err := w.Processes.Run(t.Context(), cmd)
		if err != nil || out.Code != 0 {
			t.Fatalf("code %d, %v: %s", out.Code, err, out.Stderr)
		}
		return string(out.Stdout)
	}
	plain := config(t)
	for _, part := range []string{"name: kinfra-test-env\n", `published: "17300"`, "ZONE: Europe/Vienna\n", "LEVEL: none\n", "source: " + project + "/data\n"} {
		if !strings.Contains(plain, part) {
			t.Fatalf("Compose makes of it\n%s\nwant %q in it", plain, part)
		}
	}

	for _, test := range []struct {
		name string
		env  []string // NAME=VALUE
	}{
		{"a port", []string{"DOCKER_WEB_PORT=17399"}},
		{"what the slot sets", []string{"TZ=elsewhere"}},
		{"another directory", []string{"PWD=" + elsewhere}},
		{"Compose's own", []string{
			"COMPOSE_FILE=" + elsewhere + "/compose.yml", "COMPOSE_PROJECT_NAME=elsewhere", "COMPOSE_PROFILES=debug", "COMPOSE_ENV_FILES=" + elsewhere + "/env",
			"COMPOSE_DISABLE_ENV_FILE=1", "COMPOSE_REMOVE_ORPHANS=1", "COMPOSE_IGNORE_ORPHANS=1", "COMPOSE_DRY_RUN=1", "COMPOSE_PATH_SEPARATOR=/",
			"COMPOSE_PARALLEL_LIMIT=none", "COMPOSE_PROGRESS=none such", "COMPOSE_BAKE=none such", "COMPOSE_ANSI=always", "COMPOSE_COMPATIBILITY=1", "COMPOSE_CONVERT_WINDOWS_PATHS=1",
		}},
	} {
		t.Run("the caller's shell: "+test.name, func(t *testing.T) {
			for _, entry := range test.env {
				name, value, _ := strings.Cut(entry, "=")
				t.Setenv(name, value)
			}
			if got := config(t); got != plain {
				t.Errorf("Compose makes of it\n%s\nwant\n%s", got, plain)
			}
		})
	}

	env := func(t *testing.T, lines ...string) string {
		worldtest.Must(t, os.WriteFile(s.BaseEnv, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
		return config(t)
	}
	t.Run("the project's .env: no switch leads kinfra's own call elsewhere", func(t *testing.T) {
		got := env(t, "COMPOSE_FILE="+elsewhere+"/compose.yml", "COMPOSE_PROJECT_NAME=elsewhere", "COMPOSE_ENV_FILES="+elsewhere+"/env",
			"COMPOSE_DISABLE_ENV_FILE=none such", "COMPOSE_REMOVE_ORPHANS=1", "COMPOSE_IGNORE_ORPHANS=1", "COMPOSE_DRY_RUN=1", "COMPOSE_PATH_SEPARATOR=/",
			"COMPOSE_PROGRESS=none such", "COMPOSE_ANSI=always", "COMPOSE_MENU=1", "COMPOSE_STATUS_STDOUT=1", "TZ=elsewhere", "PWD="+elsewhere,
			"DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CONTEXT=elsewhere", "DOCKER_CONFIG="+elsewhere)
		if got != plain {
			t.Errorf("Compose makes of it\n%s\nwant\n%s", got, plain)
		}
	})
	t.Run("the project's .env: profiles and values mean what they mean to Compose", func(t *testing.T) {
		got := env(t, "COMPOSE_PROFILES=debug", "LEVEL=project", "DOCKER_WEB_PORT=17301")
		for _, part := range []string{"\n  debug:\n", "LEVEL: project\n", `published: "17301"`} {
			if !strings.Contains(got, part) {
				t.Errorf("Compose makes of it\n%s\nwant %q in it", got, part)
			}
		}
	})
}
