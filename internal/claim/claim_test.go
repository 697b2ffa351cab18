package claim

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestClaimChoosesTheLightestThatFits(t *testing.T) {
	for _, test := range []struct {
		pool  string
		least string
		want  int
	}{
		{"small small large", "", 1},
		{"small small large", "small", 1},
		{"small small large", "large", 3},
		{"huge large large", "small", 2},
		{"huge large large", "huge", 1},
	} {
		_, p := machine(t, strings.Fields(test.pool)...)
		req := request("a")
		req.Least = test.least
		c, renewed, err := p.Claim(t.Context(), req)
		worldtest.Must(t, err)
		if c.Slot != test.want || renewed || c.Started || c.Foreign || c.Stale != "" || len(c.Token) != 32 {
			t.Errorf("%s, %s: got %+v, renewed %v, want slot %d", test.pool, test.least, c, renewed, test.want)
		}
		if s := list(t, p)[c.Slot-1]; s.ClaimedBy != trees+"a" || s.ClaimedAt != "2026-02-02T10:11:12.131415+00:00" || !reflect.DeepEqual(*s.Claim, c) {
			t.Errorf("listed is %+v, %+v", s, s.Claim)
		}
	}
}

// Fault 6: the same worktree claims twice and holds two slots.
func TestClaimTwiceGivesTheSameSlot(t *testing.T) {
	w, p := machine(t, "small", "large", "large")
	worldtest.Must(t, w.Host().Symlink(trees+"a", trees+"link"))
	worldtest.Must(t, w.Host().MkdirAll(trees+"x", 0o755))
	worldtest.Must(t, w.Host().Symlink("../b/../link", trees+"x/way"))
	first := claim(t, p, "a")
	for _, name := range []string{"a", "./a/", "b/../a", "link", "x/way"} {
		c, renewed, err := p.Claim(t.Context(), request(name))
		worldtest.Must(t, err)
		if !renewed || !reflect.DeepEqual(c, first) {
			t.Errorf("%s: got %+v, want %+v", name, c, first)
		}
	}
	wantHolders(t, p, "a - -")
	req := request("a")
	req.Least = "large"
	_, _, err := p.Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrConflict)
	wantText(t, err, trees+"a", "slot 1", `"small"`, `"large"`)
	wantHolders(t, p, "a - -")
}

func TestNoneFree(t *testing.T) {
	w, p := machine(t, "small", "large", "large")
	b := claim(t, p, "b")
	req := request("c")
	req.Least, req.TTL = "large", time.Hour
	_, _, err := p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	req.Worktree, req.TTL = trees+"d", 0
	_, _, err = p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	worldtest.Must(t, w.Host().RemoveAll(trees+"d"))
	w.Pass(40 * time.Minute)

	req.Worktree = trees + "a"
	_, _, err = p.Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	wantText(t, err, `"large"`, "slot 2 (large) is held by "+trees+"c since 2026-02-02T10:11:12.131415+00:00 (its lease is over in 20m0s)",
		"slot 3 (large) is held by "+trees+"d since", "(stale: its worktree is gone)")
	var none *NoneFreeError
	if !errors.As(err, &none) || len(none.Holders) != 2 || none.Slots != 3 || len(none.Stale()) != 1 || none.Stale()[0].Slot != 3 {
		t.Errorf("got %+v", none)
	}
	if strings.Contains(err.Error(), b.Worktree) {
		t.Errorf("it names one that wouldn't do: %v", err)
	}
	if !strings.Contains(hintOf(err), "reap") {
		t.Errorf("the hint is %q", hintOf(err))
	}

	worldtest.Must(t, w.Host().MkdirAll(trees+"d", 0o755))
	_, _, err = p.Claim(t.Context(), req)
	if want := "the lease of slot 2 is over in 20m0s"; !strings.Contains(hintOf(err), want) {
		t.Errorf("the hint %q lacks %q", hintOf(err), want)
	}
	wantEntered(t, p, "b c d")

	req.Least = "huge"
	_, _, err = p.Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	wantText(t, err, "none of the pool's 3", `"huge"`)
	_, empty := machine(t)
	_, _, err = empty.Claim(t.Context(), request("a"))
	worldtest.WantErr(t, err, ErrNoneFree)
	wantText(t, err, "there are no slots")
}

func TestRelease(t *testing.T) {
	w, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	b := claim(t, p, "b")
	wrong := target(a)
	wrong.Token = b.Token
	err := p.Release(t.Context(), wrong)
	worldtest.WantErr(t, err, ErrNotHolder)
	wantText(t, err, "slot 1", trees+"a")
	worldtest.WantErr(t, p.Release(t.Context(), Target{Slot: 7, Token: a.Token}), slot.ErrUnknownSlot)
	worldtest.Must(t, p.SetStatus(t.Context(), target(a), "running"))
	if got := list(t, p)[0].Status; got != "running" {
		t.Errorf("the status is %s", got)
	}
	release(t, p, a)
	wantHolders(t, p, "- b")
	if s := list(t, p)[0]; s.Status != "stopped" || s.ClaimedAt != "" {
		t.Errorf("released is %+v", s)
	}
	err = p.Release(t.Context(), target(a))
	worldtest.WantErr(t, err, ErrNotHolder)
	wantText(t, err, "claimed by nobody")

	// The clock stands still: claimed again, it is another claim all the same.
	again := claim(t, p, "a")
	if again.Token == a.Token || again.ClaimedAt == a.ClaimedAt {
		t.Errorf("claimed again is %+v", again)
	}
	wantHolders(t, p, "a b")
	worldtest.WantErr(t, p.Release(t.Context(), target(a)), ErrNotHolder)
	if w.World().Planned() {
		t.Error("not a real world")
	}
}

// A former holder's token opens nothing.
func TestFormerHolder(t *testing.T) {
	_, p := machine(t, "small")
	a := claim(t, p, "a")
	release(t, p, a)
	b := claim(t, p, "b")
	_, err := p.Guard(t.Context(), target(a))
	worldtest.WantErr(t, err, ErrNotHolder)
	wantText(t, err, "slot 1", trees+"b since "+b.ClaimedAt)
	for what, err := range map[string]error{
		"release": p.Release(t.Context(), target(a)),
		"volumes": p.VolumesUsed(t.Context(), target(a), nil),
		"status":  p.SetStatus(t.Context(), target(a), "running"),
	} {
		if !errors.Is(err, ErrNotHolder) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = p.NeedsCleanVolumes(t.Context(), target(a))
	worldtest.WantErr(t, err, ErrNotHolder)
	wantEntered(t, p, "b")
}

func TestHolder(t *testing.T) {
	_, p := machine(t, "small", "small", "small")
	a := claim(t, p, "a")
	enter(t, p, 2, trees+"b", "2026-02-02T09:00:00.000001+00:00")
	for _, test := range []struct {
		slot  int
		by    string
		force bool
		want  string // the holder, or ""
	}{
		{1, "a", false, "a"},
		{1, "b", false, ""},
		{1, "b", true, "a"},
		{2, "b", false, "b"},
		{2, "a", false, ""},
		{2, "a", true, "b"},
		{3, "a", true, ""},
	} {
		c, err := p.Holder(t.Context(), test.slot, trees+test.by, test.force)
		if test.want == "" {
			worldtest.WantErr(t, err, ErrNotHolder)
			continue
		}
		worldtest.Must(t, err)
		if path.Base(c.Worktree) != test.want {
			t.Errorf("%+v: got %+v", test, c)
		}
	}
	_, err := p.Holder(t.Context(), 9, trees+"a", true)
	worldtest.WantErr(t, err, slot.ErrUnknownSlot)

	s, ok, err := p.Find(t.Context(), trees+"a/")
	worldtest.Must(t, err)
	if !ok || !reflect.DeepEqual(*s.Claim, a) {
		t.Errorf("found %+v, %v", s, ok)
	}
	_, ok, err = p.Find(t.Context(), trees+"gone")
	if ok || err != nil {
		t.Errorf("found %v, %v", ok, err)
	}
}

func TestBadRequests(t *testing.T) {
	w, p := machine(t, "small")
	w.Write(trees+"file", nil)
	worldtest.Must(t, w.Host().Symlink(trees+"nowhere", trees+"dangling"))
	worldtest.Must(t, w.Host().Symlink("turn", trees+"turn"))
	worldtest.Must(t, w.Host().Symlink(root+"/sandboxes/slot-1", trees+"into"))
	for _, test := range []struct {
		change func(*Request)
		want   error
		text   string
	}{
		{func(r *Request) { r.Worktree = "trees/a" }, ErrInvalid, "not absolute"},
		{func(r *Request) { r.Worktree = "" }, ErrInvalid, "not absolute"},
		{func(r *Request) { r.Worktree = trees + "a\nb" }, ErrInvalid, "newline"},
		{func(r *Request) { r.Worktree = trees + "a\x00" }, ErrInvalid, "control"},
		{func(r *Request) { r.Worktree = trees + "\xff" }, ErrInvalid, "UTF-8"},
		{func(r *Request) { r.Worktree = trees + strings.Repeat("x/", 2000) }, ErrInvalid, "bytes"},
		{func(r *Request) { r.Worktree = trees + "gone" }, ErrInvalid, "not there"},
		{func(r *Request) { r.Worktree = trees + "file" }, ErrInvalid, "not a directory"},
		{func(r *Request) { r.Worktree = trees + "dangling" }, ErrInvalid, "not there"},
		{func(r *Request) { r.Worktree = trees + "turn" }, ErrInvalid, "too many levels"},
		{func(r *Request) { r.Worktree = trees + "into" }, ErrInvalid, "the pool's own"},
		{func(r *Request) { r.Worktree = root }, ErrInvalid, "the pool's own"},
		{func(r *Request) { r.Least = "giant" }, slot.ErrUnknownProfile, "giant"},
		{func(r *Request) { r.TTL = -1 }, ErrInvalid, "lease"},
		{func(r *Request) { r.TTL = 1 << 62 }, ErrInvalid, "lease"},
		{func(r *Request) { r.Wait = -1 }, ErrInvalid, "wait"},
	} {
		req := request("a")
		test.change(&req)
		_, _, err := p.Claim(t.Context(), req)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("got %v, want %v with %q", err, test.want, test.text)
		}
	}
	if read(t, w.World(), root+"/"+File) != "" || entered(t, p) != "-" {
		t.Error("something was written")
	}
}

// Paths that are hard to write in other languages are none here.
func TestAnyPath(t *testing.T) {
	names := []string{"with space", "a#b", "$HOME", "q'u\"ote", "a:b", "-rf", "é世界", strings.Repeat("l", 250)}
	w, p := machine(t, slices.Repeat([]string{"small"}, len(names))...)
	for i, name := range names {
		worldtest.Must(t, w.Host().MkdirAll(trees+name, 0o755))
		c := claim(t, p, name)
		if c.Slot != i+1 || list(t, p)[i].ClaimedBy != trees+name {
			t.Errorf("%s: got %+v", name, c)
		}
		if got := read(t, w.World(), trees+name+"/"+slot.EnvName); got != fmt.Sprintf("SLOT=%d\n", i+1) {
			t.Errorf("%s: its copy is %q", name, got)
		}
		release(t, p, c)
		claim(t, p, name)
	}
}

func TestVolumes(t *testing.T) {
	_, p := machine(t, "small")
	clean := func(c Claim, want bool) {
		t.Helper()
		got, err := p.NeedsCleanVolumes(t.Context(), target(c))
		worldtest.Must(t, err)
		if started := list(t, p)[0].Claim.Started; got != want || started == want {
			t.Errorf("clean volumes needed: %v, want %v; started %v", got, want, started)
		}
	}
	a := claim(t, p, "a")
	clean(a, true)
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(a), nil))
	clean(a, false)
	clean(claim(t, p, "a"), false)
	release(t, p, a)
	b := claim(t, p, "b")
	clean(b, true)
	release(t, p, b)
	clean(claim(t, p, "a"), true)
}

// A listing writes nothing, whatever it finds.
func TestListWritesNothing(t *testing.T) {
	w, p := machine(t, "small", "small", "small")
	req := request("a")
	req.TTL = time.Minute
	_, _, err := p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	claim(t, p, "b")
	release(t, p, claim(t, p, "c"))
	worldtest.Must(t, w.Host().RemoveAll(trees+"b"))
	enter(t, p, 1, "", "")
	w.Pass(time.Hour)
	before := worldtest.Snapshot(t, w.World(), "/home/user")
	var stale []Staleness
	for _, s := range list(t, p) {
		if s.Claim != nil {
			stale = append(stale, s.Claim.Stale)
		}
	}
	if !slices.Equal(stale, []Staleness{LeaseOver, WorktreeGone}) {
		t.Errorf("stale are %q", stale)
	}
	_, _, err = p.Find(t.Context(), trees+"a")
	worldtest.Must(t, err)
	wantSame(t, w.World(), before)
}

// What a planned claim says, a real one does; and it writes nothing.
func TestPlanned(t *testing.T) {
	w, p := machine(t, "small")
	before := worldtest.Snapshot(t, w.World(), "/home/user")
	planned := open(world.Planned(w.World()))
	if c := claim(t, planned, "a"); c.Slot != 1 {
		t.Errorf("got %+v", c)
	}
	wantHolders(t, planned, "a")
	req := request("b")
	req.Wait = time.Hour
	_, _, err := planned.Claim(t.Context(), req)
	worldtest.WantErr(t, err, ErrNoneFree)
	wantSame(t, w.World(), before)
	wantHolders(t, p, "-")
}

// Where there is no pool, a claim that can't be had leaves nothing behind.
func TestClaimWithoutAPool(t *testing.T) {
	w := world.NewFake()
	worldtest.Must(t, w.Host().MkdirAll(trees+"a", 0o755))
	before := worldtest.Snapshot(t, w.World(), "/home/user")
	_, _, err := open(w.World()).Claim(t.Context(), request("a"))
	worldtest.WantErr(t, err, ErrNoneFree)
	wantText(t, err, "there are no slots")
	wantSame(t, w.World(), before)
}

// Claims are known of slots that the registry has lost.
func TestGiven(t *testing.T) {
	w, p := machine(t, "small", "small")
	c := claim(t, p, "a")
	worldtest.Must(t, w.Host().Remove(root+"/"+registry.File))
	given, err := p.Given()
	worldtest.Must(t, err)
	if want := (slot.Holder{Worktree: trees + "a", Since: c.ClaimedAt}); len(given) != 1 || given[c.Slot] != want {
		t.Errorf("got %v, want %v for slot %d", given, want, c.Slot)
	}
}
