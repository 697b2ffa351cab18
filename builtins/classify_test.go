package builtins

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"testing"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
)

// TestClassify: errors of the domain end a command with the exit code that is promised
// for them, however they are wrapped.
func TestClassify(t *testing.T) {
	for _, test := range []struct {
		err  error
		want engine.Code
	}{
		{&ports.Collision{}, engine.Conflict},
		{&ports.OutOfRange{}, engine.Conflict},
		{slot.ErrClaimed, engine.Conflict},
		{registry.ErrChanged, engine.Conflict},
		{registry.ErrDamaged, engine.Damaged},
		{&registry.DamagedError{}, engine.Damaged},
		{registry.ErrForeign, engine.Damaged},
		{registry.ErrRoot, engine.Damaged},
		{slot.ErrBroken, engine.Damaged},
		{exec.ErrNotFound, engine.Missing},
		{slot.ErrInvalid, engine.Usage},
		{slot.ErrUnknownSlot, engine.Usage},
		{slot.ErrUnknownProfile, engine.Usage},
		{registry.ErrNoGeneration, engine.Usage},
		{errTemplate, engine.Usage},
		{fs.ErrPermission, engine.Failed},
		{errors.New("anything else"), engine.Failed},
	} {
		wrapped := hint.Wrap(errors.Join(fmt.Errorf("slot.ensure: %w", test.err)), "a hint")
		for _, err := range []error{test.err, wrapped} {
			if got := Classify(err); got != test.want {
				t.Errorf("the code of %v is %s, want %s", err, got, test.want)
			}
		}
	}
}
