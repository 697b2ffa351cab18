package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const root = "/home/user/pool"

// machine is a fake world with a pool's root in it, and the registry of that pool.
func machine(t *testing.T, file []byte) (*world.Fake, *Store) {
	t.Helper()
	w := world.NewFake()
	if file != nil {
		w.Write(root+"/"+File, file)
	}
	return w, Open(w, root)
}

// put is a change that adds a slot.
func put(id int) func(*Registry) error {
	return func(r *Registry) error {
		return r.PutSlot(Slot{ID: id, Path: fmt.Sprint("/p/slot-", id), Profile: "small"})
	}
}

func update(t *testing.T, s *Store, change func(*Registry) error) {
	t.Helper()
	if err := s.Update(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

func onDisk(t *testing.T, w world.World, name string) []byte {
	t.Helper()
	data, err := w.Host().ReadFile(name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func names(all map[string]string) string {
	var list []string
	for name := range all {
		list = append(list, strings.TrimPrefix(name, root+"/"))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func TestLoadOfNothing(t *testing.T) {
	w, s := machine(t, nil)
	r, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Version() != 2 || len(r.Slots()) != 0 || r.LocalProd() != "null" {
		t.Errorf("the registry is %s", r.JSON())
	}
	if all := worldtest.Snapshot(t, w, root); len(all) != 0 {
		t.Errorf("loading has made %v", all)
	}
}

func TestUpdateMakesWhatIsMissing(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(3))
	var modes []string
	for name, what := range worldtest.Snapshot(t, w, root) {
		mode, _, _ := strings.Cut(what, " ")
		modes = append(modes, mode+" "+strings.TrimPrefix(name, root+"/"))
	}
	slices.SortFunc(modes, func(a, b string) int { return strings.Compare(a[11:], b[11:]) })
	want := "drwx------ kinfra\n" +
		"drwx------ kinfra/generations\n" +
		"-rw------- kinfra/generations/000001-" + hashOf(onDisk(t, w, s.Path())) + ".json\n" +
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
		before := worldtest.Snapshot(t, w, root+"/sandbox")
		w.Advance(time.Hour)
		update(t, s, func(*Registry) error { return nil })
		after := worldtest.Snapshot(t, w, root+"/sandbox")
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
	before := worldtest.Snapshot(t, w, root+"/sandbox")
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
	if after := worldtest.Snapshot(t, w, root+"/sandbox"); before[s.Path()] != after[s.Path()] {
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
		{"without permission", change(func(i *world.Info) { i.Mode = 0 }), ": read /home/user/pool/sandbox/instances.json: permission denied", fs.ErrPermission},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, s := machine(t, fixture(t, "v2.json"))
			test.spoil(w, s.Path())
			before := worldtest.Snapshot(t, withoutSecrets{w}, root+"/sandbox")
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
			if after := worldtest.Snapshot(t, withoutSecrets{w}, root+"/sandbox"); names(before) != names(after) || before[s.Path()] != after[s.Path()] {
				t.Error("something was changed")
			}
		})
	}
}

// withoutSecrets is a world in which what can't be read seems empty.
type withoutSecrets struct{ world.World }

func (w withoutSecrets) Host() world.Files { return readable{w.World.Host()} }

type readable struct{ world.Files }

func (f readable) ReadFile(name string, limit int64) ([]byte, error) {
	data, err := f.Files.ReadFile(name, limit)
	if errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return data, err
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
	w.Write(all[1].Path, onDisk(t, w, all[1].Path)[:100])
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

func (w sleeper) Sleep(ctx context.Context, d time.Duration) error {
	w.during()
	return w.Fake.Sleep(ctx, d)
}

// An older tool that is just rewriting the file in place is waited for.
func TestReadWhileItIsRewritten(t *testing.T) {
	w, _ := machine(t, fixture(t, "v2.json")[:500])
	naps := 0
	s := Open(sleeper{w, func() {
		if naps++; naps == readRetries {
			w.Write(root+"/"+File, fixture(t, "v2.json"))
		}
	}}, root)
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

// Of an in-place change by another tool nothing is lost when kinfra overwrites it.
func TestForeignBytesAreKept(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	foreign := bytes.Replace(onDisk(t, w, s.Path()), []byte("stopped"), []byte("running"), 1)
	w.Write(s.Path(), foreign)
	update(t, s, put(2))
	update(t, s, put(3))
	all, err := s.Generations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var slots []int
	for _, g := range all {
		slots = append(slots, g.Slots)
	}
	if !slices.Equal(slots, []int{1, 1, 2, 3}) {
		t.Fatalf("the generations have %v slots", slots)
	}
	if got := onDisk(t, w, all[1].Path); !bytes.Equal(got, foreign) {
		t.Errorf("generation 2 is %s", got)
	}
}

// A copy that was lost with the power is made again before the bytes are overwritten.
func TestTornCopyIsMadeAgain(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	good := onDisk(t, w, s.Path())
	all, _ := s.Generations(t.Context())
	w.Write(all[0].Path, make([]byte, len(good)))
	update(t, s, put(2))
	all, err := s.Generations(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("the generations are %v, %v", all, err)
	}
	if all[0].Err == nil || all[1].Err != nil || !bytes.Equal(onDisk(t, w, all[1].Path), good) {
		t.Errorf("the generations are %+v", all)
	}
}

func TestVersion1IsKept(t *testing.T) {
	old := fixture(t, "v1.json")
	w, s := machine(t, old)
	for i := range keepNewest + 10 {
		update(t, s, put(i+1))
	}
	all, err := s.Generations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != keepNewest+1 {
		t.Fatalf("%d generations are kept", len(all))
	}
	if all[0].Number != 1 || all[0].Version != 1 || !strings.HasSuffix(all[0].Path, ".v1.json") || !bytes.Equal(onDisk(t, w, all[0].Path), old) {
		t.Errorf("the first one is %+v", all[0])
	}
	last := all[len(all)-1]
	if last.Number != keepNewest+11 || last.Slots != keepNewest+10 || !bytes.Equal(onDisk(t, w, last.Path), onDisk(t, w, s.Path())) {
		t.Errorf("the last one is %+v", last)
	}
}

// Of what version 1 tools go on writing, the newest are kept, and the first.
func TestManyOfVersion1(t *testing.T) {
	w, s := machine(t, nil)
	for i := range keepNewest + 5 {
		w.Write(s.Path(), fmt.Appendf(nil, `{"version": 1, "x": %d}`, i))
		update(t, s, put(1))
	}
	all, err := s.Generations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kept []int
	for _, g := range all {
		if g.Version == 1 {
			kept = append(kept, g.Number)
		}
	}
	if len(kept) != keepNewest+1 || kept[0] != 1 || kept[1] != 11 || kept[keepNewest] != 2*(keepNewest+5)-1 {
		t.Errorf("of version 1 are kept %v", kept)
	}
}

func TestRestore(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	first := onDisk(t, w, s.Path())
	update(t, s, put(2))
	damaged := []byte(`{"version": 2, "sl`)
	w.Write(s.Path(), damaged)

	g, err := s.Restore(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if g.Number != 1 || g.Slots != 1 || !bytes.Equal(onDisk(t, w, s.Path()), first) {
		t.Errorf("restored is %+v:\n%s", g, onDisk(t, w, s.Path()))
	}
	all, err := s.Generations(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("the generations are %v, %v", all, err)
	}
	kept := all[2]
	if !errors.Is(kept.Err, ErrDamaged) || !strings.HasSuffix(kept.Path, ".damaged") || !bytes.Equal(onDisk(t, w, kept.Path), damaged) {
		t.Errorf("the damaged one is kept as %+v", kept)
	}

	// Once more, it changes nothing, and what was restored isn't kept twice.
	w.Advance(time.Hour)
	before := worldtest.Snapshot(t, w, root)
	if _, err := s.Restore(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if after := worldtest.Snapshot(t, w, root); before[s.Path()] != after[s.Path()] || names(before) != names(after) {
		t.Error("it was written again")
	}
	update(t, s, put(5))
	if all, _ := s.Generations(t.Context()); len(all) != 4 || all[3].Slots != 2 {
		t.Errorf("the generations are %+v", all)
	}
}

func TestRestoreOfAMissingRegistry(t *testing.T) {
	w, s := machine(t, fixture(t, "v1.json"))
	update(t, s, put(1))
	if err := w.Host().RemoveAll(root + "/sandbox"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(onDisk(t, w, s.Path()), fixture(t, "v1.json")) {
		t.Error("the version 1 isn't back")
	}
}

func TestRestoreRefuses(t *testing.T) {
	w, s := machine(t, nil)
	if _, err := s.Restore(t.Context(), 1); !errors.Is(err, ErrNoGeneration) || hintOf(err) != "none is kept yet" {
		t.Errorf("without any: %v (%s)", err, hintOf(err))
	}
	update(t, s, put(1))
	update(t, s, put(2))
	update(t, s, put(3))
	all, _ := s.Generations(t.Context())
	w.Write(all[0].Path, []byte("{}"))
	w.Write(all[1].Path, nil)
	w.Write(s.Path(), []byte("damaged"))
	if _, err := s.Restore(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	before := onDisk(t, w, s.Path())
	for _, test := range []struct {
		number int
		is     error
		want   string
		hint   string
	}{
		{7, ErrNoGeneration, "no such generation: 7", "kept are 1, 2, 3, 4"},
		{-1, ErrNoGeneration, "no such generation: -1", "kept are 1, 2, 3, 4"},
		{1, ErrDamaged, "its content has not the hash in its name", ""},
		{2, ErrDamaged, "its content has not the hash in its name", ""},
		{4, ErrDamaged, "it was damaged when it was kept", ""},
	} {
		_, err := s.Restore(t.Context(), test.number)
		if !errors.Is(err, test.is) || !strings.Contains(fmt.Sprint(err), test.want) || hintOf(err) != test.hint {
			t.Errorf("%d: %v (%s)", test.number, err, hintOf(err))
		}
	}
	if !bytes.Equal(onDisk(t, w, s.Path()), before) {
		t.Error("the registry was changed")
	}

	// What can't be kept isn't replaced.
	w.Alter(s.Path(), func(i *world.Info) { i.Mode = 0 })
	_, err := s.Restore(t.Context(), 3)
	if !errors.Is(err, fs.ErrPermission) || hintOf(err) != "move "+s.Path()+" away, then run: kinfra --root /home/user/pool registry restore 3" {
		t.Errorf("unreadable: %v (%s)", err, hintOf(err))
	}
}

// Files of others among the copies are none of ours.
func TestStrangersAmongTheGenerations(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	for _, name := range []string{"README", "1-0123456789abcdef.json", "000002-0123456789abcdef.json.bak", "000003-0123.json", "-0123456789abcdef.json", "000000-0123456789abcdef.json"} {
		w.Write(root+"/"+GenerationsDir+"/"+name, []byte("x"))
	}
	update(t, s, put(2))
	all, err := s.Generations(t.Context())
	if err != nil || len(all) != 2 || all[1].Number != 2 {
		t.Errorf("the generations are %+v, %v", all, err)
	}
}

func TestLeftoversAreCollected(t *testing.T) {
	w, s := machine(t, fixture(t, "v2.json"))
	left := world.TempName(w, s.Path())
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
		before := worldtest.Snapshot(t, w, "/home")
		planned := world.Planned(w)
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
		after := worldtest.Snapshot(t, w, "/home")
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

// What never was the registry isn't kept as a generation of it.
func TestFailedPublicationIsNoGeneration(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	broken := Open(world.Faulty(w, func(op, name string) error {
		if op == "rename" {
			return syscall.EIO
		}
		return nil
	}), root)
	if err := broken.Update(t.Context(), put(2)); !errors.Is(err, syscall.EIO) {
		t.Errorf("the error is %v", err)
	}
	if all, err := s.Generations(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("the generations are %v, %v", all, err)
	}
}

// Every operation of an update fails once, and then for good: the file has the old
// bytes or, where only its durability is in doubt, the new ones; the error is
// told; and after the next success nothing is left over.
func TestEveryOperationFails(t *testing.T) {
	for _, file := range [][]byte{nil, fixture(t, "v1.json"), fixture(t, "v2.json")} {
		for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
			for _, forGood := range []bool{false, true} {
				for n := 1; ; n++ {
					w, _ := machine(t, file)
					done := failAt(t, w, n, fault, forGood)
					if done {
						if n < 10 {
							t.Fatalf("an update has %d operations only", n)
						}
						break
					}
				}
			}
		}
	}
}

func failAt(t *testing.T, w *world.Fake, n int, fault error, forGood bool) (done bool) {
	var (
		mu    sync.Mutex
		count int
		at    string
	)
	s := Open(world.Faulty(w, func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		count++
		if count == n || forGood && count > n {
			if count == n {
				at = fmt.Sprintf("%v at %s of %s (for good: %v)", fault, op, name, forGood)
			}
			return fault
		}
		return nil
	}), root)
	var before []byte
	if _, err := w.Host().Lstat(s.Path()); err == nil {
		before = onDisk(t, w, s.Path())
	}
	err := s.Update(t.Context(), put(9))
	if count < n {
		return true
	}
	after, readErr := w.Host().ReadFile(s.Path(), 1<<30)
	isOld := bytes.Equal(before, after) && (readErr == nil) == (before != nil)
	if err == nil && isOld {
		t.Errorf("%s: success, but nothing was written", at)
	}
	if err != nil && !errors.Is(err, fault) {
		t.Errorf("%s: the error is %v", at, err)
	}
	if !isOld && err != nil && !strings.Contains(at, "at sync of") {
		t.Errorf("%s: an error, but the file was replaced: %v", at, err)
	}

	healthy := Open(w, root)
	update(t, healthy, put(10))
	r, err := healthy.Load(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	if _, ok := r.Slot(10); !ok {
		t.Errorf("%s: the next update was lost", at)
	}
	for name := range worldtest.Snapshot(t, w, root) {
		if strings.Contains(name, ".tmp-") {
			t.Errorf("%s: %s was left over", at, name)
		}
	}
	if before != nil {
		all, err := healthy.Generations(t.Context())
		if err != nil || !slices.ContainsFunc(all, func(g Generation) bool { return bytes.Equal(onDisk(t, w, g.Path), before) }) {
			t.Errorf("%s: the old bytes are in no generation (%v)", at, err)
		}
	}
	return false
}

// TestRestoreCommandQuotes: the command of a hint can be pasted into a shell as it is.
func TestRestoreCommandQuotes(t *testing.T) {
	for root, want := range map[string]string{
		"/home/user/.pool": "kinfra --root /home/user/.pool registry restore 7",
		"/my pool":         "kinfra --root '/my pool' registry restore 7",
		"/it's; rm":        `kinfra --root '/it'\''s; rm' registry restore 7`,
	} {
		if got := Open(world.NewFake(), root).restoreCommand(7); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
