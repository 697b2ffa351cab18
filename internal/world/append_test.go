package world_test

import (
	"errors"
	"io/fs"
	"testing"
)

// What is added goes to the file that was opened, wherever it is by then.
func TestAppendToAMovedFile(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root := s.world.Root(s.dir)
		must(t, errors.Join(root.Mkdir("aside", 0o700), root.CreateFile("aside/log", []byte("a"), 0o600)))
		a, err := root.Append("aside/log")
		must(t, err)
		must(t, root.Rename("aside", "place"))
		_, err = a.Write([]byte("b"))
		must(t, err)
		data, err := root.ReadFile("place/log", 9)
		must(t, err)
		if string(data) != "ab" {
			t.Errorf("the file holds %q, want %q", data, "ab")
		}
		must(t, root.RemoveAll("place"))
		_, err = a.Write([]byte("c"))
		must(t, errors.Join(err, a.Close()))
		_, err = root.Lstat("place")
		wantErr(t, err, fs.ErrNotExist)
	})
}
