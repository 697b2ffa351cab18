package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wantsEnded wants of a run that ended: the state of an undisturbed one, the claim that
// the first process left, if there was one then, and each step done once.
func (k *killing) wantsEnded(ctx context.Context, id, firstHeld string) error {
	held, err := k.claimedAt()
	if err == nil && firstHeld != "" && held != firstHeld {
		k.wrong("the slot was claimed at %s when the run was killed, and at %s when it was resumed", firstHeld, held)
	}
	recorded, journalErr := k.journal(id)
	done := map[string]int{}
	for _, h := range recorded {
		if h.Event == "end" && h.Kind == "step" && h.Status == "passed" {
			done[h.Key]++
		}
	}
	for key, n := range done {
		if n != 1 {
			k.wrong("the step %q is on record as done %d times", key, n)
		}
	}
	return errors.Join(err, journalErr, k.wants(ctx, k.after, "a run that was resumed"), k.wantsShown(ctx, id, "passed"))
}

// wantsShown wants a run to be shown as one that ended in a way.
func (k *killing) wantsShown(ctx context.Context, id, status string) error {
	out, err := k.undisturbed(ctx, "--output", "json", "runs", "show", id)
	if err != nil {
		return err
	}
	var shown struct {
		Result struct{ Run struct{ Status string } }
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		return err
	}
	if got := shown.Result.Run.Status; got != status {
		k.wrong("kinfra runs show says %q, want %q", got, status)
	}
	return nil
}

// wants wants a state.
func (k *killing) wants(ctx context.Context, want, what string) error {
	got, err := k.state(ctx)
	if err == nil && got != want {
		k.wrong("%s has left\n%s\nwant\n%s", what, got, want)
	}
	return err
}

// state is what the workflow changes: its files, who holds which slot, and what is on
// the Engine.
func (k *killing) state(ctx context.Context) (string, error) {
	var all []string
	err := filepath.WalkDir(k.work(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || strings.Contains(d.Name(), ".tmp-") { // a killed write may leave one
			return err
		}
		all = append(all, strings.TrimPrefix(name, k.work()))
		if d.Type().IsRegular() {
			data, err := os.ReadFile(name)
			all[len(all)-1] += "=" + string(data)
			return err
		}
		return nil
	})
	slots, slotsErr := k.slots()
	if err = errors.Join(err, slotsErr); err != nil {
		return "", err
	}
	for _, id := range slices.Sorted(maps.Keys(slots)) {
		all = append(all, fmt.Sprintf("slot %s: %s, %s", id, cmp.Or(slots[id].ClaimedBy, "nobody"), slots[id].Status))
	}
	if k.stack != nil {
		onEngine, err := k.stack.state(ctx)
		return strings.Join(append(all, onEngine...), "\n"), err
	}
	return strings.Join(all, "\n"), nil
}

// heldSlot is what the registry says of a slot, as far as it matters here. What isn't
// there is "".
type heldSlot struct {
	ClaimedBy string `json:"claimed_by"`
	ClaimedAt string `json:"claimed_at"`
	Status    string `json:"status"`
}

// slots are those of the registry, by number.
func (k *killing) slots() (map[string]heldSlot, error) {
	data, err := os.ReadFile(filepath.Join(k.root(), "sandbox", "instances.json"))
	if err != nil {
		return nil, err
	}
	var registry struct{ Slots map[string]heldSlot }
	err = json.Unmarshal(data, &registry)
	return registry.Slots, err
}

// claimedAt is when the slot was claimed that the worktree holds, or "".
func (k *killing) claimedAt() (string, error) {
	slots, err := k.slots()
	for _, s := range slots {
		if s.ClaimedBy == k.work() {
			return s.ClaimedAt, err
		}
	}
	return "", err
}
