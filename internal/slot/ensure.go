package slot

import (
	"context"
	"errors"
	"slices"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// Options say how Ensure deals with slots.
type Options struct {
	Refresh bool         // bring slots that differ into line, unless somebody holds them
	Report  func(Result) // called for each slot, in the order of the specs, once all are done; may be nil

	// Held is asked who holds the slots of which there are directories, but no entries. It
	// may be nil: nobody does.
	Held func() (map[int]Holder, error)

	// First is called where a slot isn't as it should be, before all else. Its error stops
	// all. It may be nil.
	First func() error

	// Check is called where something is to be written, before anything is, with what
	// will be. Its error stops all. It is called once more under the registry's lock. It
	// may be nil.
	Check func(ctx context.Context, c Change) error

	// Begin is called under the registry's lock after the second Check. Its error stops
	// all. What it returns is called at the end with the error of what was written, and
	// may change that. It may be nil.
	Begin func(ctx context.Context, c Change) (end func(error) error, err error)
}

// Change is what a pool's slots are about to be.
type Change struct {
	Written []Spec          // as these say
	Kept    []registry.Slot // as they are in the registry
}

// Ensure makes the slots what the specs say, and returns what became of each, in
// the order of the specs:
//
//   - one that agrees is skipped;
//   - one of which there is no directory is created, with a new entry or, where
//     there is one that nobody holds, by today's rules in its place;
//   - one that lacks a file, or whose directory no entry names, is repaired; the
//     new entry has the claim that Held tells of;
//   - one that differs has drifted and is left alone, or is refreshed if that is
//     wanted;
//   - one that somebody holds is never touched: it is skipped, or has drifted.
//
// Slots of the registry that no spec names are left alone. Where there is nothing
// to do, nothing is written and no lock is taken.
//
// On an error no slot has changed but those whose files were being repaired or
// refreshed, one after another; running it again completes that. Files of
// processes that were killed while they did this are cleared away.
func Ensure(ctx context.Context, w world.World, store *registry.Store, specs []Spec, opts Options) ([]Result, error) {
	all, err := targets(store.Root(), specs)
	if err != nil {
		return nil, err
	}
	files := w.Disk.Root(store.Root())
	l := looker{files: files, root: store.Root(), user: w.Env.UserID(), held: opts.Held}

	// The first look needs no lock, as it decides nothing but whether a second
	// one is needed.
	reg, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	slots, err := l.look(reg, all)
	if err != nil {
		return nil, err
	}
	results, work := decide(slots, store.Root(), opts.Refresh)
	if opts.First != nil && slices.ContainsFunc(results, func(r Result) bool { return r.Action != Skipped }) {
		if err := opts.First(); err != nil {
			return nil, err
		}
	}
	if len(work) > 0 {
		if err := opts.check(ctx, reg, work); err != nil {
			return nil, err
		}
		err = store.Transact(ctx, func(t *registry.Transaction) error {
			if slots, err = l.look(t.Registry, all); err != nil {
				return err
			}
			results, work = decide(slots, store.Root(), opts.Refresh)
			end, err := opts.begin(ctx, t.Registry, work)
			if err != nil {
				return err
			}
			return end((&writer{ctx: ctx, w: w, files: files, store: store}).write(t, work))
		})
		if err != nil {
			return nil, err
		}
	}
	if opts.Report != nil {
		for _, r := range results {
			opts.Report(r)
		}
	}
	return results, nil
}

// change is what becomes of the registry's slots by work.
func change(reg *registry.Registry, work []job) Change {
	var c Change
	written := make(map[int]bool, len(work))
	for _, j := range work {
		c.Written = append(c.Written, j.Spec)
		written[j.ID] = true
	}
	c.Kept = slices.DeleteFunc(reg.Slots(), func(s registry.Slot) bool { return written[s.ID] })
	return c
}

// check calls Check, if there is one and something to be written.
func (o Options) check(ctx context.Context, reg *registry.Registry, work []job) error {
	if o.Check == nil || len(work) == 0 {
		return nil
	}
	return o.Check(ctx, change(reg, work))
}

// begin is check, and then calls Begin.
func (o Options) begin(ctx context.Context, reg *registry.Registry, work []job) (end func(error) error, err error) {
	if err := o.check(ctx, reg, work); err != nil || o.Begin == nil || len(work) == 0 {
		return func(err error) error { return err }, err
	}
	return o.Begin(ctx, change(reg, work))
}

// job is a slot of which something has to be written.
type job struct {
	*found
	action Action
}

// decide says what becomes of each slot, and for which there is something to do.
func decide(slots []*found, root string, refresh bool) (results []Result, work []job) {
	results = make([]Result, len(slots))
	for i, f := range slots {
		r := Result{ID: f.ID, Dir: Dir(root, f.ID), Profile: f.Profile, Workers: f.Workers, Ports: f.Ports, ClaimedBy: f.have.ClaimedBy}
		r.Action, r.Reasons, r.Drift = f.decide(refresh)
		switch r.Action {
		case Created, Repaired, Refreshed:
			work = append(work, job{f, r.Action})
		case Drifted:
			if f.registered {
				r.Profile, r.Workers, r.Ports = f.have.Profile, f.have.Workers, f.have.Ports
			}
		}
		results[i] = r
	}
	return results, work
}

func (f *found) decide(refresh bool) (action Action, reasons []string, drift []Difference) {
	drift = f.drift
	if f.have.ClaimedBy != "" || f.dirThere && len(drift) > 0 {
		drift = append(drift, f.missingDrift()...)
	}
	switch {
	case f.have.ClaimedBy != "" && len(drift) > 0:
		return Drifted, nil, drift
	case f.have.ClaimedBy != "" && f.registered:
		return Skipped, nil, nil
	case !f.dirThere:
		return Created, nil, nil
	case len(drift) > 0 && refresh:
		return Refreshed, nil, drift
	case len(drift) > 0:
		return Drifted, nil, drift
	}
	if !f.registered {
		reasons = append(reasons, "no registry entry named it")
	}
	for _, name := range f.missing {
		reasons = append(reasons, name+" was missing")
	}
	if len(reasons) > 0 {
		return Repaired, reasons, nil
	}
	return Skipped, nil, nil
}

// missingDrift tells what is missing, where that is a difference among others or
// may not be completed.
func (f *found) missingDrift() []Difference {
	if !f.dirThere {
		return []Difference{{"directory", nothing, f.entry.Path}}
	}
	var drift []Difference
	for _, name := range f.missing {
		drift = append(drift, Difference{name, nothing, "a file"})
	}
	return drift
}

// newEntry is the slot's entry as it is to be: what the registry has of its own
// (who held it, what its containers did) stays, except where it is created.
func (j job) newEntry() registry.Slot {
	e := j.entry
	if j.action == Created {
		return e
	}
	e.ClaimedBy, e.ClaimedAt = j.have.ClaimedBy, j.have.ClaimedAt
	if j.registered {
		e.Status = j.have.Status
	}
	return e
}

// put writes the entries of jobs into the registry in memory. An entry that
// agrees is left as it is, to its order of names.
func put(reg *registry.Registry, jobs []job) error {
	var bad []error
	for _, j := range jobs {
		if j.registered && j.action != Created && len(entryDrift(j.have, j.entry)) == 0 {
			continue
		}
		bad = append(bad, reg.PutSlot(j.newEntry()))
	}
	return errors.Join(bad...)
}
