package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/cover"
	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/nearest"
	"github.com/ktrdr/kinfra/engine/table"
)

// dialect is Starlark with sets: no recursion, no while, no reassigned globals.
func dialect() *syntax.FileOptions { return &syntax.FileOptions{Set: true} }

// loader evaluates files, each once per run. It does so on the thread that asks, so
// that limits, cancellation and backtraces go through loads.
type loader struct {
	run       *Run
	main      string // the ID of the file that is run
	workflows []*Workflow
	effects   bool // the top level of the file that is run may change something

	evaluating sync.Mutex // held by the thread that evaluates files, from the first to the last

	keeping sync.Mutex      // held while a file is put on record; guards kept
	kept    map[string]bool // the IDs of the files that the record has; nil while there is none, or edited scripts aren't kept yet

	mu      sync.Mutex // guards all below
	modules map[string]*module
	files   map[string]layer.File // by the name that positions carry
}

type module struct {
	globals starlark.StringDict
	err     error
	done    bool
}

// Load evaluates the file that is run and returns the workflows that it declares.
// A file without one is a script whose top level is all it does: only with
// effects is it then allowed to change something.
func (r *Run) Load(file layer.File, effects bool) ([]*Workflow, error) {
	r.loader.main, r.loader.effects = file.ID(), effects
	evaluate := func(t *starlark.Thread) error {
		if effects {
			r.loader.forget(file) // a rehearsal has evaluated it
		}
		_, err := r.loader.evaluate(t, file)
		return err
	}
	if effects {
		err := r.prepare("run", evaluate)
		if err != nil {
			return nil, err
		}
	}
	err := r.guarded(r.mainState(), evaluate)
	if err != nil && !effects {
		r.giveUp()
	}
	return r.loader.workflows, err
}

// load is the load statement.
func (l *loader) load(t *starlark.Thread, label string) (starlark.StringDict, error) {
	from, err := l.caller(t)
	if err != nil {
		return nil, err
	}
	file, err := l.run.config.Layers.Resolve(label, from)
	if err != nil {
		return nil, &Error{Code: Usage, Message: err.Error() + l.nearLabel(label, from, err), Err: err, Next: loadHint(label, err)}
	}
	return l.checked(t, label, file)
}

// checked evaluates a file, and holds it to what is wanted of the one of its label.
func (l *loader) checked(t *starlark.Thread, label string, file layer.File) (starlark.StringDict, error) {
	globals, err := l.evaluate(t, file)
	if check := l.run.config.Checks[label]; err == nil && check != nil {
		err = check(file, globals)
	}
	return globals, err
}

// nearLabel suggests the label of a file that there is for one that names none: in the
// same directory, by the name alone, since what is alike around it would let more differ.
func (l *loader) nearLabel(label string, from layer.File, err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	layers := l.run.config.Layers
	prefix, among := "", layers.Layers
	switch builtin := "@" + layers.Builtin.Name + "//"; {
	case strings.HasPrefix(label, builtin):
		prefix, among = builtin, []*layer.Layer{layers.Builtin}
	case strings.HasPrefix(label, "./") && path.Dir(from.Name) == ".":
		prefix, among = "./", []*layer.Layer{from.Layer}
	}
	dir, base := path.Split(strings.TrimPrefix(label, prefix))
	var known []string
	for _, one := range among {
		list := one.Scripts // a directory of the user's may have much below it
		if one == layers.Builtin {
			list = one.List
		}
		names, _ := list() // what can't be listed, can't be suggested
		for _, name := range names {
			if below, ok := strings.CutPrefix(name, dir); ok && strings.HasSuffix(below, ".star") {
				known = append(known, strings.TrimSuffix(below, ".star"))
			}
		}
	}
	if name, ok := nearest.Name(strings.TrimSuffix(base, ".star"), known); ok {
		return fmt.Sprintf(" (did you mean %q?)", prefix+dir+name+".star")
	}
	return ""
}

// loadHint is what may have been meant by a label that names no file.
func loadHint(label string, err error) string {
	if !errors.Is(err, fs.ErrNotExist) || strings.HasPrefix(label, "@") {
		return ""
	}
	if strings.HasPrefix(label, "./") {
		return fmt.Sprintf("%q is looked for beside the file that loads it, %q in the layers", label, label[2:])
	}
	return fmt.Sprintf("kinfra scripts list shows what the layers have; %q would be beside the file that loads it", "./"+label)
}

// evaluate gives the globals of a file, frozen.
func (l *loader) evaluate(t *starlark.Thread, file layer.File) (starlark.StringDict, error) {
	s := stateOf(t)
	file, err := l.ask(file)
	if err != nil {
		return nil, err
	}
	if len(s.loading) == 0 { // another branch may ask for a file that this one is evaluating
		l.evaluating.Lock()
		defer l.evaluating.Unlock()
	}
	s.loading = append(s.loading, file)
	defer func() { s.loading = s.loading[:len(s.loading)-1] }()

	m, known := l.module(file)
	if !known {
		m.globals, m.err = l.execute(t, file)
		if err := freezeGlobals(m.globals); err != nil {
			m.globals = nil // nobody may see what isn't frozen
			if m.err == nil {
				m.err = err
			}
		}
		m.done = true
	} else if !m.done {
		return nil, &Error{Code: Usage, Message: "load cycle: " + chain(s.loading)}
	}
	return m.globals, m.err
}

func chain(files []layer.File) string {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.Path()
	}
	return strings.Join(paths, " -> ")
}

// module is what is known of a file, and whether that is anything yet.
func (l *loader) module(file layer.File) (m *module, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.modules == nil {
		l.modules = map[string]*module{}
	}
	if m, known = l.modules[file.ID()]; !known {
		m = &module{}
		l.modules[file.ID()] = m
	}
	return m, known
}

// ask notes a file that the run has asked for, and gives it as it was when it was first read:
// that is what counts. It is on record when it returns, if there is one.
func (l *loader) ask(file layer.File) (layer.File, error) {
	l.mu.Lock()
	if l.files == nil {
		l.files = map[string]layer.File{}
	}
	first, known := l.files[file.Path()]
	if !known {
		l.files[file.Path()] = file
	}
	l.mu.Unlock()
	if known && first.ID() == file.ID() {
		file = first
	}
	return file, l.run.keepFile(file)
}

// forget makes a file be evaluated again.
func (l *loader) forget(file layer.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.modules, file.ID())
}

func (l *loader) execute(t *starlark.Thread, file layer.File) (starlark.StringDict, error) {
	program, names, err := l.program(file)
	if err != nil {
		return nil, l.suggest(err)
	}
	globals, err := program.Init(t, names)
	return globals, l.lacksName(err, file)
}

// lacksName makes the error of a load statement that asks a file for a name which it lacks
// a usage error, which tells the file as it is found in its layer. The interpreter has no
// type for it, and knows of the label alone.
func (l *loader) lacksName(err error, from layer.File) error {
	e, ok := errors.AsType[*starlark.EvalError](err)
	if !ok || !strings.HasPrefix(e.Msg, "load: name ") {
		return err
	}
	before, after, found := strings.Cut(e.Msg, " not found in module ")
	if !found {
		return err
	}
	label, _, _ := strings.Cut(after, " (")
	if file, err := l.run.config.Layers.Resolve(label, from); err == nil && !strings.HasPrefix(label, "@") {
		after = strings.Replace(after, label, file.Path(), 1)
	}
	e = &starlark.EvalError{Msg: before + " not found in module " + after, CallStack: e.CallStack}
	return &Error{Code: Usage, Message: e.Msg, Err: e}
}

// program is what a file compiles to, and the names that it sees. A compiled form of it
// that another version of Starlark has written is passed over, like one of another text.
func (l *loader) program(file layer.File) (*starlark.Program, starlark.StringDict, error) {
	if c := l.run.config.Coverage; c.Counts != nil && c.Counts(file) {
		return l.counted(file, c.Profile)
	}
	if compiled := file.Compiled(); compiled != nil {
		if program, err := starlark.CompiledProgram(bytes.NewReader(compiled)); err == nil {
			return program, l.run.names, nil
		}
	}
	parsed, err := Parse(file)
	if err != nil {
		return nil, nil, err
	}
	program, err := starlark.FileProgram(bound(parsed), l.run.names.Has)
	return program, l.run.names, err
}

// counted is a program that counts which of its statements run.
func (l *loader) counted(file layer.File, profile *cover.Profile) (*starlark.Program, starlark.StringDict, error) {
	parsed, err := Parse(file)
	if err != nil {
		return nil, nil, err
	}
	names := profile.Instrument(file.Data, bound(parsed), l.run.names)
	program, err := starlark.FileProgram(parsed, names.Has)
	return program, names, err
}

func compile(file layer.File, names starlark.StringDict) (*starlark.Program, error) {
	_, program, err := starlark.SourceProgramOptions(dialect(), file.Path(), file.Data, names.Has)
	return program, err
}

// Compile gives the compiled form of a file of a layer, for [layer.Seal]. The modules
// are those that a run will have beside the engine's own.
func Compile(file layer.File, modules []table.Module) ([]byte, error) {
	program, err := compile(file, table.Predeclare(append(Modules(), modules...)))
	if err != nil {
		return nil, fmt.Errorf("compiling %s: %w", file.Path(), err)
	}
	var out bytes.Buffer
	err = program.Write(&out)
	return out.Bytes(), err
}

// suggest adds to errors about unknown names which of the builtins may have been
// meant: the resolver only looks at the names of the file.
func (l *loader) suggest(err error) error {
	var list resolve.ErrorList
	if !errors.As(err, &list) {
		return err
	}
	known := slices.Concat(l.run.names.Keys(), starlark.Universe.Keys())
	for i, e := range list {
		if name, ok := strings.CutPrefix(e.Msg, "undefined: "); ok && !strings.Contains(name, " ") {
			list[i].Msg += nearest.Suggest(name, known)
		}
	}
	return list
}

// caller is the file of the innermost script function that is executing.
func (l *loader) caller(t *starlark.Thread) (layer.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range t.CallStackDepth() {
		if file, ok := l.files[t.CallFrame(i).Pos.Filename()]; ok {
			return file, nil
		}
	}
	return layer.File{}, errors.New("no script is calling")
}

// forRecord is the files that were evaluated so far, or read for their text. The record is
// about to get them; those that are asked for from now on it gets one by one.
func (l *loader) forRecord() []layer.File {
	l.keeping.Lock()
	defer l.keeping.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = map[string]bool{}
	for _, f := range l.files {
		l.kept[f.ID()] = true
	}
	return slices.Collect(maps.Values(l.files))
}

func (l *loader) source(path string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.files[path].Data
}
