package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

// profiles are those of the pools here, lightest first.
var profiles = [...]string{"small", "large"}

// specs are slots of these profiles, numbered from 1.
func specs(ofProfile ...string) []slot.Spec {
	all := make([]slot.Spec, len(ofProfile))
	for i, profile := range ofProfile {
		id := i + 1
		all[i] = slot.Spec{
			ID: id, Profile: profile,
			Workers: []registry.Count{{Name: "batch", Number: 1}},
			Ports:   []registry.Count{{Name: "web", Number: 20000 + id}},
			Env:     map[string]string{"SLOT_ID": strconv.Itoa(id), "WEB_PORT": strconv.Itoa(20000 + id)},
			Compose: []byte("services:\n  web:\n    image: web\n"),
		}
	}
	return all
}

// small is a pool of n slots of the lightest profile.
func small(n int) []slot.Spec {
	of := make([]string, n)
	for i := range of {
		of[i] = profiles[0]
	}
	return specs(of...)
}

// pool is a pool below a root, with worktrees beside it.
type pool struct {
	w     world.World
	root  string
	trees string // directory of the worktrees
	store *registry.Store
	*claim.Pool
}

// openPool is the pool below dir, with its worktrees, as a world shows it.
func openPool(w world.World, dir string) pool {
	root := filepath.Join(dir, "root")
	store := registry.Open(w, root)
	return pool{w: w, root: root, trees: filepath.Join(dir, "trees"), store: store, Pool: claim.Open(w, store)}
}

// newPool makes a pool of slots, and worktrees.
func newPool(ctx context.Context, w world.World, dir string, slots []slot.Spec, trees int) (pool, error) {
	p := openPool(w, dir)
	for i := range trees {
		if err := w.Disk.Host().MkdirAll(p.tree(i), 0o755); err != nil {
			return p, err
		}
	}
	return p, p.provision(ctx, slots)
}

// provision makes the slots what they should be; one that differs is an error.
func (p pool) provision(ctx context.Context, slots []slot.Spec) error {
	results, err := slot.Ensure(ctx, p.w, p.store, slots, slot.Options{})
	for _, r := range results {
		if r.Action == slot.Drifted {
			err = errors.Join(err, fmt.Errorf("slot %d has drifted: %v", r.ID, r.Drift))
		}
	}
	return err
}

// tree is the path of worktree i.
func (p pool) tree(i int) string { return filepath.Join(p.trees, fmt.Sprint("tree-", i)) }

// treeNumber is i of the path of worktree i, or -1.
func treeNumber(path string) int {
	digits, ok := strings.CutPrefix(filepath.Base(path), "tree-")
	i, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return -1
	}
	return i
}

// claim claims a slot of any profile for worktree i.
func (p pool) claim(ctx context.Context, i int) (claim.Claim, error) {
	c, _, err := p.Claim(ctx, p.request(i))
	return c, err
}

// claimAndRelease has worktree i come and go.
func (p pool) claimAndRelease(ctx context.Context, i int) error {
	c, err := p.claim(ctx, i)
	if err != nil {
		return err
	}
	return p.Release(ctx, target(c))
}

func (p pool) request(i int) claim.Request {
	return claim.Request{Worktree: p.tree(i), Order: profiles[:]}
}

func target(c claim.Claim) claim.Target { return claim.Target{Slot: c.Slot, Token: c.Token} }

// holders says who holds each slot: "1 tree-0, 2 -".
func (p pool) holders(ctx context.Context) (string, error) {
	all, err := p.List(ctx)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, s := range all {
		holder := "-"
		if s.Claim != nil {
			holder = filepath.Base(s.Claim.Worktree)
		}
		if s.Contender != nil {
			holder += "|" + filepath.Base(s.Contender.Worktree)
		}
		parts = append(parts, fmt.Sprint(s.ID, " ", holder))
	}
	return strings.Join(parts, ", "), nil
}

// strays are files that a process under way makes and a finished one doesn't leave.
func (p pool) strays() ([]string, error) {
	var found []string
	err := walk(p.w.Disk.Host(), filepath.Dir(p.root), func(path string, info world.Info) {
		if strings.Contains(info.Name, ".tmp-") {
			found = append(found, path)
		}
	})
	return found, err
}

// walk calls visit for all that is below dir.
func walk(files world.Files, dir string, visit func(path string, info world.Info)) error {
	entries, err := files.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name)
		visit(path, e)
		if e.Mode.IsDir() {
			if err := walk(files, path, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
