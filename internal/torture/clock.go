package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	year       = 365 * 24 * time.Hour
	clockSlots = 3
	clockTrees = 5
)

// tryClock has the wall clock jump: of the real machine, as a program sees it, and of one
// in memory, on which time passes as well.
func tryClock(ctx context.Context, l *lab) (finding, error) {
	var f finding
	jumps, err := l.jumpOnFiles(ctx, &f)
	if err != nil {
		return f, err
	}
	c, err := newClockTrial(ctx, &f)
	if err != nil {
		return f, err
	}
	steps := pick(l, 20000, 2000)
	for range steps {
		c.step(ctx)
		if len(f.broken) > 0 || ctx.Err() != nil {
			return f, ctx.Err()
		}
	}
	f.figures = fmt.Sprintf("%d jumps on real files; %d steps in memory: %d jumps within ±1 year, %d reboots, %d claims, %d taken back once their lease was over",
		jumps, steps, c.jumps, c.reboots, c.claims, c.reclaimed)
	if c.reclaimed == 0 {
		f.wrong("no lease was ever over")
	}
	return f, nil
}

// jump is a world whose wall clock is off.
func jump(w world.World, by time.Duration) world.World {
	w.Clock = jumped{w.Clock, by}
	return w
}

type jumped struct {
	clock world.Clock
	by    time.Duration
}

func (c jumped) Now() time.Time { return c.clock.Now().Add(c.by) }

func (c jumped) BootTime() (boot string, up time.Duration, err error) { return c.clock.BootTime() }

func (c jumped) Sleep(ctx context.Context, d time.Duration) error { return c.clock.Sleep(ctx, d) }

// jumpOnFiles claims the only slot for an hour by one clock, and has others look at it,
// and try to take it, by clocks that are off.
func (l *lab) jumpOnFiles(ctx context.Context, f *finding) (jumps int, err error) {
	dir, err := l.newDir("clock")
	if err != nil {
		return 0, err
	}
	w := world.Real("the judge")
	if _, err := newPool(ctx, w, dir, small(1), 2); err != nil {
		return 0, err
	}
	for _, base := range []time.Duration{0, -year, year} {
		p := openPool(jump(w, base), dir)
		req := p.request(0)
		req.TTL = time.Hour
		held, _, err := p.Claim(ctx, req)
		if err != nil {
			return jumps, err
		}
		for by := -year; by <= year; by += year / 12 {
			jumps++
			if problem := takeFalsely(ctx, openPool(jump(w, by), dir)); problem != "" {
				f.wrong("claimed by a clock that is %s off, looked at by one that is %s off: %s", base, by, problem)
			}
		}
		if err := p.Release(ctx, target(held)); err != nil {
			return jumps, err
		}
	}
	return jumps, nil
}

// takeFalsely tries to take a slot whose lease isn't over, and says what it got.
func takeFalsely(ctx context.Context, p pool) string {
	all, err := p.List(ctx)
	if err != nil || len(all) != 1 || all[0].Claim == nil || all[0].Claim.Stale != "" {
		return fmt.Sprintf("the slots are %+v, %v", all, err)
	}
	taken := false
	req := p.request(1)
	req.Reclaim = func(context.Context, claim.Claim) error {
		taken = true
		return nil
	}
	if _, _, err := p.Claim(ctx, req); !errors.Is(err, claim.ErrNoneFree) || taken {
		return fmt.Sprintf("it was taken back: %v", err)
	}
	return ""
}

// clockTrial is a pool on a machine in memory, beside what is known of its claims.
type clockTrial struct {
	*finding
	pool
	machine *world.Fake
	rand    *rand.Rand
	now     time.Duration   // time passed since the trial began, by no clock
	held    map[int]*leased // by worktree

	jumps, reboots, claims, reclaimed int
}

// leased is a claim, and how long it is good.
type leased struct {
	claim.Claim
	ttl time.Duration // 0 for without end
	end time.Duration // as now; it starts anew when the machine does
}

func newClockTrial(ctx context.Context, f *finding) (*clockTrial, error) {
	w := world.NewFake()
	p, err := newPool(ctx, w.World(), "/home/user", small(clockSlots), clockTrees)
	return &clockTrial{finding: f, pool: p, machine: w, rand: rand.New(rand.NewPCG(5, 6)), held: map[int]*leased{}}, err
}

// step has the clock jump, and time pass, and then something be done.
func (c *clockTrial) step(ctx context.Context) {
	c.jumps++
	c.machine.Advance(time.Duration(c.rand.Int64N(int64(2*year))) - year)
	passed := time.Duration(c.rand.Int64N(int64(time.Minute)))
	c.machine.Pass(passed)
	c.now += passed
	switch c.rand.IntN(20) {
	case 0:
		c.reboot()
	case 1, 2, 3, 4, 5:
		c.release(ctx)
	default:
		c.take(ctx)
	}
	c.compare(ctx)
}

func (c *clockTrial) reboot() {
	c.reboots++
	c.machine.Reboot()
	for _, h := range c.held {
		h.end = c.now + h.ttl
	}
}

func (c *clockTrial) release(ctx context.Context) {
	for tree, h := range c.held {
		if err := c.Release(ctx, target(h.Claim)); err != nil {
			c.wrong("releasing slot %d of tree-%d: %v", h.Slot, tree, err)
		}
		delete(c.held, tree)
		return
	}
}

// take claims for a worktree, with a lease or without, and takes back what is stale.
func (c *clockTrial) take(ctx context.Context) {
	tree := c.rand.IntN(clockTrees)
	req := c.request(tree)
	if c.rand.IntN(3) > 0 {
		req.TTL = time.Duration(1 + c.rand.Int64N(int64(20*time.Minute)))
	}
	req.Reclaim = func(_ context.Context, old claim.Claim) error {
		holder := treeNumber(old.Worktree)
		h := c.held[holder]
		if h == nil || h.ttl == 0 || h.end > c.now {
			c.wrong("the claim %+v was taken back, with %v left", old, h)
		}
		c.reclaimed++
		delete(c.held, holder)
		return nil
	}
	got, renewed, err := c.Claim(ctx, req)
	before := c.held[tree]
	switch {
	case errors.Is(err, claim.ErrNoneFree):
		if len(c.held) < clockSlots {
			c.wrong("a free slot was refused: %v", err)
		}
		return
	case err != nil || renewed != (before != nil) || renewed && got.Token != before.Token:
		c.wrong("tree-%d got %+v, renewed %v, %v; it had %+v", tree, got, renewed, err, before)
		return
	}
	c.claims++
	ttl := req.TTL
	if ttl == 0 && before != nil {
		ttl = before.ttl
	}
	c.held[tree] = &leased{got, ttl, c.now + ttl}
}

// compare wants the slots to be listed as they are held, and stale what is.
func (c *clockTrial) compare(ctx context.Context) {
	all, err := c.List(ctx)
	if err != nil {
		c.wrong("listing: %v", err)
	}
	listed := 0
	for _, s := range all {
		if s.Claim == nil {
			continue
		}
		listed++
		h := c.held[treeNumber(s.Claim.Worktree)]
		if h == nil || h.Token != s.Claim.Token || s.Contender != nil {
			c.wrong("slot %d is listed as %+v, held is %+v", s.ID, s.Claim, h)
			return
		}
		if over := h.ttl > 0 && h.end <= c.now; over != (s.Claim.Stale != "") {
			c.wrong("slot %d is stale: %q, with %s of %s left", s.ID, s.Claim.Stale, h.end-c.now, h.ttl)
		}
	}
	if listed != len(c.held) {
		c.wrong("%d claims are listed, %d are held", listed, len(c.held))
	}
}
