package builtins

import (
	"errors"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
)

// Classify gives the code of an error of the domain.
func Classify(err error) engine.Code {
	var collision *ports.Collision
	var out *ports.OutOfRange
	if errors.As(err, &collision) || errors.As(err, &out) {
		return engine.Conflict
	}
	for _, known := range []struct {
		code engine.Code
		errs []error
	}{
		{engine.Damaged, []error{registry.ErrDamaged, registry.ErrForeign, registry.ErrRoot, slot.ErrBroken}},
		{engine.Conflict, []error{slot.ErrClaimed}},
		{engine.Usage, []error{slot.ErrInvalid, slot.ErrUnknownSlot, slot.ErrUnknownProfile, registry.ErrNoGeneration, errTemplate}},
	} {
		for _, e := range known.errs {
			if errors.Is(err, e) {
				return known.code
			}
		}
	}
	return engine.Failed
}
