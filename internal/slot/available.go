package slot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
)

// Available is the slot that a claim gets: of the slots that nobody holds and
// whose profile is least or a heavier one, the lightest, and of these the one of
// the lowest number. ok is false where there is none. order has all profiles,
// lightest first; a profile that isn't in it is ErrUnknownProfile where it is asked
// for, and where only slots of such profiles are free.
func Available(reg *registry.Registry, order []string, least string) (id int, ok bool, err error) {
	return Choose(reg.Slots(), order, least)
}

// Choose is Available among the given slots, which ascend by number.
func Choose(slots []registry.Slot, order []string, least string) (id int, ok bool, err error) {
	from := slices.Index(order, least)
	if from < 0 {
		err := fmt.Errorf("%w %q", ErrUnknownProfile, least)
		return 0, false, hint.Wrap(err, "%s", knownProfiles(order))
	}
	lightest := len(order)
	var unknown error // of a slot that was made by other rules than today's
	for _, s := range slots {
		if s.ClaimedBy != "" {
			continue
		}
		weight := slices.Index(order, s.Profile)
		if weight < 0 {
			if unknown == nil {
				err := fmt.Errorf("%w %q of slot %d in the registry", ErrUnknownProfile, s.Profile, s.ID)
				unknown = hint.Wrap(err, "%s; provision with --refresh to bring the slot into line", knownProfiles(order))
			}
			continue
		}
		if weight >= from && weight < lightest {
			lightest, id, ok = weight, s.ID, true
		}
	}
	if !ok && unknown != nil {
		return 0, false, unknown
	}
	return id, ok, nil
}

func knownProfiles(order []string) string {
	if len(order) == 0 {
		return "there are no profiles"
	}
	return "the profiles are, lightest first, " + strings.Join(order, ", ")
}
