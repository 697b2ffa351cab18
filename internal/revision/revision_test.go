package revision_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/revision"
	"github.com/ktrdr/kinfra/internal/world"
)

// repository is a directory with one commit, in a home without settings.
func repository(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "one\n")
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "one")
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func of(dir string) *revision.Revision {
	return revision.Of(context.Background(), world.Real("test"), dir)
}

func TestOf(t *testing.T) {
	dir := repository(t)
	commit := git(t, dir, "rev-parse", "HEAD")
	below := filepath.Join(dir, "a", "b")
	write(t, filepath.Join(below, ".keep"), "") // untracked
	if r := of(below); r == nil || r.Dir != dir || r.Commit != commit || r.Clean == nil || *r.Clean {
		t.Errorf("with a file that isn't tracked it is %+v", r)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if r := of(dir); r == nil || r.Commit != commit || r.Clean == nil || !*r.Clean {
		t.Errorf("without changes it is %+v", r)
	}
	write(t, filepath.Join(dir, "file"), "two and more\n")
	if r := of(dir); r == nil || r.Clean == nil || *r.Clean {
		t.Errorf("with a changed file it is %+v", r)
	}
	worktree := filepath.Join(t.TempDir(), "worktree")
	git(t, dir, "worktree", "add", "-q", worktree)
	if r := of(worktree); r == nil || r.Dir != worktree || r.Commit != commit || r.Clean == nil || !*r.Clean {
		t.Errorf("in another worktree it is %+v", r)
	}
}

func TestOfNothing(t *testing.T) {
	empty := t.TempDir()
	unborn := t.TempDir()
	git(t, unborn, "init", "-q")
	broken := t.TempDir()
	write(t, filepath.Join(broken, ".git"), "gitdir: nowhere\n")
	for _, dir := range []string{empty, unborn, broken, filepath.Join(empty, "missing")} {
		if r := of(dir); r != nil {
			t.Errorf("of %s it is %+v", dir, r)
		}
	}
	t.Setenv("PATH", empty)
	if r := of(repositoryWithout(t)); r != nil {
		t.Errorf("without git it is %+v", r)
	}
}

// repositoryWithout is what looks like a repository.
func repositoryWithout(t *testing.T) string {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".git", "HEAD"), "ref: refs/heads/main\n")
	return dir
}

// Where there is no repository, no process is started.
func TestStartsNothing(t *testing.T) {
	w := world.NewFake()
	w.Handle = func(_ context.Context, cmd world.Command) (world.Output, error) {
		t.Errorf("%q is started", cmd.Args)
		return world.Output{}, nil
	}
	revision.Of(context.Background(), w.World(), "/home/user")
}

// Whatever the configuration of a repository names, none of it is started, and nothing in
// the repository is written.
func TestHostileRepository(t *testing.T) {
	dir := repository(t)
	trap := filepath.Join(t.TempDir(), "trap")
	mark := trap + ".sprung"
	write(t, trap, "#!/bin/sh\necho \"$0 $*\" >> '"+mark+"'\ncat\n")
	for _, key := range []string{"core.fsmonitor", "core.pager", "pager.status", "core.sshCommand", "core.askPass", "filter.evil.clean", "filter.evil.process", "filter.evil.smudge"} {
		git(t, dir, "config", key, trap)
	}
	for _, hook := range []string{"post-index-change", "fsmonitor-watchman", "pre-auto-gc", "reference-transaction"} {
		write(t, filepath.Join(dir, ".git", "hooks", hook), "#!/bin/sh\ntouch '"+mark+"'\n")
	}
	write(t, filepath.Join(dir, ".git", "info", "attributes"), "* filter=evil\n")
	write(t, filepath.Join(dir, "file"), "two\n") // of the same size as before, so its content is read
	// The trap works: git by itself falls into it.
	git(t, dir, "-c", "core.fsmonitor=false", "status")
	if _, err := os.Stat(mark); err != nil {
		t.Fatalf("the filter is not called by git status alone, so this test shows nothing: %v", err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "six\n")
	index, err := os.Stat(filepath.Join(dir, ".git", "index"))
	if err != nil {
		t.Fatal(err)
	}
	r := of(dir)
	if text, err := os.ReadFile(mark); err == nil {
		t.Errorf("a program of the repository was started: %s", text)
	}
	if r == nil || r.Clean != nil {
		t.Errorf("it is %+v, want a commit, and not whether it is clean", r)
	}
	if after, err := os.Stat(filepath.Join(dir, ".git", "index")); err != nil || !os.SameFile(index, after) || !index.ModTime().Equal(after.ModTime()) {
		t.Error("the index was written")
	}

	// What looks like a bare repository, in a directory of the tree, is not asked.
	bare := filepath.Join(dir, "bare")
	git(t, dir, "init", "-q", "--bare", bare)
	git(t, bare, "config", "core.fsmonitor", trap)
	if r := of(bare); r == nil || r.Dir != dir {
		t.Errorf("in a bare repository inside the tree it is %+v", r)
	}
}
