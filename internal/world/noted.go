package world

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// OperationKind says what an operation did.
type OperationKind string

// The kinds of operations.
const (
	OpCreated  OperationKind = "created"   // a file
	OpAppended OperationKind = "appended"  // to a file
	OpMadeDir  OperationKind = "made"      // a directory
	OpLinked   OperationKind = "linked"    // a symbolic link was made
	OpRenamed  OperationKind = "renamed"   // a file or a tree
	OpRemoved  OperationKind = "removed"   // a file, a link, or a directory with all that is in it
	OpStarted  OperationKind = "started"   // a process that isn't marked ReadOnly
	OpSent     OperationKind = "requested" // a request that isn't marked ReadOnly was sent to a service
)

// Operation is a change that was made through a world, or planned. [Effects] tells what
// several of them come to.
type Operation struct {
	Kind    OperationKind
	Planned bool // of a process or request: it was not started or sent, since the world is a planned one

	Path   string      // absolute
	From   string      // of what was renamed: its old path
	Target string      // of a link
	Size   int64       // bytes of a created file, or those that were added
	Mode   fs.FileMode // permissions of what was made
	Before *Info       // what was at Path; nil for nothing
	Moved  *Info       // of what was renamed
	Files  int         // of a removed directory: how many files and links were in it

	Args    []string // of a process
	Dir     string   // of a process
	Address string   // of a service
}

// Noted is the world w that gives note each change made through it: of files those that
// succeeded, of processes and requests those that were started or sent or, in a planned
// world, would be. Locks and what makes things durable are no changes. note may be called
// by several goroutines at once.
func Noted(w World, note func(Operation)) World {
	w.Disk = notedDisk{w.Disk, note}
	w.Processes = notedProcesses{w.Processes, note}
	w.Services = notedServices{w.Services, note}
	return w
}

type notedDisk struct {
	disk Disk
	note func(Operation)
}

func (d notedDisk) Host() Files {
	host := d.disk.Host()
	return &notedFiles{host, host, "", d.note}
}

func (d notedDisk) Root(dir string) Files {
	return &notedFiles{d.disk.Root(dir), d.disk.Host(), dir, d.note}
}

type notedFiles struct {
	files Files
	host  Files // by which it looks at what is there
	dir   string
	note  func(Operation)
}

func (f *notedFiles) path(name string) string { return filepath.Join(f.dir, name) }

// look is what is at an absolute path, nil for nothing.
func (f *notedFiles) look(path string) *Info {
	info, err := f.host.Lstat(path)
	if err != nil {
		return nil
	}
	return &info
}

func (f *notedFiles) ReadFile(name string, limit int64) ([]byte, error) {
	return f.files.ReadFile(name, limit)
}
func (f *notedFiles) Lstat(name string) (Info, error)      { return f.files.Lstat(name) }
func (f *notedFiles) ReadDir(name string) ([]Info, error)  { return f.files.ReadDir(name) }
func (f *notedFiles) ReadLink(name string) (string, error) { return f.files.ReadLink(name) }

func (f *notedFiles) CreateFile(name string, data []byte, mode fs.FileMode) error {
	err := f.files.CreateFile(name, data, mode)
	if err == nil {
		f.note(Operation{Kind: OpCreated, Path: f.path(name), Size: int64(len(data)), Mode: mode.Perm()})
	}
	return err
}

func (f *notedFiles) Append(name string) (Appender, error) {
	before := f.look(f.path(name))
	a, err := f.files.Append(name)
	if err != nil {
		return nil, err
	}
	return &notedAppender{a, f.note, Operation{Kind: OpAppended, Path: f.path(name), Before: before}}, nil
}

type notedAppender struct {
	appender Appender
	note     func(Operation)
	op       Operation
}

func (a *notedAppender) Write(data []byte) (int, error) {
	n, err := a.appender.Write(data)
	if n > 0 {
		op := a.op
		op.Size = int64(n)
		a.note(op)
	}
	return n, err
}

func (a *notedAppender) Sync() error  { return a.appender.Sync() }
func (a *notedAppender) Close() error { return a.appender.Close() }

func (f *notedFiles) Mkdir(name string, mode fs.FileMode) error {
	err := f.files.Mkdir(name, mode)
	if err == nil {
		f.note(Operation{Kind: OpMadeDir, Path: f.path(name), Mode: mode.Perm()})
	}
	return err
}

func (f *notedFiles) MkdirAll(name string, mode fs.FileMode) error {
	missing := f.missing(f.path(name))
	err := f.files.MkdirAll(name, mode)
	for _, dir := range missing {
		if err == nil || f.look(dir) != nil {
			f.note(Operation{Kind: OpMadeDir, Path: dir, Mode: mode.Perm()})
		}
	}
	return err
}

// missing is the directories on the way to path, and itself, that aren't there,
// outermost first.
func (f *notedFiles) missing(path string) []string {
	var dirs []string
	for ; ; path = filepath.Dir(path) {
		if _, err := f.host.Lstat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			break
		}
		dirs = append(dirs, path)
	}
	slices.Reverse(dirs)
	return dirs
}

func (f *notedFiles) Symlink(target, name string) error {
	err := f.files.Symlink(target, name)
	if err == nil {
		f.note(Operation{Kind: OpLinked, Path: f.path(name), Target: target})
	}
	return err
}

func (f *notedFiles) Rename(oldName, newName string) error {
	op := Operation{Kind: OpRenamed, From: f.path(oldName), Path: f.path(newName)}
	op.Moved, op.Before = f.look(op.From), f.look(op.Path)
	err := f.files.Rename(oldName, newName)
	if err == nil && op.From != op.Path {
		f.note(op)
	}
	return err
}

func (f *notedFiles) Remove(name string) error {
	before := f.look(f.path(name))
	err := f.files.Remove(name)
	if err == nil {
		f.note(Operation{Kind: OpRemoved, Path: f.path(name), Before: before})
	}
	return err
}

func (f *notedFiles) RemoveAll(name string) error {
	op := Operation{Kind: OpRemoved, Path: f.path(name)}
	if op.Before = f.look(op.Path); op.Before != nil && op.Before.Mode.IsDir() {
		left := mostCounted
		op.Files = f.count(op.Path, &left)
	}
	err := f.files.RemoveAll(name)
	if err == nil && op.Before != nil {
		f.note(op)
	}
	return err
}

// mostCounted is how many entries of a tree are looked at to count its files.
const mostCounted = 100_000

// count is how many files and links are below a directory, as far as left entries tell.
func (f *notedFiles) count(dir string, left *int) int {
	entries, err := f.host.ReadDir(dir)
	if err != nil {
		return 0
	}
	files := 0
	for _, e := range entries {
		if *left--; *left < 0 {
			break
		}
		if e.Mode.IsDir() {
			files += f.count(filepath.Join(dir, e.Name), left)
		} else {
			files++
		}
	}
	return files
}

func (f *notedFiles) Sync(name string) error { return f.files.Sync(name) }

func (f *notedFiles) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return f.files.Lock(ctx, name)
}

func (f *notedFiles) TryLock(name string) (unlock func(), err error) { return f.files.TryLock(name) }

type notedProcesses struct {
	processes Processes
	note      func(Operation)
}

func (p notedProcesses) Run(ctx context.Context, cmd Command) (Output, error) {
	out, err := p.processes.Run(ctx, cmd)
	p.ran(ctx, cmd, err)
	return out, err
}

func (p notedProcesses) Attach(ctx context.Context, cmd Command) (int, error) {
	code, err := p.processes.Attach(ctx, cmd)
	p.ran(ctx, cmd, err)
	return code, err
}

// ran notes a command that may have changed something, also where it didn't come to its end.
func (p notedProcesses) ran(ctx context.Context, cmd Command, err error) {
	planned := errors.Is(err, ErrPlanned)
	if cmd.ReadOnly || err != nil && !planned && !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrTooLarge) && ctx.Err() == nil {
		return
	}
	p.note(Operation{Kind: OpStarted, Planned: planned, Args: slices.Clone(cmd.Args), Dir: cmd.Dir})
}

type notedServices struct {
	services Services
	note     func(Operation)
}

func (s notedServices) Send(ctx context.Context, req Request) (io.ReadCloser, error) {
	answer, err := s.services.Send(ctx, req)
	if planned := errors.Is(err, ErrPlanned); !req.ReadOnly && (err == nil || planned) {
		s.note(Operation{Kind: OpSent, Planned: planned, Address: req.Address})
	}
	return answer, err
}

func (s notedServices) Listening(ctx context.Context, address string) (bool, error) {
	return s.services.Listening(ctx, address)
}

func (s notedServices) TryListen(ctx context.Context, network, address string) error {
	return s.services.TryListen(ctx, network, address)
}
