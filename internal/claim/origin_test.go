package claim

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const (
	repository = "/home/user/repo"
	adminDir   = repository + "/.git/worktrees/a" // git's administrative directory of worktree a
)

// withGit makes worktree a one of the repository, as git does.
func withGit(t testing.TB, w *world.Fake) {
	t.Helper()
	worldtest.Must(t, w.Host().MkdirAll(adminDir, 0o755))
	w.Write(repository+"/.git/HEAD", []byte("ref: refs/heads/main\n"))
	w.Write(adminDir+"/gitdir", []byte(trees+"a/.git\n"))
	w.Write(trees+"a/.git", []byte("gitdir: "+adminDir+"\n"))
}

// remove removes what is at paths.
func remove(paths ...string) func(testing.TB, *world.Fake) {
	return func(t testing.TB, w *world.Fake) {
		for _, path := range paths {
			worldtest.Must(t, w.Host().RemoveAll(path))
		}
	}
}

func move(from, to string) func(testing.TB, *world.Fake) {
	return func(t testing.TB, w *world.Fake) { worldtest.Must(t, w.Host().Rename(from, to)) }
}

// originOf is the origin that the log has of slot 1's claim.
func originOf(t testing.TB, p *Pool) origin {
	t.Helper()
	l, err := p.readLedger()
	worldtest.Must(t, err)
	return l.Claims[1].Origin
}

func TestFindOrigin(t *testing.T) {
	w := world.NewFake()
	host := w.Host()
	worldtest.Must(t, host.MkdirAll("/w/tree/below", 0o755))
	worldtest.Must(t, host.MkdirAll("/repo/.git/worktrees/tree", 0o755))
	worldtest.Must(t, host.Symlink("/repo", "/w/link"))
	parent, err := host.Lstat("/w")
	worldtest.Must(t, err)
	worktree := origin{GitDir: "/repo/.git/worktrees/tree"}
	if got := findOrigin(host, "/w/tree"); got != (origin{Parent: parent.ID}) || got.Parent == 0 {
		t.Errorf("without git: %+v", got)
	}
	for content, want := range map[string]origin{
		"gitdir: /repo/.git/worktrees/tree\n":                 worktree,
		"gitdir: /repo/.git/worktrees/tree":                   worktree,
		"gitdir: /repo/.git/worktrees/tree\r\n\n":             worktree,
		"gitdir: ../../repo/./.git/worktrees/tree\n":          worktree,
		"gitdir: ../link/.git//worktrees/tree\n":              worktree, // by the directory's own name
		"gitdir: ../link/../repo/.git/worktrees/tree\n":       worktree, // behind the link, .. is /
		"gitdir: /repo/.git/worktrees/gone\n":                 {GitDir: "/repo/.git/worktrees/gone"},
		"gitdir:  /repo\n":                                    {GitDir: "/w/tree/ /repo"},
		"gitdir: \n":                                          {},
		"gitdir:/repo\n":                                      {},
		"":                                                    {},
		"/repo/.git\n":                                        {},
		"gitdir: /repo/\x01\n":                                {},
		"gitdir: /repo/\xff\n":                                {},
		"gitdir: /" + strings.Repeat("long/", maxPath) + "\n": {},
		strings.Repeat("x", gitFileMax+1):                     {},
	} {
		w.Write("/w/tree/.git", []byte(content))
		if got := findOrigin(host, "/w/tree"); got != want {
			t.Errorf("with %.80q it is %+v, want %+v", content, got, want)
		}
	}
	w.Write("/w/tree/.git", []byte("gitdir: ../../repo/.git/worktrees/tree\n"))
	if got := findOrigin(host, "/w/tree/below"); got.GitDir != "" || got.Parent == 0 {
		t.Errorf("of a directory in a worktree: %+v", got)
	}
	w.Alter("/w/tree/.git", func(i *world.Info) { i.Mode &^= 0o777 })
	if got := findOrigin(host, "/w/tree"); got != (origin{}) {
		t.Errorf("of a file that can't be read: %+v", got)
	}
	for _, link := range []struct {
		target string
		want   origin
	}{
		{"/repo/.git", origin{GitDir: "/repo/.git"}},
		{"/w/file", origin{GitDir: "/w/tree/its/git"}}, // from the worktree, not from the file
		{"/w/none", origin{}},
		{".git", origin{}},
	} {
		w.Write("/w/file", []byte("gitdir: its/git\n"))
		worldtest.Must(t, host.RemoveAll("/w/tree/.git"))
		worldtest.Must(t, host.Symlink(link.target, "/w/tree/.git"))
		if got := findOrigin(host, "/w/tree"); got != link.want {
			t.Errorf("with a link to %s it is %+v, want %+v", link.target, got, link.want)
		}
	}
	if got := findOrigin(host, "/repo"); got != (origin{GitDir: "/repo/.git"}) {
		t.Errorf("of a main worktree: %+v", got)
	}
}

// Nothing at a worktree's path makes its claim stale only where that proves that it is
// gone. Else nobody takes it back but who says so.
func TestWhatHasBecomeOfAWorktree(t *testing.T) {
	plain := func(testing.TB, *world.Fake) {}
	linked := func(t testing.TB, w *world.Fake) { withGit(t, w) }
	main := func(t testing.TB, w *world.Fake) {
		worldtest.Must(t, w.Host().Mkdir(trees+"a/.git", 0o755))
		w.Write(trees+"a/.git/HEAD", nil)
	}
	moved := func(t testing.TB, w *world.Fake) {
		move(trees+"a", trees+"new place")(t, w)
		w.Write(adminDir+"/gitdir", []byte(trees+"new place/.git\n"))
	}
	for name, test := range map[string]struct {
		made, done func(testing.TB, *world.Fake)
		gone       bool
		missing    Absence
	}{
		"a plain one, removed":              {plain, remove(trees + "a"), true, ""},
		"a plain one, moved":                {plain, move(trees+"a", trees+"z"), true, ""},
		"a plain one with all around it":    {plain, remove(trees[:len(trees)-1]), false, ParentAbsent},
		"a plain one, moved with its place": {plain, move("/home/user/trees", "/home/user/z"), false, ParentAbsent},
		"a plain one on a disk that is away": {plain, func(t testing.TB, w *world.Fake) {
			move("/home/user/trees", "/disk")(t, w)
			worldtest.Must(t, w.Host().Mkdir("/home/user/trees", 0o755)) // where it was mounted
		}, false, ParentAbsent},
		"a plain one, a link for its place": {plain, func(t testing.TB, w *world.Fake) {
			move("/home/user/trees", "/disk")(t, w)
			worldtest.Must(t, w.Host().Symlink("/nowhere", "/home/user/trees"))
		}, false, ParentAbsent},
		"a plain one, a file for its place": {plain, func(t testing.TB, w *world.Fake) {
			remove("/home/user/trees")(t, w)
			w.Write("/home/user/trees", nil)
		}, false, ParentAbsent},
		"git's, there":                  {linked, plain, false, ""},
		"git's, its record pruned":      {linked, remove(adminDir), false, ""},
		"git's, removed by git":         {linked, remove(trees+"a", adminDir), true, ""},
		"git's, removed, the last one":  {linked, remove(trees+"a", repository+"/.git/worktrees"), true, ""},
		"git's, removed by hand":        {linked, remove(trees + "a"), false, OnRecord},
		"git's, moved by hand":          {linked, move(trees+"a", trees+"z"), false, OnRecord},
		"git's, moved by git":           {linked, moved, false, "its worktree was moved to " + trees + "new place"},
		"git's, moved and then removed": {linked, func(t testing.TB, w *world.Fake) { moved(t, w); remove(trees+"new place")(t, w) }, false, OnRecord},
		"git's, with a torn record":     {linked, func(t testing.TB, w *world.Fake) { remove(trees+"a", adminDir+"/gitdir")(t, w) }, false, OnRecord},
		"git's, a relative record": {linked, func(t testing.TB, w *world.Fake) {
			moved(t, w)
			w.Write(adminDir+"/gitdir", []byte("../../../../trees/new place/.git\n"))
		}, false, "its worktree was moved to " + trees + "new place"},
		"git's, locked, its disk away": {linked, func(t testing.TB, w *world.Fake) {
			w.Write(adminDir+"/locked", []byte("on a stick\n"))
			remove(trees[:len(trees)-1])(t, w)
		}, false, Locked},
		"git's, its repository away":  {linked, remove(trees+"a", repository), false, RepositoryAbsent},
		"git's, its repository moved": {linked, func(t testing.TB, w *world.Fake) { remove(trees+"a")(t, w); move(repository, "/repo")(t, w) }, false, RepositoryAbsent},
		"git's, something else for its repository": {linked, func(t testing.TB, w *world.Fake) {
			remove(trees+"a", repository)(t, w)
			worldtest.Must(t, w.Host().MkdirAll(repository+"/.git", 0o755)) // where it was mounted
		}, false, RepositoryAbsent},
		"git's, a record that can't be looked at": {linked, func(t testing.TB, w *world.Fake) {
			remove(trees+"a")(t, w)
			w.Alter(repository, func(i *world.Info) { i.Mode &^= 0o777 })
		}, false, OnRecord},
		"a main one, removed":                {main, remove(trees + "a"), false, RepositoryAbsent},
		"a main one, without its repository": {main, remove(trees + "a/.git"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := machine(t, "small")
			test.made(t, w)
			a := claim(t, p, "a")
			worldtest.Must(t, p.VolumesUsed(t.Context(), target(a), nil))
			test.done(t, w)
			c := list(t, p)[0].Claim
			if (c.Stale == WorktreeGone) != test.gone || c.Missing != test.missing || !test.gone && c.Stale != "" {
				t.Errorf("it is stale %q, missing %q; want gone %v, missing %q", c.Stale, c.Missing, test.gone, test.missing)
			}
			worldtest.Must(t, w.Host().MkdirAll("/elsewhere", 0o755))
			var stopped []string
			_, _, err := p.Claim(t.Context(), Request{Worktree: "/elsewhere", Order: order, Reclaim: reclaiming(t, p, &stopped)})
			if test.gone {
				worldtest.Must(t, err)
				return
			}
			worldtest.WantErr(t, err, ErrNoneFree)
			if len(stopped) > 0 {
				t.Error("what runs in it was stopped")
			}
			if c.Missing != "" {
				wantText(t, err, string(c.Missing))
				if !strings.Contains(hintOf(err), "kinfra sandbox release 1 --force") {
					t.Errorf("the hint is %q", hintOf(err))
				}
			}
			worldtest.WantErr(t, p.Release(t.Context(), Target{Slot: 1, Token: a.Token, StaleOnly: true}), ErrNotStale)
			held, err := p.Holder(t.Context(), 1, "/elsewhere", true)
			worldtest.Must(t, err)
			release(t, p, held)
			wantHolders(t, p, "-")
		})
	}
}

// A lease that is over is over, wherever the worktree is.
func TestLeaseOfAMissingWorktree(t *testing.T) {
	w, p := machine(t, "small")
	withGit(t, w)
	withLease(t, p, "a", time.Hour)
	move(trees+"a", trees+"z")(t, w)
	wantStale(t, p, "")
	w.Pass(2 * time.Hour)
	wantStale(t, p, LeaseOver)
	if c := list(t, p)[0].Claim; c.Missing != OnRecord {
		t.Errorf("it is %+v", c)
	}
}

// What claims that older versions or other tools made say of their worktrees is their
// path, which proves nothing.
func TestClaimWithoutOrigin(t *testing.T) {
	w, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	enter(t, p, 2, trees+"b", otherTime)
	l, err := p.readLedger()
	worldtest.Must(t, err)
	l.Claims[1].Origin = origin{}
	w.Write(logPath, logLine(l.json(1))) // as version 1 wrote it
	remove(trees+"a", trees+"b")(t, w)
	for _, s := range list(t, p) {
		if s.Claim.Stale != "" || s.Claim.Missing != NotKnown {
			t.Errorf("it is %+v", s.Claim)
		}
	}
	worldtest.Must(t, w.Host().Mkdir(trees+"a", 0o755))
	if c := claim(t, p, "a"); c.Token != a.Token {
		t.Errorf("it is %+v", c)
	}
	if o := originOf(t, p); o.Parent == 0 {
		t.Errorf("its origin is %+v", o)
	}
	if log := read(t, w.World(), logPath); strings.Count(log, "\n") != 1 || !strings.Contains(log, `{"version":2,`) {
		t.Errorf("the log is\n%s", log)
	}
	remove(trees+"a")(t, w)
	wantStale(t, p, WorktreeGone)
}

// A log of version 1 is read as it is, and written anew with the first change.
func TestLogOfVersion1(t *testing.T) {
	w, p := machine(t, "small", "small")
	log := aLog(t, w, p)
	l, err := parseLog(log)
	worldtest.Must(t, err)
	for _, r := range l.Claims {
		r.Origin = origin{}
	}
	old := logLine(l.json(1))
	w.Write(logPath, old)
	wantHolders(t, p, "a c")
	if read(t, w.World(), logPath) != string(old) {
		t.Error("a listing has written it")
	}
	release(t, p, *list(t, p)[1].Claim)
	if now := read(t, w.World(), logPath); strings.Count(now, "\n") != 1 || !strings.Contains(now, `{"version":2,`) {
		t.Errorf("the log is\n%s", now)
	}
	if c := list(t, p)[0].Claim; c.Lease.TTL != time.Hour || !c.Started {
		t.Errorf("the claim is %+v", c)
	}
}

// A worktree that was made anew at its path has the claim of the one that was there.
// As long as git has that one, it is what counts: nothing of it is lost.
func TestMadeAnew(t *testing.T) {
	w, p := machine(t, "small")
	withGit(t, w)
	claim(t, p, "a")
	move(trees+"a", trees+"z")(t, w)
	worldtest.Must(t, w.Host().MkdirAll(trees+"a/.git", 0o755)) // another repository
	claim(t, p, "a")
	if o := originOf(t, p); o.GitDir != adminDir {
		t.Errorf("its origin is %+v", o)
	}
	remove(trees+"a")(t, w)
	if c := list(t, p)[0].Claim; c.Stale != "" || c.Missing != OnRecord {
		t.Errorf("it is %+v", c)
	}
	remove(adminDir)(t, w)
	worldtest.Must(t, w.Host().MkdirAll(trees+"a/.git", 0o755))
	claim(t, p, "a")
	if o := originOf(t, p); o.GitDir != trees+"a/.git" {
		t.Errorf("its origin is %+v", o)
	}
}

// A claim that can't look at git, for once, doesn't make known origins unknown.
func TestOriginStaysKnown(t *testing.T) {
	w, p := machine(t, "small")
	claim(t, p, "a")
	known := originOf(t, p)
	blind := open(world.Faulty(w.World(), func(op, name string) error {
		if name == trees+"a/.git" {
			return syscall.EIO
		}
		return nil
	}))
	claim(t, blind, "a")
	if o := originOf(t, p); o != known {
		t.Errorf("its origin is %+v, it was %+v", o, known)
	}
}

// What is found out doesn't depend on the working directory, nor on links in the path.
func TestOriginOfALinkedPath(t *testing.T) {
	w, p := machine(t, "small")
	withGit(t, w)
	worldtest.Must(t, w.Host().Symlink(trees, "/home/user/short"))
	_, _, err := p.Claim(t.Context(), Request{Worktree: "/home/user/short/a", Order: order})
	worldtest.Must(t, err)
	if o := originOf(t, p); o.GitDir != adminDir {
		t.Errorf("its origin is %+v", o)
	}
}
