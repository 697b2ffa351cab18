package world_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// sandbox is where the random operations of one world happen: far enough below
// its temporary directory that no chain of links to ".." leads out of that.
const sandbox = "1/2/3/4/5/6/7/8/9/10/11/12/root"

// TestWorldsAgree does the same random operations in the real world, in one
// planned over an equal tree, and in a fake one. Each result must be the same,
// and so must the trees be in the end; and that which the planned one lies over
// is as it was, to the byte and the time.
func TestWorldsAgree(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		fake := world.NewFake()
		fake.User = os.Geteuid()
		real, planned := tempDir(t), tempDir(t)
		actors := []*actor{
			newActor("real", world.Real("test"), real),
			newActor("planned", world.Real("test"), planned),
			newActor("fake", fake.World(), "/home"),
		}
		for range 15 {
			step(t, seed, random, actors)
		}
		before := worldtest.OnDisk(t, planned)
		actors[1] = newActor("planned", world.Planned(world.Real("test")), planned)
		for range 60 {
			step(t, seed, random, actors)
		}
		want := actors[0].tree(t)
		for _, a := range actors[1:] {
			if got := a.tree(t); got != want {
				t.Errorf("seed %d: %s has the tree\n%s\nreality is\n%s", seed, a.name, got, want)
			}
		}
		if after := worldtest.OnDisk(t, planned); !maps.Equal(before, after) {
			t.Errorf("seed %d: the plan changed reality from\n%v\nto\n%v", seed, before, after)
		}
		if t.Failed() {
			return
		}
	}
}

// actor is a world that takes part, and where in it.
type actor struct {
	name string
	dir  string
	host world.Files
	root world.Files
}

func newActor(name string, w world.World, temp string) *actor {
	dir := filepath.Join(temp, sandbox)
	a := &actor{name, dir, worldtest.Below(w.Disk.Host(), dir), w.Disk.Root(dir)}
	a.root.MkdirAll(".", 0o700)
	return a
}

// step does one random operation in all worlds and compares the results.
func step(t *testing.T, seed uint64, random *rand.Rand, actors []*actor) {
	t.Helper()
	description, do := randomOperation(random)
	byRoot := random.IntN(2) == 0
	var want string
	for i, a := range actors {
		files := a.host
		if byRoot {
			files = a.root
		}
		got := strings.ReplaceAll(do(files, a.dir), a.dir, "DIR")
		if i == 0 {
			want = got
		} else if got != want {
			t.Errorf("seed %d: %s (root: %v): %s gave %s, reality %s", seed, description, byRoot, a.name, got, want)
		}
	}
}

// randomOperation is something to do, described, that tells what came of it.
func randomOperation(random *rand.Rand) (string, func(f world.Files, dir string) string) {
	name, other := randomName(random), randomName(random)
	data := []byte(fmt.Sprint(random.IntN(1000)))
	// Always with the owner's bits: which of several faults a system reports first
	// is not worth agreeing on.
	mode := []fs.FileMode{0o700, 0o750, 0o755, 0o777}[random.IntN(4)]
	type operation struct {
		name string
		do   func(f world.Files, dir string) string
	}
	target := randomTarget(random)
	operations := []operation{
		{"create", func(f world.Files, _ string) string { return outcome("", f.CreateFile(name, data, mode)) }},
		{"create", func(f world.Files, _ string) string { return outcome("", f.CreateFile(name, data, mode)) }},
		{"append", func(f world.Files, _ string) string { return outcome("", appendTo(f, name, data)) }},
		{"append", func(f world.Files, _ string) string { return outcome("", appendTo(f, name, data)) }},
		{"mkdir", func(f world.Files, _ string) string { return outcome("", f.Mkdir(name, mode)) }},
		{"mkdirall", func(f world.Files, _ string) string { return outcome("", f.MkdirAll(name, mode)) }},
		{"symlink to " + target, func(f world.Files, dir string) string {
			return outcome("", f.Symlink(strings.ReplaceAll(target, "DIR", dir), name))
		}},
		{"rename to " + other, func(f world.Files, _ string) string { return outcome("", f.Rename(name, other)) }},
		{"rename to " + other, func(f world.Files, _ string) string { return outcome("", f.Rename(name, other)) }},
		{"remove", func(f world.Files, _ string) string { return outcome("", f.Remove(name)) }},
		{"removeall", func(f world.Files, _ string) string { return outcome("", f.RemoveAll(name)) }},
		{"sync", func(f world.Files, _ string) string { return outcome("", f.Sync(name)) }},
		{"read", func(f world.Files, _ string) string {
			data, err := f.ReadFile(name, 2)
			return outcome(string(data), err)
		}},
		{"lstat", func(f world.Files, _ string) string {
			info, err := f.Lstat(name)
			return outcome(describe(info), err)
		}},
		{"readlink", func(f world.Files, _ string) string {
			target, err := f.ReadLink(name)
			return outcome(target, err)
		}},
		{"readdir", func(f world.Files, _ string) string {
			infos, err := f.ReadDir(name)
			all := ""
			for _, info := range infos {
				all += describe(info) + "; "
			}
			return outcome(all, err)
		}},
	}
	op := operations[random.IntN(len(operations))]
	return name + ": " + op.name, op.do
}

func appendTo(f world.Files, name string, data []byte) error {
	a, err := f.Append(name)
	if err != nil {
		return err
	}
	_, err = a.Write(data)
	return errors.Join(err, a.Sync(), a.Close())
}

func randomName(random *rand.Rand) string {
	components := []string{"a", "b", "c", "d"}
	name := components[random.IntN(4)]
	for range random.IntN(4) {
		name += "/" + components[random.IntN(4)]
	}
	return name
}

// randomTarget is where a link may point. At most one step up in each, or a
// sequence of them could reach beyond the sandbox.
func randomTarget(random *rand.Rand) string {
	targets := []string{"a", "b/c", "../a", "..", ".", "d/", "./c/../d", "nowhere/x", "DIR", "DIR/a", "DIR/b/c"}
	return targets[random.IntN(len(targets))]
}

// outcome is a result in words that are the same in all worlds.
func outcome(result string, err error) string {
	if err == nil {
		return "ok " + result
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return fmt.Sprintf("error %d, %v", int(number), number)
	}
	return "error " + reason(err).Error()
}

func describe(info world.Info) string {
	mode := info.Mode
	if mode.Type() == fs.ModeSymlink {
		mode = fs.ModeSymlink // systems differ in the permissions
	}
	return fmt.Sprintf("%s %v %d user %d", info.Name, mode, info.Size, info.UserID)
}

// tree is all that there is below the actor's directory.
func (a *actor) tree(t *testing.T) string {
	t.Helper()
	var lines []string
	var visit func(name string)
	visit = func(name string) {
		infos, err := a.root.ReadDir(name)
		worldtest.Must(t, err)
		for _, info := range infos {
			path := filepath.Join(name, info.Name)
			content := ""
			switch info.Mode.Type() {
			case fs.ModeDir:
				visit(path)
			case fs.ModeSymlink:
				content, err = a.root.ReadLink(path)
			default:
				var data []byte
				data, err = a.root.ReadFile(path, 1000)
				content = string(data)
			}
			worldtest.Must(t, err)
			lines = append(lines, fmt.Sprintf("%s: %s %q", path, describe(info), strings.ReplaceAll(content, a.dir, "DIR")))
		}
	}
	visit(".")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
