// Package registry reads and writes the one file that says which slots a pool
// has, what each may run, and who holds it.
//
// The file is JSON (version 2 of the format) and is shared with older tools that
// rewrite it without a lock. So everything in it that this package doesn't know
// is kept as it stands, byte for byte and in its order, and a file that can't be
// read is refused: never taken for an empty one, never overwritten.
//
// A [Registry] is one state of the document in memory. A [Store] is the file:
// it reads it, changes it in transactions under a lock, and keeps earlier
// generations of it that can be put back.
package registry

import (
	"cmp"
	"slices"
	"strconv"
)

// The keys of the document, in the order in which a new one has them.
const (
	keyVersion   = "version"
	keyLocalProd = "local_prod"
	keyInstances = "instances"
	keySlots     = "slots"
)

// Registry is one state of the document. It is not safe for several goroutines
// at once when one of them changes it.
type Registry struct {
	version int    // as read: 1 or 2
	top     object // all keys of the document; the value of keySlots is not used, entries are
	entries []*entry
	byID    map[int]*entry
	changed bool // since it was read or published
}

// entry is one slot with the JSON that it was read from or will be written as.
type entry struct {
	slot Slot
	raw  string
}

// Instance is a record of the older tools, passed through as it is.
type Instance struct {
	ID     string
	Record string // JSON
}

// newRegistry is the registry of a pool that has no file yet.
func newRegistry() *Registry {
	r := &Registry{version: 2, byID: map[int]*entry{}}
	r.top.set(keyVersion, "2")
	r.top.set(keyLocalProd, "null")
	r.top.set(keyInstances, "{}")
	r.top.set(keySlots, "{}")
	return r
}

// Version is the version of the file that the registry was read from: 2, or 1
// for one that is version 2 in memory and will be so on disk when something is
// changed. Where there was no file it is 2.
func (r *Registry) Version() int { return r.version }

// Changed tells whether it was changed since it was read, or published last.
func (r *Registry) Changed() bool { return r.changed }

// LocalProd is the record of the local production stack as JSON, "null" if there
// is none.
func (r *Registry) LocalProd() string {
	raw, ok := r.top.get(keyLocalProd)
	if !ok {
		return "null"
	}
	return raw
}

// Instances are the instance records in the order of the file.
func (r *Registry) Instances() []Instance {
	raw, _ := r.top.get(keyInstances)
	var all []Instance
	for _, m := range mustObject(raw) {
		all = append(all, Instance{ID: m.key, Record: m.raw})
	}
	return all
}

// Slots are all slots, ascending by number.
func (r *Registry) Slots() []Slot {
	slots := make([]Slot, len(r.entries))
	for i, e := range r.entries {
		slots[i] = e.slot.clone()
	}
	slices.SortFunc(slots, func(a, b Slot) int { return cmp.Compare(a.ID, b.ID) })
	return slots
}

// Slot is the slot of that number, and whether there is one.
func (r *Registry) Slot(id int) (Slot, bool) {
	e, ok := r.byID[id]
	if !ok {
		return Slot{}, false
	}
	return e.slot.clone(), true
}

// PutSlot adds a slot, or brings the one of the same number into line with s:
// what differs is written anew, the rest of its entry stays as it is in the
// file, unknown keys included. It fails where s isn't valid (see Validate).
func (r *Registry) PutSlot(s Slot) error {
	if err := s.Validate(); err != nil {
		return err
	}
	old, ok := r.byID[s.ID]
	if !ok {
		e := &entry{slot: s.clone(), raw: string(s.object().appendTo(nil, slotDepth))}
		r.byID[s.ID] = e
		r.entries = slices.Insert(r.entries, r.place(s.ID), e)
		r.changed = true
		return nil
	}
	if s.equal(old.slot) {
		return nil
	}
	members := mustObject(old.raw)
	s.mergeInto(&members, old.slot)
	old.slot, old.raw = s.clone(), string(members.appendTo(nil, slotDepth))
	r.changed = true
	return nil
}

// place is where a new slot goes: before the first of a higher number, so that a
// file in order stays in order.
func (r *Registry) place(id int) int {
	if n := len(r.entries); n == 0 || r.entries[n-1].slot.ID < id {
		return n
	}
	return slices.IndexFunc(r.entries, func(e *entry) bool { return e.slot.ID > id })
}

// RemoveSlot takes a slot out and tells whether there was one.
func (r *Registry) RemoveSlot(id int) bool {
	e, ok := r.byID[id]
	if !ok {
		return false
	}
	delete(r.byID, id)
	i := slices.Index(r.entries, e)
	r.entries = slices.Delete(r.entries, i, i+1)
	r.changed = true
	return true
}

// JSON is the document as it is written: version 2, indented by two spaces,
// without a final newline, keys in the order in which they were read. What wasn't
// changed since has the bytes that it was read with.
func (r *Registry) JSON() []byte {
	slots := make(object, len(r.entries))
	size := 256
	for i, e := range r.entries {
		id := strconv.Itoa(e.slot.ID)
		slots[i] = member{key: id, rawKey: `"` + id + `"`, raw: e.raw}
		size += len(e.raw) + 16
	}
	for _, m := range r.top {
		if m.key != keySlots {
			size += len(m.raw) + len(m.rawKey) + 8
		}
	}
	dst := append(make([]byte, 0, size), '{')
	for i, m := range r.top {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, m.rawKey, 1)
		if m.key == keySlots {
			dst = slots.appendTo(dst, 1)
		} else {
			dst = appendValue(dst, m.raw, 1)
		}
	}
	return append(dst, "\n}"...)
}
