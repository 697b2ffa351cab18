package world

import (
	"slices"
	"strings"
	"testing"
)

// TestNothingPassedRedirects: what a child process gets of the caller's environment is
// what is listed here, by whatever names Compose, docker and a compose file ask.
func TestNothingPassedRedirects(t *testing.T) {
	names := []string{"DOCKER_WEB_PORT", "DOCKER_", "COMPOSE_NEXT", "BUILDX_NEXT", "BUILDKIT_NEXT", "COMPOSE_DRY_RUN", "LD_PRELOAD", "GIT_DIR", "KINFRA_ROOT", ""}
	for _, v := range variables {
		names = append(names, strings.TrimSuffix(v.name, "*"), strings.Replace(v.name, "*", "NEXT", 1))
	}
	w := NewFake()
	w.Env = map[string]string{}
	for _, name := range names {
		w.Env[name] = "x"
	}
	var got []string
	for _, entry := range CleanEnv(w.World()) {
		got = append(got, strings.TrimSuffix(entry, "=x"))
	}
	want := []string{"DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_TLS_VERIFY",
		"HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LC_", "LC_NEXT", "LOGNAME", "NO_PROXY", "PATH", "SSH_AUTH_SOCK", "TMPDIR", "TZ", "USER",
		"XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "http_proxy", "https_proxy", "no_proxy"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestVariablesAreDecidedOnce: no row of the table hides another, and each has a reason.
func TestVariablesAreDecidedOnce(t *testing.T) {
	for i, v := range variables {
		for j, other := range variables {
			if i != j && other.covers(v.name) {
				t.Errorf("%s stands in two rows", v.name)
			}
		}
		if v.why == "" {
			t.Errorf("%s has no reason", v.name)
		}
	}
}
