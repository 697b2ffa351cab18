package main

import (
	"slices"
	"testing"

	"github.com/ktrdr/kinfra/builtins"
	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/engine/table"
)

// TestWhatChanges: which builtins are marked as changing something, and which of them
// can be told that they don't. kinfra check goes by that.
func TestWhatChanges(t *testing.T) {
	var changes, told []string
	for _, m := range slices.Concat(engine.Modules(), builtins.Modules(builtins.Options{})) {
		for _, b := range m.Builtins {
			readOnly := slices.ContainsFunc(b.Params, func(p table.Param) bool { return p.Name == table.ReadOnly })
			if b.Changes {
				changes = append(changes, b.Name)
			}
			if readOnly {
				told = append(told, b.Name)
			}
			if readOnly && !b.Changes {
				t.Errorf("%s has a parameter %s, and changes nothing", b.Name, table.ReadOnly)
			}
		}
	}
	slices.Sort(changes)
	slices.Sort(told)
	if want := []string{
		"claim.reap", "claim.reconcile", "claim.release", "claim.take", "fs.mkdir", "fs.remove", "fs.temp_dir", "fs.write", "kinfra.run", "pools.forget", "proc.run",
		"registry.restore", "slot.ensure", "slot.remove", "stack.attach", "stack.down", "stack.restart", "stack.up",
	}; !slices.Equal(changes, want) {
		t.Errorf("marked as changing something: %q, want %q", changes, want)
	}
	if want := []string{"kinfra.run", "proc.run"}; !slices.Equal(told, want) {
		t.Errorf("can be told that they read only: %q, want %q", told, want)
	}
}
