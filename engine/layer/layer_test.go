package layer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ktrdr/kinfra/internal/world"
)

// files is a layer in memory; a name that ends in a slash is a directory.
func files(name string, all map[string]string) *Layer {
	fsys := fstest.MapFS{}
	for name, text := range all {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Embedded(name, fsys)
}

// stack is the layers "user", on a fake machine's disk, and "kinfra".
func stack(t *testing.T) (*Stack, *world.Fake) {
	t.Helper()
	w := world.NewFake()
	w.Write("/home/user/scripts/pool.star", []byte("user's pool"))
	w.Write("/home/user/scripts/lib/mine.star", []byte("user's mine"))
	w.Write("/home/user/secret.star", []byte("secret"))
	builtin := files("kinfra", map[string]string{
		"pool.star": "shipped pool", "slots.star": "shipped slots", "lib/slots.star": "shipped lib", "lib/mine.star": "shipped mine",
	})
	user := Directory(w.World(), "user", "/home/user/scripts")
	return &Stack{Layers: []*Layer{Directory(w.World(), "scripts", "/nowhere"), user, builtin}, Builtin: builtin}, w
}

func TestResolve(t *testing.T) {
	s, _ := stack(t)
	user, builtin := s.Layers[1], s.Builtin
	inUser, inUserLib := File{Layer: user, Name: "pool.star"}, File{Layer: user, Name: "lib/mine.star"}
	inBuiltin := File{Layer: builtin, Name: "lib/slots.star"}
	for _, c := range []struct {
		label string
		from  File
		want  string // ID and content
		err   error
	}{
		{"pool.star", inBuiltin, "user//pool.star user's pool", nil},
		{"pool.star", inUser, "user//pool.star user's pool", nil},
		{"slots.star", inUser, "kinfra//slots.star shipped slots", nil},
		{"lib/mine.star", inBuiltin, "user//lib/mine.star user's mine", nil},
		{"lib/slots.star", inUser, "kinfra//lib/slots.star shipped lib", nil},
		{"@kinfra//pool.star", inUser, "kinfra//pool.star shipped pool", nil},
		{"@kinfra//lib/mine.star", inUserLib, "kinfra//lib/mine.star shipped mine", nil},
		{"./mine.star", inUserLib, "user//lib/mine.star user's mine", nil},
		{"./mine.star", inBuiltin, "kinfra//lib/mine.star shipped mine", nil},
		{"./lib/mine.star", inUser, "user//lib/mine.star user's mine", nil},
		{"./slots.star", inUser, "", fs.ErrNotExist}, // stays in its layer
		{"./pool.star", inUserLib, "", fs.ErrNotExist},
		{"none.star", inUser, "", fs.ErrNotExist},
		{"@kinfra//none.star", inUser, "", fs.ErrNotExist},
		{"../secret.star", inUser, "", ErrName},
		{"./../secret.star", inUser, "", ErrName},
		{"./../pool.star", inUserLib, "", ErrName},
		{"lib/../pool.star", inUser, "", ErrName},
		{"lib/../../secret.star", inUser, "", ErrName},
		{"@kinfra//../pool.star", inUser, "", ErrName},
		{"@kinfra//./pool.star", inUser, "", ErrName},
		{"@kinfra///pool.star", inUser, "", ErrName},
		{"/home/user/secret.star", inUser, "", ErrName},
		{"//pool.star", inUser, "", ErrName},
		{"lib//mine.star", inUser, "", ErrName},
		{"lib/", inUser, "", ErrName},
		{"", inUser, "", ErrName},
		{".", inUser, "", ErrName},
		{"..", inUser, "", ErrName},
		{"./", inUser, "", ErrName},
		{"./.", inUser, "", ErrName},
		{"././pool.star", inUser, "", ErrName},
		{`lib\mine.star`, inUser, "", ErrName},
		{`..\secret.star`, inUser, "", ErrName},
		{"pool.star\x00", inUser, "", ErrName},
		{"pool.star\xff", inUser, "", ErrName},
		{"pool\u200b.star", inUser, "", ErrName},
		{"pool\n.star", inUser, "", ErrName},
	} {
		f, err := s.Resolve(c.label, c.from)
		if got := string(f.Data); c.want != "" && (err != nil || f.ID()+" "+got != c.want) {
			t.Errorf("%q from %s is %s %s, %v; want %s", c.label, c.from.ID(), f.Name, got, err, c.want)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%q from %s: the error is %v, want %v", c.label, c.from.ID(), err, c.err)
		}
	}
	for _, label := range []string{"@other//pool.star", "@kinfra/pool.star", "@kinfra", "@//pool.star", "@pool.star"} {
		if f, err := s.Resolve(label, inUser); err == nil || !strings.Contains(err.Error(), `the only repository is "@kinfra//"`) {
			t.Errorf("%q is %s, %v", label, f.ID(), err)
		}
	}
}

// Only "not there" falls through to the next layer.
func TestFindStopsAtOtherErrors(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world.Fake)
		err   error
	}{
		"no permission": {func(w *world.Fake) {
			w.Alter("/home/user/scripts/pool.star", func(i *world.Info) { i.Mode = 0 })
		}, fs.ErrPermission},
		"a directory": {func(w *world.Fake) {
			must(t, w.Host().Remove("/home/user/scripts/pool.star"))
			must(t, w.Host().Mkdir("/home/user/scripts/pool.star", 0o755))
		}, world.ErrNotRegular},
		"a link out": {func(w *world.Fake) {
			must(t, w.Host().Remove("/home/user/scripts/pool.star"))
			must(t, w.Host().Symlink("../secret.star", "/home/user/scripts/pool.star"))
		}, world.ErrEscape},
		"an absolute link": {func(w *world.Fake) {
			must(t, w.Host().Remove("/home/user/scripts/pool.star"))
			must(t, w.Host().Symlink("/home/user/scripts/lib/mine.star", "/home/user/scripts/pool.star"))
		}, world.ErrEscape},
		"a link that leads nowhere": {func(w *world.Fake) {
			must(t, w.Host().Remove("/home/user/scripts/pool.star"))
			must(t, w.Host().Symlink("gone.star", "/home/user/scripts/pool.star"))
		}, errDangling},
		"too large": {func(w *world.Fake) {
			w.Write("/home/user/scripts/pool.star", make([]byte, MaxFile+1))
		}, world.ErrTooLarge},
		"a file that can't be looked for": {func(w *world.Fake) {
			w.Alter("/home/user/scripts", func(i *world.Info) { i.Mode = fs.ModeDir })
		}, fs.ErrPermission},
	} {
		s, w := stack(t)
		c.spoil(w)
		f, err := s.Find("pool.star")
		if !errors.Is(err, c.err) {
			t.Errorf("%s: found %s, the error is %v, want %v", name, f.ID(), err, c.err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "./scripts/pool.star: ") {
			t.Errorf("%s: the error %q does not begin with the file", name, err)
		}
	}
}

func TestSizes(t *testing.T) {
	s, w := stack(t)
	w.Write("/home/user/scripts/pool.star", make([]byte, MaxFile))
	if f, err := s.Find("pool.star"); err != nil || len(f.Data) != MaxFile {
		t.Errorf("a file of the most bytes: %d bytes, %v", len(f.Data), err)
	}
	w.Write("/home/user/scripts/pool.star", nil)
	if f, err := s.Find("pool.star"); err != nil || f.Layer.Name != "user" {
		t.Errorf("an empty file: %s, %v", f.ID(), err)
	}
}

// A link within a layer is followed.
func TestLinksWithin(t *testing.T) {
	s, w := stack(t)
	must(t, w.Host().Symlink("lib/mine.star", "/home/user/scripts/linked.star"))
	must(t, w.Host().Symlink("lib", "/home/user/scripts/linked"))
	for _, name := range []string{"linked.star", "linked/mine.star"} {
		if f, err := s.Find(name); err != nil || string(f.Data) != "user's mine" {
			t.Errorf("%s is %q, %v", name, f.Data, err)
		}
	}
}

// A layer's directory may itself be reached through a link.
func TestLinkedLayer(t *testing.T) {
	_, w := stack(t)
	must(t, w.Host().Symlink("scripts", "/home/user/link"))
	f, err := Directory(w.World(), "user", "/home/user/link").Read("pool.star")
	if err != nil || string(f.Data) != "user's pool" {
		t.Errorf("got %q, %v", f.Data, err)
	}
}

// Paths tell files apart, since positions in scripts carry nothing else.
func TestPath(t *testing.T) {
	w := world.NewFake()
	for _, c := range []struct{ dir, name, want string }{
		{"/home/user", "pool.star", "./pool.star"},
		{"/home/user/scripts", "lib/x.star", "./scripts/lib/x.star"},
		{"/home/user/lib", "x.star", "./lib/x.star"},
		{"/home", "user/x.star", "/home/user/x.star"},
		{"/srv", "x.star", "/srv/x.star"},
		{"/home/user/..x", "x.star", "./..x/x.star"},
	} {
		if got := Directory(w.World(), "user", c.dir).Path(c.name); got != c.want {
			t.Errorf("%s in %s is shown as %s, want %s", c.name, c.dir, got, c.want)
		}
	}
	if got := files("kinfra", nil).Path("lib/x.star"); got != "lib/x.star" {
		t.Errorf("a file of the binary is shown as %s", got)
	}
}

func TestListAndScripts(t *testing.T) {
	s, w := stack(t)
	w.Write("/home/user/scripts/b.star", nil)
	w.Write("/home/user/scripts/notes.txt", nil)
	w.Write("/home/user/scripts/templates/x.yml", nil)
	w.Write("/home/user/scripts/dir.star/x", nil)
	for _, c := range []struct {
		l             *Layer
		list, scripts []string
	}{
		{s.Layers[0], nil, nil},
		{s.Layers[1], []string{"b.star", "dir.star/x", "lib/mine.star", "notes.txt", "pool.star", "templates/x.yml"}, []string{"b.star", "pool.star"}},
		{s.Builtin, []string{"lib/mine.star", "lib/slots.star", "pool.star", "slots.star"}, []string{"pool.star", "slots.star"}},
	} {
		if got, err := c.l.List(); err != nil || !slices.Equal(got, c.list) {
			t.Errorf("the files of %s are %q, %v; want %q", c.l.Name, got, err, c.list)
		}
		if got, err := c.l.Scripts(); err != nil || !slices.Equal(got, c.scripts) {
			t.Errorf("the scripts of %s are %q, %v; want %q", c.l.Name, got, err, c.scripts)
		}
	}
}

// A layer whose directory can't be listed is an error, not an empty layer.
func TestListRefused(t *testing.T) {
	s, w := stack(t)
	w.Alter("/home/user/scripts", func(i *world.Info) { i.Mode = fs.ModeDir })
	if names, err := s.Layers[1].Scripts(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the scripts are %q, %v", names, err)
	}
}

// In a real directory, too, nothing leads out.
func TestRealDirectory(t *testing.T) {
	w := world.Real("test")
	dir := t.TempDir()
	inside := filepath.Join(dir, "scripts")
	must(t, os.MkdirAll(filepath.Join(inside, "lib"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "secret.star"), []byte("secret"), 0o600))
	must(t, os.WriteFile(filepath.Join(inside, "lib", "x.star"), []byte("x"), 0o600))
	for name, target := range map[string]string{
		"out.star": "../secret.star", "absolute.star": filepath.Join(dir, "secret.star"), "up": "..", "lib/out.star": "../../secret.star",
		"loop.star": "loop.star", "dangling.star": "gone.star", "within.star": "lib/x.star", "lib/up.star": "../lib/x.star",
		"device.star": "/dev/zero",
	} {
		must(t, os.Symlink(target, filepath.Join(inside, name)))
	}
	must(t, os.Symlink(inside, filepath.Join(dir, "link")))
	builtin := files("kinfra", map[string]string{"out.star": "shipped", "dangling.star": "shipped", "loop.star": "shipped", "other.star": "shipped"})
	for _, at := range []string{inside, filepath.Join(dir, "link")} {
		s := &Stack{Layers: []*Layer{Directory(w, "user", at), builtin}, Builtin: builtin}
		for _, name := range []string{"out.star", "absolute.star", "up/secret.star", "lib/out.star", "loop.star", "dangling.star", "device.star", "lib"} {
			if f, err := s.Find(name); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is %q of %s, %v", name, f.Data, f.ID(), err)
			}
		}
		for name, want := range map[string]string{"within.star": "x", "lib/up.star": "x", "lib/x.star": "x", "other.star": "shipped"} {
			if f, err := s.Find(name); err != nil || string(f.Data) != want {
				t.Errorf("%s is %q, %v; want %q", name, f.Data, err, want)
			}
		}
	}
}

// FuzzLabel: whatever a label says, the file that it gives lies within a layer.
func FuzzLabel(f *testing.F) {
	for _, seed := range []string{"pool.star", "./x.star", "../secret.star", "@kinfra//../x", "/etc/passwd", "link/secret.star", "lib/../../secret.star", "./up/../secret.star", "a\\b", "up/secret.star"} {
		f.Add(seed)
	}
	w := world.NewFake()
	w.Write("/home/user/secret.star", []byte("secret"))
	w.Write("/home/user/scripts/pool.star", []byte("fine"))
	w.Write("/home/user/scripts/lib/x.star", []byte("fine"))
	for name, target := range map[string]string{"link": "/home/user", "up": "..", "lib/up": "../..", "out.star": "../secret.star"} {
		if err := w.Host().Symlink(target, "/home/user/scripts/"+name); err != nil {
			f.Fatal(err)
		}
	}
	builtin := files("kinfra", map[string]string{"pool.star": "fine", "lib/x.star": "fine"})
	user := Directory(w.World(), "user", "/home/user/scripts")
	s := &Stack{Layers: []*Layer{user, builtin}, Builtin: builtin}
	f.Fuzz(func(t *testing.T, label string) {
		for _, from := range []File{{Layer: user, Name: "pool.star"}, {Layer: user, Name: "lib/x.star"}, {Layer: builtin, Name: "lib/x.star"}} {
			file, err := s.Resolve(label, from)
			if err != nil {
				continue
			}
			if string(file.Data) != "fine" {
				t.Errorf("%q from %s gives %q of %s", label, from.ID(), file.Data, file.ID())
			}
			if !fs.ValidPath(file.Name) {
				t.Errorf("%q from %s gives the name %q", label, from.ID(), file.Name)
			}
			if strings.HasPrefix(label, "./") && file.Layer != from.Layer || strings.HasPrefix(label, "@") && file.Layer != builtin {
				t.Errorf("%q from %s gives a file of %s", label, from.ID(), file.Layer.Name)
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
