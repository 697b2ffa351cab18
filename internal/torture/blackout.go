package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"

	"github.com/ktrdr/kinfra/internal/world"
)

// blackout is a recorded life, in which the power may fail anywhere.
type blackout struct {
	tape *tape
	life life
	most int // losses to be tried at each place, where there are more

	seed     maphash.Seed
	seen     map[uint64]bool // what has been looked at
	places   int
	losses   int
	problems []string
}

// life is what was recorded. It knows how far a replay has come by the marks on the tape.
type life interface {
	// deed is what is under way.
	deed() string

	// wanted says what there has to be on a machine after the power has failed.
	wanted() string

	// judge says what is wrong there, "" for nothing.
	judge(context.Context, *world.Fake) string
}

func newBlackout(t *tape, l life) *blackout {
	return &blackout{tape: t, life: l, seed: maphash.MakeSeed(), seen: map[uint64]bool{}}
}

// figures says how much was tried.
func (b *blackout) figures() string {
	return fmt.Sprintf("%d prefixes, %d losses, %d different disks", b.places, b.losses, len(b.seen))
}

// forget takes the syncs off the tape that lost names; nil for none.
func (j *tape) forget(lost func(written) bool) {
	for i, e := range j.log {
		if lost != nil && e.synced != nil && lost(e) {
			j.log[i].synced = nil
		}
	}
}

// replay lets the power fail after each thing that was written. It ends early once
// enough problems were found, unless enough is 0.
func (b *blackout) replay(ctx context.Context, enough int) error {
	random := rand.New(rand.NewPCG(1, 2))
	d := newDisk(b.tape.top)
	d.settle(b.tape)
	for i, e := range b.tape.log {
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
				b.problems = append(b.problems, fmt.Sprintf("power lost during %s, after operation %d: %s", b.life.deed(), i, problem))
			}
		})
		if enough > 0 && len(b.problems) >= enough {
			return nil
		}
	}
	return nil
}

// settle makes durable what was there before the first thing that was written.
func (d *disk) settle(j *tape) {
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
func (j *tape) wrote(node *inode) bool {
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
	key := maphash.String(b.seed, content+b.life.wanted())
	if b.seen[key] {
		return ""
	}
	b.seen[key] = true
	w.Reboot()
	return b.life.judge(ctx, w)
}
