package layer

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

const namedTrust = "/home/user/.local/state/kinfra/trust"

func withNamed(t *testing.T, w *world.Fake, dir string, names ...string) *Named {
	t.Helper()
	n, err := find(t, w.World(), dir).With(w.World(), names)
	must(t, err)
	return n
}

func untrusted(t *testing.T, trust *Trust, n *Named) *UntrustedError {
	t.Helper()
	err := trust.CheckNamed(n)
	e, ok := errors.AsType[*UntrustedError](err)
	if err != nil && !ok {
		t.Fatalf("checking fails: %v", err)
	}
	return e
}

// Files that scripts name are trusted with them, by their content.
func TestNamed(t *testing.T) {
	w := world.NewFake()
	scripts := map[string]string{"pool.star": "pool"}
	worktree(w, "/src/a", scripts)
	w.Write("/src/a/compose.yml", []byte("good"))
	trust := OpenTrust(w.World(), namedTrust)
	n := withNamed(t, w, "/src/a", "compose.yml", "gone.yml")
	must(t, trust.Allow(n.project))
	if e := untrusted(t, trust, n); e == nil || e.Earlier || !slices.Equal(e.Files, []string{"/src/a/compose.yml"}) {
		t.Fatalf("trusted by a word for the scripts: %v", e)
	}
	must(t, trust.AllowNamed(n))
	if e := untrusted(t, trust, n); e != nil {
		t.Fatal(e)
	}

	// what was read is what is used
	w.Write("/src/a/compose.yml", []byte("evil"))
	if data, err := n.Read("compose.yml"); err != nil || string(data) != "good" {
		t.Errorf("read %q, %v", data, err)
	}

	// changed, the file isn't trusted, and the scripts are
	changed := withNamed(t, w, "/src/a", "compose.yml", "gone.yml")
	if e := untrusted(t, trust, changed); e == nil || !allowed(t, trust, changed.project) {
		t.Errorf("a changed file: %v", e)
	}
	if e := untrusted(t, trust, n.Put("compose.yml", []byte("evil"))); e == nil {
		t.Error("the same content by another way is trusted")
	}
	if e := untrusted(t, trust, changed.Put("compose.yml", []byte("good"))); e != nil {
		t.Error(e)
	}

	// elsewhere, the same contents are trusted; under other names, or other scripts, they aren't
	worktree(w, "/src/b", scripts)
	w.Write("/src/b/compose.yml", []byte("good"))
	if e := untrusted(t, trust, withNamed(t, w, "/src/b", "gone.yml", "compose.yml")); e != nil {
		t.Error(e)
	}
	for what, change := range map[string]func() []string{
		"the missing one appears": func() []string { w.Write("/src/c/gone.yml", nil); return []string{"compose.yml", "gone.yml"} },
		"fewer names":             func() []string { return []string{"compose.yml"} },
		"another name":            func() []string { w.Write("/src/c/x.yml", []byte("good")); return []string{"x.yml", "gone.yml"} },
		"other scripts": func() []string {
			w.Write("/src/c/.kinfra/pool.star", []byte("other"))
			return []string{"compose.yml", "gone.yml"}
		},
	} {
		worktree(w, "/src/c", scripts)
		w.Write("/src/c/compose.yml", []byte("good"))
		names := change()
		if e := untrusted(t, trust, withNamed(t, w, "/src/c", names...)); e == nil {
			t.Errorf("%s: trusted", what)
		}
		must(t, w.Host().RemoveAll("/src/c"))
	}

	// where none of them is there, there is nothing to be trusted, and nothing to be read
	must(t, w.Host().Remove("/src/b/compose.yml"))
	none := withNamed(t, w, "/src/b", "compose.yml")
	if e := untrusted(t, trust, none); e != nil {
		t.Error(e)
	}
	if _, err := none.Read("compose.yml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a missing file gives %v", err)
	}
}

// A record that an earlier version made is told from one whose files have changed.
func TestNamedAfterEarlierTrust(t *testing.T) {
	w := world.NewFake()
	worktree(w, "/src/a", map[string]string{"pool.star": "pool"})
	w.Write("/src/a/compose.yml", []byte("good"))
	n, trust := withNamed(t, w, "/src/a", "compose.yml"), OpenTrust(w.World(), namedTrust)
	w.Write(namedTrust+"/"+n.project.Digest, []byte("/src/a/.kinfra\n"))
	e := untrusted(t, trust, n)
	if e == nil || !strings.HasSuffix(e.Error(), "is not trusted: an earlier version of kinfra asked about the scripts alone") {
		t.Errorf("the error is %v", e)
	}
	must(t, trust.Allow(n.project))
	if e := untrusted(t, trust, n); e == nil || e.Earlier {
		t.Errorf("after a new word for the scripts: %v", e)
	}
}

// What can't be shown as it is can't be trusted.
func TestNamedRefused(t *testing.T) {
	for what, c := range map[string]struct {
		name  string
		spoil func(w *world.Fake)
		err   error
	}{
		"a link out":  {"x.yml", func(w *world.Fake) { must(t, w.Host().Symlink("/etc/x.yml", "/src/a/x.yml")) }, world.ErrEscape},
		"a directory": {"x.yml", func(w *world.Fake) { must(t, w.Host().Mkdir("/src/a/x.yml", 0o755)) }, world.ErrNotRegular},
		"too large":   {"x.yml", func(w *world.Fake) { w.Write("/src/a/x.yml", make([]byte, MaxFile+1)) }, world.ErrTooLarge},
		"unreadable": {"x.yml", func(w *world.Fake) {
			w.Write("/src/a/x.yml", nil)
			w.Alter("/src/a/x.yml", func(i *world.Info) { i.Mode = 0 })
		}, fs.ErrPermission},
		"above":                {"../x.yml", func(*world.Fake) {}, ErrName},
		"a character not seen": {"x\u202e.yml", func(*world.Fake) {}, ErrName},
	} {
		w := world.NewFake()
		worktree(w, "/src/a", map[string]string{"pool.star": "pool"})
		c.spoil(w)
		if n, err := find(t, w.World(), "/src/a").With(w.World(), []string{c.name}); n != nil || !errors.Is(err, c.err) {
			t.Errorf("%s: read %v, the error is %v, want %v", what, n, err, c.err)
		}
	}
}
