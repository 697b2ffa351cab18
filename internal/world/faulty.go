package world

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// Faulty is the world w with faults, for tests of what happens when a system call
// fails. fail is asked before each operation; what it returns, unless nil, is wrapped in
// the operation's error (syscall.ENOSPC, say), and the operation isn't done.
//
// op is one of these. fail may be called by several goroutines at once.
//
//   - On files read, lstat, readdir, readlink, create, append (for opening a file to
//     add to it, and for each write), mkdir, mkdirall, symlink, rename, remove, removeall,
//     sync and lock; name is the absolute path, for rename the new one.
//   - run and attach; name is the program.
//   - send, listening, and listen for TryListen; name is the address.
//   - sleep; name is empty.
func Faulty(w World, fail func(op, name string) error) World {
	w.Disk = faultyDisk{w.Disk, fail}
	w.Processes = faultyProcesses{w.Processes, fail}
	w.Services = faultyServices{w.Services, fail}
	w.Clock = faultyClock{w.Clock, fail}
	return w
}

type faultyDisk struct {
	disk Disk
	fail func(op, name string) error
}

func (d faultyDisk) Host() Files { return &faultyFiles{d.disk.Host(), "", d.fail} }

func (d faultyDisk) Root(dir string) Files {
	return &faultyFiles{d.disk.Root(dir), dir, d.fail}
}

type faultyFiles struct {
	files Files
	dir   string // of a Root
	fail  func(op, name string) error
}

func (f *faultyFiles) ask(op, name string) error {
	path := filepath.Join(f.dir, name)
	return pathError(op, path, f.fail(op, path))
}

func (f *faultyFiles) ReadFile(name string, limit int64) ([]byte, error) {
	if err := f.ask(opRead, name); err != nil {
		return nil, err
	}
	return f.files.ReadFile(name, limit)
}

func (f *faultyFiles) Lstat(name string) (Info, error) {
	if err := f.ask(opLstat, name); err != nil {
		return Info{}, err
	}
	return f.files.Lstat(name)
}

func (f *faultyFiles) ReadDir(name string) ([]Info, error) {
	if err := f.ask(opReadDir, name); err != nil {
		return nil, err
	}
	return f.files.ReadDir(name)
}

func (f *faultyFiles) ReadLink(name string) (string, error) {
	if err := f.ask(opReadLink, name); err != nil {
		return "", err
	}
	return f.files.ReadLink(name)
}

func (f *faultyFiles) CreateFile(name string, data []byte, mode fs.FileMode) error {
	if err := f.ask(opCreate, name); err != nil {
		return err
	}
	return f.files.CreateFile(name, data, mode)
}

func (f *faultyFiles) Append(name string) (Appender, error) {
	if err := f.ask(opAppend, name); err != nil {
		return nil, err
	}
	a, err := f.files.Append(name)
	if err != nil {
		return nil, err
	}
	return &faultyAppender{a, f, name}, nil
}

type faultyAppender struct {
	appender Appender
	files    *faultyFiles
	name     string
}

func (a *faultyAppender) Write(data []byte) (int, error) {
	if err := a.files.ask(opAppend, a.name); err != nil {
		return 0, err
	}
	return a.appender.Write(data)
}

func (a *faultyAppender) Sync() error {
	if err := a.files.ask(opSync, a.name); err != nil {
		return err
	}
	return a.appender.Sync()
}

func (a *faultyAppender) Close() error { return a.appender.Close() }

func (f *faultyFiles) Mkdir(name string, mode fs.FileMode) error {
	if err := f.ask(opMkdir, name); err != nil {
		return err
	}
	return f.files.Mkdir(name, mode)
}

func (f *faultyFiles) MkdirAll(name string, mode fs.FileMode) error {
	if err := f.ask(opMkdirAll, name); err != nil {
		return err
	}
	return f.files.MkdirAll(name, mode)
}

func (f *faultyFiles) Symlink(target, name string) error {
	if err := f.ask(opSymlink, name); err != nil {
		return err
	}
	return f.files.Symlink(target, name)
}

func (f *faultyFiles) Rename(oldName, newName string) error {
	if err := f.ask(opRename, newName); err != nil {
		return err
	}
	return f.files.Rename(oldName, newName)
}

func (f *faultyFiles) Remove(name string) error {
	if err := f.ask(opRemove, name); err != nil {
		return err
	}
	return f.files.Remove(name)
}

func (f *faultyFiles) RemoveAll(name string) error {
	if err := f.ask(opRemoveAll, name); err != nil {
		return err
	}
	return f.files.RemoveAll(name)
}

func (f *faultyFiles) Sync(name string) error {
	if err := f.ask(opSync, name); err != nil {
		return err
	}
	return f.files.Sync(name)
}

func (f *faultyFiles) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := f.ask(opLock, name); err != nil {
		return nil, err
	}
	return f.files.Lock(ctx, name)
}

func (f *faultyFiles) TryLock(name string) (unlock func(), err error) {
	if err := f.ask(opLock, name); err != nil {
		return nil, err
	}
	return f.files.TryLock(name)
}

type faultyProcesses struct {
	processes Processes
	fail      func(op, name string) error
}

func (p faultyProcesses) Run(ctx context.Context, cmd Command) (Output, error) {
	err := cmd.check()
	if err == nil {
		err = cmd.fault(p.fail(opRun, cmd.Args[0]))
	}
	if err != nil {
		return Output{}, err
	}
	return p.processes.Run(ctx, cmd)
}

func (p faultyProcesses) Attach(ctx context.Context, cmd Command) (int, error) {
	err := cmd.checkAttached()
	if err == nil {
		err = cmd.fault(p.fail(opAttach, cmd.Args[0]))
	}
	if err != nil {
		return 0, err
	}
	return p.processes.Attach(ctx, cmd)
}

type faultyServices struct {
	services Services
	fail     func(op, name string) error
}

func (s faultyServices) Send(ctx context.Context, req Request) (io.ReadCloser, error) {
	err := req.check()
	if err == nil {
		err = req.fault(s.fail(opSend, req.Address))
	}
	if err != nil {
		return nil, err
	}
	return s.services.Send(ctx, req)
}

func (s faultyServices) Listening(ctx context.Context, address string) (bool, error) {
	if err := s.fail(opProbe, address); err != nil {
		return false, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return s.services.Listening(ctx, address)
}

func (s faultyServices) TryListen(ctx context.Context, network, address string) error {
	if err := s.fail(opListen, address); err != nil {
		return listenError(network, address, err)
	}
	return s.services.TryListen(ctx, network, address)
}

type faultyClock struct {
	clock Clock
	fail  func(op, name string) error
}

func (c faultyClock) Now() time.Time { return c.clock.Now() }

func (c faultyClock) BootTime() (boot string, up time.Duration, err error) {
	return c.clock.BootTime()
}

func (c faultyClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := c.fail(opSleep, ""); err != nil {
		return fmt.Errorf("sleeping: %w", err)
	}
	return c.clock.Sleep(ctx, d)
}
