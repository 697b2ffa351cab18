package registry

import (
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// slotKeys are the keys of a slot. All must be there, as all tools write them: the
// older ones take the whole file for empty without one of the first five, and a
// slot must not pass for free because the key of its claim was overwritten.
func slotKeys() [8]string {
	return [...]string{keyID, keyPath, keyProfile, keyWorkers, keyPorts, keyClaimedBy, keyClaimedAt, keyStatus}
}

// readSlot reads the entry of slot id, which stands at path.
func readSlot(path string, id int, v gjson.Result) (Slot, *flaw) {
	s := Slot{ID: id}
	if !v.IsObject() {
		return s, want(path, v, "an object")
	}
	var (
		bad     *flaw
		keys    = slotKeys()
		seen    [len(keys)]bool
		unknown []string
	)
	v.ForEach(func(key, value gjson.Result) bool {
		at := func() string { return path + "." + key.Str }
		twice := false
		if i := slices.Index(keys[:], key.Str); i >= 0 {
			twice, seen[i] = seen[i], true
		} else {
			twice = slices.Contains(unknown, key.Str)
			unknown = append(unknown, key.Str)
		}
		if twice {
			bad = &flaw{key: at(), offset: key.Index, text: "the key stands twice"}
		} else {
			bad = s.readKey(at, key.Str, value)
		}
		return bad == nil
	})
	if bad != nil {
		return s, bad
	}
	for i, key := range keys {
		if !seen[i] {
			return s, &flaw{key: path, offset: v.Index, text: "lacks the key " + key}
		}
	}
	return s, nil
}

// readKey reads one key of the slot. Keys that it doesn't know are none of its
// business.
func (s *Slot) readKey(at func() string, key string, v gjson.Result) (bad *flaw) {
	switch key {
	case keyID:
		if v.Raw != strconv.Itoa(s.ID) {
			return want(at(), v, strconv.Itoa(s.ID)+", as the slot's key")
		}
	case keyPath:
		return readString(at, v, &s.Path)
	case keyProfile:
		return readString(at, v, &s.Profile)
	case keyStatus:
		return readString(at, v, &s.Status)
	case keyClaimedBy:
		return readStringOrNull(at, v, &s.ClaimedBy)
	case keyClaimedAt:
		return readStringOrNull(at, v, &s.ClaimedAt)
	case keyWorkers:
		s.Workers, bad = readCounts(at, v)
	case keyPorts:
		s.Ports, bad = readCounts(at, v)
	}
	return bad
}

func readString(at func() string, v gjson.Result, to *string) *flaw {
	if v.Type != gjson.String {
		return want(at(), v, "a string")
	}
	*to = v.Str
	return nil
}

func readStringOrNull(at func() string, v gjson.Result, to *string) *flaw {
	if v.Type == gjson.Null {
		return nil
	}
	if v.Type != gjson.String {
		return want(at(), v, "a string or null")
	}
	*to = v.Str
	return nil
}

func readCounts(at func() string, v gjson.Result) ([]Count, *flaw) {
	if !v.IsObject() {
		return nil, want(at(), v, "an object")
	}
	var (
		bad    *flaw
		counts []Count
	)
	v.ForEach(func(key, value gjson.Result) bool {
		n, err := strconv.Atoi(value.Raw)
		if err != nil {
			bad = want(at()+"."+key.Str, value, "an integer")
			return false
		}
		counts = append(counts, Count{Name: key.Str, Number: n})
		return true
	})
	if bad != nil {
		return nil, bad
	}
	if name, twice := duplicate(counts); twice {
		return nil, &flaw{key: at() + "." + name, offset: v.Index, text: "the key stands twice"}
	}
	return counts, nil
}
