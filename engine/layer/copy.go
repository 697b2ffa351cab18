package layer

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/world"
)

// Copy is the files of layers as the record of a run keeps them, in JSON.
type Copy struct {
	Layers []CopiedLayer `json:"layers"`
	Loaded []string      `json:"loaded,omitempty"` // which of the files the run had asked for, by their IDs; nil in records of earlier versions
}

// CopiedLayer is a layer of a Copy.
type CopiedLayer struct {
	Name   string            `json:"name"`
	Dir    string            `json:"dir,omitempty"`
	Shown  string            `json:"shown,omitempty"`  // how messages name dir
	Files  map[string]string `json:"files"`            // their texts, by name
	Binary map[string][]byte `json:"binary,omitempty"` // of files that are no UTF-8
	Part   bool              `json:"part,omitempty"`   // the layer has more files
}

// Copy copies all files of the layers; of one that has too many, and of a directory that
// a file was run from, only those that were loaded. These are copied as they were then.
func (s *Stack) Copy(loaded []File) Copy {
	c := Copy{Loaded: ids(loaded)}
	layers := s.Layers
	for _, f := range loaded {
		if f.Layer.Name == fileLayer {
			layers = append([]*Layer{f.Layer}, layers...)
			break
		}
	}
	for _, l := range layers {
		var files snapshot
		var err error
		if l.Name != fileLayer {
			files, err = takeSnapshot(l)
		}
		part := files == nil || err != nil
		if part {
			files = snapshot{}
		}
		for _, f := range loaded {
			if f.Layer.Name == l.Name {
				files[f.Name] = f.Data
			}
		}
		one := copied(l, files)
		one.Part = part && l.Name != fileLayer
		c.Layers = append(c.Layers, one)
	}
	return c
}

func ids(files []File) []string {
	all := make([]string, 0, len(files))
	for _, f := range files {
		all = append(all, f.ID())
	}
	slices.Sort(all)
	return all
}

func copied(l *Layer, files snapshot) CopiedLayer {
	c := CopiedLayer{Name: l.Name, Dir: l.Dir, Shown: l.shown, Files: map[string]string{}}
	for name, data := range files {
		c.put(name, data)
	}
	return c
}

func (c *CopiedLayer) put(name string, data []byte) {
	delete(c.Files, name)
	delete(c.Binary, name)
	if utf8.Valid(data) {
		c.Files[name] = string(data)
		return
	}
	if c.Binary == nil {
		c.Binary = map[string][]byte{}
	}
	c.Binary[name] = data
}

// Add puts a file, by its ID, into the copy: the run has asked for it after the copy was made.
func (c *Copy) Add(id string, data []byte) {
	name, file, _ := strings.Cut(id, "//")
	for i := range c.Layers {
		if c.Layers[i].Name == name {
			c.Layers[i].put(file, data)
			if c.Loaded != nil && !slices.Contains(c.Loaded, id) {
				c.Loaded = append(c.Loaded, id)
			}
			return
		}
	}
}

// Stack is the layers as they were copied, and the directory that a file was run from,
// nil if none was. What that directory had not been asked for yet is read from it, as from a
// layer of which only a part was copied.
func (c Copy) Stack(w world.World) (*Stack, *Layer) {
	s := &Stack{}
	var file *Layer
	for _, copied := range c.Layers {
		files := snapshot{}
		for name, text := range copied.Files {
			files[path.Clean(name)] = []byte(text)
		}
		for name, data := range copied.Binary {
			files[path.Clean(name)] = data
		}
		l := &Layer{Name: copied.Name, Dir: copied.Dir, shown: copied.Shown, source: files}
		if l.Name == fileLayer {
			l.source = over{files, directory{w.Disk.Root(copied.Dir)}}
			file = l
			continue
		}
		if copied.Part {
			l.source = over{files, directory{w.Disk.Root(copied.Dir)}}
		}
		s.Layers = append(s.Layers, l)
		s.Builtin = l // the last one
	}
	return s, file
}

// over is files that go before another source.
type over struct {
	first snapshot
	then  source
}

func (s over) read(name string) ([]byte, error) {
	data, err := s.first.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.then.read(name)
	}
	return data, err
}

func (s over) list(dir string) ([]entry, error) { return s.first.list(dir) }
