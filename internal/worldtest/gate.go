package worldtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// Fate is what a world makes of a change.
type Fate int

// What becomes of a change.
const (
	Passes  Fate = iota // it is done: whoever looks below the world sees it
	Plans               // below nothing has changed; reading through the world shows it, or the error is ErrPlanned
	Refuses             // the error is the world's refusal; nothing has changed
)

// Act is one way to reach the outside through a world.
type Act struct {
	Method   string // "Files.CreateFile", "Processes.Run"
	ReadOnly bool   // of a command or request, which is marked so
}

// Gate is a world that is held against the table of all acts.
type Gate struct {
	Wrap    func(w world.World) world.World // makes it of the world of a machine
	Fate    func(a Act) Fate                // what it declares; nil: all passes
	Refusal error                           // with which it refuses
}

// CheckGate does every act on a world that lies over a machine in memory and on one that
// lies over this machine, and wants of each what the world declares.
func CheckGate(t *testing.T, g Gate) {
	t.Helper()
	for name, machine := range map[string]func(t testing.TB) *Machine{"on a fake": FakeMachine, "on real files": RealMachine} {
		t.Run(name, func(t *testing.T) { CheckGateOn(t, machine, g) })
	}
}

// CheckGateOn is CheckGate on one kind of machine.
func CheckGateOn(t *testing.T, machine func(t testing.TB) *Machine, g Gate) {
	t.Helper()
	for _, a := range acts() {
		t.Run(a.String(), func(t *testing.T) {
			fate := Passes
			if g.Fate != nil {
				fate = g.Fate(a.Act)
			}
			m := machine(t)
			a.check(t, m, g.Wrap(m.World), fate, g.Refusal)
		})
	}
}

// EachAct does every act on a world over a machine in memory, and then calls check.
func EachAct(t *testing.T, wrap func(world.World) world.World, check func(t *testing.T, a Act)) {
	t.Helper()
	for _, a := range acts() {
		t.Run(a.String(), func(t *testing.T) {
			m := FakeMachine(t)
			_ = a.do(t, m, wrap(m.World)) // what comes of it CheckGate tells
			check(t, a.Act)
		})
	}
}

// act is a row of the table.
type act struct {
	Act
	host bool // on files of Host, not of Root
	do   func(t testing.TB, m *Machine, w world.World) error
	seen func(m *Machine, w world.World) error // tells through the world that it was done; nil: only the outside can tell
	mute bool                                  // it leaves nothing that could be seen
}

func (a act) String() string {
	name := a.Method
	if a.host {
		name += " of Host"
	}
	if a.ReadOnly {
		name += ", read-only"
	}
	return name
}

// check does it, and wants it to end as it must.
func (a act) check(t *testing.T, m *Machine, w world.World, fate Fate, refusal error) {
	before := m.Look()
	err := a.do(t, m, w)
	changed := !maps.Equal(before, m.Look())
	switch {
	case fate == Refuses:
		if refusal == nil || !errors.Is(err, refusal) || changed {
			t.Errorf("got %v, changed %v, want it refused by %v", err, changed, refusal)
		}
		return
	case fate == Plans && changed:
		t.Error("what was to be planned was done")
	case fate == Plans && a.seen == nil:
		WantErr(t, err, world.ErrPlanned)
		if err == nil {
			t.Error("what was not done is no error")
		}
		return
	case fate == Passes && !changed && !a.mute:
		t.Error("below, nothing has changed")
	}
	if err == nil && a.seen != nil {
		err = a.seen(m, w)
	}
	if err != nil {
		t.Error(err)
	}
}

// acts is the table.
func acts() []act {
	all := slices.Concat(fileActs(false), fileActs(true))
	for _, readOnly := range []bool{false, true} {
		all = append(all,
			act{Act: Act{"Processes.Run", readOnly}, do: func(t testing.TB, m *Machine, w world.World) error {
				cmd := m.command()
				cmd.ReadOnly = readOnly
				return runFollowed(t.Context(), w, cmd)
			}},
			act{Act: Act{"Processes.Attach", readOnly}, do: func(t testing.TB, m *Machine, w world.World) error {
				cmd := m.command()
				cmd.ReadOnly = readOnly
				_, err := w.Processes.Attach(t.Context(), cmd)
				return err
			}},
			act{Act: Act{"Services.Send", readOnly}, do: func(t testing.TB, m *Machine, w world.World) error {
				return m.send(t.Context(), w, readOnly)
			}},
		)
	}
	return append(all,
		act{Act: Act{Method: "Services.Listening"}, mute: true, do: func(t testing.TB, _ *Machine, w world.World) error {
			_, err := w.Services.Listening(t.Context(), "127.0.0.1:1")
			return err
		}},
		act{Act: Act{Method: "Services.TryListen"}, mute: true, do: func(t testing.TB, _ *Machine, w world.World) error {
			return w.Services.TryListen(t.Context(), "tcp", "127.0.0.1:0")
		}},
		sleepAct(),
	)
}

// sleepAct lets time pass, which a machine in memory shows.
func sleepAct() act {
	const d = time.Millisecond
	var before time.Time
	var up time.Duration
	return act{Act: Act{Method: "Clock.Sleep"}, mute: true,
		do: func(t testing.TB, _ *Machine, w world.World) (err error) {
			before = w.Clock.Now()
			if _, up, err = w.Clock.BootTime(); err != nil {
				return err
			}
			return w.Clock.Sleep(t.Context(), d)
		},
		seen: func(_ *Machine, w world.World) error {
			_, now, err := w.Clock.BootTime()
			if slept := w.Clock.Now().Sub(before); err == nil && (slept < d || now-up < d) {
				err = fmt.Errorf("it slept %s by the wall clock, %s since the boot", slept, now-up)
			}
			return err
		}}
}

// fileActs change what machines have: a file with "text", and an empty directory.
func fileActs(host bool) []act {
	var all []act
	add := func(method string, do func(t testing.TB, f world.Files) error, seen func(f world.Files) error) {
		a := act{Act: Act{Method: method}, host: host}
		a.do = func(t testing.TB, m *Machine, w world.World) error { return do(t, m.files(w, host)) }
		a.seen = func(m *Machine, w world.World) error { return seen(m.files(w, !host)) }
		all = append(all, a)
	}
	holds := func(name, want string) func(f world.Files) error {
		return func(f world.Files) error {
			got, err := f.ReadFile(name, 100)
			if err == nil && string(got) != want {
				err = fmt.Errorf("%s holds %q, want %q", name, got, want)
			}
			return err
		}
	}
	is := func(name string, want fs.FileMode) func(f world.Files) error {
		return func(f world.Files) error {
			info, err := f.Lstat(name)
			if err == nil && info.Mode.Type() != want {
				err = fmt.Errorf("%s is %v", name, info.Mode)
			}
			return err
		}
	}
	gone := func(name string) func(f world.Files) error {
		return func(f world.Files) error {
			if _, err := f.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is still there: %v", name, err)
			}
			return nil
		}
	}
	held := func(f world.Files) error {
		if _, err := f.TryLock("lock"); !errors.Is(err, world.ErrHeld) {
			return fmt.Errorf("the lock is free: %v", err)
		}
		return nil
	}
	write := func(f world.Files) (world.Appender, error) {
		a, err := f.Append("file")
		if err == nil {
			_, err = a.Write([]byte(" and more"))
		}
		return a, err
	}
	add("Files.CreateFile", func(_ testing.TB, f world.Files) error { return f.CreateFile("new", []byte("new"), 0o600) }, holds("new", "new"))
	add("Files.Append", func(_ testing.TB, f world.Files) error {
		a, err := write(f)
		if err == nil {
			err = a.Close()
		}
		return err
	}, holds("file", "text and more"))
	add("Appender.Write", func(_ testing.TB, f world.Files) error { _, err := write(f); return err }, holds("file", "text and more"))
	add("Appender.Sync", func(_ testing.TB, f world.Files) error {
		a, err := write(f)
		if err == nil {
			err = errors.Join(a.Sync(), a.Close())
		}
		return err
	}, holds("file", "text and more"))
	add("Files.Mkdir", func(_ testing.TB, f world.Files) error { return f.Mkdir("new", 0o700) }, is("new", fs.ModeDir))
	add("Files.MkdirAll", func(_ testing.TB, f world.Files) error { return f.MkdirAll("a/b", 0o700) }, is("a/b", fs.ModeDir))
	add("Files.Symlink", func(_ testing.TB, f world.Files) error { return f.Symlink("file", "new") }, is("new", fs.ModeSymlink))
	add("Files.Rename", func(_ testing.TB, f world.Files) error { return f.Rename("file", "new") }, holds("new", "text"))
	add("Files.Remove", func(_ testing.TB, f world.Files) error { return f.Remove("file") }, gone("file"))
	add("Files.RemoveAll", func(_ testing.TB, f world.Files) error { return f.RemoveAll("empty") }, gone("empty"))
	add("Files.Sync", func(_ testing.TB, f world.Files) error { return f.Sync("file") }, holds("file", "text"))
	all[len(all)-1].mute = true
	add("Files.Lock", func(t testing.TB, f world.Files) error {
		unlock, err := f.Lock(t.Context(), "lock")
		if err == nil {
			t.Cleanup(unlock)
		}
		return err
	}, held)
	add("Files.TryLock", func(t testing.TB, f world.Files) error {
		unlock, err := f.TryLock("lock")
		if err == nil {
			t.Cleanup(unlock)
		}
		return err
	}, held)
	return all
}

// readers are the methods of roles that change nothing and reach for nothing but files.
var readers = []string{
	"Disk.Host", "Disk.Root",
	"Files.ReadFile", "Files.Lstat", "Files.ReadDir", "Files.ReadLink", "Appender.Close",
	"Clock.Now", "Clock.BootTime",
	"Environment.Getenv", "Environment.Environ", "Environment.WorkDir", "Environment.Executable", "Environment.UserID", "Environment.Hostname", "Environment.Random",
}

// Unlisted are the methods of the roles of a world, and of what these return, that are
// neither in the table nor known as reading only; and what stands there and is no method.
func Unlisted() (missing, unknown []string) {
	listed := slices.Clone(readers)
	for _, a := range acts() {
		listed = append(listed, a.Method)
	}
	methods := map[string]bool{}
	collectMethods(reflect.TypeFor[world.World](), methods)
	for method := range methods {
		if !slices.Contains(listed, method) {
			missing = append(missing, method)
		}
	}
	for _, method := range listed {
		if !methods[method] {
			unknown = append(unknown, method)
		}
	}
	return missing, unknown
}

// collectMethods follows the fields of a struct, and the results of the methods of an
// interface of package world.
func collectMethods(of reflect.Type, into map[string]bool) {
	switch {
	case of.Kind() == reflect.Struct && of == reflect.TypeFor[world.World]():
		for field := range of.Fields() {
			collectMethods(field.Type, into)
		}
	case of.Kind() == reflect.Interface && of.PkgPath() == reflect.TypeFor[world.World]().PkgPath():
		for method := range of.Methods() {
			into[of.Name()+"."+method.Name] = true
			for result := range method.Type.Outs() {
				collectMethods(result, into)
			}
		}
	}
}

// Machine is what lies below a world: it has a directory with a file "file", which holds
// "text", and an empty directory "empty"; a program that leaves a file there; and a
// service that leaves one when it is asked.
type Machine struct {
	World world.World
	Dir   string
	Look  func() map[string]string // all that is in Dir, by other means than the world that lies over it

	address string // of the service
}

// RealMachine is this machine, with a directory of the test's.
func RealMachine(t testing.TB) *Machine {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	Must(t, err)
	m := &Machine{
		World: world.Real("test"), Dir: filepath.Join(dir, "d"), Look: func() map[string]string { return OnDisk(t, filepath.Join(dir, "d")) },
		address: filepath.Join(dir, "s"),
	}
	Must(t, os.MkdirAll(filepath.Join(m.Dir, "empty"), 0o700))
	Must(t, os.WriteFile(filepath.Join(m.Dir, "file"), []byte("text"), 0o600))
	listener, err := net.Listen("unix", m.address)
	Must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer := "done"
			if err := os.WriteFile(filepath.Join(m.Dir, "asked"), nil, 0o600); err != nil {
				answer = err.Error()
			}
			io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return m
}

// FakeMachine is a machine in memory.
func FakeMachine(t testing.TB) *Machine {
	f := world.NewFake()
	look := func() map[string]string {
		all := Snapshot(t, f.World(), "/home/user/d")
		all["clock"] = f.Now().String()
		return all
	}
	m := &Machine{World: f.World(), Dir: "/home/user/d", Look: look, address: "/run/s"}
	f.Write(m.Dir+"/file", []byte("text"))
	Must(t, f.Host().Mkdir(m.Dir+"/empty", 0o700))
	f.Handle = func(context.Context, world.Command) (world.Output, error) {
		f.Write(m.Dir+"/started", nil)
		return world.Output{Stdout: []byte("started\n")}, nil
	}
	f.Answer = func(context.Context, world.Request) ([]byte, error) {
		f.Write(m.Dir+"/asked", nil)
		return []byte("done"), nil
	}
	return m
}

func (m *Machine) command() world.Command {
	return world.Command{Args: []string{"/bin/sh", "-c", "echo > started; echo started"}, Dir: m.Dir, Timeout: time.Minute}
}

// runFollowed runs a command, and holds what is told of it against its output.
func runFollowed(ctx context.Context, w world.World, cmd world.Command) error {
	told := ""
	cmd.Follow = func(from world.Stream, piece []byte) { told += string(from) + ": " + string(piece) }
	_, err := w.Processes.Run(ctx, cmd)
	want := ""
	if err == nil {
		want = "stdout: started\n"
	}
	if told != want {
		err = errors.Join(err, fmt.Errorf("of a command that prints, %q is told, want %q", told, want))
	}
	return err
}

// send asks the service, and waits till it is done.
func (m *Machine) send(ctx context.Context, w world.World, readOnly bool) error {
	answer, err := w.Services.Send(ctx, world.Request{Network: "unix", Address: m.address, ReadOnly: readOnly, Timeout: time.Minute})
	if err != nil {
		return err
	}
	defer answer.Close()
	text, err := io.ReadAll(answer)
	if err == nil && string(text) != "done" {
		err = fmt.Errorf("the answer is %q", text)
	}
	return err
}

// files are those in the machine's directory, by one of two ways.
func (m *Machine) files(w world.World, host bool) world.Files {
	if host {
		return Below(w.Disk.Host(), m.Dir)
	}
	return w.Disk.Root(m.Dir)
}

// OnDisk is a tree of this machine, read without a world, each file with all that would
// betray a change.
func OnDisk(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	Must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content := ""
		switch info.Mode().Type() {
		case 0:
			var data []byte
			data, err = os.ReadFile(path)
			content = string(data)
		case fs.ModeSymlink:
			content, err = os.Readlink(path)
		}
		files[path] = fmt.Sprintf("%v %d %v %q", info.Mode(), info.Size(), info.ModTime(), content)
		return err
	}))
	return files
}
