package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
)

// sample runs something once, measured. Each makes sure that what it measured is what
// it says: a command that fails at once is fast, too.
type sample func(context.Context) (process, error)

// poolSize is the number of slots of the shipped pool, as the promises name it.
const poolSize = 6

func (l *lab) emptyProgram(ctx context.Context) (process, error) {
	p, err := l.execute(ctx, l.empty)
	return p, wants(err, p.stdout, "hello\n")
}

// onRoot runs kinfra on a pool of its own.
func (l *lab) onRoot(ctx context.Context, root string, args ...string) (process, error) {
	return l.execute(ctx, l.kinfra, append([]string{"--root", root}, args...)...)
}

// slotRow is a line of the list that is about a slot, not a note below it.
var slotRow = regexp.MustCompile(`(?m)^\d+ +\w+ +\d+ `)

// slots lists the n slots of a root.
func (l *lab) slots(root string, n int) sample {
	return func(ctx context.Context) (process, error) {
		p, err := l.onRoot(ctx, root, "sandbox", "slots")
		if rows := len(slotRow.FindAllString(p.stdout, -1)); err == nil && rows != n {
			err = fmt.Errorf("sandbox slots of a pool of %d lists %d", n, rows)
		}
		return p, err
	}
}

// slotsRunning lists the n slots of a root, all of whose stacks run.
func (l *lab) slotsRunning(root string, n int) sample {
	return func(ctx context.Context) (process, error) {
		p, err := l.slots(root, n)(ctx)
		if running := strings.Count(p.stdout, " running\n"); err == nil && running != n {
			err = fmt.Errorf("sandbox slots says of %d slots that they run, want %d:\n%s", running, n, p.stdout)
		}
		return p, err
	}
}

// claim claims a slot for a worktree, and releases it again, which isn't measured.
func (l *lab) claim(root string) sample {
	return func(ctx context.Context) (process, error) {
		worktree := filepath.Join(l.dir, "worktree")
		if err := os.MkdirAll(worktree, 0o700); err != nil {
			return process{}, err
		}
		p, err := l.onRoot(ctx, root, "sandbox", "claim", "--for", worktree)
		if err := wants(err, p.stdout, " holds slot 1 ("); err != nil {
			return p, err
		}
		released, err := l.onRoot(ctx, root, "sandbox", "release", "--for", worktree)
		return p, wants(err, released.stdout, "Released slot 1, ")
	}
}

// emptyAndDurable is the floor of what changes the registry once.
func (l *lab) emptyAndDurable(ctx context.Context) (process, error) {
	p, err := l.emptyProgram(ctx)
	if err != nil {
		return p, err
	}
	d, err := l.durable(ctx)
	p.wall += d.wall
	return p, err
}

// provisionNew provisions a pool from nothing; the pool stays.
func (l *lab) provisionNew(root string) sample {
	return func(ctx context.Context) (process, error) {
		if err := os.RemoveAll(root); err != nil {
			return process{}, err
		}
		p, err := l.onRoot(ctx, root, "sandbox", "provision")
		if err := wants(err, p.stdout, fmt.Sprintf("\nCreated %d slot(s)\n", poolSize)); err != nil {
			return p, err
		}
		there, err := filepath.Glob(filepath.Join(root, "sandboxes", "slot-*", "docker-compose.yml"))
		if err == nil && len(there) != poolSize {
			err = fmt.Errorf("sandbox provision left %d slots, want %d", len(there), poolSize)
		}
		return p, err
	}
}

// provisionAgain provisions a pool that is there.
func (l *lab) provisionAgain(root string) sample {
	return func(ctx context.Context) (process, error) {
		p, err := l.onRoot(ctx, root, "sandbox", "provision")
		return p, wants(err, p.stdout, fmt.Sprintf("\nSkipped %d existing slot(s)\n", poolSize))
	}
}

func (l *lab) provisionDry(root string) sample {
	return func(ctx context.Context) (process, error) {
		p, err := l.onRoot(ctx, root, "sandbox", "provision", "--dry-run")
		return p, wants(err, p.stdout, fmt.Sprintf("\nWould have created %d slot(s)\n", poolSize))
	}
}

// computed is what cpu.star prints, whichever program runs it.
const computed = "result: 3245 17647 24000\n"

func (l *lab) scriptByKinfra(ctx context.Context) (process, error) {
	p, err := l.execute(ctx, l.kinfra, "run", filepath.Join(l.source, "cpu.star"))
	return p, wants(err, p.stdout, computed)
}

func (l *lab) scriptByStarlark(ctx context.Context) (process, error) {
	p, err := l.execute(ctx, l.starlark, filepath.Join(l.source, "cpu.star"))
	return p, wants(err, p.stderr, computed) // where its print goes
}

func (l *lab) e2e(ctx context.Context) (process, error) {
	p, err := l.execute(ctx, l.kinfra, "e2e")
	return p, wants(err, p.stdout, "10 of 10 steps passed\n")
}

// e2eChildren runs the commands that e2e starts, one after the other and on a root in the
// same state each, and sums their times. The times of the children themselves can't be
// seen from outside of e2e, which runs some of them side by side.
func (l *lab) e2eChildren(ctx context.Context) (process, error) {
	root := filepath.Join(l.dir, "children")
	defer os.RemoveAll(root)
	var sum process
	for _, run := range []sample{l.provisionDry(root), l.provisionNew(root), l.slots(root, poolSize), l.provisionAgain(root)} {
		p, err := run(ctx)
		if err != nil {
			return sum, err
		}
		sum.wall += p.wall
	}
	return sum, nil
}

// checkedFiles is what check says when it has found nothing.
var checkedFiles = regexp.MustCompile(`^Checked (\d+) files: nothing found\n$`)

// checkShipped checks the scripts inside the binary.
func (l *lab) checkShipped(ctx context.Context) (process, error) {
	p, err := l.execute(ctx, l.kinfra, "check", "--shipped")
	if err != nil {
		return p, err
	}
	const least = 20
	found := checkedFiles.FindStringSubmatch(p.stdout)
	if found == nil {
		return p, fmt.Errorf("check printed %q", p.stdout)
	}
	if n, err := strconv.Atoi(found[1]); err != nil || n < least {
		return p, fmt.Errorf("check looked at %s scripts, want at least %d", found[1], least)
	}
	return p, nil
}

// wants is err, or that what a program printed lacks a text.
func wants(err error, printed, text string) error {
	if err == nil && !strings.Contains(printed, text) {
		err = fmt.Errorf("got %q, want %q in it", printed, text)
	}
	return err
}

// durable replaces a small file so that it survives a crash of the machine: the floor
// below everything that is registered.
func (l *lab) durable(context.Context) (process, error) {
	start := time.Now()
	name := filepath.Join(l.dir, "durable")
	err := errors.Join(writeSynced(name+".new"), os.Rename(name+".new", name), syncFile(l.dir))
	return process{wall: time.Since(start)}, err
}

func writeSynced(name string) error {
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		return err
	}
	return syncFile(name)
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// registered is a slot as the registry has it.
type registered struct {
	ID        int            `json:"slot_id"`
	Path      string         `json:"infrastructure_path"`
	Profile   string         `json:"profile"`
	Workers   map[string]int `json:"workers"`
	Ports     map[string]int `json:"ports"`
	ClaimedBy *string        `json:"claimed_by"`
	ClaimedAt *string        `json:"claimed_at"`
	Status    string         `json:"status"`
}

// largeRegistry writes the registry of a pool of n slots like the first of the shipped
// pool, but with two ports each, and gives its root. Of the slots' directories there is
// just what a claim needs, that of the first.
func (l *lab) largeRegistry(ctx context.Context, n int) (root string, err error) {
	model, err := l.firstSlot(ctx)
	if err != nil {
		return "", err
	}
	root = filepath.Join(l.dir, fmt.Sprint("slots-", n))
	ports := slices.Sorted(maps.Keys(model.Ports))[:2]
	slots := map[int]registered{}
	for id := 1; id <= n; id++ {
		s := model
		s.ID, s.Path = id, filepath.Join(root, "sandboxes", fmt.Sprint("slot-", id))
		s.Ports = map[string]int{ports[0]: 20000 + id, ports[1]: 40000 + id}
		slots[id] = s
	}
	data, err := json.MarshalIndent(map[string]any{"version": 2, "local_prod": nil, "instances": struct{}{}, "slots": slots}, "", "  ")
	if err != nil {
		return "", err
	}
	name, first := filepath.Join(root, registry.File), filepath.Join(root, "sandboxes", "slot-1")
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.MkdirAll(first, 0o700)); err != nil {
		return "", err
	}
	return root, errors.Join(os.WriteFile(name, data, 0o600), os.WriteFile(filepath.Join(first, ".env.sandbox"), []byte("SLOT_ID=1\n"), 0o600))
}

// firstSlot is the first slot of the shipped pool, once it is provisioned.
func (l *lab) firstSlot(ctx context.Context) (registered, error) {
	root, err := l.pool(ctx)
	if err != nil {
		return registered{}, err
	}
	data, err := os.ReadFile(filepath.Join(root, registry.File))
	if err != nil {
		return registered{}, err
	}
	var pool struct {
		Slots map[string]registered `json:"slots"`
	}
	if err := json.Unmarshal(data, &pool); err != nil {
		return registered{}, fmt.Errorf("the registry of the shipped pool: %w", err)
	}
	first, ok := pool.Slots["1"]
	if !ok || len(first.Ports) < 2 {
		return registered{}, fmt.Errorf("the registry of the shipped pool has no slot 1 with two ports")
	}
	return first, nil
}
