package stack_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestOverride(t *testing.T) {
	got, err := stack.Override("/home/me/my $tree", map[string][]stack.Mount{
		"worker": {{Source: "src", Target: "/app/src/"}},
		"api":    {{Source: "src", Target: "/app/src"}, {Source: ".", Target: "/all", ReadOnly: true}},
		"db":     {},
	}, nil)
	worldtest.Must(t, err)
	const want = `services:
  api:
    volumes:
      - type: bind
        source: /home/me/my $$tree/src
        target: /app/src
        bind:
          create_host_path: false
      - type: bind
        source: /home/me/my $$tree
        target: /all
        read_only: true
        bind:
          create_host_path: false
  worker:
    volumes:
      - type: bind
        source: /home/me/my $$tree/src
        target: /app/src
        bind:
          create_host_path: false
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	empty, err := stack.Override("/w", nil, nil)
	if err != nil || string(empty) != "services: {}\n" {
		t.Errorf("without mounts: %q, %v", empty, err)
	}
}

// TestSources: a directory that was made anew changes the file of the services that
// see it, and of no other; what isn't there is named.
func TestSources(t *testing.T) {
	w := world.NewFake()
	files := w.Host()
	mounts := map[string][]stack.Mount{
		"api":    {{Source: "src", Target: "/app/src"}, {Source: "conf.toml", Target: "/app/conf.toml"}},
		"worker": {{Source: "lib", Target: "/app/lib"}},
	}
	override := func() map[string]string {
		t.Helper()
		found, err := stack.FindSources(files, "/w", mounts)
		worldtest.Must(t, err)
		data, err := stack.Override("/w", mounts, found)
		worldtest.Must(t, err)
		var file struct {
			Services map[string]struct{ Labels map[string]string }
		}
		worldtest.Must(t, yaml.Unmarshal(data, &file))
		labels := map[string]string{}
		for name, service := range file.Services {
			labels[name] = service.Labels["kinfra.sources"]
		}
		return labels
	}
	worldtest.Must(t, files.MkdirAll("/w/src", 0o755))
	worldtest.Must(t, files.MkdirAll("/w/python", 0o755))
	worldtest.Must(t, files.Symlink("python", "/w/lib"))
	w.Write("/w/conf.toml", nil)
	first := override()
	w.Write("/w/src/code.py", []byte("x = 1\n"))
	if again := override(); !maps.Equal(again, first) || first["api"] == "" || first["worker"] == "" {
		t.Errorf("without a change of what is mounted the labels are %v, were %v", again, first)
	}
	worldtest.Must(t, files.RemoveAll("/w/src"))
	worldtest.Must(t, files.MkdirAll("/w/src", 0o755))
	if anew := override(); anew["api"] == first["api"] || anew["worker"] != first["worker"] {
		t.Errorf("of a directory that was made anew the labels are %v, were %v", anew, first)
	}
	for _, gone := range []struct{ path, text string }{
		{"/w/python", "service worker is to see lib of the worktree /w, where there is none"},
		{"/w/conf.toml", "service api is to see conf.toml of the worktree /w, where there is none"},
	} {
		worldtest.Must(t, files.RemoveAll(gone.path))
		_, err := stack.FindSources(files, "/w", mounts)
		worldtest.WantErr(t, err, stack.ErrNoSource)
		if err == nil || !strings.Contains(err.Error(), gone.text) {
			t.Errorf("without %s: %v", gone.path, err)
		}
	}
	worldtest.Must(t, files.RemoveAll("/w"))
	w.Write("/w", nil)
	_, err := stack.FindSources(files, "/w", mounts)
	worldtest.WantErr(t, err, stack.ErrNoSource)
}

func TestOverrideRefuses(t *testing.T) {
	ok := stack.Mount{Source: "src", Target: "/app"}
	for name, tt := range map[string]struct {
		worktree string
		mounts   []stack.Mount
	}{
		"relative worktree":    {"w", []stack.Mount{ok}},
		"worktree not UTF-8":   {"/\xff", []stack.Mount{ok}},
		"NUL":                  {"/w", []stack.Mount{{Source: "a\x00", Target: "/app"}}},
		"source out of it":     {"/w", []stack.Mount{{Source: "../x", Target: "/app"}}},
		"source out by detour": {"/w", []stack.Mount{{Source: "a/../../x", Target: "/app"}}},
		"absolute source":      {"/w", []stack.Mount{{Source: "/etc", Target: "/app"}}},
		"no source":            {"/w", []stack.Mount{{Target: "/app"}}},
		"relative target":      {"/w", []stack.Mount{{Source: "src", Target: "app"}}},
		"target is the root":   {"/w", []stack.Mount{{Source: "src", Target: "/x/.."}}},
		"target twice":         {"/w", []stack.Mount{ok, {Source: "other", Target: "/app/"}}},
	} {
		_, err := stack.Override(tt.worktree, map[string][]stack.Mount{"api": tt.mounts}, nil)
		worldtest.WantErr(t, err, stack.ErrMount)
		if err != nil && !strings.Contains(err.Error(), "service api") {
			t.Errorf("%s: %v doesn't name the service", name, err)
		}
	}
}

// FuzzOverride reads paths back as Compose does: YAML, then its variables.
func FuzzOverride(f *testing.F) {
	for _, path := range []string{"a b", "#", "$HOME", "${X:-y}", "a:b", `"'` + "`", "\t\n", "- x", "{}", "*", "!x", " ", "\u2028\x7f\u0085", "~", "null", "0x1"} {
		f.Add(path, "src/"+path)
	}
	f.Fuzz(func(t *testing.T, worktree, source string) {
		worktree = "/" + worktree
		data, err := stack.Override(worktree, map[string][]stack.Mount{"api": {{Source: source, Target: "/app/" + source}}}, nil)
		if err != nil {
			if utf8.ValidString(worktree) && utf8.ValidString(source) && filepath.IsLocal(source) && !strings.Contains(worktree+source, "\x00") {
				t.Errorf("%q, %q: %v", worktree, source, err)
			}
			return
		}
		var file struct {
			Services map[string]struct {
				Volumes []struct{ Source, Target string }
			}
		}
		worldtest.Must(t, yaml.Unmarshal(data, &file))
		volumes := file.Services["api"].Volumes
		if len(volumes) != 1 {
			t.Fatalf("got %s", data)
		}
		got, err := template.Substitute(volumes[0].Source, func(string) (string, bool) { return "changed", true })
		if want := filepath.Join(worktree, source); err != nil || got != want {
			t.Errorf("source %q came back as %q, %v:\n%s", want, got, err, data)
		}
	})
}
