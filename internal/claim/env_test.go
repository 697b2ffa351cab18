package claim

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const copyInA = trees + "a/" + slot.EnvName

func TestEnvFile(t *testing.T) {
	w, p := machine(t, "small")
	a := claim(t, p, "a")
	info, err := w.Host().Lstat(copyInA)
	worldtest.Must(t, err)
	if got := read(t, w.World(), copyInA); got != "SLOT=1\n" || info.Mode != 0o600 {
		t.Errorf("the copy is %q, %v", got, info.Mode)
	}
	worldtest.Must(t, w.Host().Remove(copyInA))
	claim(t, p, "a")
	if read(t, w.World(), copyInA) == "" {
		t.Error("it didn't come back")
	}
	release(t, p, a)
	if _, err := w.Host().Lstat(copyInA); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the release: %v", err)
	}
}

// What is at its place before is replaced; a link isn't followed.
func TestEnvFileReplaces(t *testing.T) {
	for name, make := range map[string]func(w *world.Fake){
		"a file":                         func(w *world.Fake) { w.Write(copyInA, []byte("OLD=1\n")) },
		"a readable file":                func(w *world.Fake) { w.Write(copyInA, []byte("SLOT=1\n")) },
		"a link":                         func(w *world.Fake) { worldtest.Must(t, w.Host().Symlink(trees+"b/precious", copyInA)) },
		"a link to the like":             func(w *world.Fake) { worldtest.Must(t, w.Host().Symlink(slot.Dir(root, 1)+"/"+slot.EnvName, copyInA)) },
		"a link to nowhere":              func(w *world.Fake) { worldtest.Must(t, w.Host().Symlink("/nowhere", copyInA)) },
		"what a killed process has left": func(w *world.Fake) {},
		"what one has left of a claim that has ended": func(w *world.Fake) {
			w.Write(trees+"a/"+envAside("0123456789abcdef0123456789abcdef"), []byte("SL"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := machine(t, "small")
			w.Write(trees+"b/precious", []byte("precious"))
			make(w)
			a := claim(t, p, "a")
			if name == "what a killed process has left" {
				worldtest.Must(t, w.Host().Remove(copyInA))
				w.Write(trees+"a/"+envAside(a.Token), []byte("SL"))
				a = claim(t, p, "a")
			}
			info, err := w.Host().Lstat(copyInA)
			worldtest.Must(t, err)
			if got := read(t, w.World(), copyInA); got != "SLOT=1\n" || info.Mode != 0o600 {
				t.Errorf("it is %v %q", info.Mode, got)
			}
			if read(t, w.World(), trees+"b/precious") != "precious" {
				t.Error("the link was followed")
			}
			release(t, p, a)
			if entries, err := w.Host().ReadDir(trees + "a"); len(entries) != 0 {
				t.Errorf("left over are %v, %v", entries, err)
			}
		})
	}
}

// What isn't as the claim has left it isn't removed with it.
func TestEnvFileThatWasChanged(t *testing.T) {
	for name, change := range map[string]func(w *world.Fake){
		"by hand": func(w *world.Fake) { w.Write(copyInA, []byte("SLOT=1\nMINE=1\n")) },
		"to a link": func(w *world.Fake) {
			worldtest.Must(t, w.Host().Remove(copyInA))
			worldtest.Must(t, w.Host().Symlink(slot.Dir(root, 1)+"/"+slot.EnvName, copyInA))
		},
		"to a directory": func(w *world.Fake) {
			worldtest.Must(t, w.Host().Remove(copyInA))
			worldtest.Must(t, w.Host().MkdirAll(copyInA, 0o700))
		},
	} {
		w, p := machine(t, "small")
		a := claim(t, p, "a")
		change(w)
		before, err := w.Host().Lstat(copyInA)
		worldtest.Must(t, err)
		release(t, p, a)
		if after, err := w.Host().Lstat(copyInA); err != nil || after != before {
			t.Errorf("%s: %v, %v", name, after, err)
		}
		if read(t, w.World(), slot.Dir(root, 1)+"/"+slot.EnvName) != "SLOT=1\n" {
			t.Errorf("%s: the slot's own file was removed", name)
		}
	}
	// That the slot's file has changed since doesn't keep the copy.
	w, p := machine(t, "small")
	a := claim(t, p, "a")
	w.Write(slot.Dir(root, 1)+"/"+slot.EnvName, []byte("SLOT=one\n"))
	release(t, p, a)
	if read(t, w.World(), copyInA) != "" {
		t.Error("the copy stays")
	}
}

// A claim of which the copy can't be left is none; one that was there before stays.
func TestEnvFileFails(t *testing.T) {
	w, p := machine(t, "small")
	worldtest.Must(t, w.Host().MkdirAll(copyInA, 0o700))
	_, _, err := p.Claim(t.Context(), request("a"))
	worldtest.WantErr(t, err, fs.ErrExist)
	wantHolders(t, p, "-")
	wantEntered(t, p, "-")
	worldtest.Must(t, w.Host().Remove(copyInA))
	w.Alter(trees+"a", func(i *world.Info) { i.Mode = fs.ModeDir | 0o500 })
	_, _, err = p.Claim(t.Context(), request("a"))
	worldtest.WantErr(t, err, syscall.EACCES)
	wantHolders(t, p, "-")
	w.Alter(trees+"a", func(i *world.Info) { i.Mode = fs.ModeDir | 0o700 })
	a := claim(t, p, "a")
	worldtest.Must(t, w.Host().Remove(copyInA))
	worldtest.Must(t, w.Host().MkdirAll(copyInA, 0o700))
	_, _, err = p.Claim(t.Context(), request("a"))
	worldtest.WantErr(t, err, fs.ErrExist)
	if !strings.Contains(err.Error(), "slot 1 stays claimed") {
		t.Errorf("the error is %v", err)
	}
	wantHolders(t, p, "a")

	worldtest.Must(t, w.Host().Remove(copyInA))
	claim(t, p, "a")
	w.Alter(trees+"a", func(i *world.Info) { i.Mode = fs.ModeDir | 0o500 })
	err = p.Release(t.Context(), target(a))
	worldtest.WantErr(t, err, syscall.EACCES)
	if !strings.Contains(err.Error(), "released slot 1") {
		t.Errorf("the error is %v", err)
	}
	wantHolders(t, p, "-")
}

func TestSlotWithoutEnvFile(t *testing.T) {
	w, p := machine(t, "small")
	worldtest.Must(t, w.Host().Remove(slot.Dir(root, 1)+"/"+slot.EnvName))
	_, _, err := p.Claim(t.Context(), request("a"))
	worldtest.WantErr(t, err, ErrNotReady)
	wantText(t, err, "slot 1", slot.EnvName)
	wantEntered(t, p, "-")
}

// A slot that lacks its file is passed over where another one will do.
func TestAnotherSlotThanOneWithoutEnvFile(t *testing.T) {
	w, p := machine(t, "small", "small")
	worldtest.Must(t, w.Host().Remove(slot.Dir(root, 1)+"/"+slot.EnvName))
	claim(t, p, "a")
	wantEntered(t, p, "- a")
}

// Fault 3, in part: a release of a claim whose worktree is gone.
func TestReleaseWithoutWorktree(t *testing.T) {
	w, p := machine(t, "small")
	a := claim(t, p, "a")
	worldtest.Must(t, w.Host().RemoveAll(trees+"a"))
	release(t, p, a)
	wantEntered(t, p, "-")

	// or has a file in its place
	b := claim(t, p, "b")
	worldtest.Must(t, w.Host().RemoveAll(trees+"b"))
	w.Write(trees+"b", []byte("x"))
	release(t, p, b)
	wantEntered(t, p, "-")
}

// Two processes of one worktree that claim at the same time write the copy under the
// same name. Neither fails for what the other does.
func TestEnvFileOfTwoProcesses(t *testing.T) {
	for _, other := range []func(world.Files, string){
		func(f world.Files, aside string) { f.Remove(aside) },
		func(f world.Files, aside string) { f.CreateFile(aside, []byte("SLOT"), fileMode) },
	} {
		for _, at := range []string{"create", "rename", "remove"} {
			w, p := machine(t, "small")
			c := claim(t, p, "a")
			worldtest.Must(t, w.Host().Remove(copyInA))
			met := 0
			p.w = world.Faulty(w.World(), func(op, name string) error {
				aside := trees + "a/" + envAside(c.Token)
				if op == at && met < 2 && (name == aside || name == copyInA) {
					met++
					other(w.Host(), aside)
				}
				return nil
			})
			if _, renewed, err := p.Claim(t.Context(), request("a")); err != nil || !renewed {
				t.Errorf("met at %s: renewed %v, %v", at, renewed, err)
			}
			if got := read(t, w.World(), copyInA); got != "SLOT=1\n" && at != "rename" {
				t.Errorf("met at %s: the copy is %q", at, got)
			}
		}
	}
}
