package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	workers = 8

	// patience is how long an operation of a worker may take.
	patience = 3 * time.Second

	// A file operation in so many waits for up to that long before it is done, so
	// that processes meet in more ways than an idle machine would let them.
	delayOneIn = 48
	delayMost  = time.Millisecond
)

// message is one line of a worker's output: an operation that begins or ends.
type message struct {
	At     time.Duration `json:"at"` // on the clock of world.BootTime
	Call   *call         `json:"call,omitempty"`
	Answer *answer       `json:"answer,omitempty"`
}

// claimer is what a worker claims with.
type claimer interface {
	claim(ctx context.Context, tree int, least string) answer
	release(ctx context.Context, slot int, token string) answer
	list(ctx context.Context) answer
}

// worker is a process that claims and releases at random.
type worker struct {
	child
	claimer
	rand *rand.Rand
	held map[int]answer // by worktree: the claims that it has made
	past []call         // releases that were done, whose tokens are no longer good
}

func work(ctx context.Context, c child) error {
	w := c.hazards(faults()[c.Fault].of(c.world(), c))
	p := openPool(w, c.Dir)
	wk := worker{child: c, rand: rand.New(rand.NewPCG(c.Seed, 2)), held: map[int]answer{}}
	wk.claimer = poolClaimer{p}
	if f := faults()[c.Fault]; f.claimer != nil {
		wk.claimer = f.claimer(p)
	}
	for upTime() < c.Until {
		in := wk.choose()
		if err := c.out.Encode(message{At: upTime(), Call: &in}); err != nil {
			return err
		}
		out := wk.do(ctx, in)
		if err := c.out.Encode(message{At: upTime(), Answer: &out}); err != nil {
			return err
		}
	}
	return nil
}

// hazards are the delays of a world, and the death of its process.
func (c child) hazards(w world.World) world.World {
	var operations atomic.Int64
	return world.Faulty(w, func(string, string) error {
		if int(operations.Add(1)) == c.KillAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if rand.N(delayOneIn) == 0 {
			time.Sleep(rand.N(delayMost))
		}
		return nil
	})
}

// choose is what a worker does next. It mostly works for the worktree of its number,
// and sometimes for another's, as two processes in one worktree do.
func (wk *worker) choose() call {
	tree := wk.Number
	if wk.rand.IntN(8) == 0 {
		tree = wk.rand.IntN(workers)
	}
	held, holds := wk.held[tree]
	what := wk.rand.IntN(100)
	switch {
	case what < 12:
		return call{Kind: kindList, Tree: tree}
	case what < 18 && len(wk.past) > 0:
		return wk.past[wk.rand.IntN(len(wk.past))]
	case holds && what < 85:
		return call{Kind: kindRelease, Tree: tree, Slot: held.Slot, Token: held.Token}
	}
	least := profiles[0]
	if wk.rand.IntN(6) == 0 {
		least = profiles[1]
	}
	return call{Kind: kindClaim, Tree: tree, Least: least}
}

func (wk *worker) do(ctx context.Context, in call) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch in.Kind {
	case kindClaim:
		out := wk.claim(ctx, in.Tree, in.Least)
		if out.Outcome == done {
			wk.held[in.Tree] = out
		}
		return out
	case kindRelease:
		out := wk.release(ctx, in.Slot, in.Token)
		delete(wk.held, in.Tree)
		if wk.past = append(wk.past, in); len(wk.past) > 8 {
			wk.past = wk.past[1:]
		}
		return out
	}
	return wk.list(ctx)
}

// poolClaimer claims as kinfra does.
type poolClaimer struct{ pool }

func (p poolClaimer) claim(ctx context.Context, tree int, least string) answer {
	req := p.request(tree)
	req.Least = least
	c, renewed, err := p.Claim(ctx, req)
	switch {
	case err == nil:
		return answer{Outcome: done, Slot: c.Slot, Token: c.Token, Renewed: renewed}
	case errors.Is(err, claim.ErrNoneFree):
		return answer{Outcome: noneFree}
	case errors.Is(err, claim.ErrConflict):
		return answer{Outcome: tooLight}
	}
	return answer{Outcome: failed, Error: err.Error()}
}

func (p poolClaimer) release(ctx context.Context, slot int, token string) answer {
	err := p.Release(ctx, claim.Target{Slot: slot, Token: token})
	switch {
	case err == nil:
		return answer{Outcome: done}
	case errors.Is(err, claim.ErrNotHolder):
		return answer{Outcome: notHolder}
	}
	return answer{Outcome: failed, Error: err.Error()}
}

func (p poolClaimer) list(ctx context.Context) answer {
	all, err := p.List(ctx)
	if err != nil {
		return answer{Outcome: failed, Error: err.Error()}
	}
	out := answer{Outcome: done}
	for i, s := range all {
		if s.Claim != nil {
			out.Holders[i] = treeNumber(s.Claim.Worktree) + 1
		}
		if s.Contender != nil {
			return answer{Outcome: failed, Error: "a conflict, where nobody but kinfra claims: " + s.Contender.Worktree}
		}
	}
	return out
}
