package claim

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const otherTime = "2026-02-02T09:00:00.000001+00:00"

// stale is a registry as it is now, for another tool to write back later.
func stale(t testing.TB, w *world.Fake, p *Pool) (writeBack func()) {
	old := []byte(read(t, w.World(), p.store.Path()))
	return func() { w.Write(p.store.Path(), old) }
}

// A claim that a stale write has erased is put back by the next transaction, and
// shown before.
func TestErasedClaimComesBack(t *testing.T) {
	w, p := machine(t, "small", "small")
	writeBack := stale(t, w, p)
	a := claim(t, p, "a")
	writeBack()
	wantEntered(t, p, "- -")
	wantHolders(t, p, "a -")
	if c := claim(t, p, "b"); c.Slot != 2 {
		t.Errorf("b got slot %d", c.Slot)
	}
	wantEntered(t, p, "a b")
	if s := list(t, p)[0]; s.ClaimedAt != a.ClaimedAt || s.Claim.Token != a.Token {
		t.Errorf("it came back as %+v", s)
	}
	writeBack()
	worldtest.Must(t, p.Reconcile(t.Context()))
	wantEntered(t, p, "a b")
	// Also by a transaction that refuses.
	writeBack()
	_, _, err := p.Claim(t.Context(), request("c"))
	worldtest.WantErr(t, err, ErrNoneFree)
	wantEntered(t, p, "a b")
}

// A claim that a stale write has brought back is removed, also where the slot has
// another holder since.
func TestReleasedClaimStaysReleased(t *testing.T) {
	w, p := machine(t, "small")
	a := claim(t, p, "a")
	writeBack := stale(t, w, p)
	release(t, p, a)
	writeBack()
	wantEntered(t, p, "a")
	wantHolders(t, p, "-")
	worldtest.Must(t, p.Reconcile(t.Context()))
	wantEntered(t, p, "-")
	claim(t, p, "b")
	writeBack()
	wantHolders(t, p, "b")
	worldtest.Must(t, p.Reconcile(t.Context()))
	wantEntered(t, p, "b")
	release(t, p, *list(t, p)[0].Claim)
	c := claim(t, p, "a") // the same worktree, and the same time
	wantHolders(t, p, "a")
	if c.ClaimedAt == a.ClaimedAt {
		t.Error("the two claims can't be told apart")
	}
}

// Only so many are remembered; what is brought back then is honoured as another's.
func TestMemoryIsBounded(t *testing.T) {
	w, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	writeBack := stale(t, w, p)
	release(t, p, a)
	for range maxReleased - 1 {
		release(t, p, claim(t, p, "b"))
	}
	writeBack()
	wantHolders(t, p, "- -")
	w2 := stale(t, w, p)
	release(t, p, claim(t, p, "b"))
	w2()
	wantHolders(t, p, "a -")
	if c := list(t, p)[0].Claim; !c.Foreign || c.Started != true {
		t.Errorf("it is %+v", c)
	}
	v, err := p.load(t.Context())
	worldtest.Must(t, err)
	if len(v.ledger.Released) != maxReleased {
		t.Errorf("%d are remembered", len(v.ledger.Released))
	}
}

func TestForeignClaimIsHonoured(t *testing.T) {
	w, p := machine(t, "small", "small")
	enter(t, p, 1, trees+"a", otherTime)
	before := read(t, w.World(), p.store.Path())
	c := list(t, p)[0].Claim
	if !c.Foreign || c.Lease.TTL != 0 || c.Stale != "" {
		t.Errorf("it is %+v", c)
	}
	if got := claim(t, p, "b"); got.Slot != 2 {
		t.Errorf("b got slot %d", got.Slot)
	}
	wantHolders(t, p, "a b")
	// The token of a foreign claim changes with its holder, too.
	enter(t, p, 1, trees+"c", otherTime)
	worldtest.WantErr(t, p.Release(t.Context(), target(*c)), ErrNotHolder)
	enter(t, p, 1, trees+"a", otherTime)
	unlock, err := p.Guard(t.Context(), target(*c))
	worldtest.Must(t, err)
	unlock()
	release(t, p, *c)
	wantEntered(t, p, "- b")
	w.Write(p.store.Path(), []byte(before))
	wantHolders(t, p, "- b") // and what was released stays so
}

// A worktree that another tool gave a slot gets that slot, and its data stays.
func TestForeignClaimIsTakenOver(t *testing.T) {
	w, p := machine(t, "small", "small", "small")
	enter(t, p, 2, trees+"a", otherTime)
	before := read(t, w.World(), p.store.Path())
	c, renewed, err := p.Claim(t.Context(), request("a"))
	worldtest.Must(t, err)
	if c.Slot != 2 || !renewed || c.Foreign || c.ClaimedAt != otherTime || !c.Started {
		t.Errorf("got %+v, %v", c, renewed)
	}
	if read(t, w.World(), p.store.Path()) != before {
		t.Error("the registry was written")
	}
	if clean, err := p.NeedsCleanVolumes(t.Context(), target(c)); clean || err != nil {
		t.Errorf("its volumes would be removed: %v", err)
	}
	enter(t, p, 2, "", "")
	wantHolders(t, p, "- a -")

	// Volumes of a former holder aren't its own.
	d := claim(t, p, "d")
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(d), nil))
	release(t, p, d)
	enter(t, p, 1, trees+"e", otherTime)
	if clean, err := p.NeedsCleanVolumes(t.Context(), target(claim(t, p, "e"))); !clean || err != nil {
		t.Errorf("old volumes would be used: %v", err)
	}
}

// Of several slots that another tool has given a worktree it gets the one that a
// claim would choose.
func TestSeveralForeignClaims(t *testing.T) {
	_, p := machine(t, "huge", "small", "large", "large")
	for id := range 4 {
		enter(t, p, id+1, trees+"a", otherTime)
	}
	req := request("a")
	req.Least = "large"
	c, _, err := p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	if c.Slot != 3 {
		t.Errorf("got slot %d", c.Slot)
	}
}

// The same worktree, entered anew by another tool, is no conflict with itself.
func TestEnteredAnew(t *testing.T) {
	_, p := machine(t, "small")
	a := claim(t, p, "a")
	enter(t, p, 1, trees+"a", otherTime)
	wantHolders(t, p, "a")
	c := claim(t, p, "a")
	if c.Token != a.Token || c.ClaimedAt != otherTime {
		t.Errorf("it is %+v", c)
	}
	release(t, p, c)
	wantEntered(t, p, "-")
}

func TestConflict(t *testing.T) {
	w, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	enter(t, p, 1, trees+"b", otherTime)
	before := read(t, w.World(), p.store.Path())
	wantHolders(t, p, "a|b -")
	for _, tree := range []string{"a", "b"} {
		_, _, err := p.Claim(t.Context(), request(tree))
		worldtest.WantErr(t, err, ErrConflict)
		wantText(t, err, "slot 1 has two holders", trees+"a since "+a.ClaimedAt, trees+"b since "+otherTime)
		if s, ok, err := p.Find(t.Context(), trees+tree); !ok || err != nil || s.Contender == nil {
			t.Errorf("%s: found %+v, %v, %v", tree, s, ok, err)
		}
	}
	s := list(t, p)[0]
	if s.ClaimedBy != trees+"a" || s.Contender.Worktree != trees+"b" {
		t.Errorf("it is %+v", s)
	}
	for _, c := range []Claim{*s.Claim, *s.Contender} {
		_, err := p.Guard(t.Context(), target(c))
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Ours.Token != a.Token || conflict.Theirs.Worktree != trees+"b" {
			t.Errorf("guarded for %s: %v", c.Worktree, err)
		}
	}
	c := claim(t, p, "c") // others aren't concerned
	release(t, p, c)
	_, _, err := p.Claim(t.Context(), Request{Worktree: trees + "c", Order: order, Least: "large"})
	worldtest.WantErr(t, err, ErrNoneFree)
	if read(t, w.World(), p.store.Path()) != before {
		t.Error("the registry was changed")
	}
}

func TestConflictEnds(t *testing.T) {
	for _, party := range []string{"a", "b"} {
		_, p := machine(t, "small")
		claim(t, p, "a")
		enter(t, p, 1, trees+"b", otherTime)
		c, err := p.Holder(t.Context(), 1, trees+party, false)
		worldtest.Must(t, err)
		release(t, p, c)
		want := map[string]string{"a": "b", "b": "a"}[party]
		wantHolders(t, p, want)
		wantEntered(t, p, want)
		claim(t, p, want)
	}
	// By itself, when the other tool releases it.
	_, p := machine(t, "small")
	claim(t, p, "a")
	enter(t, p, 1, trees+"b", otherTime)
	enter(t, p, 1, "", "")
	wantHolders(t, p, "a")
}

// A slot that lost its entry to a stale write gets its claim back with it; one that
// was removed doesn't.
func TestSlotWithoutEntry(t *testing.T) {
	for _, removed := range []bool{false, true} {
		w, p := machine(t, "small")
		claim(t, p, "a")
		worldtest.Must(t, p.store.Update(t.Context(), func(r *registry.Registry) error {
			r.RemoveSlot(1)
			return nil
		}))
		if removed {
			worldtest.Must(t, w.Host().RemoveAll(slot.Dir(root, 1)))
		}
		worldtest.Must(t, p.Reconcile(t.Context()))
		if all := list(t, p); len(all) != 0 {
			t.Errorf("listed are %+v", all)
		}
		worldtest.Must(t, w.Host().RemoveAll(slot.Dir(root, 1)))
		worldtest.Must(t, w.Host().MkdirAll(slot.Dir(root, 1), 0o700))
		worldtest.Must(t, p.store.Update(t.Context(), func(r *registry.Registry) error {
			return r.PutSlot(registry.Slot{ID: 1, Profile: "small"})
		}))
		wantHolders(t, p, map[bool]string{false: "a", true: "-"}[removed])
	}
}

// An old generation of the registry doesn't bring old claims back.
func TestRestoredGeneration(t *testing.T) {
	_, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	release(t, p, a)
	claim(t, p, "b")
	all, err := p.store.Generations(t.Context())
	worldtest.Must(t, err)
	for _, g := range all {
		if g.Slots != 2 {
			continue
		}
		_, err := p.store.Restore(t.Context(), g.Number)
		worldtest.Must(t, err)
		wantHolders(t, p, "b -")
	}
	if len(all) < 4 {
		t.Errorf("there are %d generations", len(all))
	}
}

// When another tool writes while a transaction is under way, it begins again, with
// what that tool wrote.
func TestWrittenMeanwhile(t *testing.T) {
	for _, writes := range []int{1, tries - 1, tries} {
		w, p := machine(t, "small", "small", "small")
		claim(t, p, "c")
		count := 0
		meddled := world.Faulty(w.World(), func(op, name string) error {
			if op == "sync" && strings.Contains(name, "/.instances.json.tmp-") && count < writes {
				count++
				enter(t, p, 2, trees+"b", fmt.Sprintf("2026-02-02T09:00:00.%06d+00:00", count))
			}
			return nil
		})
		c, _, err := open(meddled).Claim(t.Context(), request("a"))
		if writes == tries {
			worldtest.WantErr(t, err, ErrConflict)
			worldtest.WantErr(t, err, registry.ErrChanged)
			wantText(t, err, "other tools wrote")
			wantHolders(t, p, "c b -")
			continue
		}
		worldtest.Must(t, err)
		if c.Slot != 3 {
			t.Errorf("got slot %d", c.Slot)
		}
		wantEntered(t, p, "c b a")
		if count != writes {
			t.Errorf("written %d times", count)
		}
	}
}

// Who lists while somebody claims or releases sees one or the other, and takes
// neither for the doing of another tool.
func TestListMeanwhile(t *testing.T) {
	w, p := machine(t, "small")
	var c Claim
	for _, do := range []func(){
		func() { c = claim(t, p, "a") },
		func() { release(t, p, c) },
	} {
		reads := 0
		meddled := world.Faulty(w.World(), func(op, name string) error {
			if !(op == "read" && name == p.store.Path() || op == "lstat" && name == logPath) {
				return nil
			}
			if reads++; reads == 2 {
				do()
			}
			return nil
		})
		all := list(t, open(meddled))
		if reads != 2 {
			t.Errorf("%d files were read", reads)
		}
		if now := list(t, p); (all[0].Claim == nil) != (now[0].Claim == nil) || now[0].Claim != nil && !reflect.DeepEqual(*all[0].Claim, *now[0].Claim) {
			t.Errorf("listed is %+v, it is %+v", all[0].Claim, now[0].Claim)
		}
	}
}

func TestLedgerIsPrivate(t *testing.T) {
	w, p := machine(t, "small")
	claim(t, p, "a")
	info, err := w.Host().Lstat(root + "/" + File)
	worldtest.Must(t, err)
	if info.Mode != 0o600 {
		t.Errorf("its mode is %v", info.Mode)
	}
}
