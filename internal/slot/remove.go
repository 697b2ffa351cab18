package slot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// RemoveOptions say how Remove deals with slots.
type RemoveOptions struct {
	// Release ends the claim of a slot that somebody holds, so that it can be removed;
	// where it is nil, such slots are refused.
	Release func(context.Context, Result) error

	// First is called with what will be removed, ascending, unless that is nothing: once it
	// is known that it can be, and before anything changes. Its error keeps all. May be nil.
	First func([]Result) error

	// Held is as in [Options]. A slot that the registry has lost, but somebody holds, is
	// refused, whether claims are to be released or not: what runs in it can't be told.
	Held func() (map[int]Holder, error)

	Report func(Result) // called for each removed slot, ascending, once all are done; may be nil
}

// Remove takes slots out of the pool: their entries and their directories with all
// that is in them. Without ids these are all slots, those included whose directory
// no entry names: what an interrupted run has left. Nothing is removed when one of
// them is held by somebody (ErrClaimed) whose claim isn't to be released, isn't there
// at all (ErrUnknownSlot) or is given twice (ErrInvalid). A claim that can't be
// released, or a new one in its place, keeps all of them; those that were released
// before it stay so.
//
// A slot is unregistered before its directory is removed. So nobody can claim one
// whose directory is half gone; killed in between, a directory without an entry is
// left, which the next Remove removes, or the next Ensure completes and registers.
func Remove(ctx context.Context, w world.World, store *registry.Store, ids []int, opts RemoveOptions) ([]Result, error) {
	r := remover{w: w, store: store, files: w.Disk.Root(store.Root()), opts: opts}
	reg, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	results, err := r.choose(reg, ids, opts.Release != nil)
	if err != nil {
		return nil, err
	}
	if there, err := r.looker().dirThere(poolDir); err != nil || !there && len(results) == 0 {
		return nil, err
	}
	if opts.First != nil && len(results) > 0 {
		if err := opts.First(results); err != nil {
			return nil, err
		}
	}
	held, err := r.release(ctx, results)
	if err != nil {
		return nil, err
	}
	err = store.Transact(ctx, func(t *registry.Transaction) error {
		now, err := r.choose(t.Registry, ids, false)
		if err != nil {
			return err
		}
		results = slices.DeleteFunc(now, func(r Result) bool { return !contains(results, r.ID) }) // not what was made meanwhile
		return r.remove(t, results)
	})
	if err != nil {
		return nil, err
	}
	for i := range results {
		results[i].ClaimedBy = held[results[i].ID]
	}
	if opts.Report != nil {
		for _, result := range results {
			opts.Report(result)
		}
	}
	return results, nil
}

func contains(results []Result, id int) bool {
	return slices.ContainsFunc(results, func(r Result) bool { return r.ID == id })
}

type remover struct {
	w     world.World
	store *registry.Store
	files world.Files
	opts  RemoveOptions
}

func (r remover) looker() looker {
	return looker{files: r.files, root: r.store.Root(), user: r.w.Env.UserID()}
}

// release ends the claims of the slots that somebody holds, and gives their holders by
// the slots' numbers.
func (r remover) release(ctx context.Context, results []Result) (map[int]string, error) {
	held := map[int]string{}
	for _, result := range results {
		if result.ClaimedBy == "" {
			continue
		}
		if err := r.opts.Release(ctx, result); err != nil {
			return nil, fmt.Errorf("giving up the claim of slot %d: %w", result.ID, err)
		}
		held[result.ID] = result.ClaimedBy
	}
	return held, nil
}

// choose finds the slots to be removed and refuses what can't be; claimed says whether
// slots that somebody holds can.
func (r remover) choose(reg *registry.Registry, ids []int, claimed bool) ([]Result, error) {
	l := r.looker()
	if err := l.checkPoolDir(); err != nil {
		return nil, err
	}
	known, err := r.directories()
	if err != nil {
		return nil, err
	}
	for _, s := range reg.Slots() {
		known = append(known, s.ID)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	if len(ids) == 0 {
		ids = known
	}
	ids = slices.Sorted(slices.Values(ids))
	results := make([]Result, len(ids))
	var bad []error
	for i, id := range ids {
		if i > 0 && ids[i-1] == id {
			bad = append(bad, fmt.Errorf("%w: slot %d is given twice", ErrInvalid, id))
			continue
		}
		if _, ok := slices.BinarySearch(known, id); !ok {
			bad = append(bad, unknown(id, known))
			continue
		}
		var claimErr error
		results[i], claimErr = r.result(reg, id, claimed)
		_, dirErr := l.dirThere(dirName(id))
		bad = append(bad, claimErr, dirErr)
	}
	return results, errors.Join(bad...)
}

// directories are the numbers for which there is something in the place of a
// slot's directory.
func (r remover) directories() ([]int, error) {
	entries, err := r.files.ReadDir(poolDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, e := range entries {
		number, _ := strings.CutPrefix(e.Name, dirPrefix)
		id, err := strconv.Atoi(number)
		if err == nil && id >= 1 && id <= registry.MaxSlot && path.Join(poolDir, e.Name) == dirName(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func unknown(id int, known []int) error {
	err := fmt.Errorf("%w: %d", ErrUnknownSlot, id)
	if len(known) == 0 {
		return hint.Wrap(err, "there are no slots")
	}
	texts := make([]string, len(known))
	for i, n := range known {
		texts[i] = strconv.Itoa(n)
	}
	return hint.Wrap(err, "there are %s", strings.Join(texts, ", "))
}

// result is what a removed slot was.
func (r remover) result(reg *registry.Registry, id int, claimed bool) (Result, error) {
	result := Result{ID: id, Dir: Dir(r.store.Root(), id), Action: Removed}
	s, ok := reg.Slot(id)
	if !ok {
		result.Reasons = []string{"no registry entry named it"}
		return result, r.lost(id)
	}
	result.Profile, result.ClaimedBy, result.Workers, result.Ports = s.Profile, s.ClaimedBy, s.Workers, s.Ports
	if s.ClaimedBy != "" && !claimed {
		err := fmt.Errorf("%w: slot %d is held by %s", ErrClaimed, id, Holder{s.ClaimedBy, s.ClaimedAt})
		return result, hint.Wrap(err, "release it first, or remove it all the same with --force")
	}
	return result, nil
}

// lost refuses a slot that the registry has lost, but somebody holds.
func (r remover) lost(id int) error {
	if r.opts.Held == nil {
		return nil
	}
	holders, err := r.opts.Held()
	if err != nil || holders[id].Worktree == "" {
		return err
	}
	err = fmt.Errorf("%w: slot %d is held by %s, but the registry has lost it", ErrClaimed, id, holders[id])
	return hint.Wrap(err, "kinfra registry restore puts back a copy that has it; "+
		"kinfra sandbox provision registers it again, with its claim, if it is as the scripts say")
}

// remove unregisters the slots and then removes their directories.
func (r remover) remove(t *registry.Transaction, results []Result) error {
	for _, result := range results {
		t.Registry.RemoveSlot(result.ID)
	}
	if err := t.Publish(); err != nil {
		return err
	}
	var bad []error
	for _, result := range results {
		if err := r.files.RemoveAll(dirName(result.ID)); err != nil {
			bad = append(bad, fmt.Errorf("slot %d is unregistered, but its directory is still there: %w", result.ID, err))
		}
	}
	bad = append(bad, world.RemoveLeftovers(r.files, poolDir))
	if err := r.files.Sync(poolDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		bad = append(bad, err)
	}
	return errors.Join(bad...)
}
