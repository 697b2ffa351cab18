package slot

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func TestRemove(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(4), Options{})
	w.Write(Dir(root, 2)+"/docker-compose.override.yml", []byte("x"))
	store := registry.Open(w.World(), root)
	var reported []Result
	results, err := Remove(t.Context(), w.World(), store, []int{4, 2}, RemoveOptions{Report: func(r Result) { reported = append(reported, r) }})
	if err != nil {
		t.Fatal(err)
	}
	wantTold(t, results, "2 removed\n4 removed\n")
	wantTold(t, reported, told(results))
	if results[0].Profile != "small" || results[0].Dir != Dir(root, 2) || results[0].Ports[0].Number != 8002 {
		t.Errorf("slot 2 is told as %+v", results[0])
	}
	for id, want := range map[int]bool{1: true, 2: false, 3: true, 4: false} {
		_, registered := load(t, w.World()).Slot(id)
		_, err := w.Host().Lstat(Dir(root, id))
		if registered != want || (err == nil) != want {
			t.Errorf("slot %d: registered %v, directory %v", id, registered, err)
		}
	}
	if results, err = Remove(t.Context(), w.World(), store, nil, RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	wantTold(t, results, "1 removed\n3 removed\n")
	wantWhole(t, w.World(), nil)
}

func TestRemoveTwice(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(2), Options{})
	before := worldtest.Snapshot(t, w.World(), "/")
	_, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), []int{2, 1, 2}, RemoveOptions{})
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "slot 2 is given twice") {
		t.Errorf("got %v", err)
	}
	wantSame(t, before, worldtest.Snapshot(t, w.World(), "/"))
}

func TestRemoveOfNothing(t *testing.T) {
	w := world.NewFake()
	before := worldtest.Snapshot(t, w.World(), "/")
	results, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{})
	if err != nil || len(results) != 0 {
		t.Errorf("got %v, %v", results, err)
	}
	wantSame(t, before, worldtest.Snapshot(t, w.World(), "/"))
}

// What an interrupted run has left is removed, and nothing else that lies there.
func TestRemoveOfUnregistered(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(1), Options{})
	for _, name := range []string{"slot-7/x", "slot-07/x", "slot-x/x", "slot-/x", "slot-70000/x", "other/x"} {
		w.Write(root+"/sandboxes/"+name, nil)
	}
	results, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantTold(t, results, "1 removed\n7 removed; no registry entry named it\n")
	var left []string
	entries, _ := w.Host().ReadDir(root + "/sandboxes")
	for _, e := range entries {
		left = append(left, e.Name)
	}
	if got := strings.Join(left, " "); got != "other slot- slot-07 slot-70000 slot-x" {
		t.Errorf("left are %s", got)
	}
}

// What a killed process was building goes, too, even where there is no slot yet.
func TestRemoveOfLeftovers(t *testing.T) {
	for _, n := range []int{0, 2} {
		w := world.NewFake()
		ensure(t, w.World(), specs(n), Options{})
		w.Write(world.TempName(w.World(), Dir(root, 1))+"/.env.sandbox", []byte("x"))
		if _, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, w.World(), nil)
	}
}

func TestRemoveRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		ids   []int
		force bool
		is    error
		want  string
		hint  string
	}{
		{"held", nil, false, ErrClaimed, "slot 2 is held by /w since then", "release it first, or remove it all the same with --force"},
		{"held, by number", []int{1, 2}, false, ErrClaimed, "slot 2 is held by /w since then", "release it first, or remove it all the same with --force"},
		{"not there", []int{1, 9}, false, ErrUnknownSlot, "no such slot: 9", "there are 1, 2, 3"},
		{"not there, forced", []int{0, 1}, true, ErrUnknownSlot, "no such slot: 0", "there are 1, 2, 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world.NewFake()
			ensure(t, w.World(), specs(3), Options{})
			alter(t, w.World(), 2, func(s *registry.Slot) { s.ClaimedBy, s.ClaimedAt = "/w", "then" })
			before := worldtest.Snapshot(t, w.World(), root)
			options := RemoveOptions{}
			if test.force {
				options.Release = freeing(w.World())
			}
			_, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), test.ids, options)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) || hintOf(err) != test.hint {
				t.Errorf("got %v (%s)", err, hintOf(err))
			}
			wantSame(t, before, worldtest.Snapshot(t, w.World(), root))
		})
	}
}

// freeing ends a claim as far as the registry has it.
func freeing(w world.World) func(context.Context, Result) error {
	return func(ctx context.Context, r Result) error {
		return registry.Open(w, root).Update(ctx, func(reg *registry.Registry) error {
			s, _ := reg.Slot(r.ID)
			s.ClaimedBy = ""
			return reg.PutSlot(s)
		})
	}
}

func TestRemoveReleases(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(2), Options{})
	alter(t, w.World(), 2, func(s *registry.Slot) { s.ClaimedBy = "/w" })
	results, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{Release: freeing(w.World())})
	if err != nil {
		t.Fatal(err)
	}
	wantTold(t, results, "1 removed\n2 removed (held by /w)\n")
	wantWhole(t, w.World(), nil)
}

// What is not released, or is claimed again at once, is not removed, nor is another.
func TestRemoveKeepsWhatIsStillHeld(t *testing.T) {
	failure := errors.New("its stack can't be stopped")
	for _, test := range []struct {
		name    string
		release error
		is      error
		want    string
	}{
		{"can't be released", failure, failure, "giving up the claim of slot 2: its stack can't be stopped"},
		{"claimed again", nil, ErrClaimed, "slot is claimed: slot 2 is held by /w"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world.NewFake()
			ensure(t, w.World(), specs(3), Options{})
			alter(t, w.World(), 2, func(s *registry.Slot) { s.ClaimedBy = "/w" })
			before := worldtest.Snapshot(t, w.World(), root)
			release := func(context.Context, Result) error { return test.release }
			_, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, RemoveOptions{Release: release})
			if !errors.Is(err, test.is) || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			wantSame(t, before, worldtest.Snapshot(t, w.World(), root))
		})
	}
}

// A link in a slot's place, or in a slot, leads nothing astray.
func TestRemoveFollowsNoLink(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(2), Options{})
	w.Write("/home/user/precious/file", []byte("x"))
	if err := w.Host().Symlink("/home/user/precious", Dir(root, 1)+"/link"); err != nil {
		t.Fatal(err)
	}
	store := registry.Open(w.World(), root)
	// Nor does what the registry says of the path.
	alter(t, w.World(), 1, func(s *registry.Slot) { s.Path = "/home/user/precious" })
	if _, err := Remove(t.Context(), w.World(), store, []int{1}, RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Host().Lstat(Dir(root, 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
	w.Host().RemoveAll(Dir(root, 2))
	if err := w.Host().Symlink("/home/user/precious", Dir(root, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(t.Context(), w.World(), store, nil, RemoveOptions{}); !errors.Is(err, ErrBroken) {
		t.Errorf("the error is %v", err)
	}
	read(t, w.World(), "/home/user/precious/file")
}

func TestPlannedRemove(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(2), Options{})
	before := worldtest.Snapshot(t, w.World(), root)
	planned := world.Planned(w.World())
	results, err := Remove(t.Context(), planned, registry.Open(planned, root), nil, RemoveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantTold(t, results, "1 removed\n2 removed\n")
	wantWhole(t, planned, nil)
	wantSame(t, before, worldtest.Snapshot(t, w.World(), root))
}

// A slot that the registry has lost, but somebody holds, is not removed, forced or not.
func TestRemoveOfALostSlotOfAHolder(t *testing.T) {
	for _, force := range []bool{false, true} {
		w := world.NewFake()
		ensure(t, w.World(), specs(2), Options{})
		if err := w.Host().Remove(root + "/" + registry.File); err != nil {
			t.Fatal(err)
		}
		before := worldtest.Snapshot(t, w.World(), root)
		options := RemoveOptions{Held: func() (map[int]Holder, error) { return map[int]Holder{2: {"/w", "then"}}, nil }}
		if force {
			options.Release = freeing(w.World())
		}
		_, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), nil, options)
		if !errors.Is(err, ErrClaimed) || !strings.Contains(err.Error(), "slot 2 is held by /w since then, but the registry has lost it") {
			t.Errorf("force %v: got %v", force, err)
		}
		wantSame(t, before, worldtest.Snapshot(t, w.World(), root))
		if _, err := Remove(t.Context(), w.World(), registry.Open(w.World(), root), []int{1}, options); err != nil {
			t.Errorf("force %v: the one that nobody holds: %v", force, err)
		}
	}
}
