package layer

import (
	"bytes"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// Change is a file that was changed.
type Change struct {
	File       // as it is now, or as it was if it can't be read
	Err  error // why it can't be read, such as [fs.ErrNotExist]
}

// Changed is the files of a copy that are others in the layers of today. Only what the run
// had asked for counts, which is all files on disk where the copy doesn't say.
func (c Copy) Changed(w world.World, today *Stack) []Change {
	then, dir := c.Stack(w)
	var changed []Change
	for _, id := range c.asked() {
		name, file, _ := strings.Cut(id, "//")
		l := then.layer(name)
		if name == fileLayer {
			l = dir
		}
		if l == nil {
			continue
		}
		was, err := l.Read(file)
		if err != nil {
			continue
		}
		switch now, err := then.now(was, w, today); {
		case err != nil:
			changed = append(changed, Change{was, err})
		case now.ID() != was.ID(), !bytes.Equal(now.Data, was.Data):
			changed = append(changed, Change{File: now})
		}
	}
	return changed
}

func (c Copy) asked() []string {
	if c.Loaded != nil {
		return c.Loaded
	}
	var all []string
	for _, l := range c.Layers {
		if l.Dir == "" {
			continue
		}
		for name := range l.Files {
			all = append(all, l.Name+"//"+name)
		}
	}
	slices.Sort(all)
	return all
}

// now is what stands today in the place of a file. One that another layer could have gone
// before is looked for in all of them.
func (s *Stack) now(was File, w world.World, today *Stack) (File, error) {
	if was.Layer.Name == fileLayer {
		return Neighbours(w, was.Layer.Dir).Read(was.Name)
	}
	if first, err := s.Find(was.Name); err == nil && first.Layer == was.Layer {
		return today.Find(was.Name)
	}
	if l := today.layer(was.Layer.Name); l != nil {
		return l.Read(was.Name)
	}
	return today.Find(was.Name)
}

// layer is the layer of a name, nil if there is none.
func (s *Stack) layer(name string) *Layer {
	for _, l := range s.Layers {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// Text is the text of a file of the copy, by the path that messages name it with; nil if there
// is none.
func (c Copy) Text(shown string) []byte {
	for _, copied := range c.Layers {
		l := &Layer{Dir: copied.Dir, shown: copied.Shown}
		for name, text := range copied.Files {
			if l.Path(name) == shown {
				return []byte(text)
			}
		}
	}
	return nil
}
