package world_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// What is added goes to the file that was opened, wherever it is by then.
func TestAppendToAMovedFile(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root := s.world.Disk.Root(s.dir)
		worldtest.Must(t, errors.Join(root.Mkdir("aside", 0o700), root.CreateFile("aside/log", []byte("a"), 0o600)))
		a, err := root.Append("aside/log")
		worldtest.Must(t, err)
		worldtest.Must(t, root.Rename("aside", "place"))
		_, err = a.Write([]byte("b"))
		worldtest.Must(t, err)
		data, err := root.ReadFile("place/log", 9)
		worldtest.Must(t, err)
		if string(data) != "ab" {
			t.Errorf("the file holds %q, want %q", data, "ab")
		}
		worldtest.Must(t, root.RemoveAll("place"))
		_, err = a.Write([]byte("c"))
		worldtest.Must(t, errors.Join(err, a.Close()))
		_, err = root.Lstat("place")
		worldtest.WantErr(t, err, fs.ErrNotExist)
	})
}

// A dry run of a run that is resumed adds to its journal, line by line: what is there is not
// copied for each.
func TestAppendDoesNotCopy(t *testing.T) {
	fake := world.NewFake()
	fake.Write("/home/user/log", []byte("begun\n"))
	for name, w := range map[string]world.World{"in memory": fake.World(), "planned": world.Planned(fake.World())} {
		a, err := w.Disk.Host().Append("/home/user/log")
		worldtest.Must(t, err)
		line := make([]byte, 100)
		copies := testing.AllocsPerRun(2000, func() {
			_, err := a.Write(line)
			worldtest.Must(t, err)
		})
		if copies > 0 {
			t.Errorf("%s: %v allocations for each line, want less than one", name, copies)
		}
	}
}
