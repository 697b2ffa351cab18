package registry

import (
	"fmt"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// large is a registry of n slots with two ports each.
func large(b *testing.B, n int) []byte {
	r := newRegistry()
	for id := range n {
		err := r.PutSlot(Slot{
			ID: id + 1, Path: fmt.Sprint("/srv/pool/sandboxes/slot-", id+1), Profile: "small",
			Workers: []Count{{"batch", 1}, {"stream", 1}}, Ports: []Count{{"web", 8001 + id}, {"store", 20000 + id}},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return r.JSON()
}

var sizes = []int{6, 100, 1000, 10000}

func BenchmarkParse(b *testing.B) {
	for _, n := range sizes {
		data := large(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	for _, n := range sizes {
		r, err := Parse(large(b, n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				r.JSON()
			}
		})
	}
}

// BenchmarkUpdate is a whole transaction that changes one slot, on a real disk.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := Open(world.Real(""), b.TempDir())
			loaded, err := Parse(large(b, n))
			if err != nil {
				b.Fatal(err)
			}
			err = s.Update(b.Context(), func(r *Registry) error {
				for _, slot := range loaded.Slots() {
					if err := r.PutSlot(slot); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			held := false
			for b.Loop() {
				held = !held
				err := s.Update(b.Context(), func(r *Registry) error {
					slot, _ := r.Slot(n / 2)
					slot.ClaimedBy = map[bool]string{true: "/srv/dev/tree"}[held]
					return r.PutSlot(slot)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReplace is what a transaction is measured against: one durable
// replacement of a file of that size.
func BenchmarkReplace(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := world.Real("")
			data, files := large(b, n), w.Disk.Root(b.TempDir())
			for b.Loop() {
				if err := world.Replace(files, w, "file", data, 0o600); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
