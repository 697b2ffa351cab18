package world_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// recorder keeps what is noted.
type recorder struct {
	mu  sync.Mutex
	ops []world.Operation
}

func (r *recorder) note(op world.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// told is an effect on a line, with paths relative to dir.
func told(e world.Effect, dir string) string {
	text := fmt.Sprintf("%s %s", e.Kind, e.Path)
	switch e.Kind {
	case world.EffectWrite:
		text += fmt.Sprintf(" %d %04o new=%t", e.Size, e.Mode, e.New)
	case world.EffectAppend:
		text += fmt.Sprintf(" %d", e.Size)
	case world.EffectMkdir, world.EffectRemove:
		if e.Files > 0 {
			text += fmt.Sprintf(" with %d", e.Files)
		}
		if e.Kind == world.EffectMkdir {
			text += fmt.Sprintf(" %04o", e.Mode)
		}
	case world.EffectLink:
		text += " to " + e.Target
	case world.EffectRename:
		text += " from " + e.From
	case world.EffectMode:
		text += fmt.Sprintf(" %04o", e.Mode)
	case world.EffectRun:
		text = "run " + strings.Join(e.Args, " ")
	case world.EffectSend:
		text = "send " + e.Address
	}
	return strings.ReplaceAll(text, dir+"/", "")
}

// TestEffects: what operations come to is what they have changed, on each kind of world and
// as a plan of it.
func TestEffects(t *testing.T) {
	write := func(w world.World, f world.Files, name, data string, mode fs.FileMode) error {
		return world.Replace(f, w, name, []byte(data), mode)
	}
	tests := []struct {
		name string
		do   func(w world.World, f world.Files) error
		want string
	}{
		{"a new file", func(w world.World, f world.Files) error { return write(w, f, "new", "new", 0o600) }, "write new 3 0600 new=true"},
		{"a replaced file", func(w world.World, f world.Files) error { return write(w, f, "file", "longer", 0o644) }, "write file 6 0644 new=false"},
		{"another mode", func(w world.World, f world.Files) error { return write(w, f, "file", "text", 0o755) },
			"write file 4 0755 new=false\nmode file 0755"},
		{"a removed file", func(_ world.World, f world.Files) error { return f.Remove("file") }, "remove file"},
		{"a removed tree", func(_ world.World, f world.Files) error { return f.RemoveAll("dir") }, "remove dir with 2"},
		{"nothing to remove", func(_ world.World, f world.Files) error { return f.RemoveAll("nothing") }, ""},
		{"made and removed", func(w world.World, f world.Files) error {
			return first(write(w, f, "x", "x", 0o644), f.MkdirAll("a/b", 0o700), f.CreateFile("a/b/x", nil, 0o600), f.Remove("x"), f.RemoveAll("a"))
		}, ""},
		{"written twice", func(w world.World, f world.Files) error {
			return first(write(w, f, "x", "1", 0o644), write(w, f, "y", "2", 0o644), write(w, f, "x", "three", 0o644))
		}, "write y 1 0644 new=true\nwrite x 5 0644 new=true"},
		{"removed and written", func(w world.World, f world.Files) error {
			return first(f.Remove("file"), write(w, f, "file", "x", 0o644))
		},
			"write file 1 0644 new=false"},
		{"directories", func(_ world.World, f world.Files) error { return f.MkdirAll("a/b/c", 0o711) }, "mkdir a/b/c 0711"},
		{"a link", func(_ world.World, f world.Files) error { return f.Symlink("file", "link") }, "link link to file"},
		{"added", func(_ world.World, f world.Files) error { return add(f, "file", "one", "two") }, "append file 6"},
		{"written and added", func(w world.World, f world.Files) error {
			return first(write(w, f, "x", "12", 0o644), add(f, "x", "345"))
		},
			"write x 5 0644 new=true"},
		{"renamed", func(_ world.World, f world.Files) error { return f.Rename("file", "other") }, "rename other from file"},
		{"renamed and back", func(_ world.World, f world.Files) error {
			return first(f.Rename("file", "other"), f.Rename("other", "file"))
		}, ""},
		{"renamed and removed", func(_ world.World, f world.Files) error {
			return first(f.Rename("file", "other"), f.Remove("other"))
		}, "remove file"},
		{"renamed, and another in its place", func(w world.World, f world.Files) error {
			return first(f.Rename("file", "other"), write(w, f, "file", "x", 0o644))
		}, "rename other from file\nwrite file 1 0644 new=true"},
		{"built aside", func(_ world.World, f world.Files) error {
			return first(f.Mkdir(".t", 0o755), f.CreateFile(".t/a", []byte("a"), 0o644), f.Mkdir(".t/d", 0o700), f.CreateFile(".t/d/b", nil, 0o600), f.Rename(".t", "t"))
		}, "mkdir t 0755\nwrite t/a 1 0644 new=true\nmkdir t/d 0700\nwrite t/d/b 0 0600 new=true"},
		{"a tree moved, changed and removed", func(_ world.World, f world.Files) error {
			return first(f.CreateFile("dir/new", nil, 0o600), f.Remove("dir/one"), f.Rename("dir", "moved"), f.RemoveAll("moved"))
		}, "remove dir/one\nremove dir"},
		{"a tree changed and removed", func(_ world.World, f world.Files) error {
			return first(f.CreateFile("dir/new", nil, 0o600), f.Remove("dir/one"), f.RemoveAll("dir"))
		}, "remove dir with 2"},
		{"a tree made anew", func(_ world.World, f world.Files) error { return first(f.RemoveAll("dir"), f.Mkdir("dir", 0o755)) },
			"remove dir with 2\nmkdir dir 0755"},
		{"very many files", func(_ world.World, f world.Files) error {
			err := f.Mkdir("many", 0o755)
			for i := range 300 {
				err = first(err, f.CreateFile(fmt.Sprint("many/", i), []byte("ab"), 0o644))
			}
			return err
		}, "mkdir many with 300 0755"},
		{"what fails, reads, locks or lasts", func(w world.World, f world.Files) error {
			f.CreateFile("file", nil, 0o600)
			f.Mkdir("file", 0o600)
			f.Remove("dir")
			f.Rename("nothing", "x")
			f.ReadFile("file", 9)
			unlock, err := f.TryLock("lock")
			if err == nil {
				unlock()
			}
			return first(err, f.Sync("file"), w.Clock.Sleep(context.Background(), time.Millisecond))
		}, ""},
		{"a process and files", func(w world.World, f world.Files) error {
			err := f.CreateFile("x", nil, 0o600)
			for _, readOnly := range []bool{false, true} {
				w.Processes.Run(context.Background(), world.Command{Args: []string{"/bin/sh", "-c", "exit 1"}, Dir: "/", ReadOnly: readOnly, Timeout: time.Minute})
			}
			w.Processes.Run(context.Background(), world.Command{Args: []string{"/"}, Dir: "relative", Timeout: time.Minute})
			return first(err, f.CreateFile("y", nil, 0o600))
		}, "write x 0 0600 new=true\nrun /bin/sh -c exit 1\nwrite y 0 0600 new=true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inAll(t, func(t *testing.T, s stage) {
				top := s.world.Disk.Root(s.dir)
				worldtest.Must(t, first(top.CreateFile("file", []byte("text"), 0o644), top.MkdirAll("dir/sub", 0o755), top.CreateFile("dir/one", nil, 0o644), top.CreateFile("dir/sub/two", nil, 0o644)))
				if strings.Contains(s.name, "fake") && strings.Contains(tt.name, "process") {
					t.Skip("it has no programs")
				}
				var r recorder
				w := world.Noted(s.world, r.note)
				worldtest.Must(t, tt.do(w, w.Disk.Root(s.dir)))
				var lines []string
				for _, e := range world.Effects(r.ops) {
					lines = append(lines, told(e, s.dir))
				}
				if got := strings.Join(lines, "\n"); got != tt.want {
					t.Errorf("the effects are\n%s\nwant\n%s", got, tt.want)
				}
			})
		})
	}
}

// first is the first of some errors.
func first(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func add(f world.Files, name string, all ...string) error {
	a, err := f.Append(name)
	for _, text := range all {
		if err == nil {
			_, err = a.Write([]byte(text))
		}
	}
	if err == nil {
		err = a.Close()
	}
	return err
}

// TestNotedOfHost: what is done by absolute paths is told as what is done below a root is.
func TestNotedOfHost(t *testing.T) {
	var r recorder
	w := world.Noted(world.NewFake().World(), r.note)
	worldtest.Must(t, w.Disk.Host().MkdirAll("/home/user/a/b", 0o700))
	worldtest.Must(t, w.Disk.Root("/home/user/c/d").MkdirAll("e", 0o700))
	worldtest.Must(t, w.Disk.Host().CreateFile("/home/user/a/b/x", nil, 0o600))
	var paths []string
	for _, op := range r.ops {
		paths = append(paths, op.Path)
	}
	want := "/home/user/a /home/user/a/b /home/user/c /home/user/c/d /home/user/c/d/e /home/user/a/b/x"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("noted %s, want %s", got, want)
	}
}

// TestEveryChangeIsNoted: each operation of the table of all acts that passes or is planned,
// and isn't a lock or the like, is noted.
func TestEveryChangeIsNoted(t *testing.T) {
	silent := map[string]bool{
		"Files.Sync": true, "Files.Lock": true, "Files.TryLock": true, "Services.Listening": true, "Services.TryListen": true, "Clock.Sleep": true,
	}
	for name, below := range map[string]func(world.World) world.World{"done": func(w world.World) world.World { return w }, "planned": world.Planned} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			worldtest.EachAct(t, func(w world.World) world.World { r.ops = nil; return world.Noted(below(w), r.note) }, func(t *testing.T, a worldtest.Act) {
				if want := !silent[a.Method] && !a.ReadOnly; want != (len(r.ops) > 0) {
					t.Errorf("noted %+v", r.ops)
				}
				for _, op := range r.ops {
					if planned := name == "planned" && (op.Kind == world.OpStarted || op.Kind == world.OpSent); op.Planned != planned {
						t.Errorf("planned is %t: %+v", op.Planned, op)
					}
				}
			})
		})
	}
}
