package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

const root = "/home/user/pool"

// machine is a fake world with a pool's root in it, and the registry of that pool.
func machine(t *testing.T, file []byte) (*world.Fake, *Store) {
	t.Helper()
	w := world.NewFake()
	if file != nil {
		w.Write(root+"/"+File, file)
	}
	return w, Open(w.World(), root)
}

// put is a change that adds a slot.
func put(id int) func(*Registry) error {
	return func(r *Registry) error {
		return r.PutSlot(Slot{ID: id, Path: fmt.Sprint("/p/slot-", id), Profile: "small"})
	}
}

func update(t *testing.T, s *Store, change func(*Registry) error) {
	t.Helper()
	if err := s.Update(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

func onDisk(t *testing.T, w world.World, name string) []byte {
	t.Helper()
	data, err := w.Disk.Host().ReadFile(name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func names(all map[string]string) string {
	var list []string
	for name := range all {
		list = append(list, strings.TrimPrefix(name, root+"/"))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
