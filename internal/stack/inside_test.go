package stack_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/ktrdr/kinfra/internal/stack"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// linked is a machine with the worktree /w, beside a home directory, and these links.
func linked(t *testing.T, links map[string]string) world.Files {
	t.Helper()
	w := world.NewFake()
	for _, dir := range []string{"/w/src/lib", "/w/other", "/home/me/.ssh", "/wide"} {
		worldtest.Must(t, w.Host().MkdirAll(dir, 0o755))
	}
	w.Write("/w/file", nil)
	for name, target := range links {
		worldtest.Must(t, w.Host().Symlink(target, name))
	}
	return w.Host()
}

// Links are followed within a worktree, and not out of it.
func TestInside(t *testing.T) {
	for _, test := range []struct {
		name  string
		links map[string]string
		want  string
		out   [2]string // the link that leads out, and where it leads
		err   error
	}{
		{name: ".", want: "/w"},
		{name: "src/lib", want: "/w/src/lib"},
		{name: "code", links: map[string]string{"/w/code": "src"}, want: "/w/src"},
		{name: "code/lib", links: map[string]string{"/w/code": "./src/"}, want: "/w/src/lib"},
		{name: "code", links: map[string]string{"/w/code": "/w/src"}, want: "/w/src"},
		{name: "code", links: map[string]string{"/w/code": "a", "/w/a": "b", "/w/b": "file"}, want: "/w/file"},
		{name: "code", links: map[string]string{"/w/code": "."}, want: "/w"},
		{name: "code", links: map[string]string{"/w/code": "../w/src"}, want: "/w/src"},
		{name: "code", links: map[string]string{"/w/code": "/alias/src", "/alias": "/w"}, want: "/w/src"},
		{name: "src/up/other", links: map[string]string{"/w/src/up": ".."}, want: "/w/other"},

		{name: "code", links: map[string]string{"/w/code": "/home/me"}, out: [2]string{"code", "/home/me"}},
		{name: "code", links: map[string]string{"/w/code": "../home/me"}, out: [2]string{"code", "/home/me"}},
		{name: "code", links: map[string]string{"/w/code": ".."}, out: [2]string{"code", "/"}},
		{name: "code", links: map[string]string{"/w/code": "/"}, out: [2]string{"code", "/"}},
		{name: "code", links: map[string]string{"/w/code": "/wide"}, out: [2]string{"code", "/wide"}},
		{name: "code", links: map[string]string{"/w/code": "/nowhere/at/all"}, out: [2]string{"code", "/nowhere/at/all"}},
		{name: "code", links: map[string]string{"/w/code": "a", "/w/a": "/b", "/b": "/home/me"}, out: [2]string{"a", "/home/me"}},
		{name: "code/.ssh", links: map[string]string{"/w/code": "/home/me"}, out: [2]string{"code", "/home/me/.ssh"}},
		{name: "src/a/b", links: map[string]string{"/w/src/a": "../other", "/w/other/b": "../../home"}, out: [2]string{"other/b", "/home"}},
		{name: "a/code", links: map[string]string{"/w/a": "src", "/w/src/code": "../../home/me/.ssh"}, out: [2]string{"src/code", "/home/me/.ssh"}},

		{name: "none", err: fs.ErrNotExist},
		{name: "file/below", err: syscall.ENOTDIR},
		{name: "code", links: map[string]string{"/w/code": "none"}, err: fs.ErrNotExist},
		{name: "code", links: map[string]string{"/w/code": "code"}, err: syscall.ELOOP},
	} {
		got, err := stack.Inside(linked(t, test.links), "/w", test.name)
		var out *stack.LinkError
		if errors.As(err, &out) {
			worldtest.WantErr(t, err, stack.ErrMount)
			if out.Worktree != "/w" || out.Link != test.out[0] || out.Target != test.out[1] {
				t.Errorf("%s with %v: the link %s leads to %s, want %v", test.name, test.links, out.Link, out.Target, test.out)
			}
		}
		if got != test.want || (out != nil) != (test.out[0] != "") || out == nil && !errors.Is(err, test.err) {
			t.Errorf("%s with %v: got %q, %v", test.name, test.links, got, err)
		}
	}
}

// A worktree whose own path is a link is that worktree.
func TestInsideALinkedWorktree(t *testing.T) {
	files := linked(t, map[string]string{"/short": "/w", "/w/code": "src", "/w/out": "../home"})
	if got, err := stack.Inside(files, "/short", "code"); got != "/w/src" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := stack.Inside(files, "/short", "out")
	worldtest.WantErr(t, err, stack.ErrMount)
}

// What is mounted is what a link leads to, so that nothing has to follow it again; and
// it is never outside of the worktree.
func TestMountOfALink(t *testing.T) {
	mounts := map[string][]stack.Mount{"web": {{Source: "code", Target: "/code"}}}
	files := linked(t, map[string]string{"/w/code": "src/lib"})
	found, err := stack.FindSources(files, "/w", mounts)
	worldtest.Must(t, err)
	data, err := stack.Override("/w", mounts, found)
	worldtest.Must(t, err)
	if !strings.Contains(string(data), "source: /w/src/lib\n") {
		t.Errorf("the override is\n%s", data)
	}
	_, err = stack.FindSources(linked(t, map[string]string{"/w/code": "/home/me"}), "/w", mounts)
	worldtest.WantErr(t, err, stack.ErrMount)
	const want = "service web: invalid mount: the link code in the worktree /w leads out of it, to /home/me"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
