package main

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// disk is what a loss of power may make of what was written.
type disk struct {
	top     *inode
	durable map[*inode]map[string]*inode // entries of directories
	changes []*change                    // of directories that weren't synced since
	sizes   map[*inode]int               // of the content that files have got so far
	synced  map[*inode]int               // how much of it is durable
	files   []*inode                     // of whose content not all is
}

func newDisk(top *inode) *disk {
	return &disk{top: top, durable: map[*inode]map[string]*inode{}, sizes: map[*inode]int{}, synced: map[*inode]int{}}
}

func (d *disk) add(e written) {
	switch {
	case e.change != nil:
		d.changes = append(d.changes, e.change)
	case e.grown != nil:
		d.sizes[e.grown] = e.size
		if !slices.Contains(d.files, e.grown) {
			d.files = append(d.files, e.grown)
		}
	case e.synced != nil && e.synced.mode.IsDir():
		d.changes = slices.DeleteFunc(d.changes, func(c *change) bool {
			if c.dir == e.synced {
				c.do(d.entries(c.dir))
			}
			return c.dir == e.synced
		})
	case e.synced != nil:
		d.synced[e.synced] = d.sizes[e.synced]
		d.files = slices.DeleteFunc(d.files, func(file *inode) bool { return file == e.synced })
	}
}

func (d *disk) entries(dir *inode) map[string]*inode {
	if d.durable[dir] == nil {
		d.durable[dir] = map[string]*inode{}
	}
	return d.durable[dir]
}

// loss is which of the changes, and what of the files, are on the disk after a loss of
// power.
type loss struct {
	kept []bool
	left []remains
}

// remains is what is left of that of a file's content which wasn't synced.
type remains int

const (
	whole remains = iota
	nothing
	half
	zeros
	hole    // zeros, and then what was written
	pinhole // one zero, and then what was written
	kindsOfRemains
)

// after is what is then there of that content.
func (r remains) after(data []byte) []byte {
	switch r {
	case nothing:
		return nil
	case half:
		return data[:len(data)/2]
	case zeros:
		return make([]byte, len(data))
	case hole:
		return append(make([]byte, len(data)/2), data[len(data)/2:]...)
	case pinhole:
		return append(make([]byte, min(1, len(data))), data[min(1, len(data)):]...)
	}
	return data
}

// losses calls try with all losses that there can be, if they are at most that many; else
// with none, with all, with each single one, and with others drawn at random.
func (d *disk) losses(most int, random *rand.Rand, try func(loss)) {
	n, m := len(d.changes), len(d.files)
	if count := combinations(n, m, most); count <= most {
		for i := range count {
			try(numbered(i, n, m))
		}
		return
	}
	fixed := func(kept bool, left remains) loss {
		return loss{slices.Repeat([]bool{kept}, n), slices.Repeat([]remains{left}, m)}
	}
	for left := range kindsOfRemains {
		try(fixed(true, left))
		try(fixed(false, left))
	}
	for i := range n {
		for _, kept := range []bool{true, false} {
			one := fixed(kept, whole)
			one.kept[i] = !kept
			try(one)
		}
	}
	for range most {
		l := fixed(true, whole)
		for i := range l.kept {
			l.kept[i] = random.IntN(2) == 0
		}
		for i := range l.left {
			l.left[i] = remains(random.IntN(int(kindsOfRemains)))
		}
		try(l)
	}
}

// combinations is how many losses there are of n changes and m files; more than most for
// any number above.
func combinations(n, m, most int) int {
	count := 1
	for range n {
		count = min(count*2, most+1)
	}
	for range m {
		count = min(count*int(kindsOfRemains), most+1)
	}
	return count
}

// numbered is loss number i of n changes and m files.
func numbered(i, n, m int) loss {
	l := loss{make([]bool, n), make([]remains, m)}
	for k := range n {
		l.kept[k] = i%2 == 0
		i /= 2
	}
	for k := range m {
		l.left[k] = remains(i % int(kindsOfRemains))
		i /= int(kindsOfRemains)
	}
	return l
}

// after puts what is there after a loss into a machine, and tells what that is.
func (d *disk) after(l loss, into *world.Fake) (content string, err error) {
	r := remnant{disk: d, entries: d.keptEntries(l), contents: map[*inode][]byte{}, into: into.Host()}
	for i, file := range d.files {
		synced := file.data[:d.synced[file]]
		unsynced := file.data[len(synced):d.sizes[file]]
		r.contents[file] = slices.Concat(synced, l.left[i].after(unsynced))
	}
	err = r.put(d.top, "/")
	return r.text.String(), err
}

// keptEntries are those of the directories of which changes are kept.
func (d *disk) keptEntries(l loss) map[*inode]map[string]*inode {
	kept := map[*inode]map[string]*inode{}
	for i, c := range d.changes {
		if !l.kept[i] {
			continue
		}
		if kept[c.dir] == nil {
			kept[c.dir] = maps.Clone(d.entries(c.dir))
		}
		c.do(kept[c.dir])
	}
	return kept
}

// remnant is what is there after a loss of power.
type remnant struct {
	*disk
	entries  map[*inode]map[string]*inode // where they differ from the durable ones
	contents map[*inode][]byte            // of files of which not all is durable
	into     world.Files
	text     strings.Builder // says what is there
}

// put puts what is in a directory into that of a path.
func (r *remnant) put(dir *inode, path string) error {
	list, differs := r.entries[dir]
	if !differs {
		list = r.durable[dir]
	}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if err := r.putNode(list[name], filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (r *remnant) putNode(node *inode, path string) error {
	data, differs := r.contents[node]
	if !differs {
		data = node.data[:r.sizes[node]]
	}
	r.text.WriteString(path + "\x00" + node.target + "\x00" + string(data) + "\x00")
	switch {
	case node.mode.IsDir():
		if err := r.into.MkdirAll(path, 0o755); err != nil {
			return err
		}
		return r.put(node, path)
	case node.target != "":
		return r.into.Symlink(node.target, path)
	}
	return r.into.CreateFile(path, data, node.mode)
}
