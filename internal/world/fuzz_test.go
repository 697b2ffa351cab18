package world_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// FuzzRootNames does everything that can be done below a root under names of any
// kind. Nothing outside changes, and in a plan nothing at all does.
func FuzzRootNames(f *testing.F) {
	for _, seed := range [][3]string{
		{"a/b", "c", "d"}, {"../x", "up/x", ".."}, {"up/secret", "sub", "/"}, {"/etc/x", "a/../../b", "../../.."},
		{"", ".", "\x00"}, {"a//b/", "-rf", "sub/../.."}, {"\xff\xfe", "a\nb", "$HOME"}, {"home/x", "sub/x", "DIR/secret"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, name, other, target string) {
		for _, planned := range []bool{false, true} {
			dir := tempDir(t)
			setOut(t, dir)
			var w world.World = world.Real("test")
			if planned {
				w = world.Planned(w)
			}
			before := outside(t, dir, planned)
			doAll(t, w.Disk.Root(dir+"/root"), name, other, strings.ReplaceAll(target, "DIR", dir))
			if after := outside(t, dir, planned); !maps.Equal(before, after) {
				t.Errorf("planned %v: outside there was\n%v\nnow there is\n%v", planned, before, after)
			}
		}
	})
}

// setOut makes a root with ways out of it.
func setOut(t *testing.T, dir string) {
	t.Helper()
	worldtest.Must(t, os.MkdirAll(dir+"/root/sub", 0o700))
	worldtest.Must(t, os.WriteFile(dir+"/secret", []byte("secret"), 0o600))
	worldtest.Must(t, os.Symlink("..", dir+"/root/up"))
	worldtest.Must(t, os.Symlink(dir, dir+"/root/home"))
	worldtest.Must(t, os.Symlink("../up", dir+"/root/sub/high"))
}

// outside is all in dir but what is in the root, unless that counts, too.
func outside(t *testing.T, dir string, withRoot bool) map[string]string {
	t.Helper()
	files := worldtest.OnDisk(t, dir)
	maps.DeleteFunc(files, func(path, _ string) bool {
		return !withRoot && strings.HasPrefix(path+"/", dir+"/root/")
	})
	return files
}

// doAll doesn't mind what fails, only a secret that comes out.
func doAll(t *testing.T, f world.Files, name, other, target string) {
	f.Symlink(target, name)
	f.MkdirAll(name, 0o700)
	f.CreateFile(name, []byte("x"), 0o600)
	f.CreateFile(name+"/"+other, []byte("x"), 0o600)
	f.Mkdir(other, 0o700)
	f.Symlink(target, other)
	f.Symlink(name, name+"/"+other)
	f.Sync(name)
	if unlock, err := f.Lock(t.Context(), name); err == nil {
		unlock()
	}
	for _, n := range []string{name, other, name + "/secret", other + "/secret"} {
		if data, err := f.ReadFile(n, 100); err == nil && string(data) == "secret" {
			t.Errorf("%q leads to the secret", n)
		}
	}
	f.Rename(name, other)
	f.Rename(other, name+"/x")
	f.Rename("sub", name)
	f.Remove(name)
	f.RemoveAll(name)
	f.RemoveAll(other + "/secret")
	f.RemoveAll(other)
}
