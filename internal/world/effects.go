package world

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// EffectKind says what is another than before.
type EffectKind string

// The kinds of effects.
const (
	EffectWrite  EffectKind = "write"  // a file is there with a new content
	EffectAppend EffectKind = "append" // a file has more at its end
	EffectMkdir  EffectKind = "mkdir"
	EffectLink   EffectKind = "link"
	EffectRename EffectKind = "rename"
	EffectRemove EffectKind = "remove"
	EffectMode   EffectKind = "mode" // what is there has other permissions
	EffectRun    EffectKind = "run"
	EffectSend   EffectKind = "send"
)

// Effect is what is another than before, once some operations are done.
type Effect struct {
	Kind   EffectKind
	Path   string      // absolute
	From   string      // of what was renamed
	Target string      // of a link
	Size   int64       // bytes of a written file, those that were added, or all of a directory that counts its files
	Mode   fs.FileMode // permissions of what was made or changed
	New    bool        // nothing was there before
	IsDir  bool        // of what was removed
	Files  int         // of a removed directory, or of one made with so many that they aren't told: how many files and links

	Args    []string // of a process
	Dir     string   // of a process
	Address string   // of a service
}

// Effects is what operations come to, in their order. What takes another's place by a
// rename is written under its last name; what was made and removed again is nothing; a
// directory that was built with very many files in it is one effect that counts them.
func Effects(ops []Operation) []Effect {
	l := ledger{entries: map[string]*entry{}}
	for i := range ops {
		l.add(&ops[i])
	}
	return joinDirs(fold(l.effects()))
}

// A thing is what is at a path.
type thing struct {
	mode   fs.FileMode // type and permissions
	size   int64
	target string
	from   string // where it was before all operations; "" if they have made it
	added  int64  // bytes at the end of what was there before
	files  int    // of a directory that was removed
}

// entry is what operations have made of a path.
type entry struct {
	path  string
	order int    // of the last operation on it
	was   *thing // nil: nothing
	is    *thing
}

// ledger follows operations path by path.
type ledger struct {
	order   int
	entries map[string]*entry
	calls   []call // of processes and services
}

type call struct {
	order  int
	effect Effect
}

func (l *ledger) add(op *Operation) {
	l.order++
	switch op.Kind {
	case OpCreated:
		l.set(op.Path, nil, &thing{mode: op.Mode, size: op.Size})
	case OpAppended:
		e := l.at(op.Path, op.Before)
		if e.is != nil {
			longer := *e.is
			longer.size += op.Size
			longer.added += op.Size
			e.is, e.order = &longer, l.order
		}
	case OpMadeDir:
		l.set(op.Path, nil, &thing{mode: fs.ModeDir | op.Mode})
	case OpLinked:
		l.set(op.Path, nil, &thing{mode: fs.ModeSymlink, target: op.Target})
	case OpRenamed:
		l.rename(op)
	case OpRemoved:
		l.remove(op)
	case OpStarted:
		l.calls = append(l.calls, call{l.order, Effect{Kind: EffectRun, Args: op.Args, Dir: op.Dir}})
	case OpSent:
		l.calls = append(l.calls, call{l.order, Effect{Kind: EffectSend, Address: op.Address}})
	}
}

// at is the entry of a path. before is what is there if no operation was on it yet.
func (l *ledger) at(path string, before *Info) *entry {
	e := l.entries[path]
	if e == nil {
		e = &entry{path: path, order: l.order}
		if before != nil {
			e.was = &thing{mode: before.Mode, size: before.Size, from: path}
			e.is = e.was
		}
		l.entries[path] = e
	}
	return e
}

func (l *ledger) set(path string, before *Info, is *thing) {
	e := l.at(path, before)
	e.is, e.order = is, l.order
	if e.was == nil && is == nil {
		delete(l.entries, path)
	}
}

func (l *ledger) rename(op *Operation) {
	old := l.at(op.From, op.Moved)
	moved := old.is
	if moved == nil {
		return
	}
	l.set(op.Path, op.Before, moved)
	l.set(op.From, nil, nil)
	if !moved.mode.IsDir() {
		return
	}
	for _, e := range l.below(op.From) {
		if e.is == nil {
			continue // it was removed, or moved away, under its old name
		}
		l.order++
		to := l.at(op.Path+strings.TrimPrefix(e.path, op.From), nil)
		to.is, to.order = e.is, l.order
		if moved.from != "" { // what it took the place of came along
			to.was = e.was
			delete(l.entries, e.path)
			continue
		}
		l.set(e.path, nil, nil)
	}
}

func (l *ledger) remove(op *Operation) {
	files := op.Files
	moved := l.moved()
	for _, e := range l.below(op.Path) {
		switch {
		case e.was == nil && e.is != nil && !e.is.mode.IsDir():
			files--
		case e.was != nil && e.is == nil && !e.was.mode.IsDir() && !moved[e.path]:
			files++
		}
		delete(l.entries, e.path)
	}
	e := l.at(op.Path, op.Before)
	if e.was != nil && e.was.mode.IsDir() && e.is != nil && e.is.from == op.Path {
		was := *e.was
		was.files = max(files, 0)
		e.was = &was
	}
	l.set(op.Path, nil, nil)
}

// below is the entries below a directory, in their order.
func (l *ledger) below(dir string) []*entry {
	var all []*entry
	for path, e := range l.entries {
		if strings.HasPrefix(path, dir+"/") {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, byOrder)
	return all
}

func byOrder(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.path, b.path))
}

// moved is the paths of what was there before and has another name now.
func (l *ledger) moved() map[string]bool {
	moved := map[string]bool{}
	for path, e := range l.entries {
		if e.is != nil && e.is.from != "" && e.is.from != path {
			moved[e.is.from] = true
		}
	}
	return moved
}

// effects is what all operations come to.
func (l *ledger) effects() []Effect {
	all := make([]*entry, 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, byOrder)
	moved, calls := l.moved(), l.calls
	var effects []Effect
	for _, e := range all {
		for len(calls) > 0 && calls[0].order < e.order {
			effects, calls = append(effects, calls[0].effect), calls[1:]
		}
		effects = append(effects, e.effects(moved[e.path])...)
	}
	for _, c := range calls {
		effects = append(effects, c.effect)
	}
	return effects
}

// effects is what became of a path. moved tells whether what was there has another name.
func (e *entry) effects(moved bool) []Effect {
	was, is := e.was, e.is
	if moved {
		was = nil
	}
	switch {
	case is == nil && was == nil:
		return nil
	case is == nil:
		return []Effect{e.removal(was)}
	case is.from != "":
		return e.kept(is)
	}
	var effects []Effect
	remade := was != nil && was.mode.IsDir() && is.mode.IsDir() && was.files == 0
	if was != nil && !remade && was.mode.IsDir() != is.mode.IsDir() || was != nil && was.files > 0 {
		effects, was = append(effects, e.removal(was)), nil
	}
	made := Effect{Kind: EffectWrite, Path: e.path, Size: is.size, Mode: is.mode.Perm(), New: was == nil}
	switch {
	case is.mode.IsDir():
		made.Kind = EffectMkdir
	case is.mode.Type() == fs.ModeSymlink:
		made.Kind, made.Mode, made.Target = EffectLink, 0, is.target
	}
	if !remade {
		effects = append(effects, made)
	}
	if was != nil && was.mode.Type() == is.mode.Type() && was.mode.Perm() != is.mode.Perm() && made.Kind != EffectLink {
		effects = append(effects, Effect{Kind: EffectMode, Path: e.path, Mode: is.mode.Perm()})
	}
	return effects
}

func (e *entry) removal(was *thing) Effect {
	return Effect{Kind: EffectRemove, Path: e.path, IsDir: was.mode.IsDir(), Files: was.files}
}

// kept is the effects of what was there before, here or elsewhere.
func (e *entry) kept(is *thing) []Effect {
	var effects []Effect
	if is.from != e.path {
		effects = append(effects, Effect{Kind: EffectRename, From: is.from, Path: e.path})
	}
	if is.added > 0 {
		effects = append(effects, Effect{Kind: EffectAppend, Path: e.path, Size: is.added})
	}
	return effects
}

// manyFiles is from how many files on those of a new directory are counted, not told.
const manyFiles = 256

// fold counts what is in new directories with very many files.
func fold(all []Effect) []Effect {
	dirs, files, sizes := map[string]bool{}, map[string]int{}, map[string]int64{}
	for _, e := range all {
		if e.Kind == EffectMkdir && e.New {
			dirs[e.Path] = true
		}
	}
	for _, e := range all {
		if e.Kind != EffectWrite && e.Kind != EffectLink {
			continue
		}
		for dir := filepath.Dir(e.Path); dirs[dir]; dir = filepath.Dir(dir) {
			files[dir]++
			sizes[dir] += e.Size
		}
	}
	within := func(path string) bool {
		for dir := filepath.Dir(path); dirs[dir]; dir = filepath.Dir(dir) {
			if files[dir] > manyFiles {
				return true
			}
		}
		return false
	}
	folded := all[:0]
	for _, e := range all {
		counted := e.Kind == EffectMkdir || e.Kind == EffectWrite || e.Kind == EffectLink
		switch {
		case counted && within(e.Path):
			continue
		case e.Kind == EffectMkdir && files[e.Path] > manyFiles:
			e.Files, e.Size = files[e.Path], sizes[e.Path]
		}
		folded = append(folded, e)
	}
	return folded
}

// joinDirs leaves out a new directory that was made for the one in it that follows.
func joinDirs(all []Effect) []Effect {
	var joined []Effect
	for i, e := range all {
		if i+1 < len(all) && e.Kind == EffectMkdir && e.Files == 0 {
			if next := all[i+1]; next.Kind == EffectMkdir && next.Mode == e.Mode && filepath.Dir(next.Path) == e.Path {
				continue
			}
		}
		joined = append(joined, e)
	}
	return joined
}
