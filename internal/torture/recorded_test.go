package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

func TestX(t *testing.T) {
	b, err := liveRecorded(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	d := newDisk(b.tape.top)
	d.settle(b.tape)
	n := 0
	for i, e := range b.tape.log {
		if e.mark != nil {
			e.mark()
		}
		d.add(e)
		d.losses(24, random, func(l loss) {
			w := world.NewFake()
			w.Random(make([]byte, 1<<10))
			d.after(l, w)
			w.Reboot()
			if n > 0 {
				return
			}
			r := newRunner(w, w.World())
			all, err := r.store.List()
			if err != nil || len(all) != 1 || all[0].Err != nil {
				return
			}
			id := all[0].ID
			before := r.journalOf(id)
			seal0, _ := w.Host().ReadFile(recordsDir+"/"+id+"/seal", 1<<20)
			err1 := r.goOn(t.Context(), id, false)
			mid := r.journalOf(id)
			seal, _ := w.Host().ReadFile(recordsDir+"/"+id+"/seal", 1<<20)
			_, err = r.store.Read(id)
			if err != nil {
				n++
				t.Logf("after op %d: %q\n%s\nthen (%v, %v)\n%s\nseal %s", i, before, seal0, err1, err, mid, seal)
			}
		})
		if i > 100 || n > 0 {
			break
		}
	}
	_ = strings.Count
}
