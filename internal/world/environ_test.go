package world_test

import (
	"slices"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestCleanEnv(t *testing.T) {
	w := world.NewFake()
	w.Env = map[string]string{
		"PATH": "/bin", "HOME": "/home/user", "LC_ALL": "C", "DOCKER_HOST": "tcp://x=y", "https_proxy": "p", "NO_PROXY": "",
		"COMPOSE_PROJECT_NAME": "other", "KTRDR_API_PORT": "1", "KTRDR_BACKEND_IMAGE": "image", "LD_PRELOAD": "x",
		"MY_DOCKER_HOST": "x", "XDG_CACHE_HOME": "x", "PATHS": "x",
	}
	got := world.CleanEnv(w.World(), "KTRDR_BACKEND_IMAGE", "UNSET")
	want := []string{"DOCKER_HOST=tcp://x=y", "HOME=/home/user", "KTRDR_BACKEND_IMAGE=image", "LC_ALL=C", "NO_PROXY=", "PATH=/bin", "https_proxy=p"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// The environment is one that a careless program has put together.
func TestCleanEnvOfOddEntries(t *testing.T) {
	w := world.NewFake().World()
	w.Env = worldtest.Environment{Environment: w.Env, OnEnviron: func() []string {
		return []string{"TZ=first", "HOME", "=PATH", "TZ=second", ""}
	}}
	if got := world.CleanEnv(w); !slices.Equal(got, []string{"TZ=first"}) {
		t.Errorf("got %q", got)
	}
}
