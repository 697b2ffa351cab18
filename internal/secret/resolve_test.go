package secret_test

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func mustParse(t testing.TB, text string) secret.Ref {
	t.Helper()
	ref, err := secret.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustResolve(t testing.TB, w world.World, ref string) secret.Value {
	t.Helper()
	value, err := mustParse(t, ref).Resolve(t.Context(), w, told)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// wantUnavailable checks an error: its kind, a part of its message, its hint, and that
// the canary is in neither.
func wantUnavailable(t *testing.T, err error, message, wantHint string) {
	t.Helper()
	if !errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), message) {
		t.Errorf("got error %v, want an ErrUnavailable with %q", err, message)
		return
	}
	gotHint := ""
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		gotHint = hinted.Hint()
	}
	if !strings.Contains(gotHint, wantHint) || wantHint == "" && gotHint != "" {
		t.Errorf("%v: got the hint %q, want %q", err, gotHint, wantHint)
	}
	if strings.Contains(err.Error()+gotHint, "canary") {
		t.Errorf("the canary is in the error %v, or in its hint %s", err, gotHint)
	}
}

// privateFile puts a file on a fake machine that only its user may read.
func privateFile(w *world.Fake, path, content string) {
	w.Write(path, []byte(content))
	w.Alter(path, func(i *world.Info) { i.Mode, i.UserID = 0o600, w.User })
}

func TestResolve(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	tests := []struct {
		name, ref string
		prepare   func(*world.Fake)
		want      string
	}{
		{"a variable", "env://A", func(w *world.Fake) { w.Env["A"] = "va luE" }, "va luE"},
		{"a variable's newline stays", "env://A", func(w *world.Fake) { w.Env["A"] = "a value\n" }, "a value\n"},
		{"the longest variable", "env://A", func(w *world.Fake) { w.Env["A"] = long }, long},
		{"a file", "file:///run/db", func(w *world.Fake) { privateFile(w, "/run/db", "a value") }, "a value"},
		{"a file that only its user may read, and nobody write", "file:///run/db", func(w *world.Fake) {
			privateFile(w, "/run/db", "a value")
			w.Alter("/run/db", func(i *world.Info) { i.Mode = 0o400 })
		}, "a value"},
		{"one newline is cut", "file:///run/db", func(w *world.Fake) { privateFile(w, "/run/db", "a value\n\n") }, "a value\n"},
		{"a newline of another system is cut", "file:///run/db", func(w *world.Fake) { privateFile(w, "/run/db", "a value\r\n") }, "a value"},
		{"several lines", "file:///run/db", func(w *world.Fake) { privateFile(w, "/run/db", "line a\nb\n") }, "line a\nb"},
		{"a file below the home directory", "file://~/.secrets/a b", func(w *world.Fake) { privateFile(w, "/home/user/.secrets/a b", "a value") }, "a value"},
		{"a directory that is a link", "file:///link/db", func(w *world.Fake) {
			privateFile(w, "/run/db", "a value")
			w.Host().Symlink("/run", "/link")
		}, "a value"},
		{"the longest file", "file:///run/db", func(w *world.Fake) { privateFile(w, "/run/db", long) }, long},
		{"1Password", "op://v/i/f", prints("a value\n", "some notice", 0), "a value"},
		{"1Password, two lines", "op://v/i/f", prints("line a\nb\n", "", 0), "line a\nb"},
		{"1Password, the longest value", "op://v/i/f", prints(long+"\n", "", 0), long},
	}
	for _, tt := range tests {
		w := world.NewFake()
		tt.prepare(w)
		value, err := mustParse(t, tt.ref).Resolve(t.Context(), w.World(), told)
		if err != nil || value.Reveal() != tt.want {
			t.Errorf("%s: got %.40q, %v, want %.40q", tt.name, value.Reveal(), err, tt.want)
		}
	}
}

// prints makes all programs print something and end with a code.
func prints(stdout, stderr string, code int) func(*world.Fake) {
	return func(w *world.Fake) {
		w.Handle = func(context.Context, world.Command) (world.Output, error) {
			return world.Output{Code: code, Stdout: []byte(stdout), Stderr: []byte(stderr)}, nil
		}
	}
}

func fails(err error) func(*world.Fake) {
	return func(w *world.Fake) {
		w.Handle = func(context.Context, world.Command) (world.Output, error) {
			return world.Output{Stdout: []byte("canary"), Stderr: []byte("canary")}, err
		}
	}
}

func TestResolveFailsClosed(t *testing.T) {
	const variable, file, op = "env://A", "file:///run/db", "op://v/i/f"
	set := func(value string) func(*world.Fake) { return func(w *world.Fake) { w.Env["A"] = value } }
	holds := func(content string) func(*world.Fake) {
		return func(w *world.Fake) { privateFile(w, "/run/db", content) }
	}
	altered := func(change func(*world.Info)) func(*world.Fake) {
		return func(w *world.Fake) {
			privateFile(w, "/run/db", "canary")
			w.Alter("/run/db", change)
		}
	}
	mode := func(m fs.FileMode) func(*world.Fake) { return altered(func(i *world.Info) { i.Mode = m }) }
	tests := []struct {
		name, ref     string
		prepare       func(*world.Fake)
		message, hint string
	}{
		{"variable not set", variable, func(*world.Fake) {}, "env://A: the variable A is not set, or empty", "set A in the environment"},
		{"variable empty", variable, set(""), "not set, or empty", "set A"},
		{"variable too short", variable, set("c4nry"), "shorter than 6 bytes, and could not be kept from showing", "choose a longer one"},
		{"variable of blanks", variable, set("  c4n  \n"), "shorter than 6 bytes", "choose a longer one"},
		{"variable too long", variable, set(strings.Repeat("canary", 20_000)), "too large, over 65536 bytes", ""},
		{"variable not UTF-8", variable, set("canary\xff"), "not UTF-8", ""},
		{"variable with NUL", variable, set("canary\x00"), "NUL byte", ""},
		{"no file", file, func(*world.Fake) {}, "/run", ""},
		{"empty file", file, holds(""), "it is empty", ""},
		{"file of a newline", file, holds("\n"), "it is empty", ""},
		{"file too long", file, holds(strings.Repeat("canary", 20_000)), "too large", ""},
		{"file with NUL", file, holds("canary\x00"), "NUL byte", ""},
		{"file not UTF-8", file, holds("canary\xff"), "not UTF-8", ""},
		{"readable by all", file, mode(0o644), "/run/db has the mode 0644", `chmod 600 "/run/db"`},
		{"readable by the group", file, mode(0o640), "mode 0640", "chmod"},
		{"writable by the group", file, mode(0o620), "mode 0620", "chmod"},
		{"executable by others", file, mode(0o601), "mode 0601", "chmod"},
		{"of somebody else", file, altered(func(i *world.Info) { i.UserID = 4711 }), "belongs to user 4711: want a file of your own, user 1000", ""},
		{"of root", file, altered(func(i *world.Info) { i.UserID = 0 }), "belongs to user 0", ""},
		{"a pipe", file, mode(fs.ModeNamedPipe | 0o600), "not a regular file", ""},
		{"a directory", "file:///home", func(*world.Fake) {}, "not a regular file", ""},
		{"a link", "file:///link", func(w *world.Fake) {
			privateFile(w, "/run/db", "canary")
			w.Host().Symlink("/run/db", "/link")
		}, "/link is a link: name the file itself", ""},
		{"no home", "file://~/x", func(w *world.Fake) { delete(w.Env, "HOME") }, `HOME is "": want an absolute path`, ""},
		{"a home that is relative", "file://~/x", func(w *world.Fake) { w.Env["HOME"] = "home" }, `HOME is "home"`, ""},
		{"no op", op, func(*world.Fake) {}, "running op: ", "install"},
		{"op fails", op, prints("canary", "canary", 1), "op://v/i/f: op read ended with code 1", `op read "op://v/i/f" > /dev/null`},
		{"op is killed", op, prints("canary", "canary", 137), "code 137", "op read"},
		{"op hangs", op, fails(world.ErrTimeout), "timed out", "unlock 1Password"},
		{"op prints too much", op, fails(world.ErrTooLarge), "too large", ""},
		{"op prints nothing", op, prints("", "canary", 0), "it is empty", ""},
		{"op prints a newline", op, prints("\n", "canary", 0), "it is empty", ""},
		{"op prints NUL", op, prints("canary\x00", "", 0), "NUL byte", ""},
		{"op prints what isn't UTF-8", op, prints("canary\xff", "", 0), "not UTF-8", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := world.NewFake()
			tt.prepare(w)
			value, err := mustParse(t, tt.ref).Resolve(t.Context(), w.World(), told)
			wantUnavailable(t, err, tt.message, tt.hint)
			if value.Known() {
				t.Error("there is a value beside the error")
			}
		})
	}
	t.Run("no reference", func(t *testing.T) {
		_, err := secret.Ref{}.Resolve(t.Context(), world.NewFake().World(), told)
		wantUnavailable(t, err, "leads nowhere", "")
	})
}

// TestConceal: who is to keep the value from showing gets it first, and may refuse it.
func TestConceal(t *testing.T) {
	w := world.NewFake()
	w.Env["A"] = "canary"
	got := ""
	value, err := mustParse(t, "env://A").Resolve(t.Context(), w.World(), func(ref secret.Ref, value string) error {
		got += ref.String() + "=" + value
		return nil
	})
	if err != nil || value.Reveal() != "canary" || got != "env://A=canary" {
		t.Errorf("it was told %q; got %v, %v", got, value.Known(), err)
	}
	refused := errors.New("refused")
	value, err = mustParse(t, "env://A").Resolve(t.Context(), w.World(), func(secret.Ref, string) error { return refused })
	if err != refused || value.Known() {
		t.Errorf("got a value: %t, and %v, want that it was refused", value.Known(), err)
	}
}

// TestResolveAsks: op gets the reference and nothing else, an environment with what it
// needs to sign in and nothing of the rest, and ten seconds.
func TestResolveAsks(t *testing.T) {
	w := world.NewFake()
	w.Env["OP_SERVICE_ACCOUNT_TOKEN"], w.Env["OP_SESSION_my"], w.Env["OTHER"] = "token", "session", "other"
	prints("a value\n", "", 0)(w)
	mustResolve(t, w.World(), "op://a vault/item/field")
	commands := w.Commands()
	if len(commands) != 1 {
		t.Fatalf("%d commands were run, want one", len(commands))
	}
	cmd := commands[0]
	if want := []string{"op", "read", "op://a vault/item/field"}; !slices.Equal(cmd.Args, want) {
		t.Errorf("the command is %q, want %q", cmd.Args, want)
	}
	want := []string{"HOME=/home/user", "OP_SERVICE_ACCOUNT_TOKEN=token", "OP_SESSION_my=session", "PATH=/usr/bin", "USER=user"}
	if !slices.Equal(cmd.Env, want) {
		t.Errorf("its environment is %q, want %q", cmd.Env, want)
	}
	if !cmd.ReadOnly || cmd.Timeout != 10*time.Second || len(cmd.Stdin) > 0 {
		t.Errorf("it is read-only: %t, has %s and reads %q", cmd.ReadOnly, cmd.Timeout, cmd.Stdin)
	}
}

func TestResolveKeepsCauses(t *testing.T) {
	_, err := mustParse(t, "op://v/i/f").Resolve(t.Context(), world.NewFake().World(), told)
	if !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got error %v, want an exec.ErrNotFound", err)
	}
	_, err = mustParse(t, "file:///none/x").Resolve(t.Context(), world.NewFake().World(), told)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want an fs.ErrNotExist", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := world.NewFake()
	prints("canary", "", 0)(w)
	if _, err = mustParse(t, "op://v/i/f").Resolve(ctx, w.World(), told); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want a context.Canceled", err)
	}
}

// TestDryRunReadsNothing: not even what could be read without a change.
func TestDryRunReadsNothing(t *testing.T) {
	w := world.NewFake()
	w.Env["A"] = "canary"
	privateFile(w, "/run/db", "canary")
	prints("canary", "", 0)(w)
	for _, ref := range []string{"env://A", "file:///run/db", "op://v/i/f"} {
		value, err := mustParse(t, ref).Resolve(t.Context(), world.Planned(w.World()), told)
		if !errors.Is(err, world.ErrPlanned) || value.Known() {
			t.Errorf("%s: got %q, %v, want an ErrPlanned", ref, value.Reveal(), err)
		}
	}
	if commands := w.Commands(); len(commands) > 0 {
		t.Errorf("a dry run has run %v", commands)
	}
}

// swapping is a world in which somebody puts another file in the place of one that is
// just being read.
func swapping(w world.World, swap func()) world.World {
	w.Disk = worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, _ string) world.Files {
		return worldtest.Files{Files: files, OnReadFile: func(name string, limit int64) ([]byte, error) {
			swap()
			return files.ReadFile(name, limit)
		}}
	}}
	return w
}

func TestFileChangesMeanwhile(t *testing.T) {
	for name, swap := range map[string]func(*world.Fake){
		"other content":  func(w *world.Fake) { w.Write("/run/db", []byte("canary, and more")) },
		"another's file": func(w *world.Fake) { w.Alter("/run/db", func(i *world.Info) { i.UserID, i.Mode = 4711, 0o644 }) },
		"opened to all":  func(w *world.Fake) { w.Alter("/run/db", func(i *world.Info) { i.Mode = 0o644 }) },
		"the same size":  func(w *world.Fake) { w.Advance(time.Second); w.Write("/run/db", []byte("CANARY")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := world.NewFake()
			privateFile(w, "/run/db", "canary")
			_, err := mustParse(t, "file:///run/db").Resolve(t.Context(), swapping(w.World(), func() { swap(w) }), told)
			wantUnavailable(t, err, "/run/db was changed while it was read", "")
		})
	}
}
