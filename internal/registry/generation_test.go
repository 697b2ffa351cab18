package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// Of an in-place change by another tool nothing is lost when kinfra overwrites it.
func TestForeignBytesAreKept(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	foreign := bytes.Replace(onDisk(t, w.World(), s.Path()), []byte("stopped"), []byte("running"), 1)
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
	if got := onDisk(t, w.World(), all[1].Path); !bytes.Equal(got, foreign) {
		t.Errorf("generation 2 is %s", got)
	}
}

// A copy that was lost with the power is made again before the bytes are overwritten.
func TestTornCopyIsMadeAgain(t *testing.T) {
	w, s := machine(t, nil)
	update(t, s, put(1))
	good := onDisk(t, w.World(), s.Path())
	all, _ := s.Generations(t.Context())
	w.Write(all[0].Path, make([]byte, len(good)))
	update(t, s, put(2))
	all, err := s.Generations(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("the generations are %v, %v", all, err)
	}
	if all[0].Err == nil || all[1].Err != nil || !bytes.Equal(onDisk(t, w.World(), all[1].Path), good) {
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
	if all[0].Number != 1 || all[0].Version != 1 || !strings.HasSuffix(all[0].Path, ".v1.json") || !bytes.Equal(onDisk(t, w.World(), all[0].Path), old) {
		t.Errorf("the first one is %+v", all[0])
	}
	last := all[len(all)-1]
	if last.Number != keepNewest+11 || last.Slots != keepNewest+10 || !bytes.Equal(onDisk(t, w.World(), last.Path), onDisk(t, w.World(), s.Path())) {
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
	first := onDisk(t, w.World(), s.Path())
	update(t, s, put(2))
	damaged := []byte(`{"version": 2, "sl`)
	w.Write(s.Path(), damaged)

	g, err := s.Restore(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if g.Number != 1 || g.Slots != 1 || !bytes.Equal(onDisk(t, w.World(), s.Path()), first) {
		t.Errorf("restored is %+v:\n%s", g, onDisk(t, w.World(), s.Path()))
	}
	all, err := s.Generations(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("the generations are %v, %v", all, err)
	}
	kept := all[2]
	if !errors.Is(kept.Err, ErrDamaged) || !strings.HasSuffix(kept.Path, ".damaged") || !bytes.Equal(onDisk(t, w.World(), kept.Path), damaged) {
		t.Errorf("the damaged one is kept as %+v", kept)
	}

	// Once more, it changes nothing, and what was restored isn't kept twice.
	w.Advance(time.Hour)
	before := worldtest.Snapshot(t, w.World(), root)
	if _, err := s.Restore(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if after := worldtest.Snapshot(t, w.World(), root); before[s.Path()] != after[s.Path()] || names(before) != names(after) {
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
	if !bytes.Equal(onDisk(t, w.World(), s.Path()), fixture(t, "v1.json")) {
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
	before := onDisk(t, w.World(), s.Path())
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
	if !bytes.Equal(onDisk(t, w.World(), s.Path()), before) {
		t.Error("the registry was changed")
	}

	// What can't be kept isn't replaced.
	w.Alter(s.Path(), func(i *world.Info) { i.Mode = 0 })
	_, err := s.Restore(t.Context(), 3)
	if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(hintOf(err), "see who may read and write there: ls -ld "+root+"/sandbox "+s.Path()) {
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

// TestRestoreCommandQuotes: the command of a hint can be pasted into a shell as it is.
func TestRestoreCommandQuotes(t *testing.T) {
	for root, want := range map[string]string{
		"/home/user/.pool": "kinfra --root /home/user/.pool registry restore 7",
		"/my pool":         "kinfra --root '/my pool' registry restore 7",
		"/it's; rm":        `kinfra --root '/it'\''s; rm' registry restore 7`,
	} {
		if got := Open(world.NewFake().World(), root).restoreCommand(7); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
