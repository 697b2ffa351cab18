package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"path"
	"strings"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// powered is where the pool lies whose power fails.
const powered = "/home/user/powered"

// blackout is one recorded life of a pool, in which the power may fail anywhere.
type blackout struct {
	journal *journal
	most    int // losses to be tried at each place, where there are more

	// How far the replay has come.
	acknowledged string // what was so when the last deed had ended
	underway     string // what is to be so when the next one has; "" if none is under way
	deed         string

	seed     maphash.Seed
	seen     map[uint64]bool // what has been looked at
	places   int
	losses   int
	problems []string
}

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
	f.figures = fmt.Sprintf("%d deeds, %d prefixes, %d losses, %d different disks",
		len(acts()), b.places, b.losses, len(b.seen))
	return f, nil
}

// catchInPower looks for a mistake in what is made durable.
func (l *lab) catchInPower(ctx context.Context, o unsynced) (string, error) {
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
	b := &blackout{journal: r.journal, seed: maphash.MakeSeed(), seen: map[uint64]bool{}}
	p := openPool(r.world, powered)
	before, err := p.holders(ctx)
	if err != nil {
		return nil, err
	}
	r.note(func() { b.acknowledged = before })
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
		r.log[start].mark = func() { b.underway, b.deed = after, a.name }
		r.note(func() { b.acknowledged, b.underway = after, "" })
	}
	if lost != nil {
		for i, e := range r.log {
			if e.synced != nil && lost(e) {
				r.log[i].synced = nil
			}
		}
	}
	return b, nil
}

// replay lets the power fail after each thing that was written. It ends early once
// enough problems were found, unless enough is 0.
func (b *blackout) replay(ctx context.Context, enough int) error {
	random := rand.New(rand.NewPCG(1, 2))
	d := newDisk(b.journal.top)
	d.settle(b.journal)
	for i, e := range b.journal.log {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e.mark != nil {
			e.mark()
		}
		d.add(e)
		b.places++
		d.losses(b.most, random, func(l loss) {
			b.losses++
			if problem := b.fail(ctx, d, l); problem != "" {
				b.problems = append(b.problems, fmt.Sprintf("power lost during %s, after operation %d: %s", b.deed, i, problem))
			}
		})
		if enough > 0 && len(b.problems) >= enough {
			return nil
		}
	}
	return nil
}

// settle makes durable what was there before the first thing that was written.
func (d *disk) settle(j *journal) {
	var visit func(*inode)
	visit = func(dir *inode) {
		for name, node := range dir.entries {
			if node.mode.IsDir() && !j.wrote(node) {
				d.entries(dir)[name] = node
				visit(node)
			}
		}
	}
	visit(j.top)
}

// wrote tells whether something was made an entry in the log.
func (j *journal) wrote(node *inode) bool {
	for _, e := range j.log {
		if e.change == nil {
			continue
		}
		for _, entry := range e.change.entries {
			if entry == node {
				return true
			}
		}
	}
	return false
}

// fail starts a machine with what is left after a loss, and says what is wrong on it.
func (b *blackout) fail(ctx context.Context, d *disk, l loss) string {
	w := world.NewFake()
	w.Random(make([]byte, 1<<10)) // or it would draw the names and tokens of before
	content, err := d.after(l, w)
	if err != nil {
		return err.Error()
	}
	key := maphash.String(b.seed, content+b.acknowledged+"\x00"+b.underway)
	if b.seen[key] {
		return ""
	}
	b.seen[key] = true
	w.Reboot()
	return b.judge(ctx, openPool(w.World(), powered))
}

// judge says what is wrong on a machine after the power has failed.
func (b *blackout) judge(ctx context.Context, p pool) string {
	got, err := p.holders(ctx)
	if err != nil {
		return err.Error()
	}
	if got != b.acknowledged && (b.underway == "" || got != b.underway) {
		return fmt.Sprintf("the slots are %q, want %q or %q", got, b.acknowledged, b.underway)
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
