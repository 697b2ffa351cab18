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
			beside := world.Replacement{Name: "kinfra/beside", Data: []byte("x"), Mode: 0o600}
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
			if got := onDisk(t, w, s.Path()); !bytes.Equal(got, test.write) {
				t.Errorf("there is now %s", got)
			}
			for name := range worldtest.Snapshot(t, w, root+"/kinfra") {
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
		before := onDisk(t, w, s.Path())
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
				return tr.PublishWith(&world.Replacement{Name: "kinfra/sub/beside", Data: []byte(content), Mode: 0o600, Old: old})
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(onDisk(t, w, root+"/kinfra/sub/beside")); got != content {
				t.Errorf("beside is %q, want %q", got, content)
			}
		}
		if same := bytes.Equal(before, onDisk(t, w, s.Path())); same == changed {
			t.Errorf("changed %v, but the registry is the same: %v", changed, same)
		}
	}
}
