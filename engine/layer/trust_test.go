package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// worktree puts a project's files below a directory.
func worktree(w *world.Fake, dir string, all map[string]string) {
	for name, text := range all {
		w.Write(filepath.Join(dir, ".kinfra", name), []byte(text))
	}
}

func find(t *testing.T, w world.World, dir string) *Project {
	t.Helper()
	p, err := FindProject(w, dir, ".kinfra")
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		t.Fatalf("no project is found from %s", dir)
	}
	return p
}

func allowed(t *testing.T, trust *Trust, p *Project) bool {
	t.Helper()
	ok, err := trust.Allowed(p)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestFindProject(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src/a", map[string]string{"pool.star": "pool", "lib/x.star": "x"})
	must(t, w.Host().MkdirAll("/src/a/deep/down", 0o755))
	p := find(t, w.World(), "/src/a/deep/down")
	if p.Dir != "/src/a/.kinfra" || !slices.Equal(p.Files(), []string{"lib/x.star", "pool.star"}) || string(p.Read("pool.star")) != "pool" {
		t.Errorf("found %s with %q", p.Dir, p.Files())
	}
	if p := find(t, w.World(), "/src/a"); p.Dir != "/src/a/.kinfra" {
		t.Errorf("found %s", p.Dir)
	}

	// the nearest counts
	worktree(w, "/src/a/deep", map[string]string{"pool.star": "deep"})
	if p := find(t, w.World(), "/src/a/deep/down"); p.Dir != "/src/a/deep/.kinfra" {
		t.Errorf("found %s", p.Dir)
	}
	for _, dir := range []string{"/src", "/", "/home/user", "/not/there"} {
		if p, err := FindProject(w.World(), dir, ".kinfra"); p != nil || err != nil {
			t.Errorf("from %s: %v, %v", dir, p, err)
		}
	}
}

// A project's directory that is a link, wherever it leads, is an error rather than no
// project: its scripts would silently not count.
func TestLinkedProject(t *testing.T) {
	for _, target := range []string{"/src/a/.kinfra", "/src/gone"} {
		w := world.NewFake()
		worktree(w, "/src/a", map[string]string{"pool.star": "pool"})
		must(t, w.Host().MkdirAll("/src/b", 0o755))
		must(t, w.Host().Symlink(target, "/src/b/.kinfra"))
		p, err := FindProject(w.World(), "/src/b", ".kinfra")
		if p != nil || err == nil || !strings.Contains(err.Error(), "/src/b/.kinfra is a symbolic link, not a directory") {
			t.Errorf("a link to %s gives %v, %v", target, p, err)
		}
	}
}

// Nor is a file in its place passed over.
func TestFileAsProject(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src", map[string]string{"pool.star": "pool"})
	w.Write("/src/a/.kinfra", nil)
	p, err := FindProject(w.World(), "/src/a", ".kinfra")
	if p != nil || !errors.Is(err, ErrNoDirectory) || !strings.Contains(err.Error(), "/src/a/.kinfra is a file, not a directory") {
		t.Errorf("a file gives %v, %v", p, err)
	}
}

// A project that can't be read as a whole is refused: what isn't shown can't be trusted.
func TestFindProjectRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world.Fake)
		err   error
	}{
		"a link out":      {func(w *world.Fake) { must(t, w.Host().Symlink("../../secret", "/src/a/.kinfra/x.star")) }, world.ErrEscape},
		"a link nowhere":  {func(w *world.Fake) { must(t, w.Host().Symlink("gone", "/src/a/.kinfra/x.star")) }, errDangling},
		"a link to a dir": {func(w *world.Fake) { must(t, w.Host().Symlink("lib", "/src/a/.kinfra/linked")) }, world.ErrNotRegular},
		"an unreadable":   {func(w *world.Fake) { w.Alter("/src/a/.kinfra/pool.star", func(i *world.Info) { i.Mode = 0 }) }, fs.ErrPermission},
		"an unlisted":     {func(w *world.Fake) { w.Alter("/src/a/.kinfra/lib", func(i *world.Info) { i.Mode = fs.ModeDir }) }, fs.ErrPermission},
		"a pipe": {func(w *world.Fake) {
			w.Alter("/src/a/.kinfra/pool.star", func(i *world.Info) { i.Mode |= fs.ModeNamedPipe })
		}, world.ErrNotRegular},
		"a large file":     {func(w *world.Fake) { w.Write("/src/a/.kinfra/x", make([]byte, MaxFile+1)) }, world.ErrTooLarge},
		"an unlisted root": {func(w *world.Fake) { w.Alter("/src/a/.kinfra", func(i *world.Info) { i.Mode = fs.ModeDir }) }, fs.ErrPermission},
	} {
		w := world.NewFake()
		worktree(w, "/src/a", map[string]string{"pool.star": "pool", "lib/x.star": "x"})
		c.spoil(w)
		if p, err := FindProject(w.World(), "/src/a", ".kinfra"); p != nil || !errors.Is(err, c.err) {
			t.Errorf("%s: found %v, the error is %v, want %v", name, p, err, c.err)
		}
	}

	w := world.NewFake()
	for i := range 1001 {
		w.Write(fmt.Sprintf("/src/a/.kinfra/%d.star", i), nil)
	}
	if _, err := FindProject(w.World(), "/src/a", ".kinfra"); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("1001 files: the error is %v", err)
	}
	w = world.NewFake()
	for i := range 17 {
		w.Write(fmt.Sprintf("/src/a/.kinfra/%d.star", i), make([]byte, MaxFile))
	}
	if _, err := FindProject(w.World(), "/src/a", ".kinfra"); err == nil || !strings.Contains(err.Error(), "or 16 MiB") {
		t.Errorf("17 MiB: the error is %v", err)
	}
}

// The digest tells apart all that differs in names or contents.
func TestDigest(t *testing.T) {
	seen := map[string]int{}
	for i, all := range []map[string]string{
		{"a": "b"}, {"b": "a"}, {"a": ""}, {"ab": ""}, {"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"a": "", "b": ""}, {"a/b": ""},
		{"a": "1:b1:b"}, {"a": "b", "b": "b"}, {"a": "x1:b0:"}, {"a": "x", "b": ""}, {"A": "b"}, {"a": "b\n"},
	} {
		w := world.NewFake()
		worktree(w, "/src", all)
		digest := find(t, w.World(), "/src").Digest
		if first, twice := seen[digest]; twice {
			t.Errorf("trees %d and %d have the same digest", first, i)
		}
		seen[digest] = i
	}
}

func TestTrust(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src/a", map[string]string{"pool.star": "pool", "lib/x.star": "x"})
	trust := OpenTrust(w.World(), "/home/user/.local/state/kinfra/trust")
	p := find(t, w.World(), "/src/a")
	if allowed(t, trust, p) {
		t.Fatal("trusted before the user has said so")
	}
	must(t, trust.Allow(p))
	if !allowed(t, OpenTrust(w.World(), "/home/user/.local/state/kinfra/trust"), p) {
		t.Fatal("not trusted although the user has said so")
	}
	must(t, trust.Allow(p)) // twice is no error
	info, err := w.Host().Lstat("/home/user/.local/state/kinfra/trust/" + p.Digest)
	if err != nil || info.Mode.Perm() != 0o600 {
		t.Errorf("the record has mode %s, %v", info.Mode, err)
	}

	// another worktree with the same files needs no second word
	worktree(w, "/src/b", map[string]string{"pool.star": "pool", "lib/x.star": "x"})
	if !allowed(t, trust, find(t, w.World(), "/src/b")) {
		t.Error("the same files elsewhere are not trusted")
	}

	// whatever changes needs a new one; changed back, the old one counts
	for what, change := range map[string]func(){
		"another content": func() { w.Write("/src/a/.kinfra/lib/x.star", []byte("y")) },
		"a file more":     func() { w.Write("/src/a/.kinfra/templates/t.yml", nil) },
		"a file less":     func() { must(t, w.Host().Remove("/src/a/.kinfra/lib/x.star")) },
		"another name":    func() { must(t, w.Host().Rename("/src/a/.kinfra/pool.star", "/src/a/.kinfra/Pool.star")) },
		"nothing left":    func() { must(t, w.Host().RemoveAll("/src/a/.kinfra/pool.star")) },
	} {
		must(t, w.Host().RemoveAll("/src/a"))
		worktree(w, "/src/a", map[string]string{"pool.star": "pool", "lib/x.star": "x"})
		if !allowed(t, trust, find(t, w.World(), "/src/a")) {
			t.Fatalf("%s: not trusted before the change", what)
		}
		change()
		if allowed(t, trust, find(t, w.World(), "/src/a")) {
			t.Errorf("%s: still trusted", what)
		}
	}
}

// What was looked at is what is run, whatever happens to the directory in between.
// What is trusted stays trusted after a loss of power.
func TestTrustIsDurable(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src/a", map[string]string{"pool.star": "pool"})
	var v worldtest.Volatile
	trust := OpenTrust(v.Watch(w.World()), "/home/user/.local/state/kinfra/trust")
	must(t, trust.Allow(find(t, w.World(), "/src/a")))
	v.Check(t)
}

func TestProjectIsASnapshot(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src/a", map[string]string{"pool.star": "pool", "lib/x.star": "x", "lib/deep/y.star": "y"})
	l := find(t, w.World(), "/src/a").Layer()
	w.Write("/src/a/.kinfra/pool.star", []byte("changed"))
	w.Write("/src/a/.kinfra/new.star", []byte("new"))
	must(t, w.Host().RemoveAll("/src/a/.kinfra/lib"))
	for name, want := range map[string]string{"pool.star": "pool", "lib/x.star": "x", "lib/deep/y.star": "y"} {
		if f, err := l.Read(name); err != nil || string(f.Data) != want {
			t.Errorf("%s is %q, %v; want %q", name, f.Data, err, want)
		}
	}
	for _, name := range []string{"new.star", "lib"} {
		if f, err := l.Read(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is %q, %v", name, f.Data, err)
		}
	}
	if names, err := l.List(); err != nil || !slices.Equal(names, []string{"lib/deep/y.star", "lib/x.star", "pool.star"}) {
		t.Errorf("the files are %q, %v", names, err)
	}
	if names, err := l.Scripts(); err != nil || !slices.Equal(names, []string{"pool.star"}) {
		t.Errorf("the scripts are %q, %v", names, err)
	}
}

// A record that the user can't have made does not count, nor does it pass for none.
func TestTrustRecordOfOthers(t *testing.T) {
	const dir = "/home/user/trust"
	for name, spoil := range map[string]func(w *world.Fake, record string){
		"another user's": func(w *world.Fake, record string) { w.Alter(record, func(i *world.Info) { i.UserID = 1 }) },
		"a directory": func(w *world.Fake, record string) {
			must(t, w.Host().Remove(record))
			must(t, w.Host().Mkdir(record, 0o700))
		},
		"a link": func(w *world.Fake, record string) {
			must(t, w.Host().Rename(record, dir+"/x"))
			must(t, w.Host().Symlink("x", record))
		},
		"in a directory that can't be searched": func(w *world.Fake, _ string) {
			w.Alter(dir, func(i *world.Info) { i.Mode = fs.ModeDir })
		},
	} {
		w := world.NewFake()
		worktree(w, "/src/a", map[string]string{"pool.star": "pool"})
		trust, p := OpenTrust(w.World(), dir), find(t, w.World(), "/src/a")
		must(t, trust.Allow(p))
		spoil(w, dir+"/"+p.Digest)
		ok, err := trust.Allowed(p)
		if ok || err == nil || !strings.Contains(err.Error(), dir+"/"+p.Digest) {
			t.Errorf("%s: allowed = %v, %v", name, ok, err)
		}
	}
}

// An error of the system says nothing against what is trusted, and nothing is to be moved
// away or removed for it.
func TestTrustThatCannotBeRead(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src/a", map[string]string{"x.star": "x = 1"})
	p := find(t, w.World(), "/src/a")
	worldtest.Must(t, OpenTrust(w.World(), "/state/trust").Allow(p))
	worldtest.EachRefused(t, w.World(), func(t *testing.T, w world.World) {
		found, err := FindProject(w, "/src/a", ".kinfra")
		worldtest.NoDamage(t, err, ErrNoDirectory, ErrTooMuch)
		if err == nil && (found == nil || found.Digest != p.Digest) {
			t.Errorf("another project is found: %+v", found)
		}
		ok, err := OpenTrust(w, "/state/trust").Allowed(p)
		worldtest.NoDamage(t, err)
		if err == nil && !ok || err != nil && strings.Contains(err.Error(), "remove it") {
			t.Errorf("it counts as not trusted: %v", err)
		}
	})
}
