package slot

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/ktrdr/kinfra/internal/envfile"
	"github.com/ktrdr/kinfra/internal/registry"
)

// nothing stands in a Difference for what isn't there at all.
const nothing = "nothing"

// entryDrift compares a registry entry with what it should be, leaving out who
// holds it and what its containers do.
func entryDrift(have, want registry.Slot) []Difference {
	var drift []Difference
	differ := func(field, have, want string) {
		if have != want {
			drift = append(drift, Difference{field, have, want})
		}
	}
	differ("infrastructure_path", have.Path, want.Path)
	differ("profile", have.Profile, want.Profile)
	drift = append(drift, countsDrift("workers.", have.Workers, want.Workers)...)
	return append(drift, countsDrift("ports.", have.Ports, want.Ports)...)
}

// countsDrift compares by name; the order means nothing.
func countsDrift(prefix string, have, want []registry.Count) []Difference {
	var drift []Difference
	for _, w := range want {
		if n, ok := count(have, w.Name); !ok {
			drift = append(drift, Difference{prefix + w.Name, nothing, strconv.Itoa(w.Number)})
		} else if n != w.Number {
			drift = append(drift, Difference{prefix + w.Name, strconv.Itoa(n), strconv.Itoa(w.Number)})
		}
	}
	for _, h := range have {
		if _, ok := count(want, h.Name); !ok {
			drift = append(drift, Difference{prefix + h.Name, strconv.Itoa(h.Number), nothing})
		}
	}
	return drift
}

// envDrift compares an environment file key by key: one that says the same in
// another layout agrees. The value of a key that isn't kinfra's is not shown, as
// it may be a secret.
func envDrift(data []byte, t *target) []Difference {
	if bytes.Equal(data, t.env) {
		return nil
	}
	have, err := envfile.Decode(data)
	if err != nil {
		return []Difference{{envName, err.Error(), "KEY=value lines"}}
	}
	var drift []Difference
	for _, key := range slices.Sorted(maps.Keys(t.Env)) {
		if value, ok := have[key]; !ok {
			drift = append(drift, Difference{envName + " " + key, nothing, t.Env[key]})
		} else if value != t.Env[key] {
			drift = append(drift, Difference{envName + " " + key, value, t.Env[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if _, ok := t.Env[key]; !ok {
			drift = append(drift, Difference{envName + " " + key, "a value", nothing})
		}
	}
	return drift
}

// textDrift says where two texts part, without showing them.
func textDrift(name string, have, want []byte) Difference {
	common := 0
	for common < min(len(have), len(want)) && have[common] == want[common] {
		common++
	}
	line := 1 + bytes.Count(have[:common], []byte("\n"))
	return Difference{
		Field: name,
		Have:  fmt.Sprintf("%d bytes, another text from line %d on", len(have), line),
		Want:  fmt.Sprintf("%d bytes", len(want)),
	}
}
