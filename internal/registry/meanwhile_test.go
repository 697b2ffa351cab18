package registry

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// What another tool writes between loading and publishing is not overwritten.
func TestWrittenMeanwhile(t *testing.T) {
	v2 := fixture(t, "v2.json")
	for _, test := range []struct {
		name   string
		before []byte
		write  []byte
	}{
		{"a file", v2, append(bytes.Clone(v2), '\n')},
		{"half a file", v2, v2[:len(v2)/2]},
		{"an empty file", v2, []byte{}},
		{"a first file", nil, v2},
		{"a first, empty file", nil, []byte{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, s := machine(t, test.before)
			beside := world.Change{Name: "kinfra/beside", Data: []byte("x"), Mode: 0o600}
			err := s.Transact(t.Context(), func(tr *Transaction) error {
				w.Write(s.Path(), test.write)
				if err := put(7)(tr.Registry); err != nil {
					return err
				}
				return tr.PublishWith(&beside)
			})
			if !errors.Is(err, ErrChanged) || hintOf(err) == "" {
				t.Errorf("the error is %v", err)
			}
			if got := onDisk(t, w.World(), s.Path()); !bytes.Equal(got, test.write) {
				t.Errorf("there is now %s", got)
			}
			for name := range worldtest.Snapshot(t, w.World(), root+"/kinfra") {
				if name == root+"/kinfra/beside" {
					t.Error("the file beside it was written")
				}
			}
		})
	}
}

func TestPublishWith(t *testing.T) {
	for _, changed := range []bool{false, true} {
		w, s := machine(t, fixture(t, "v2.json"))
		before := onDisk(t, w.World(), s.Path())
		for _, content := range []string{"one", "two"} {
			var old []byte
			if content == "two" {
				old = []byte("one")
			}
			err := s.Transact(t.Context(), func(tr *Transaction) error {
				if changed {
					if err := put(len(content) + len(old))(tr.Registry); err != nil {
						return err
					}
				}
				return tr.PublishWith(&world.Change{Name: "kinfra/sub/beside", Data: []byte(content), Mode: 0o600, Old: old})
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(onDisk(t, w.World(), root+"/kinfra/sub/beside")); got != content {
				t.Errorf("beside is %q, want %q", got, content)
			}
		}
		if same := bytes.Equal(before, onDisk(t, w.World(), s.Path())); same == changed {
			t.Errorf("changed %v, but the registry is the same: %v", changed, same)
		}
	}
}

// The copy of what is published is there before that is in force.
func TestCopyComesFirst(t *testing.T) {
	w, s := machine(t, fixture(t, "v2.json"))
	update(t, s, put(7))
	renamed := false
	watched := world.Faulty(w.World(), func(op, name string) error {
		if op == "rename" && name == s.Path() {
			renamed = true
			all, err := s.Generations(t.Context())
			if n := len(all); err != nil || n != 3 || all[n-1].Err != nil {
				t.Errorf("there are the generations %+v, %v", all, err)
			}
		}
		return nil
	})
	update(t, Open(watched, root), put(8))
	if !renamed {
		t.Error("the registry was not written")
	}
}
