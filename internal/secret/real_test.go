package secret_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// installOp makes a shell script the command op.
func installOp(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "op"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestRealOnePassword(t *testing.T) {
	const ref = "op://my vault/item/field"
	tests := []struct{ name, script, want, message string }{
		{"right value", `[ "$#" = 2 ] && [ "$1 $2" = "read op://my vault/item/field" ] && [ "$OP_SESSION" = mine ] && [ -z "$UNRELATED" ] && printf 'the value\n'`, "the value", ""},
		{"two lines", `printf 'one\ntwo\n'`, "one\ntwo", ""},
		{"fails", `echo canary; echo "[ERROR] canary" >&2; exit 6`, "", "op read ended with code 6"},
		{"prints nothing", `exit 0`, "", "it is empty"},
		{"prints too much", `while echo canarycanarycanarycanarycanarycanarycanarycanarycanary; do :; done`, "", "too large"},
		{"asks its user", `read answer && echo "$answer"`, "", "ended with code 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			installOp(t, tt.script)
			t.Setenv("OP_SESSION", "mine")
			t.Setenv("UNRELATED", "canary")
			value, err := mustParse(t, ref).Resolve(t.Context(), world.Real("test"), told)
			switch {
			case tt.want == "" && (!errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), tt.message) || strings.Contains(err.Error(), "canary")):
				t.Errorf("got error %v, want an ErrUnavailable with %q and without the canary", err, tt.message)
			case tt.want != "" && (err != nil || value.Reveal() != tt.want):
				t.Errorf("got %q, %v, want %q", value.Reveal(), err, tt.want)
			}
		})
	}
}

// hurried is a world with less patience: what it is asked to run must be given a time,
// and is ended at once when that is over.
func hurried(w world.World) world.World {
	processes := w.Processes
	w.Processes = worldtest.Processes{Processes: processes, OnRun: func(ctx context.Context, cmd world.Command) (world.Output, error) {
		cmd.Timeout /= 1000
		return processes.Run(ctx, cmd)
	}}
	return w
}

func TestRealOnePasswordHangs(t *testing.T) {
	installOp(t, "printf canary; exec sleep 1000")
	_, err := mustParse(t, "op://v/i/f").Resolve(t.Context(), hurried(world.Real("test")), told)
	if !errors.Is(err, world.ErrTimeout) {
		t.Errorf("got error %v, want an ErrTimeout", err)
	}
	wantUnavailable(t, err, "timed out after 10ms", "unlock 1Password")
}

func TestRealFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a secret")
	write := func(mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte("canary\n"), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write(0o600)
	if got := mustResolve(t, world.Real("test"), "file://"+path).Reveal(); got != "canary" {
		t.Errorf("got %q", got)
	}
	write(0o604)
	_, err := mustParse(t, "file://"+path).Resolve(t.Context(), world.Real("test"), told)
	wantUnavailable(t, err, "has the mode 0604", "chmod 600")
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	_, err = mustParse(t, "file://"+path+".link").Resolve(t.Context(), world.Real("test"), told)
	wantUnavailable(t, err, "is a link", "")
}
