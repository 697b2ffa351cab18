package claim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/slot"
	"github.com/ktrdr/kinfra/internal/world"
)

// queueDir holds the tickets of the claims that wait, below the root. A ticket is a
// file NNNNNN-PROFILE, where the number tells its place and PROFILE are the first 16
// hexadecimal digits of the SHA-256 of the least profile. Whoever waits holds the
// lock on it; so a ticket without a holder is that of a dead process, whatever its
// process number is used for now. Tickets are taken and judged under the registry's
// lock.
const queueDir = "kinfra/queue"

// ticket is a place in the queue.
type ticket struct {
	number int
	name   string
	unlock func() // nil for another's
}

// ticketProfile is how a ticket names a profile, which may have any letters.
func ticketProfile(profile string) string {
	sum := sha256.Sum256([]byte(profile))
	return hex.EncodeToString(sum[:8])
}

// parseTicket takes a file's name apart; ok tells whether it is that of a ticket.
func parseTicket(name string) (t ticket, profile string, ok bool) {
	digits, profile, _ := strings.Cut(name, "-")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 || !isHex(profile, 8) {
		return ticket{}, "", false
	}
	return ticket{number: number, name: path.Join(queueDir, name)}, profile, true
}

// join takes the place at the end of the queue. It is called under the registry's
// lock.
func (p *Pool) join(least string) (*ticket, error) {
	last := 0
	entries, err := p.files.ReadDir(queueDir)
	if errors.Is(err, fs.ErrNotExist) {
		err = p.files.MkdirAll(queueDir, dirMode)
	}
	if err != nil {
		return nil, fmt.Errorf("joining the queue of claims: %w", err)
	}
	for _, e := range entries {
		if other, _, ok := parseTicket(e.Name); ok {
			last = max(last, other.number)
		}
	}
	t := &ticket{number: last + 1}
	t.name = path.Join(queueDir, fmt.Sprintf("%06d-%s", t.number, ticketProfile(least)))
	if t.unlock, err = p.files.TryLock(t.name); err != nil {
		return nil, fmt.Errorf("joining the queue of claims: %w", err)
	}
	return t, nil
}

// leave gives the place up. A ticket that can't be removed is one of the dead once
// it is unlocked, and removed as such.
func (p *Pool) leave(t *ticket) {
	_ = p.files.Remove(t.name)
	t.unlock()
}

// waiter is a claim that waits.
type waiter struct {
	number  int
	least   string // profile
	process string // what it says of itself
}

// leftOver are the slots that are free for who has the ticket mine, or none yet:
// those that nobody holds, without those that the ones who have waited longer, the
// claims ahead, can take, each by the rule of a claim. It is called under the
// registry's lock.
func (p *Pool) leftOver(all []Slot, mine *ticket, order []string) (free []registry.Slot, ahead []waiter, err error) {
	for _, s := range all {
		if s.Claim == nil {
			free = append(free, s.Slot)
		}
	}
	ahead, err = p.ahead(mine, order)
	if err != nil {
		return nil, nil, err
	}
	for _, other := range ahead {
		id, ok, err := slot.Choose(free, order, other.least)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			free = slices.DeleteFunc(free, func(s registry.Slot) bool { return s.ID == id })
		}
	}
	return free, ahead, nil
}

// ahead are the claims that have waited longer than mine, the longest first. The
// tickets of dead processes are removed. One for a profile that isn't in the order,
// and can't be judged, is passed over.
func (p *Pool) ahead(mine *ticket, order []string) ([]waiter, error) {
	entries, err := p.files.ReadDir(queueDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking who waits for a slot: %w", err)
	}
	var ahead []waiter
	for _, e := range entries {
		t, profile, ok := parseTicket(e.Name)
		if !ok || mine != nil && t.number >= mine.number {
			continue
		}
		process, alive, err := p.alive(t)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(order, func(name string) bool { return ticketProfile(name) == profile })
		if alive && i >= 0 {
			ahead = append(ahead, waiter{t.number, order[i], process})
		}
	}
	slices.SortFunc(ahead, func(a, b waiter) int { return cmp.Compare(a.number, b.number) })
	return ahead, nil
}

// alive tells whether somebody waits with a ticket, and what that process says of
// itself. The ticket of a dead one is removed.
func (p *Pool) alive(t ticket) (process string, alive bool, err error) {
	unlock, err := p.files.TryLock(t.name)
	if locked, ok := errors.AsType[*world.LockedError](err); ok {
		return locked.Holder, true, nil
	}
	if err == nil {
		defer unlock()
		err = p.files.Remove(t.name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("looking who waits for a slot: %w", err)
	}
	return "", false, nil
}
