package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the golden outputs in testscripts/")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kinfra": func() { os.Exit(Main()) },
	})
}

// TestStories runs testscripts/*.txtar: each drives the real binary in an empty home of
// its own. testscripts/README.md says how to write one.
func TestStories(t *testing.T) { testscript.Run(t, storyParams(stories(t, false))) }

// storyParams are what all stories have in common.
func storyParams(files []string) testscript.Params {
	return testscript.Params{
		Files:               files,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("POOL", filepath.Join(home, ".ktrdr"))
			e.Setenv("USER_SCRIPTS", filepath.Join(home, ".config", "kinfra", "scripts"))
			// The caller's own settings must not reach the stories.
			for _, name := range []string{"KINFRA_ROOT", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR"} {
				e.Setenv(name, "")
			}
			// What no line of a story can hold.
			e.Setenv("NEWLINE", "\n")
			e.Setenv("NOT_UTF8", "\xff")
			if err := startEngine(e); err != nil {
				return err
			}
			return os.MkdirAll(home, 0o700)
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "notroot":
				return os.Geteuid() != 0, nil
			case "tmpfs":
				return canMountTmpfs(), nil
			case "systemcompose": // Compose that is there whatever PATH and HOME say
				plugins, err := filepath.Glob("/usr/*/docker/cli-plugins/docker-compose")
				more, _ := filepath.Glob("/usr/local/*/docker/cli-plugins/docker-compose")
				return len(plugins)+len(more) > 0, err
			case "long": // what takes half a minute and needs no second look at every change
				return os.Getenv("KINFRA_LONG_STORIES") != "", nil
			}
			return false, os.ErrInvalid
		},
		Cmds: commands(),
	}
}

// commands are what stories need beside those of testscript.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"asked":    askedCommand,
		"code":     codeCommand,
		"document": documentCommand,
		"failed":   failedCommand,
		"replace":  replaceCommand,
		"snapshot": snapshotCommand,
		"same":     sameCommand,
		"size":     sizeCommand,
		"tmpfs":    tmpfsCommand,
	}
}

// `code N COMMAND …` runs a command that must end with that very code.
func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND [ARG…]")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ok bool
		if got, ok = strings.CutPrefix(err.Error(), "exit status "); !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
	}
	if got != args[0] {
		ts.Fatalf("%s ended with code %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// `replace OLD NEW FILE` replaces the one occurrence of a text in a file.
func replaceCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	path := ts.MkAbs(args[2])
	data, err := os.ReadFile(path)
	ts.Check(err)
	if n := strings.Count(string(data), args[0]); n != 1 {
		ts.Fatalf("%q occurs %d times in %s, want once", args[0], n, args[2])
	}
	ts.Check(os.WriteFile(path, []byte(strings.Replace(string(data), args[0], args[1], 1)), 0o600))
}
