package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

// deed is something that kinfra does to a pool, and that may fail.
type deed struct {
	name  string
	slots int // of the pool before
	do    func(context.Context, pool) error

	// prepare is done before; nil for nothing.
	prepare func(context.Context, pool) error
}

// deeds can all be done again: what is done already isn't an error.
func deeds() []deed {
	claimOne := func(ctx context.Context, p pool) error {
		_, err := p.claim(ctx, 0)
		return err
	}
	return []deed{
		{name: "a registry write", slots: 2, do: func(ctx context.Context, p pool) error {
			return p.store.Update(ctx, func(r *registry.Registry) error {
				s, _ := r.Slot(1)
				s.Status = "running"
				return r.PutSlot(s)
			})
		}},
		{name: "a claim", slots: 2, do: claimOne},
		{name: "a claim after others", slots: 2, do: claimOne, prepare: func(ctx context.Context, p pool) error {
			return p.claimAndRelease(ctx, 1)
		}},
		{name: "a release", slots: 2, prepare: claimOne, do: func(ctx context.Context, p pool) error {
			s, held, err := p.Find(ctx, p.tree(0))
			if err != nil || !held {
				return err
			}
			return p.Release(ctx, target(*s.Claim))
		}},
		{name: "slot creation", slots: 0, do: func(ctx context.Context, p pool) error { return p.provision(ctx, small(3)) }},
	}
}

// start makes a pool, in which the deed can then be done.
func (d deed) start(ctx context.Context, dir string) (pool, error) {
	p, err := newPool(ctx, world.Real("the judge"), dir, small(d.slots), 2)
	if err == nil && d.prepare != nil {
		err = d.prepare(ctx, p)
	}
	return p, err
}

// condition says what is in a pool: who holds which slot, and what else deeds change.
func (p pool) condition(ctx context.Context) (string, error) {
	text, err := p.holders(ctx)
	if err != nil {
		return "", err
	}
	r, err := p.store.Load(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range r.Slots() {
		text += fmt.Sprintf("; slot %d %s %s", s.ID, s.Profile, s.Status)
		if _, err := p.w.Disk.Host().Lstat(filepath.Join(slot.Dir(p.root, s.ID), slot.EnvName)); err != nil {
			text += " without its directory"
		}
	}
	return text, nil
}

// syscallTrial is a deed under a fault, at each of its operations in turn.
type syscallTrial struct {
	deed
	fault   error
	forGood bool   // all operations from that one on fail
	before  string // conditions
	after   string
	dir     string // of all its pools
}

// trySyscalls fails each operation of each deed.
func trySyscalls(ctx context.Context, l *lab) (finding, error) {
	var f finding
	faults := pick(l, []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES}, []error{syscall.EIO})
	total := 0
	for _, d := range deeds() {
		operations := 0
		for _, fault := range faults {
			for _, forGood := range []bool{false, true} {
				n, err := l.trySyscallsOf(ctx, &f, syscallTrial{deed: d, fault: fault, forGood: forGood})
				if err != nil {
					return f, err
				}
				operations, total = max(operations, n), total+n
			}
		}
		f.figures += fmt.Sprintf("%s: %d operations; ", d.name, operations)
	}
	f.figures += fmt.Sprintf("%d failures", total)
	return f, nil
}

// trySyscallsOf does one trial, and returns how many operations it has.
func (l *lab) trySyscallsOf(ctx context.Context, f *finding, t syscallTrial) (int, error) {
	dir, err := l.newDirInMemory("syscalls")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	t.dir = dir
	if err := t.learn(ctx); err != nil {
		return 0, err
	}
	for n := 1; ctx.Err() == nil; n++ {
		there, problem, err := t.failAt(ctx, n)
		if err != nil {
			return n, err
		}
		if !there {
			return n - 1, nil
		}
		if problem != "" {
			f.wrong("%s, %v (for good: %v): %s", t.name, t.fault, t.forGood, problem)
		}
	}
	return 0, ctx.Err()
}

// learn finds out what the deed makes of a pool.
func (t *syscallTrial) learn(ctx context.Context) error {
	p, err := t.start(ctx, filepath.Join(t.dir, "undisturbed"))
	if err != nil {
		return err
	}
	if t.before, err = p.condition(ctx); err != nil {
		return err
	}
	if err := t.do(ctx, p); err != nil {
		return err
	}
	if t.after, err = p.condition(ctx); err == nil && t.after == t.before {
		err = errors.New("the deed changes nothing")
	}
	return err
}

// failAt fails operation n, and tells whether there is one, and what was wrong then.
func (t *syscallTrial) failAt(ctx context.Context, n int) (there bool, problem string, err error) {
	dir := filepath.Join(t.dir, fmt.Sprint(n))
	p, err := t.start(ctx, dir)
	if err != nil {
		return false, "", err
	}
	defer os.RemoveAll(dir)
	h := &hitter{n: n, fault: t.fault, forGood: t.forGood}
	deedErr := t.do(ctx, openPool(world.Faulty(p.w, h.fail), dir))
	if h.op == "" {
		return false, "", deedErr
	}
	if problem, err = t.judge(ctx, p, deedErr); problem == "" && deedErr == nil && !t.dispensable(p, h) {
		problem = "the failure wasn't told"
	}
	if problem != "" {
		problem = fmt.Sprintf("operation %d, %s of %s: %s", n, h.op, h.name, problem)
	}
	return true, problem, err
}

// judge says what is wrong after a deed whose operation failed.
func (t *syscallTrial) judge(ctx context.Context, p pool, deedErr error) (string, error) {
	got, err := p.condition(ctx)
	switch {
	case err != nil:
		return fmt.Sprintf("the pool can't be read any more: %v", err), nil
	case got != t.before && got != t.after:
		return fmt.Sprintf("the pool is neither old nor new: %s", got), nil
	case deedErr == nil && got != t.after:
		return fmt.Sprintf("no error, but the pool is %s", got), nil
	case deedErr != nil && !errors.Is(deedErr, t.fault):
		return fmt.Sprintf("the error hides its cause: %v", deedErr), nil
	}
	if err := t.do(ctx, p); err != nil {
		return fmt.Sprintf("doing it again: %v", err), nil
	}
	if got, err = p.condition(ctx); err != nil || got != t.after {
		return fmt.Sprintf("done again, the pool is %s, %v", got, err), nil
	}
	// Where there was nothing left to do, nothing was written, nor cleared away.
	if err := p.claimAndRelease(ctx, 1); err != nil {
		return fmt.Sprintf("the next claim: %v", err), nil
	}
	left, err := p.strays()
	if len(left) > 0 {
		return fmt.Sprintf("after the next claim there still are %s", strings.Join(left, ", ")), nil
	}
	return "", err
}

// dispensable tells whether an operation may fail without a word: one that only looks at
// something, where there is another way on; and the sync of a directory above the root
// that one may not open.
func (t *syscallTrial) dispensable(p pool, h *hitter) bool {
	switch h.op {
	case "read", "lstat", "readdir", "readlink":
		return true
	case "sync":
		return strings.HasPrefix(p.root, h.name+"/") && t.fault == syscall.EACCES
	}
	return false
}

// hitter fails operations.
type hitter struct {
	n       int // the first one, from 1
	fault   error
	forGood bool

	mu    sync.Mutex
	count int
	op    string // what the first one was, and on what
	name  string
}

func (h *hitter) fail(op, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	if h.count == h.n {
		h.op, h.name = op, name
	}
	if h.count == h.n || h.forGood && h.count > h.n {
		return h.fault
	}
	return nil
}
