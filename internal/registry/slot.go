package registry

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxSlot is the highest number that a slot can have, 1 being the lowest. No
// machine has ports for more.
const MaxSlot = 65535

// The keys of a slot, in the order in which a new one has them.
const (
	keyID        = "slot_id"
	keyPath      = "infrastructure_path"
	keyProfile   = "profile"
	keyWorkers   = "workers"
	keyPorts     = "ports"
	keyClaimedBy = "claimed_by"
	keyClaimedAt = "claimed_at"
	keyStatus    = "status"
)

const (
	slotDepth     = 2 // how deep a slot's object lies in the document
	statusStopped = "stopped"
)

// Slot is one slot as the registry has it.
type Slot struct {
	ID        int    // 1 to MaxSlot
	Path      string // its directory as recorded; never use it to find or delete one
	Profile   string
	Workers   []Count // replicas by worker type, in the order of the file
	Ports     []Count // host ports by name, in the order of the file
	ClaimedBy string  // the worktree that holds it; empty if nobody does
	ClaimedAt string  // since when, like "2026-02-02T10:11:12.131415+00:00"; empty if it isn't known
	Status    string  // "stopped" or "running", as last recorded; empty is written as "stopped"
}

// Count is a name with a number: a port or how many workers there are.
type Count struct {
	Name   string
	Number int
}

// clone is the slot with lists of its own.
func (s Slot) clone() Slot {
	s.Workers, s.Ports = slices.Clone(s.Workers), slices.Clone(s.Ports)
	return s
}

func (s Slot) equal(o Slot) bool {
	return s.ID == o.ID && s.Path == o.Path && s.Profile == o.Profile &&
		s.ClaimedBy == o.ClaimedBy && s.ClaimedAt == o.ClaimedAt && s.status() == o.status() &&
		slices.Equal(s.Workers, o.Workers) && slices.Equal(s.Ports, o.Ports)
}

func (s Slot) status() string {
	if s.Status == "" {
		return statusStopped
	}
	return s.Status
}

// Validate says why the slot can't be written so that it would be read as the same:
// a number out of range, a text that isn't UTF-8, a name that stands twice.
func (s Slot) Validate() error {
	if s.ID < 1 || s.ID > MaxSlot {
		return fmt.Errorf("slot number %d is not in 1 to %d", s.ID, MaxSlot)
	}
	texts := []string{s.Path, s.Profile, s.ClaimedBy, s.ClaimedAt, s.Status}
	for _, counts := range [][]Count{s.Workers, s.Ports} {
		if name, twice := duplicate(counts); twice {
			return fmt.Errorf("slot %d: the name %q stands twice", s.ID, name)
		}
		for _, c := range counts {
			texts = append(texts, c.Name)
		}
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return fmt.Errorf("slot %d: %q is not UTF-8, so a JSON file can't hold it", s.ID, text)
		}
	}
	return nil
}

// duplicate is the first name that stands twice in counts, if one does.
func duplicate(counts []Count) (string, bool) {
	const few = 16 // up to here, comparing all is cheaper than a map
	if len(counts) <= few {
		for i, c := range counts {
			for _, earlier := range counts[:i] {
				if earlier.Name == c.Name {
					return c.Name, true
				}
			}
		}
		return "", false
	}
	seen := make(map[string]bool, len(counts))
	for _, c := range counts {
		if seen[c.Name] {
			return c.Name, true
		}
		seen[c.Name] = true
	}
	return "", false
}

// object is the whole entry of a new slot.
func (s Slot) object() object {
	var o object
	for _, key := range [...]string{keyID, keyPath, keyProfile, keyWorkers, keyPorts, keyClaimedBy, keyClaimedAt, keyStatus} {
		o.set(key, s.value(key))
	}
	return o
}

// value is the JSON of one of the slot's keys.
func (s Slot) value(key string) string {
	switch key {
	case keyID:
		return strconv.Itoa(s.ID)
	case keyPath:
		return quote(s.Path)
	case keyProfile:
		return quote(s.Profile)
	case keyWorkers:
		return countsJSON(s.Workers)
	case keyPorts:
		return countsJSON(s.Ports)
	case keyClaimedBy:
		return quoteOrNull(s.ClaimedBy)
	case keyClaimedAt:
		return quoteOrNull(s.ClaimedAt)
	default:
		return quote(s.status())
	}
}

// mergeInto writes into an entry what differs between s and old, which is the
// entry as it was read.
func (s Slot) mergeInto(o *object, old Slot) {
	differs := []struct {
		key string
		is  bool
	}{
		{keyPath, s.Path != old.Path},
		{keyProfile, s.Profile != old.Profile},
		{keyWorkers, !slices.Equal(s.Workers, old.Workers)},
		{keyPorts, !slices.Equal(s.Ports, old.Ports)},
		{keyClaimedBy, s.ClaimedBy != old.ClaimedBy},
		{keyClaimedAt, s.ClaimedAt != old.ClaimedAt},
		{keyStatus, s.status() != old.status()},
	}
	for _, d := range differs {
		if d.is {
			o.set(d.key, s.value(d.key))
		}
	}
}

func countsJSON(counts []Count) string {
	o := make(object, len(counts))
	for i, c := range counts {
		o[i] = member{key: c.Name, rawKey: quote(c.Name), raw: strconv.Itoa(c.Number)}
	}
	return string(o.appendTo(nil, slotDepth+1))
}

func quoteOrNull(s string) string {
	if s == "" {
		return "null"
	}
	return quote(s)
}

// slotID is the number that a key of the slots stands for. Only the plain form
// counts: "01" would be a second name of slot 1.
func slotID(key string) (int, error) {
	id, err := strconv.Atoi(key)
	if err != nil || id < 1 || id > MaxSlot || strconv.Itoa(id) != key {
		return 0, errors.New("want a slot number from 1 to " + strconv.Itoa(MaxSlot) + " as the key")
	}
	return id, nil
}
