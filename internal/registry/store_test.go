package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestLoadOfNothing(t *testing.T) {
	w, s := machine(t, nil)
	r, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Version() != 2 || len(r.Slots()) != 0 || r.LocalProd() != "null" {
		t.Errorf("the registry is %s", r.JSON())
	}
	if all := worldtest.Snapshot(t, w.World(), root); len(all) != 0 {
		t.Errorf("loading has made %v", all)
	}
}

func TestUpdateMakesWhatIsMissing(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(3))
	var modes []string
	for name, what := range worldtest.Snapshot(t, w.World(), root) {
		mode, _, _ := strings.Cut(what, " ")
		modes = append(modes, mode+" "+strings.TrimPrefix(name, root+"/"))
	}
	slices.SortFunc(modes, func(a, b string) int { return strings.Compare(a[11:], b[11:]) })
	want := "drwx------ kinfra\n" +
		"drwx------ kinfra/generations\n" +
		"-rw------- kinfra/generations/000001-" + hashOf(onDisk(t, w.World(), s.Path())) + ".json\n" +
		"-rw------- kinfra/registry.lock\n" +
		"drwx------ sandbox\n" +
		"-rw------- sandbox/instances.json"
	if got := strings.Join(modes, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	r, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Slot(3); !ok {
		t.Errorf("the registry is %s", r.JSON())
	}
}

func TestUpdateOfNothingWritesNothing(t *testing.T) {
	for _, name := range []string{"v1.json", "v2.json"} {
		w, s := machine(t, fixture(t, name))
		before := worldtest.Snapshot(t, w.World(), root+"/sandbox")
		w.Advance(time.Hour)
		update(t, s, func(*Registry) error { return nil })
		after := worldtest.Snapshot(t, w.World(), root+"/sandbox")
		if names(before) != names(after) || before[s.Path()] != after[s.Path()] {
			t.Errorf("%s was written", name)
		}
		if all, err := s.Generations(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("the generations are %v, %v", all, err)
		}
	}
}

func TestUpdateThatFailsWritesNothing(t *testing.T) {
	w, s := machine(t, fixture(t, "v2.json"))
	before := worldtest.Snapshot(t, w.World(), root+"/sandbox")
	refusal := errors.New("no")
	err := s.Update(t.Context(), func(r *Registry) error {
		r.RemoveSlot(1)
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Update(ctx, func(r *Registry) error {
		r.RemoveSlot(1)
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if after := worldtest.Snapshot(t, w.World(), root+"/sandbox"); before[s.Path()] != after[s.Path()] {
		t.Error("it was written")
	}
}

// Others who could read the file still can; nobody else can write it.
func TestModeOfTheFile(t *testing.T) {
	for _, test := range []struct{ old, want fs.FileMode }{
		{0o600, 0o600}, {0o644, 0o644}, {0o664, 0o644}, {0o666, 0o644}, {0o640, 0o640}, {0o755, 0o644}, {0o444, 0o644},
	} {
		w, s := machine(t, fixture(t, "v2.json"))
		w.Alter(s.Path(), func(i *world.Info) { i.Mode = test.old })
		update(t, s, put(9))
		info, err := w.Host().Lstat(s.Path())
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode != test.want {
			t.Errorf("from %v it became %v, want %v", test.old, info.Mode, test.want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	change := func(alter func(*world.Info)) func(*world.Fake, string) {
		return func(w *world.Fake, file string) { w.Alter(file, alter) }
	}
	for _, test := range []struct {
		name  string
		spoil func(w *world.Fake, file string)
		want  string // after the path
		is    error
	}{
		{"empty", func(w *world.Fake, file string) { w.Write(file, nil) }, ": the file is empty, as a write that was cut short leaves it", ErrDamaged},
		{"cut short", func(w *world.Fake, file string) { w.Write(file, []byte(`{"version"`)) }, ": line 1, column 10 (byte 9): not JSON: unexpected end of JSON input", ErrDamaged},
		{"50 MB", func(w *world.Fake, file string) { w.Write(file, make([]byte, 50<<20)) }, ": larger than 32 MiB", world.ErrTooLarge},
		{"a directory", func(w *world.Fake, file string) {
			w.Host().Remove(file)
			w.Host().Mkdir(file, 0o700)
		}, ": want a regular file, got a directory", world.ErrNotRegular},
		{"a link", func(w *world.Fake, file string) {
			w.Host().Rename(file, file+".old")
			w.Host().Symlink("instances.json.old", file)
		}, ": it is a symbolic link, which is not followed", world.ErrNotRegular},
		{"a pipe", change(func(i *world.Info) { i.Mode = fs.ModeNamedPipe | 0o600 }), ": want a regular file, got a device, a pipe or a socket", world.ErrNotRegular},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, s := machine(t, fixture(t, "v2.json"))
			test.spoil(w, s.Path())
			before := worldtest.Snapshot(t, withoutSecrets(w.World()), root+"/sandbox")
			_, loadErr := s.Load(t.Context())
			updateErr := s.Update(t.Context(), put(1))
			for _, err := range []error{loadErr, updateErr} {
				if want := "reading the registry " + s.Path() + test.want + "; nothing was changed"; err == nil || err.Error() != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
				if !errors.Is(err, ErrDamaged) || !errors.Is(err, test.is) {
					t.Errorf("%v is not %v", err, test.is)
				}
				if !strings.Contains(hintOf(err), "there is no earlier generation of it") {
					t.Errorf("the hint is %q", hintOf(err))
				}
			}
			if after := worldtest.Snapshot(t, withoutSecrets(w.World()), root+"/sandbox"); names(before) != names(after) || before[s.Path()] != after[s.Path()] {
				t.Error("something was changed")
			}
		})
	}
}

// withoutSecrets is a world in which what can't be read seems empty.
func withoutSecrets(w world.World) world.World {
	w.Disk = worldtest.Disk{Disk: w.Disk, Alter: func(files world.Files, _ string) world.Files {
		return worldtest.Files{Files: files, OnReadFile: func(name string, limit int64) ([]byte, error) {
			data, err := files.ReadFile(name, limit)
			if errors.Is(err, fs.ErrPermission) {
				err = nil
			}
			return data, err
		}}
	}}
	return w
}

func TestHintNamesTheLastGoodCopy(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	update(t, s, put(2))
	w.Write(s.Path(), []byte("{"))
	_, err := s.Load(t.Context())
	all, _ := s.Generations(t.Context())
	want := "the last good copy is " + all[1].Path + "; put it back with: kinfra --root /home/user/pool registry restore 2"
	if got := hintOf(err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// A copy that a loss of power has torn isn't one.
	w.Write(all[1].Path, onDisk(t, w.World(), all[1].Path)[:100])
	_, err = s.Load(t.Context())
	if got := hintOf(err); !strings.HasSuffix(got, "restore 1") {
		t.Errorf("got %s", got)
	}
}

// sleeper is a world in which something happens while one sleeps.
type sleeper struct {
	*world.Fake
	during func()
}

func (s sleeper) World() world.World {
	w := s.Fake.World()
	w.Clock = worldtest.Clock{Clock: w.Clock, OnSleep: func(ctx context.Context, d time.Duration) error {
		s.during()
		return s.Sleep(ctx, d)
	}}
	return w
}

// awake is a world in which nobody may wait.
type awake struct{ *world.Fake }

func (awake) Sleep(context.Context, time.Duration) error { return errors.New("no time") }

// Where the world lets nobody wait, what was read first counts.
func TestReadWithoutWaiting(t *testing.T) {
	w, _ := machine(t, fixture(t, "v2.json")[:500])
	_, err := Open(awake{w}.World(), root).Load(t.Context())
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("got %v", err)
	}
}

// An older tool that is just rewriting the file in place is waited for.
func TestReadWhileItIsRewritten(t *testing.T) {
	w, _ := machine(t, fixture(t, "v2.json")[:500])
	naps := 0
	s := Open(sleeper{w, func() {
		if naps++; naps == readRetries {
			w.Write(root+"/"+File, fixture(t, "v2.json"))
		}
	}}.World(), root)
	r, err := s.Load(t.Context())
	if err != nil || len(r.Slots()) != 3 {
		t.Errorf("got %v, %v", r, err)
	}
	w.Write(s.Path(), []byte("{"))
	if _, err := s.Load(t.Context()); err == nil || naps != 2*readRetries {
		t.Errorf("after %d naps: %v", naps, err)
	}
}

func TestForeign(t *testing.T) {
	for _, test := range []struct{ name, path string }{{"the root", root}, {"the file", root + "/" + File}} {
		for _, user := range []int{1000, 0} {
			w, s := machine(t, fixture(t, "v2.json"))
			w.User = user
			for _, file := range []string{root, root + "/" + File} {
				w.Alter(file, func(i *world.Info) { i.UserID = user })
			}
			if _, err := s.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.Alter(test.path, func(i *world.Info) { i.UserID = 4711 })
			_, err := s.Load(t.Context())
			if want := fmt.Sprintf("%s belongs to user 4711, this is user %d", test.path, user); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", test.name, err)
			}
			if err := s.Update(t.Context(), put(1)); !errors.Is(err, ErrForeign) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
	}
}

func TestRootThatIsAFile(t *testing.T) {
	w, s := machine(t, nil)
	w.Write(root, []byte("x"))
	_, err := s.Load(t.Context())
	if !errors.Is(err, ErrRoot) || !strings.Contains(err.Error(), root+" is not a directory") {
		t.Errorf("the error is %v", err)
	}
	if err := s.Update(t.Context(), put(1)); !errors.Is(err, ErrRoot) {
		t.Errorf("the error is %v", err)
	}
	if _, err := s.Generations(t.Context()); !errors.Is(err, ErrRoot) {
		t.Errorf("the error is %v", err)
	}
}

func TestLeftoversAreCollected(t *testing.T) {
	w, s := machine(t, fixture(t, "v2.json"))
	left := world.TempName(w.World(), s.Path())
	w.Write(left, []byte("x"))
	update(t, s, put(9))
	if _, err := w.Host().Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover: %v", err)
	}
}

func TestLockTimeOut(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	unlock, err := w.Host().Lock(t.Context(), root+"/"+LockFile)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.Update(ctx, put(2))
	if _, ok := errors.AsType[*world.LockedError](err); !ok || !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// A holder that doesn't let go is named, after a while.
func TestLockHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := machine(t, nil)
		update(t, s, put(1))
		unlock, err := w.Host().Lock(t.Context(), root+"/"+LockFile)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		began := time.Now()
		err = s.Update(t.Context(), put(2))
		if _, ok := errors.AsType[*world.LockedError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		if waited := time.Since(began); waited != lockWait {
			t.Errorf("it waited %v", waited)
		}
		if want := "see what the holder is doing, end it if it hangs, and try again"; hintOf(err) != want {
			t.Errorf("the hint is %q", hintOf(err))
		}
	})
}

func TestPlannedLeavesNoTrace(t *testing.T) {
	for _, file := range [][]byte{nil, fixture(t, "v1.json"), fixture(t, "v2.json")} {
		w, _ := machine(t, file)
		before := worldtest.Snapshot(t, w.World(), "/home")
		planned := world.Planned(w.World())
		s := Open(planned, root)
		update(t, s, put(7))
		update(t, s, put(8))
		r, err := Open(planned, root).Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := r.Slot(8); !ok || r.Version() != 2 {
			t.Errorf("the planned registry is %s", r.JSON())
		}
		if _, err := s.Restore(t.Context(), 1); err != nil {
			t.Error(err)
		}
		after := worldtest.Snapshot(t, w.World(), "/home")
		if len(before) != len(after) {
			t.Errorf("the machine now has:\n%s", names(after))
		}
		for name := range before {
			if before[name] != after[name] {
				t.Errorf("%s was changed", name)
			}
		}
	}
}

// The cure of state that may not be read is to allow that: nothing is damaged, or to be put
// in its place, or moved away.
func TestDenied(t *testing.T) {
	for _, name := range []string{"/sandbox", "/kinfra", ""} {
		t.Run("root"+name, func(t *testing.T) {
			w, s := machine(t, nil)
			update(t, s, put(1))
			w.Alter(root+name, func(i *world.Info) { i.Mode = fs.ModeDir })
			_, loadErr := s.Load(t.Context())
			_, restoreErr := s.Restore(t.Context(), 1)
			errs := []error{restoreErr, s.Update(t.Context(), put(2))}
			if name != "/kinfra" { // of which a reader needs nothing
				errs = append(errs, loadErr)
			}
			for _, err := range errs {
				worldtest.NoDamage(t, err, ErrDamaged)
				if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(hintOf(err), "see who may read and write there: ls -ld ") {
					t.Errorf("%v (%s)", err, hintOf(err))
				}
			}
		})
	}
}
