package slot

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
)

// pool is a registry of slots, each given as "number profile" or "number profile
// holder".
func pool(t *testing.T, slots ...string) *registry.Registry {
	t.Helper()
	reg, err := registry.Parse([]byte(`{"version": 2, "slots": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range slots {
		var s registry.Slot
		fmt.Sscan(text, &s.ID, &s.Profile, &s.ClaimedBy)
		if err := reg.PutSlot(s); err != nil {
			t.Fatal(err)
		}
	}
	return reg
}

func TestAvailable(t *testing.T) {
	order := []string{"small", "middle", "large"}
	for _, test := range []struct {
		name  string
		slots []string
		least string
		want  int // 0: none
	}{
		{"no slots", nil, "small", 0},
		{"the lowest number", []string{"10 small", "3 small", "9 small"}, "small", 3},
		{"the lightest before the lowest number", []string{"1 large", "2 middle", "3 small"}, "small", 3},
		{"a heavier one where no lighter is free", []string{"1 large", "2 middle", "3 small /w"}, "small", 2},
		{"none lighter than asked for", []string{"1 small", "2 large", "3 middle"}, "middle", 3},
		{"only lighter ones", []string{"1 small", "2 middle"}, "large", 0},
		{"all held", []string{"1 small /a", "2 middle /b", "3 large /c"}, "small", 0},
		{"an unknown profile that is held", []string{"1 huge /a", "2 small"}, "small", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			id, ok, err := Available(pool(t, test.slots...), order, test.least)
			if err != nil || id != test.want || ok != (test.want != 0) {
				t.Errorf("got %d, %v, %v, want %d", id, ok, err, test.want)
			}
		})
	}
}

func TestAvailableRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		order []string
		least string
		want  string
		hint  string
	}{
		{"asked for", []string{"small"}, "smal", `unknown profile "smal"`, "the profiles are, lightest first, small"},
		{"none", nil, "", `unknown profile ""`, "there are no profiles"},
		{"of a slot", []string{"small", "large"}, "small", `unknown profile "huge" of slot 1 in the registry`, "the profiles are, lightest first, small, large; provision"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, ok, err := Available(pool(t, "1 huge"), test.order, test.least)
			if ok || !errors.Is(err, ErrUnknownProfile) || err.Error() != test.want || !strings.HasPrefix(hintOf(err), test.hint) {
				t.Errorf("got %v, %v (%s)", ok, err, hintOf(err))
			}
		})
	}
}
