package world_test

import (
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

func TestReplace(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root := s.world.Disk.Root(s.dir)
		worldtest.Must(t, root.Mkdir("dir", 0o700))
		worldtest.Must(t, root.Symlink("elsewhere", "dir/link"))
		for _, name := range []string{"dir/new", "dir/new", "top", "dir/link"} {
			worldtest.Must(t, world.Replace(root, s.world, name, []byte(name), 0o640))
			wantRead(t, root, name, name)
			wantInfo(t, root, name, 0o640, int64(len(name)))
		}
		wantNames(t, root, "dir", "link", "new")
		worldtest.WantErr(t, world.Replace(root, s.world, "dir", nil, 0o600), fs.ErrExist)
		worldtest.WantErr(t, world.Replace(root, s.world, "missing/x", nil, 0o600), fs.ErrNotExist)
		wantNames(t, root, ".", "dir", "top")
		worldtest.Must(t, world.Replace(s.world.Disk.Host(), s.world, s.dir+"/top", []byte("host"), 0o600))
		wantRead(t, root, "top", "host")
	})
}

// TestReplaceOrder holds the order on which durability rests.
func TestReplaceOrder(t *testing.T) {
	var ops []string
	w := world.Faulty(world.NewFake().World(), func(op, name string) error {
		ops = append(ops, op)
		return nil
	})
	worldtest.Must(t, world.Replace(w.Disk.Root("/tmp"), w, "file", []byte("new"), 0o600))
	if want := []string{"create", "sync", "rename", "sync"}; !slices.Equal(ops, want) {
		t.Errorf("the operations are %v, want %v", ops, want)
	}
}

// TestReplaceFails has each operation fail, once and from then on.
func TestReplaceFails(t *testing.T) {
	const operations = 4
	for _, forGood := range []bool{false, true} {
		for n := range operations {
			fake, count := world.NewFake(), 0
			fake.Write("/tmp/file", []byte("old"))
			w := world.Faulty(fake.World(), func(op, name string) error {
				count++
				if count == n+1 || forGood && count > n {
					return syscall.EIO
				}
				return nil
			})
			worldtest.WantErr(t, world.Replace(w.Disk.Root("/tmp"), w, "file", []byte("new"), 0o600), syscall.EIO)
			sound := fake.Root("/tmp")
			if n == operations-1 {
				wantRead(t, sound, "file", "new") // in place, though perhaps not for ever
			} else {
				wantRead(t, sound, "file", "old")
			}
			if forGood {
				worldtest.Must(t, world.RemoveLeftovers(sound, "."))
			}
			wantNames(t, sound, ".", "file")
		}
	}
}

// TestRemoveLeftoversOf: those of other files may be of living processes.
func TestRemoveLeftoversOf(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root := s.world.Disk.Root(s.dir)
		worldtest.Must(t, world.RemoveLeftoversOf(root, "missing/x"))
		worldtest.Must(t, root.Mkdir("dir", 0o700))
		for _, name := range []string{".x.tmp-0123456789abcdef", ".x.yml.tmp-0123456789abcdef", ".y.tmp-0123456789abcdef", ".x.tmp-0", "x"} {
			worldtest.Must(t, root.CreateFile("dir/"+name, nil, 0o600))
		}
		worldtest.Must(t, world.RemoveLeftoversOf(root, "dir/x"))
		wantNames(t, root, "dir", ".x.tmp-0", ".x.yml.tmp-0123456789abcdef", ".y.tmp-0123456789abcdef", "x")
	})
}

func TestRemoveLeftovers(t *testing.T) {
	inAll(t, func(t *testing.T, s stage) {
		root := s.world.Disk.Root(s.dir)
		worldtest.Must(t, world.RemoveLeftovers(root, "missing"))
		temp := world.TempName(s.world, "dir/slot")
		if again := world.TempName(s.world, "dir/slot"); temp == again || !strings.HasPrefix(temp, "dir/.slot.tmp-") {
			t.Errorf("temporary names %q and %q", temp, again)
		}
		worldtest.Must(t, root.MkdirAll(temp+"/sub", 0o700))
		worldtest.Must(t, root.CreateFile(temp+"/sub/file", nil, 0o600))
		worldtest.Must(t, root.CreateFile(world.TempName(s.world, "dir/.env"), nil, 0o600))
		keep := []string{
			".slot.tmp-0123456789abcde", ".slot.tmp-0123456789ABCDEF", ".slot.tmp-0123456789abcdefg",
			".tmp-0123456789abcdef", "slot.tmp-0123456789abcdef", ".slot.tmp-0123456789abcdex",
		}
		slices.Sort(keep)
		for _, name := range keep {
			worldtest.Must(t, root.CreateFile("dir/"+name, nil, 0o600))
		}
		worldtest.Must(t, world.RemoveLeftovers(root, "dir"))
		wantNames(t, root, "dir", keep...)
		worldtest.WantErr(t, world.RemoveLeftovers(root, "dir/"+keep[0]), syscall.ENOTDIR)
	})
}
