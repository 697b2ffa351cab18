package builtins

import (
	"errors"
	"os/exec"

	"github.com/ktrdr/kinfra/engine"
	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/docker"
	"github.com/ktrdr/kinfra/internal/lifecycle"
	"github.com/ktrdr/kinfra/internal/pools"
	"github.com/ktrdr/kinfra/internal/ports"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/stack"
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
		{engine.Damaged, []error{registry.ErrDamaged, registry.ErrForeign, registry.ErrRoot, slot.ErrBroken, claim.ErrDamaged, claim.ErrNotReady}},
		{engine.Unavailable, []error{claim.ErrNoneFree}},
		{engine.Conflict, []error{slot.ErrClaimed, registry.ErrChanged, claim.ErrConflict, claim.ErrNotHolder, claim.ErrBusy, claim.ErrNotStale, stack.ErrPortTaken, stack.ErrInTheWay, stack.ErrForeignVolumes, pools.ErrProjectTaken, pools.ErrRootTaken}},
		{engine.Missing, []error{exec.ErrNotFound, docker.ErrUnavailable, stack.ErrNoCompose, stack.ErrImageMissing, stack.ErrNoSource, secret.ErrUnavailable}},
		{engine.Usage, []error{slot.ErrInvalid, slot.ErrUnknownSlot, slot.ErrUnknownProfile, lifecycle.ErrNoService, registry.ErrNoGeneration, errTemplate, claim.ErrInvalid, stack.ErrMount, secret.ErrInvalid}},
	} {
		for _, e := range known.errs {
			if errors.Is(err, e) {
				return known.code
			}
		}
	}
	return engine.Failed
}
