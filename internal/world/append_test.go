package world_test

import (
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// What is opened to be added to is the file, not its name.
func TestAppendFollowsTheFile(t *testing.T) {
	for name, w := range map[string]world.World{"real": world.Real("test"), "fake": world.NewFake(), "planned": world.Planned(world.NewFake())} {
		t.Run(name, func(t *testing.T) {
			f := w.Root(t.TempDir())
			must(t, f.MkdirAll("aside", 0o700))
			must(t, f.CreateFile("aside/file", []byte("a"), 0o600))
			a, err := f.Append("aside/file")
			must(t, err)
			must(t, f.Rename("aside", "place"))
			_, err = a.Write([]byte("b"))
			must(t, err)
			must(t, a.Sync())
			must(t, a.Close())
			if data, err := f.ReadFile("place/file", 9); string(data) != "ab" || err != nil {
				t.Errorf("the file holds %q (%v), want %q", data, err, "ab")
			}
		})
	}
}
