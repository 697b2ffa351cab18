package slot

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
)

// TestCheckAndBegin: whoever wants a say in what is written is asked before anything
// is, and told how it ended; where nothing is to be written, nobody is asked.
func TestCheckAndBegin(t *testing.T) {
	w := world.NewFake()
	ensure(t, w.World(), specs(1), Options{})
	checks, begun := 0, 0
	var ended error
	options := Options{
		Check: func(_ context.Context, c Change) error {
			checks++
			if len(c.Written) != 1 || c.Written[0].ID != 2 || len(c.Kept) != 1 || c.Kept[0].ID != 1 {
				t.Errorf("asked about %+v, want slot 2 written and slot 1 kept", c)
			}
			return nil
		},
		Begin: func(context.Context, Change) (func(error) error, error) {
			begun++
			return func(err error) error { ended = err; return err }, nil
		},
	}
	ensure(t, w.World(), specs(1), options)
	if checks != 0 || begun != 0 {
		t.Errorf("nothing is to be written, and it asks %d times and begins %d times", checks, begun)
	}
	ensure(t, w.World(), specs(2), options)
	if checks != 2 || begun != 1 || ended != nil {
		t.Errorf("asked %d times, begun %d times, ended with %v; want 2, 1 and nil", checks, begun, ended)
	}

	full := errors.New("disk full")
	faulty := world.Faulty(w.World(), func(op, _ string) error {
		if op == "create" && begun == 2 {
			return full
		}
		return nil
	})
	options.Check = nil
	if _, err := Ensure(t.Context(), faulty, registry.Open(faulty, root), specs(3), options); !errors.Is(err, full) || !errors.Is(ended, full) {
		t.Errorf("got %v, and the end was told %v, want a full disk", err, ended)
	}
}

// TestRefusedChange: what is refused leaves nothing, not even a root.
func TestRefusedChange(t *testing.T) {
	refused := errors.New("no")
	for name, options := range map[string]Options{
		"by Check": {Check: func(context.Context, Change) error { return refused }},
		"by Begin": {Begin: func(context.Context, Change) (func(error) error, error) { return nil, refused }},
	} {
		t.Run(name, func(t *testing.T) {
			w := world.NewFake()
			if _, err := Ensure(t.Context(), w.World(), registry.Open(w.World(), root), specs(1), options); !errors.Is(err, refused) {
				t.Fatalf("got %v, want it refused", err)
			}
			below := poolDir
			if options.Check != nil {
				below = "."
			}
			if _, err := w.Root(root).Lstat(below); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is there (%v)", below, err)
			}
		})
	}
}
