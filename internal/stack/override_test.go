package stack_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/internal/stack"
)

func TestOverride(t *testing.T) {
	got, err := stack.Override("/home/me/my $tree", map[string][]stack.Mount{
		"worker": {{Source: "src", Target: "/app/src/"}},
		"api":    {{Source: "src", Target: "/app/src"}, {Source: ".", Target: "/all", ReadOnly: true}},
		"db":     {},
	})
	must(t, err)
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
	empty, err := stack.Override("/w", nil)
	if err != nil || string(empty) != "services: {}\n" {
		t.Errorf("without mounts: %q, %v", empty, err)
	}
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
		_, err := stack.Override(tt.worktree, map[string][]stack.Mount{"api": tt.mounts})
		wantErr(t, err, stack.ErrMount)
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
		data, err := stack.Override(worktree, map[string][]stack.Mount{"api": {{Source: source, Target: "/app/" + source}}})
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
		must(t, yaml.Unmarshal(data, &file))
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
