package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// damaged is a pool with a file that is damaged again and again.
type damaged struct {
	*finding
	pool
	machine *world.Fake
	file    string // below the root
	good    []byte // its content
	refusal error  // what refuses to read it is that

	refused  int
	restored int
	read     int // right
}

// restoreOneIn is of how many refused registries one is restored, which takes longest.
const restoreOneIn = 10

// tryDamage damages the registry and the log of claims.
func tryDamage(ctx context.Context, l *lab) (finding, error) {
	var f finding
	restored := 0
	for _, file := range []struct {
		name    string
		refusal error
		check   func(*damaged, context.Context, []byte) error
	}{
		{registry.File, registry.ErrDamaged, (*damaged).checkRegistry},
		{claim.File, claim.ErrDamaged, (*damaged).checkLog},
	} {
		d, err := newDamaged(ctx, &f, file.name, file.refusal)
		if err != nil {
			return f, err
		}
		truncations, flips := len(d.good), pick(l, 10000, 500)
		for n := range truncations {
			if err := file.check(d, ctx, d.good[:n]); err != nil {
				f.wrong("%s of %d bytes cut after %d: %v", file.name, len(d.good), n, err)
			}
		}
		random := rand.New(rand.NewPCG(3, 4))
		for range flips {
			bit := random.IntN(8 * len(d.good))
			data := bytes.Clone(d.good)
			data[bit/8] ^= 1 << (bit % 8)
			if err := file.check(d, ctx, data); err != nil {
				at := max(0, bit/8-12)
				f.wrong("%s with bit %d of byte %d flipped (%q): %v", file.name, bit%8, bit/8, data[at:min(len(data), bit/8+12)], err)
			}
		}
		f.figures += fmt.Sprintf("%s: %d truncations, %d bit flips: %d refused, %d read right; ", path.Base(file.name), truncations, flips, d.refused, d.read)
		restored += d.restored
	}
	f.figures += fmt.Sprintf("%d of the registries restored", restored)
	return f, nil
}

// newDamaged is a pool in which kinfra has given slots, and another tool one.
func newDamaged(ctx context.Context, f *finding, file string, refusal error) (*damaged, error) {
	w := world.NewFake()
	p, err := newPool(ctx, w.World(), "/home/user", specs(profiles[0], profiles[0], profiles[0], profiles[1]), 4)
	if err != nil {
		return nil, err
	}
	req := p.request(0)
	for i := range 2 {
		req.Worktree, req.TTL = p.tree(i), 3600e9
		if _, _, err := p.Claim(ctx, req); err != nil {
			return nil, err
		}
	}
	if err := p.claimAndRelease(ctx, 2); err != nil {
		return nil, err
	}
	err = p.store.Update(ctx, func(r *registry.Registry) error {
		s, _ := r.Slot(4)
		s.ClaimedBy, s.ClaimedAt = p.tree(3), "2026-02-02T10:11:12.131415+00:00"
		return r.PutSlot(s)
	})
	if err != nil {
		return nil, err
	}
	d := &damaged{finding: f, pool: p, machine: w, file: file, refusal: refusal}
	d.good, err = w.Root(p.root).ReadFile(file, registry.MaxSize)
	return d, err
}

// put makes data the content of the file.
func (d *damaged) put(data []byte) { d.machine.Write(filepath.Join(d.root, d.file), data) }

// isRefused tells whether the pool can't be read, and what else is wrong then: a change
// has to be refused, too, and to change nothing.
func (d *damaged) isRefused(ctx context.Context, data []byte) (refused bool, wrong error) {
	_, err := d.List(ctx)
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, d.refusal) {
		return true, fmt.Errorf("the error %w isn't %w", err, d.refusal)
	}
	if _, err := d.claim(ctx, 2); !errors.Is(err, d.refusal) {
		return true, fmt.Errorf("a claim gives the error %v", err)
	}
	now, err := d.machine.Root(d.root).ReadFile(d.file, registry.MaxSize)
	if err == nil && !bytes.Equal(now, data) {
		err = errors.New("it was overwritten")
	}
	return true, err
}

// checkRegistry is nil where a damaged registry is refused, and restored; or where it is
// read as any reader of JSON reads it, no slot is missing, and no claim that kinfra gave.
func (d *damaged) checkRegistry(ctx context.Context, data []byte) error {
	d.put(data)
	defer d.put(d.good)
	refused, err := d.isRefused(ctx, data)
	if err != nil {
		return err
	}
	if refused {
		d.refused++
		if d.refused%restoreOneIn != 0 {
			return nil
		}
		d.restored++
		if err := d.restore(ctx); err != nil {
			return fmt.Errorf("restoring it: %w", err)
		}
		restored, err := d.machine.Root(d.root).ReadFile(d.file, registry.MaxSize)
		if err == nil && !bytes.Equal(restored, d.good) {
			err = errors.New("restored is something else")
		}
		return err
	}
	d.read++
	return errors.Join(d.checkSlots(ctx), checkRead(data))
}

// checkSlots is nil where all slots are there, and who holds them of kinfra's claims.
func (d *damaged) checkSlots(ctx context.Context) error {
	all, err := d.List(ctx)
	if err != nil {
		return err
	}
	if len(all) != 4 {
		return fmt.Errorf("%d slots are there, want 4", len(all))
	}
	for i := range 2 {
		if c := all[i].Claim; c == nil || c.Worktree != d.tree(i) || c.Foreign {
			return fmt.Errorf("the claim of slot %d is %+v", i+1, c)
		}
	}
	if all[3].Claim == nil {
		return errors.New("the claim of another tool is gone")
	}
	return nil
}

// checkRead compares what is read of a registry with what another reader of JSON finds.
func checkRead(data []byte) error {
	r, err := registry.Parse(data)
	if err != nil {
		return err
	}
	var have, want any
	if err := json.Unmarshal(data, &want); err != nil {
		return fmt.Errorf("what is not JSON was read: %w", err)
	}
	if err := json.Unmarshal(r.JSON(), &have); err != nil {
		return err
	}
	if !reflect.DeepEqual(have, want) {
		return fmt.Errorf("it was read as %s", r.JSON())
	}
	return nil
}

// checkLog is nil where a damaged log of claims is refused; or where it is read, as it was
// when the last line was added that a cut has left whole, and all of it if it isn't cut.
func (d *damaged) checkLog(ctx context.Context, data []byte) error {
	d.put(data)
	defer d.put(d.good)
	refused, err := d.isRefused(ctx, data)
	if refused {
		d.refused++
		return err
	}
	d.read++
	got, err := d.claims(ctx)
	if err != nil {
		return err
	}
	left := d.good
	if bytes.HasPrefix(d.good, data) {
		left = d.good[:bytes.LastIndexByte(d.good[:len(data)+1], '\n')+1] // a line need not have its end
	}
	d.put(left)
	want, err := d.claims(ctx)
	if err == nil && got != want {
		err = fmt.Errorf("it was read as %s, want %s", got, want)
	}
	return err
}

// claims says all that there is to be known of all claims.
func (d *damaged) claims(ctx context.Context) (string, error) {
	all, err := d.List(ctx)
	var text strings.Builder
	for _, s := range all {
		fmt.Fprintf(&text, "%d: %+v, %+v; ", s.ID, s.Claim, s.Contender)
	}
	return text.String(), err
}
