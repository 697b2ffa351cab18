package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// powered is where the pool lies whose power fails.
const powered = "/home/user/powered"

// poolLife is the recorded life of a pool, and how far a replay has come in it.
type poolLife struct {
	acknowledged string // what was so when the last deed had ended
	underway     string // what is to be so when the next one has; "" if none is under way
	name         string // of the deed
}

func (l *poolLife) deed() string   { return l.name }
func (l *poolLife) wanted() string { return l.acknowledged + "\x00" + l.underway }

// act is a step of a pool's life.
type act struct {
	name string
	do   func(context.Context, pool) error
}

// acts are a pool's life: slots are made, claimed, renewed, released, added and removed.
func acts() []act {
	claim := func(i int) act {
		return act{fmt.Sprint("claim of tree-", i), func(ctx context.Context, p pool) error {
			_, err := p.claim(ctx, i)
			return err
		}}
	}
	release := func(i int) act {
		return act{fmt.Sprint("release of tree-", i), func(ctx context.Context, p pool) error {
			s, held, err := p.Find(ctx, p.tree(i))
			if err != nil || !held {
				return errors.Join(err, errors.New("it holds none"))
			}
			return p.Release(ctx, target(*s.Claim))
		}}
	}
	provision := func(n int) act {
		return act{fmt.Sprintf("provisioning of %d slots", n), func(ctx context.Context, p pool) error {
			return p.provision(ctx, small(n))
		}}
	}
	return []act{provision(2), claim(0), claim(1), release(0), provision(3), claim(2), release(1),
		release(2), claim(0), claim(1)}
}

// unsynced is a mistake in what is made durable.
type unsynced struct {
	fault string
	lost  func(written) bool // which syncs are left out
}

func unsyncedOrders() []unsynced {
	return []unsynced{
		{"no fsync at all", func(written) bool { return true }},
		{"no fsync of files before they are renamed", func(e written) bool { return !e.synced.mode.IsDir() && !e.adding }},
		{"no fsync of directories after that", func(e written) bool { return e.synced.mode.IsDir() }},
		{"no fsync of what is added to a file", func(e written) bool { return e.adding }},
	}
}

// tryPower lets the power fail everywhere.
func tryPower(ctx context.Context, l *lab) (finding, error) {
	var f finding
	b, err := live(ctx, nil)
	if err != nil {
		return f, err
	}
	b.most = pick(l, 400, 24)
	if err := b.replay(ctx, 0); err != nil {
		return f, err
	}
	f.broken = b.problems
	f.figures = fmt.Sprintf("%d deeds, %s", len(acts()), b.figures())
	return f, nil
}

// catchUnsynced looks for a mistake in what is made durable, in a life that live records.
func catchUnsynced(ctx context.Context, live func(context.Context, func(written) bool) (*blackout, error), o unsynced) (string, error) {
	b, err := live(ctx, o.lost)
	if err != nil {
		return "", err
	}
	b.most = 24
	if err := b.replay(ctx, 1); err != nil || len(b.problems) == 0 {
		return "", err
	}
	return b.problems[0], nil
}

// live records a pool's life. Syncs that lost names are not recorded.
func live(ctx context.Context, lost func(written) bool) (*blackout, error) {
	w := world.NewFake()
	trees := openPool(w.World(), powered).trees
	var dirs []string
	for i := range 4 {
		dir := path.Join(trees, fmt.Sprint("tree-", i))
		if err := w.Host().MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	r := record(w.World(), dirs...)
	life := &poolLife{}
	p := openPool(r.world, powered)
	before, err := p.holders(ctx)
	if err != nil {
		return nil, err
	}
	r.note(func() { life.acknowledged = before })
	for _, a := range acts() {
		start := len(r.log)
		r.note(nil)
		if err := a.do(ctx, p); err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		after, err := p.holders(ctx)
		if err != nil {
			return nil, err
		}
		r.log[start].mark = func() { life.underway, life.name = after, a.name }
		r.note(func() { life.acknowledged, life.underway = after, "" })
	}
	r.forget(lost)
	return newBlackout(r.tape, life), nil
}

// judge says what is wrong on a machine after the power has failed.
func (l *poolLife) judge(ctx context.Context, w *world.Fake) string {
	p := openPool(w.World(), powered)
	got, err := p.holders(ctx)
	if err != nil {
		return err.Error()
	}
	if got != l.acknowledged && (l.underway == "" || got != l.underway) {
		return fmt.Sprintf("the slots are %q, want %q or %q", got, l.acknowledged, l.underway)
	}
	if err := p.goesOn(ctx, got); err != nil {
		return fmt.Sprintf("with the slots %q: %v", got, err)
	}
	return ""
}

// goesOn does what comes next in a pool whose slots are so: it is provisioned, claimed
// from, damaged and restored.
func (p pool) goesOn(ctx context.Context, slots string) error {
	if err := p.provision(ctx, small(3)); err != nil {
		return fmt.Errorf("provisioning: %w", err)
	}
	now, err := p.holders(ctx)
	if err != nil || !strings.HasPrefix(now, slots) {
		return fmt.Errorf("provisioning has made of the slots %q, %v", now, err)
	}
	c, err := p.claim(ctx, 3)
	if err != nil {
		return fmt.Errorf("claiming: %w", err)
	}
	if taken := fmt.Sprint(c.Slot, " -"); !strings.Contains(now, taken) {
		return fmt.Errorf("slot %d was given to a second worktree", c.Slot)
	}
	left, err := p.strays()
	if err != nil {
		return err
	}
	for _, name := range left {
		if strings.HasPrefix(name, p.root) {
			return fmt.Errorf("there still is %s", name)
		}
	}
	return p.recovers(ctx)
}

// recovers damages the registry and restores the newest good generation, which is as it
// was.
func (p pool) recovers(ctx context.Context) error {
	files := p.w.Disk.Root(p.root)
	good, err := files.ReadFile(registry.File, registry.MaxSize)
	if err != nil {
		return err
	}
	if err := files.Remove(registry.File); err != nil {
		return err
	}
	if err := files.CreateFile(registry.File, good[:len(good)/2], 0o600); err != nil {
		return err
	}
	if err := p.restore(ctx); err != nil {
		return err
	}
	restored, err := files.ReadFile(registry.File, registry.MaxSize)
	if err == nil && string(restored) != string(good) {
		err = errors.New("the newest good generation isn't what was in force")
	}
	return err
}

// restore puts the newest good generation of a damaged registry back.
func (p pool) restore(ctx context.Context) error {
	all, err := p.store.Generations(ctx)
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Err == nil {
			_, err := p.store.Restore(ctx, all[i].Number)
			return err
		}
	}
	return fmt.Errorf("none of %d generations is good", len(all))
}
