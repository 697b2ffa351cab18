package claim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

var (
	// ErrInvalid is returned for what no claim can have: a relative path, a
	// negative time, a worktree that isn't a directory.
	ErrInvalid = errors.New("invalid claim")

	// ErrNoneFree is what a *NoneFreeError is.
	ErrNoneFree = errors.New("no slot is free")

	// ErrConflict is what a *ConflictError is, and the error of a claim by a
	// worktree that holds a slot of a lesser profile, or of a transaction between
	// whose reading and writing other tools came each time.
	ErrConflict = errors.New("conflict")

	// ErrNotHolder is what a *NotHolderError is.
	ErrNotHolder = errors.New("not the slot's holder")

	// ErrNotStale is returned where a claim was to be taken back for being stale,
	// and isn't.
	ErrNotStale = errors.New("the claim is not stale")

	// ErrBusy is returned for a slot on which another process works.
	ErrBusy = errors.New("another process works on the slot")

	// ErrDamaged is returned for a file of claims that can't be read.
	ErrDamaged = errors.New("the record of claims can't be read")

	// ErrNotReady is returned for a slot that lacks the file with its variables.
	ErrNotReady = errors.New("the slot is not complete")
)

// ConflictError says that kinfra gave a slot to one worktree, and another tool to
// another.
type ConflictError struct {
	Ours   Claim
	Theirs Claim // as the registry has it
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("slot %d has two holders: kinfra gave it to %s, and another tool entered %s in the registry",
		e.Ours.Slot, e.Ours.since(), e.Theirs.since())
}

// Is tells that it is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Hint says how to end the conflict.
func (e *ConflictError) Hint() string {
	return fmt.Sprintf("stop what either runs there, then end the claim of one: kinfra sandbox release --for PATH --force, "+
		"where PATH is %s or %s", registry.Shown(e.Ours.Worktree), registry.Shown(e.Theirs.Worktree))
}

// NotHolderError says that a claim has ended, or that it is somebody else's.
type NotHolderError struct {
	Slot   int
	Holder *Claim // who holds the slot now; nil if nobody does
}

func (e *NotHolderError) Error() string {
	if e.Holder == nil {
		return fmt.Sprintf("slot %d is claimed by nobody", e.Slot)
	}
	return fmt.Sprintf("slot %d is another's: it is held by %s", e.Slot, e.Holder.since())
}

// Is tells that it is ErrNotHolder.
func (e *NotHolderError) Is(target error) bool { return target == ErrNotHolder }

// Hint says what can be done.
func (e *NotHolderError) Hint() string {
	if e.Holder == nil {
		return "claim a slot: kinfra sandbox claim"
	}
	return fmt.Sprintf("if nobody needs it any more: kinfra sandbox release %d --force", e.Slot)
}

// NoneFreeError says why no slot could be had.
type NoneFreeError struct {
	Least   string   // the profile that was asked for
	Slots   int      // how many slots the pool has
	Holders []Slot   // the slots that would do, ascending; all are held, unless others wait for them
	Waiting []string // the processes whose claims have waited longer for such slots, as they name themselves
}

// Stale are the claims that can be taken back to make room.
func (e *NoneFreeError) Stale() []Claim {
	var stale []Claim
	for _, s := range e.Holders {
		if s.Claim != nil && s.Claim.Stale != "" && s.Contender == nil {
			stale = append(stale, *s.Claim)
		}
	}
	return stale
}

func (e *NoneFreeError) Error() string {
	switch {
	case e.Slots == 0:
		return "no slot is free: there are no slots"
	case len(e.Holders) == 0:
		return fmt.Sprintf("no slot is free: none of the pool's %d has the profile %q or a heavier one", e.Slots, e.Least)
	}
	const most = 12
	var parts []string
	for _, s := range e.Holders[:min(most, len(e.Holders))] {
		parts = append(parts, s.heldBy())
	}
	if more := len(e.Holders) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	if len(e.Waiting) > 0 {
		parts = append(parts, fmt.Sprintf("before this one wait %d: %s", len(e.Waiting), strings.Join(e.Waiting[:min(most, len(e.Waiting))], ", ")))
	}
	return fmt.Sprintf("no slot of profile %q or a heavier one is free: %s", e.Least, strings.Join(parts, "; "))
}

// heldBy says who has the slot.
func (s Slot) heldBy() string {
	if s.Claim == nil {
		return fmt.Sprintf("slot %d (%s) is free, but spoken for", s.ID, s.Profile)
	}
	text := fmt.Sprintf("slot %d (%s) is held by %s", s.ID, s.Profile, s.Claim.since())
	if s.Contender != nil {
		text += ", and by " + s.Contender.since()
	}
	return text
}

// since names a claim's holder, since when, and for how long.
func (c Claim) since() string {
	text := registry.Shown(c.Worktree)
	if c.ClaimedAt != "" {
		text += " since " + registry.Shown(c.ClaimedAt)
	}
	switch {
	case c.Stale != "":
		text += " (stale: " + string(c.Stale) + ")"
	case c.Missing != "":
		text += " (" + string(c.Missing) + ")"
	case c.Lease.TTL > 0:
		text += " (its lease is over in " + rounded(c.Lease.Left).String() + ")"
	}
	return text
}

// Decide says how to decide on a claim whose worktree is missing.
func (c Claim) Decide() string {
	return fmt.Sprintf("bring the worktree back to its path, or, if nobody needs it or the data of slot %d any more, end the claim: "+
		"kinfra sandbox release %d --force", c.Slot, c.Slot)
}

// Is tells that it is ErrNoneFree.
func (e *NoneFreeError) Is(target error) bool { return target == ErrNoneFree }

// Hint says what would free a slot.
func (e *NoneFreeError) Hint() string {
	if e.Slots == 0 {
		return "make them: kinfra sandbox provision"
	}
	if len(e.Holders) == 0 {
		return "ask for a lighter one with --profile, or add a slot to the pool's script and provision it"
	}
	if stale := e.Stale(); len(stale) > 0 {
		return "kinfra sandbox reap takes back what is stale: slot " + slotList(stale)
	}
	for _, s := range e.Holders {
		if s.Claim != nil && s.Claim.Missing != "" && s.Contender == nil {
			return s.Claim.Decide()
		}
	}
	text := "wait with --wait 10m, or release one that nobody needs: kinfra sandbox release N --force"
	if soonest := e.soonest(); soonest != nil {
		text += fmt.Sprintf("; the lease of slot %d is over in %s", soonest.Slot, rounded(soonest.Lease.Left))
	}
	return text
}

// soonest is the claim whose lease is over first, or nil.
func (e *NoneFreeError) soonest() *Claim {
	var first *Claim
	for _, s := range e.Holders {
		if c := s.Claim; c != nil && c.Lease.TTL > 0 && (first == nil || c.Lease.Left < first.Lease.Left) {
			first = c
		}
	}
	return first
}

func slotList(claims []Claim) string {
	texts := make([]string, len(claims))
	for i, c := range claims {
		texts[i] = strconv.Itoa(c.Slot)
	}
	return strings.Join(slices.Compact(texts), ", ")
}

// busy describes a lock on a slot that somebody has.
func busy(slot int, err error) error {
	text := fmt.Sprintf("slot %d", slot)
	if locked, ok := errors.AsType[*world.LockedError](err); ok && locked.Holder != "" {
		text += ", " + locked.Holder
	}
	return hint.Wrap(fmt.Errorf("%w: %s: %w", ErrBusy, text, err), "try again when it is done, or end it if it hangs")
}
