package lifecycle_test

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// manager is a manager of the machine's pool by another definition.
func (m *machine) manager(def lifecycle.Definition) *lifecycle.Manager {
	def.Root = root
	return lifecycle.New(m.Fake.World(), def, m.claims)
}

// TestProjectDirectory: relative paths lead into the holder's worktree, as long as it
// is there.
func TestProjectDirectory(t *testing.T) {
	m := newMachine(t)
	own := slot.Dir(root, 1)
	m.Write(trees+"a/deploy/.env", []byte("TOKEN=t\n"))
	worldtest.Must(t, m.Host().MkdirAll(trees+"b/deploy", 0o755))
	inside := m.manager(lifecycle.Definition{Project: "slot-%d", ProjectDir: "deploy"})
	for _, test := range []struct {
		name, worktree string
		manager        *lifecycle.Manager
		dir, env       string
		build          bool
	}{
		{"with a file of variables", trees + "a", inside, trees + "a/deploy", trees + "a/deploy/.env", true},
		{"without one", trees + "b", inside, trees + "b/deploy", "", true},
		{"a worktree that is gone", trees + "gone", inside, "", "", false},
		{"nobody holds it", "", inside, "", "", false},
		{"a pool without", trees + "a", m.manager(lifecycle.Definition{Project: "slot-%d"}), "", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := test.manager.Stack(1, test.worktree)
			if err != nil {
				t.Fatal(err)
			}
			if s.BaseDir != test.dir || s.BaseEnv != test.env || s.Build != test.build {
				t.Errorf("got %q, %q, %v, want %q, %q, %v", s.BaseDir, s.BaseEnv, s.Build, test.dir, test.env, test.build)
			}
			args := s.Logs(m.Fake.World()).Args
			dir := test.dir
			if dir == "" {
				dir = own
			}
			if i := slices.Index(args, "--project-directory"); i < 0 || args[i+1] != dir {
				t.Errorf("Compose gets %q, want the project directory %s", args, dir)
			}
			files := 0
			for i, arg := range args {
				if arg == "--env-file" {
					files++
					if last := args[i+1]; files == strings.Count(strings.Join(args, " "), "--env-file") && last != filepath.Join(own, slot.EnvName) {
						t.Errorf("the last file of variables is %s, want the slot's own", last)
					}
				}
			}
		})
	}
}

// TestProjectDirectoryMissing: nothing is started from elsewhere.
func TestProjectDirectoryMissing(t *testing.T) {
	m := newMachine(t)
	manager := m.manager(lifecycle.Definition{Project: "slot-%d", ProjectDir: "deploy"})
	taken, _, err := m.claims.Claim(t.Context(), claim.Request{Worktree: trees + "a", Least: "small", Order: []string{"small"}})
	worldtest.Must(t, err)
	if err := manager.Up(t.Context(), taken, lifecycle.UpOptions{}); !errors.Is(err, stack.ErrMount) || len(m.commands) > 0 {
		t.Errorf("got %v and ran %q, want an ErrMount and nothing run", err, m.commands)
	}
}

// TestLinkOutOfTheWorktree: nothing is started with what a link in the worktree leads to
// outside of it, and nothing is changed before that is found. What runs can be stopped.
func TestLinkOutOfTheWorktree(t *testing.T) {
	inside := lifecycle.Definition{Project: "slot-%d", ProjectDir: "deploy"}
	mounting := lifecycle.Definition{Project: "slot-%d", Mounts: map[string][]stack.Mount{"web": {{Source: "code", Target: "/code"}}}}
	for name, test := range map[string]struct {
		def          lifecycle.Definition
		link, target string
	}{
		"what is mounted":         {mounting, "code", "/home/user"},
		"the project's directory": {inside, "deploy", "../../elsewhere"},
		"its variables":           {inside, "deploy/.env", "/home/user/secret.env"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.Write("/home/user/secret.env", []byte("K=v\n"))
			worldtest.Must(t, m.Host().MkdirAll("/home/user/elsewhere", 0o755))
			worldtest.Must(t, m.Host().MkdirAll(filepath.Dir(trees+"a/"+test.link), 0o755))
			worldtest.Must(t, m.Host().Symlink(test.target, trees+"a/"+test.link))
			test.def.Shared = []string{"shared"}
			manager, c := m.manager(test.def), m.claim("a")
			before := worldtest.Snapshot(t, m.World(), root)
			err := manager.Up(t.Context(), c, lifecycle.UpOptions{})
			worldtest.WantErr(t, err, stack.ErrMount)
			if err == nil || !strings.Contains(err.Error(), "the link "+test.link+" in the worktree "+trees+"a leads out of it, to /home/user") {
				t.Errorf("got %v", err)
			}
			after := worldtest.Snapshot(t, m.World(), root)
			maps.DeleteFunc(after, func(name, _ string) bool { return strings.HasPrefix(name, root+"/kinfra/slots") }) // its guard
			if len(m.commands) > 0 || m.started() || !maps.Equal(before, after) {
				t.Errorf("something was done: docker ran %q, the root is\n%v\nwas\n%v", m.commands, after, before)
			}
			worldtest.Must(t, manager.Down(t.Context(), c, true))
		})
	}
}

// TestLinkInTheWorktree: what a link in the worktree leads to is used by its own path.
func TestLinkInTheWorktree(t *testing.T) {
	m := newMachine(t)
	m.Write(trees+"a/ops/.env.shared", []byte("K=v\n"))
	worldtest.Must(t, m.Host().Symlink("ops", trees+"a/deploy"))
	worldtest.Must(t, m.Host().Symlink(".env.shared", trees+"a/ops/.env"))
	s, err := m.manager(lifecycle.Definition{Project: "slot-%d", ProjectDir: "deploy"}).Stack(1, trees+"a")
	worldtest.Must(t, err)
	if s.BaseDir != trees+"a/ops" || s.BaseEnv != trees+"a/ops/.env.shared" || !s.Build {
		t.Errorf("got %q, %q, %v", s.BaseDir, s.BaseEnv, s.Build)
	}
}

// TestProjectOfTheSlot: a slot's Compose project is the one that it was made with,
// whatever the scripts say today, and what runs under that is its own.
func TestProjectOfTheSlot(t *testing.T) {
	m := newMachine(t)
	m.Write(filepath.Join(slot.Dir(root, 1), slot.EnvName), []byte("WEB_PORT=8001\nCOMPOSE_PROJECT_NAME=slot-1\n"))
	renamed := m.manager(lifecycle.Definition{Project: "other-%d"})
	if s, err := renamed.Stack(1, ""); err != nil || s.Project != "slot-1" {
		t.Errorf("got the project %q (%v), want slot-1", s.Project, err)
	}
	m.files = []string{filepath.Join(slot.Dir(root, 1), slot.ComposeName)}
	m.running = true
	survey, err := renamed.Survey(t.Context())
	worldtest.Must(t, err)
	if got := survey.Slots[0].State; got.Project != "slot-1" || got.Up != 1 || len(survey.Strays) > 0 {
		t.Errorf("got %+v and the strays %v, want slot-1's container counted", got, survey.Strays)
	}
}
