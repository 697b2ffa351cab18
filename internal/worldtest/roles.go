package worldtest

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// The types of this file stand in for roles of a world, with methods of a test's own:
// what is nil is done by the role that they stand in for.

// Disk is a disk with other files.
type Disk struct {
	Disk  world.Disk
	Alter func(files world.Files, dir string) world.Files // the Files of Root(dir), or for "/" of Host
}

func (d Disk) Host() world.Files           { return d.Alter(d.Disk.Host(), "/") }
func (d Disk) Root(dir string) world.Files { return d.Alter(d.Disk.Root(dir), dir) }

// Files are files of which some operations are done in another way.
type Files struct {
	Files      world.Files
	OnReadFile func(name string, limit int64) ([]byte, error)
	OnAppend   func(name string) (world.Appender, error)
	OnRename   func(oldName, newName string) error
	OnLock     func(ctx context.Context, name string) (unlock func(), err error)
	OnTryLock  func(name string) (unlock func(), err error)
}

// ReadFile implements world.Files, as do the others.
func (f Files) ReadFile(name string, limit int64) ([]byte, error) {
	if f.OnReadFile != nil {
		return f.OnReadFile(name, limit)
	}
	return f.Files.ReadFile(name, limit)
}

func (f Files) Append(name string) (world.Appender, error) {
	if f.OnAppend != nil {
		return f.OnAppend(name)
	}
	return f.Files.Append(name)
}

func (f Files) Rename(oldName, newName string) error {
	if f.OnRename != nil {
		return f.OnRename(oldName, newName)
	}
	return f.Files.Rename(oldName, newName)
}

func (f Files) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if f.OnLock != nil {
		return f.OnLock(ctx, name)
	}
	return f.Files.Lock(ctx, name)
}

func (f Files) TryLock(name string) (unlock func(), err error) {
	if f.OnTryLock != nil {
		return f.OnTryLock(name)
	}
	return f.Files.TryLock(name)
}

func (f Files) CreateFile(name string, data []byte, mode fs.FileMode) error {
	return f.Files.CreateFile(name, data, mode)
}

func (f Files) Lstat(name string) (world.Info, error)        { return f.Files.Lstat(name) }
func (f Files) ReadDir(name string) ([]world.Info, error)    { return f.Files.ReadDir(name) }
func (f Files) ReadLink(name string) (string, error)         { return f.Files.ReadLink(name) }
func (f Files) Mkdir(name string, mode fs.FileMode) error    { return f.Files.Mkdir(name, mode) }
func (f Files) MkdirAll(name string, mode fs.FileMode) error { return f.Files.MkdirAll(name, mode) }
func (f Files) Symlink(target, name string) error            { return f.Files.Symlink(target, name) }
func (f Files) Remove(name string) error                     { return f.Files.Remove(name) }
func (f Files) RemoveAll(name string) error                  { return f.Files.RemoveAll(name) }
func (f Files) Sync(name string) error                       { return f.Files.Sync(name) }

// Appender adds to a file in another way.
type Appender struct {
	Appender world.Appender
	OnWrite  func(data []byte) (int, error)
	OnSync   func() error
}

func (a Appender) Write(data []byte) (int, error) {
	if a.OnWrite != nil {
		return a.OnWrite(data)
	}
	return a.Appender.Write(data)
}

func (a Appender) Sync() error {
	if a.OnSync != nil {
		return a.OnSync()
	}
	return a.Appender.Sync()
}

func (a Appender) Close() error { return a.Appender.Close() }

// Processes are run in another way.
type Processes struct {
	Processes world.Processes
	OnRun     func(ctx context.Context, cmd world.Command) (world.Output, error)
}

func (p Processes) Run(ctx context.Context, cmd world.Command) (world.Output, error) {
	if p.OnRun != nil {
		return p.OnRun(ctx, cmd)
	}
	return p.Processes.Run(ctx, cmd)
}

func (p Processes) Attach(ctx context.Context, cmd world.Command) (int, error) {
	return p.Processes.Attach(ctx, cmd)
}

// Services are listened for in another way.
type Services struct {
	Services    world.Services
	OnTryListen func(ctx context.Context, network, address string) error
}

func (s Services) TryListen(ctx context.Context, network, address string) error {
	if s.OnTryListen != nil {
		return s.OnTryListen(ctx, network, address)
	}
	return s.Services.TryListen(ctx, network, address)
}

func (s Services) Send(ctx context.Context, req world.Request) (io.ReadCloser, error) {
	return s.Services.Send(ctx, req)
}

func (s Services) Listening(ctx context.Context, address string) (bool, error) {
	return s.Services.Listening(ctx, address)
}

// Clock is another clock.
type Clock struct {
	Clock      world.Clock
	OnBootTime func() (boot string, up time.Duration, err error)
	OnSleep    func(ctx context.Context, d time.Duration) error
}

func (c Clock) Now() time.Time { return c.Clock.Now() }

func (c Clock) BootTime() (boot string, up time.Duration, err error) {
	if c.OnBootTime != nil {
		return c.OnBootTime()
	}
	return c.Clock.BootTime()
}

func (c Clock) Sleep(ctx context.Context, d time.Duration) error {
	if c.OnSleep != nil {
		return c.OnSleep(ctx, d)
	}
	return c.Clock.Sleep(ctx, d)
}

// Environment is another environment.
type Environment struct {
	Environment world.Environment
	OnGetenv    func(name string) (string, bool)
	OnEnviron   func() []string
}

func (e Environment) Getenv(name string) (string, bool) {
	if e.OnGetenv != nil {
		return e.OnGetenv(name)
	}
	return e.Environment.Getenv(name)
}

func (e Environment) Environ() []string {
	if e.OnEnviron != nil {
		return e.OnEnviron()
	}
	return e.Environment.Environ()
}

func (e Environment) WorkDir() (string, error)    { return e.Environment.WorkDir() }
func (e Environment) Executable() (string, error) { return e.Environment.Executable() }
func (e Environment) UserID() int                 { return e.Environment.UserID() }
func (e Environment) Hostname() string            { return e.Environment.Hostname() }
func (e Environment) Random(b []byte)             { e.Environment.Random(b) }
