package layer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// recorded is a copy as the record of a run has it, in which files were asked for.
func recorded(t *testing.T, s *Stack, asked ...File) Copy {
	t.Helper()
	data, err := json.Marshal(s.Copy(asked))
	if err != nil {
		t.Fatal(err)
	}
	var c Copy
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Of what a run has asked for, it is told what is another file today, and nothing else.
func TestChanged(t *testing.T) {
	const scripts = "/home/user/scripts/"
	for _, c := range []struct {
		name  string
		alter func(s *Stack, w *world.Fake)
		want  []string // paths
	}{
		{"nothing", func(*Stack, *world.Fake) {}, nil},
		{"what wasn't asked for", func(_ *Stack, w *world.Fake) {
			w.Write(scripts+"other.star", []byte("new"))
			w.Write("/home/user/run/other.star", []byte("new"))
		}, nil},
		{"one in a layer", func(_ *Stack, w *world.Fake) { w.Write(scripts+"pool.star", []byte("edited")) }, []string{"./scripts/pool.star"}},
		{"one that was run, and one beside it", func(_ *Stack, w *world.Fake) {
			w.Write("/home/user/run/main.star", []byte("edited"))
			w.Write("/home/user/run/lib.star", []byte("edited"))
		}, []string{"./run/lib.star", "./run/main.star"}},
		{"one that was run is gone", func(_ *Stack, w *world.Fake) { w.Host().Remove("/home/user/run/main.star") }, []string{"./run/main.star is gone"}},
		{"one in a layer is gone, and another comes out from under it", func(_ *Stack, w *world.Fake) { w.Host().Remove(scripts + "pool.star") }, []string{"pool.star"}},
		{"another goes before it", func(s *Stack, w *world.Fake) {
			w.Write("/home/user/first/pool.star", []byte("user's pool"))
			s.Layers[0] = Directory(w.World(), "scripts", "/home/user/first")
		}, []string{"./first/pool.star"}},
		{"another goes before one that was asked for beside its neighbour", func(s *Stack, w *world.Fake) {
			w.Write("/home/user/first/lib/mine.star", []byte("another"))
			s.Layers[0] = Directory(w.World(), "scripts", "/home/user/first")
		}, nil},
		{"one inside the binary", func(s *Stack, _ *world.Fake) {
			s.Builtin = files("kinfra", map[string]string{"slots.star": "newer", "pool.star": "newer", "lib/mine.star": "shipped mine"})
			s.Layers[2] = s.Builtin
		}, []string{"slots.star"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, w := stack(t)
			w.Write("/home/user/run/main.star", []byte("main"))
			w.Write("/home/user/run/lib.star", []byte("lib"))
			dir := Neighbours(w.World(), "/home/user/run")
			var asked []File
			for l, names := range map[*Layer][]string{s.Layers[1]: {"pool.star"}, s.Builtin: {"slots.star", "lib/mine.star"}, dir: {"main.star", "lib.star"}} {
				for _, name := range names {
					f, err := l.Read(name)
					if err != nil {
						t.Fatal(err)
					}
					asked = append(asked, f)
				}
			}
			copied := recorded(t, s, asked...)
			c.alter(s, w)
			var got []string
			for _, f := range copied.Changed(w.World(), s) {
				path := f.Path()
				if errors.Is(f.Err, fs.ErrNotExist) {
					path += " is gone"
				}
				got = append(got, path)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("changed are %q, want %q", got, c.want)
			}
		})
	}
}

// Records of earlier versions don't say what was asked for: all files on disk count.
func TestChangedOfAnEarlierVersion(t *testing.T) {
	s, w := stack(t)
	copied := recorded(t, s)
	copied.Loaded = nil
	s.Builtin = files("kinfra", map[string]string{"slots.star": "newer"})
	s.Layers[2] = s.Builtin
	if got := copied.Changed(w.World(), s); len(got) > 0 {
		t.Errorf("changed are %v", got)
	}
	w.Write("/home/user/scripts/lib/mine.star", []byte("edited"))
	if got := copied.Changed(w.World(), s); len(got) != 1 || got[0].Path() != "./scripts/lib/mine.star" {
		t.Errorf("changed are %v", got)
	}
}
