package claim

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

const logPath = root + "/" + File

// known is all that a log says.
func known(data []byte) (string, error) {
	l, err := parseLog(data)
	if err != nil {
		return "", err
	}
	return string(l.json(0)), nil
}

// aLog is a log of several lines, one of which gives a lease.
func aLog(t testing.TB, w *world.Fake, p *Pool) []byte {
	t.Helper()
	a := claim(t, p, "a")
	release(t, p, claim(t, p, "b"))
	claim(t, p, "c")
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(a), Volumes{"slot-1_data": "then"}))
	withLease(t, p, "a", time.Hour)
	return []byte(read(t, w.World(), logPath))
}

// varying are texts of a line that depend on the machine, and the tokens of volumes.
var varying = regexp.MustCompile(`"(claimed_at|token|env|boot|deadline|[0-9]+|parent)":("[^"]*"|[0-9]+)`)

// Each transaction is a line, in the form that the next version has to read.
func TestLogLines(t *testing.T) {
	w, p := machine(t, "small", "small")
	log := aLog(t, w, p)
	want := []string{
		`{"version":2,"claims":{"1":{"worktree":"/home/user/trees/a","claimed_at":"…","token":"…","env":"…","origin":{"parent":"…"}}},"volumes":{"1":"…"}}`,
		`{"claims":{"2":{"worktree":"/home/user/trees/b","claimed_at":"…","token":"…","env":"…","origin":{"parent":"…"}}},"volumes":{"2":"…"}}`,
		`{"claims":{"2":null},"released":[{"slot":2,"worktree":"/home/user/trees/b","claimed_at":"…"}]}`,
		`{"claims":{"2":{"worktree":"/home/user/trees/c","claimed_at":"…","token":"…","env":"…","origin":{"parent":"…"}}}}`,
		`{"volumes":{"1":"…"},"made":{"1":{"slot-1_data":"then"}}}`,
		`{"claims":{"1":{"worktree":"/home/user/trees/a","claimed_at":"…","token":"…","env":"…","lease":{"ttl":"1h0m0s","boot":"…","deadline":"…"},"origin":{"parent":"…"}}}}`,
	}
	var got []string
	for line := range strings.Lines(string(log)) {
		text, ok := checkSum(strings.TrimSuffix(line, "\n"))
		if !ok {
			t.Errorf("its checksum is wrong: %s", line)
		}
		got = append(got, varying.ReplaceAllString(text, `"$1":"…"`))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the lines are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A log that is cut anywhere says what it said when it was that long, or is refused. A
// changed bit is refused, or changes nothing.
func TestDamagedLog(t *testing.T) {
	w, p := machine(t, "small", "small")
	log := aLog(t, w, p)
	full, err := known(log)
	worldtest.Must(t, err)
	head := bytes.IndexByte(log, '\n')
	for n := range len(log) {
		got, err := known(log[:n])
		if n < head {
			if err == nil {
				t.Errorf("cut after %d bytes of %d of the first line it says %s", n, head, got)
			}
			continue
		}
		whole := bytes.LastIndexByte(log[:n], '\n') + 1
		if log[n] == '\n' { // the line lacks its end only
			whole = n + 1
		}
		want, wantErr := known(log[:whole])
		if err != nil || wantErr != nil || got != want {
			t.Errorf("cut after %d bytes it says %s, %v; want %s, %v", n, got, err, want, wantErr)
		}
	}
	for bit := range 8 * len(log) {
		flipped := bytes.Clone(log)
		flipped[bit/8] ^= 1 << (bit % 8)
		if got, err := known(flipped); err == nil && got != full {
			t.Errorf("with bit %d of byte %d flipped it says %s", bit%8, bit/8, got)
		}
	}
}

// What is refused changes nothing, and its hint cures it.
func TestDamagedLogIsRefused(t *testing.T) {
	w, p := machine(t, "small", "small")
	good := string(aLog(t, w, p))
	first, rest, _ := strings.Cut(good, "\n")
	text, _ := checkSum(first)
	with := func(old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("the log has no %s", old)
		}
		return string(logLine([]byte(strings.Replace(text, old, new, 1)))) + rest
	}
	hollow := func(line int) string {
		lines := strings.SplitAfter(good, "\n")
		lines[line-1] = lines[line-1][:30] + "\x00\x00" + lines[line-1][32:]
		return strings.Join(lines, "")
	}
	for _, bad := range []string{
		"", "\n", "null", first[:len(first)-1], strings.Repeat("\x00", 100), rest,
		strings.Replace(good, "tree", "free", 1), good + "x\n", good + first + "\n",
		string(logLine([]byte("null"))), string(logLine([]byte("[]"))), string(logLine([]byte("{}"))), string(logLine([]byte("{"))),
		with(`"version":2`, `"version":3`), with(`"version":2`, `"version":0`), with(`"version":2`, `"version":"2"`), with(`"version":2,`, ``), with(`"claims"`, `"clams"`),
		with(`"token":"`, `"token":"0`), with(`"token":"`, `"taken":"`), with(`"worktree":"/home/user/trees/a"`, `"worktree":""`),
		with(`"worktree":"/home/user/trees/a"`, `"worktree":7`), with(`"1":{`, `"0":{`), with(`"1":{`, `"01":{`), with(`"1":{`, `"99999999":{`),
		with(`,"volumes"`, `,"released":[{"slot":0}],"volumes"`), with(`,"volumes"`, `,"released":[{}],"volumes"`),
		with(`,"volumes"`, `,"made":{"1":[]},"volumes"`), with(`,"volumes"`, `,"made":{"1":{"a":1}},"volumes"`), with(`,"volumes"`, `,"made":{"0":{}},"volumes"`),
		with(`,"volumes"`, `,"released":{},"volumes"`), with(`,"volumes"`, `,"released":[{"slot":1,"by":""}],"volumes"`),
		string(logLine([]byte(strings.Repeat("[", logDepth+1)))), hollow(2), hollow(3),
		with(`"origin":{`, `"lease":{},"origin":{`), with(`"origin":{`, `"lease":{"ttl":"-1s"},"origin":{`), with(`"origin":{`, `"lease":{"ttl":"x"},"origin":{`),
		with(`"origin":{`, `"lease":{"ttl":"1s","deadline":"-1s"},"origin":{`), with(`"origin":{`, `"lease":{"ttl":"1s","until":"1s"},"origin":{`), with(`"origin":{`, `"lease":null,"origin":{`),
		with(`"origin":{`, `"origin":{"git_dir":"/g",`), with(`"parent"`, `"parents"`), with(`"parent":`, `"parent":-`), with(`"origin":{`, `"lost":{},"origin":{`),
	} {
		w.Write(logPath, []byte(bad))
		before := worldtest.Snapshot(t, w.World(), "/home/user")
		if _, err := p.List(t.Context()); err == nil {
			t.Fatalf("it was read:\n%s", bad)
		} else {
			worldtest.WantErr(t, err, ErrDamaged)
			wantText(t, err, logPath)
		}
		_, _, err := p.Claim(t.Context(), request("a"))
		worldtest.WantErr(t, err, ErrDamaged)
		wantSame(t, w.World(), before)
	}
	worldtest.Must(t, w.Host().Remove(logPath))
	wantHolders(t, p, "a c")
	if c := claim(t, p, "a"); c.Slot != 1 || c.Foreign {
		t.Errorf("got %+v", c)
	}
	w.Write(logPath, []byte(good))
	wantHolders(t, p, "a c")
}

// What a loss of power or a full disk leaves of an append is left out, and the next
// transaction writes the log anew.
func TestTornLog(t *testing.T) {
	for _, torn := range []string{
		"x", "0123456789abcdef {", "\x00123456789abcdef {}\n", "\x00\x00\x00", "\x00\x00\x00}\n", "0123\x00\x00\x00\x00\"}\n" + string(logLine([]byte("{}"))),
	} {
		w, p := machine(t, "small", "small", "small")
		log := aLog(t, w, p)
		before, err := known(log)
		worldtest.Must(t, err)
		w.Write(logPath, append(log, torn...))
		if now, err := known([]byte(read(t, w.World(), logPath))); err != nil || now != before {
			t.Errorf("with %q it says %s, %v", torn, now, err)
		}
		worldtest.Must(t, p.Reconcile(t.Context()))
		claim(t, p, "d")
		wantHolders(t, p, "a c d")
		if now := read(t, w.World(), logPath); strings.Count(now, "\n") != 1 || !strings.HasSuffix(now, "\n") {
			t.Errorf("the log is now\n%s", now)
		}
	}
	// A line that lacks its end only counts; what follows doesn't go on it.
	w, p := machine(t, "small", "small", "small")
	log := aLog(t, w, p)
	w.Write(logPath, log[:len(log)-1])
	claim(t, p, "d")
	wantHolders(t, p, "a c d")
	if c := list(t, p)[0].Claim; c.Lease.TTL != time.Hour {
		t.Errorf("its lease is %+v", c.Lease)
	}
}

// A link in the log's place is not followed.
func TestLinkForALog(t *testing.T) {
	w, p := machine(t, "small")
	claim(t, p, "a")
	worldtest.Must(t, w.Host().Rename(logPath, logPath+".kept"))
	worldtest.Must(t, w.Host().Symlink("claims.log.kept", logPath))
	_, err := p.List(t.Context())
	worldtest.WantErr(t, err, ErrDamaged)
	worldtest.WantErr(t, err, world.ErrNotRegular)
}

// The log doesn't grow without end, and writing it anew loses nothing.
func TestLogIsWrittenAnew(t *testing.T) {
	w, p := machine(t, "small", "small")
	a := withLease(t, p, "a", time.Hour)
	most, shrunk := 0, 0
	for range 200 {
		release(t, p, claim(t, p, "b"))
		size := len(read(t, w.World(), logPath))
		if size < most {
			shrunk++
		}
		most = max(most, size)
	}
	if limit := 2*(logGrowth+maxReleased*150) + 1000; most > limit || shrunk == 0 {
		t.Errorf("it had up to %d bytes, want %d at most; and became smaller %d times", most, limit, shrunk)
	}
	wantHolders(t, p, "a -")
	if c := list(t, p)[0].Claim; c.Token != a.Token || c.Lease != a.Lease {
		t.Errorf("the claim is %+v, it was %+v", c, a)
	}
	v, err := p.load(t.Context())
	worldtest.Must(t, err)
	if len(v.ledger.Released) != maxReleased {
		t.Errorf("%d releases are remembered", len(v.ledger.Released))
	}
}

// What need not outlast a loss of power isn't synced, all else is, and nothing is
// written where nothing changes.
func TestWhatIsSynced(t *testing.T) {
	var ops []string
	w, p := machine(t, "small", "small")
	watched := open(world.Faulty(w.World(), func(op, name string) error {
		if name == logPath && (op == "append" || op == "sync") {
			ops = append(ops, op)
		}
		return nil
	}))
	leased := request("a")
	leased.TTL = time.Hour
	claim(t, p, "e")
	var c Claim
	take := func(req Request) func() error {
		return func() (err error) {
			c, _, err = watched.Claim(t.Context(), req)
			return err
		}
	}
	const unsynced, synced = "append append", "append append sync"
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"the first claim of a slot", take(request("a")), synced}, // whose volumes are another's
		{"the same again", take(request("a")), ""},
		{"its volumes", func() error { return watched.VolumesUsed(t.Context(), target(c), nil) }, synced},
		{"its volumes again", func() error { return watched.VolumesUsed(t.Context(), target(c), nil) }, ""},
		{"a release", func() error { return watched.Release(t.Context(), target(c)) }, synced},
		{"a claim", take(request("a")), unsynced},
		{"a lease for it", take(leased), synced},
		{"that anew", take(leased), ""}, // at the same moment
		{"another release", func() error { return watched.Release(t.Context(), target(c)) }, synced},
		{"a claim with a lease", take(leased), synced},
		{"nothing", func() error { return watched.Reconcile(t.Context()) }, ""},
	} {
		ops = nil
		worldtest.Must(t, step.do())
		if got := strings.Join(ops, " "); got != step.want {
			t.Errorf("%s: the log got %q, want %q", step.name, got, step.want)
		}
	}
}

// Where the registry can't be put in place, the line is taken back; where that fails,
// too, both are told.
func TestLineIsTakenBack(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		w, p := machine(t, "small", "small")
		aLog(t, w, p)
		release(t, p, *list(t, p)[1].Claim)
		log := read(t, w.World(), logPath)
		faulty := world.Faulty(w.World(), func(op, name string) error {
			switch {
			case op == "rename" && name == p.store.Path():
				return syscall.EIO
			case stuck && op == "create" && strings.Contains(name, "/.claims.log.tmp-"):
				return syscall.EACCES
			}
			return nil
		})
		_, _, err := open(faulty).Claim(t.Context(), request("d"))
		worldtest.WantErr(t, err, syscall.EIO)
		if stuck {
			worldtest.WantErr(t, err, syscall.EACCES)
			wantHolders(t, p, "a d")
			continue
		}
		if now := read(t, w.World(), logPath); now != log {
			t.Errorf("the log is\n%s\nwant\n%s", now, log)
		}
		wantHolders(t, p, "a -")
	}
}

// Another tool that writes meanwhile is found before a line is added.
func TestNoLineForAnOldRegistry(t *testing.T) {
	w, p := machine(t, "small", "small")
	aLog(t, w, p)
	a := *list(t, p)[0].Claim
	b := *list(t, p)[1].Claim
	writes := 0
	meddled := open(world.Faulty(w.World(), func(op, name string) error {
		if name != logPath {
			return nil
		}
		switch op {
		case "read": // in each transaction, after the registry was
			if writes++; writes < tries {
				enter(t, p, 1, trees+"a", fmt.Sprintf("2026-02-02T09:00:00.%06d+00:00", writes))
			}
		case "append":
			if now := entered(t, p); writes != tries {
				t.Errorf("a line is added though the registry was written; it has %s", now)
			}
		}
		return nil
	}))
	worldtest.Must(t, meddled.VolumesUsed(t.Context(), target(b), nil))
	if c := list(t, p)[0].Claim; c.Token != a.Token {
		t.Errorf("it is %+v", c)
	}
}

// FuzzReadLine reads nothing that isn't written and read again as the same.
func FuzzReadLine(f *testing.F) {
	w, p := machine(f, "small", "small")
	f.Add(`{"version":1}`)
	for line := range strings.Lines(string(aLog(f, w, p))) {
		text, _ := checkSum(strings.TrimSuffix(line, "\n"))
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := newFacts()
		if l.readLine(text, strings.Contains(text, keyVersion)) != nil {
			return
		}
		written := l.json(logVersion)
		again, err := known(logLine(written))
		if err != nil {
			t.Fatalf("what was written can't be read: %v\n%s", err, written)
		}
		if again != string(l.json(0)) {
			t.Fatalf("written, it says\n%s\nwant\n%s", again, l.json(0))
		}
	})
}

func FuzzParseLog(f *testing.F) {
	w, p := machine(f, "small", "small")
	f.Add(aLog(f, w, p))
	f.Add([]byte(registry.File))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLog(data)
		if err != nil {
			return
		}
		again, err := known(logLine(l.json(logVersion)))
		if err != nil || again != string(l.json(0)) {
			t.Fatalf("written anew it says %s, %v\nwant %s", again, err, l.json(0))
		}
	})
}

// What a slot's volumes are known by outlasts the claim, and goes with the volumes.
func TestMade(t *testing.T) {
	_, p := machine(t, "small", "small")
	a := claim(t, p, "a")
	want := func(c Claim, want Volumes) {
		t.Helper()
		got, err := p.Made(t.Context(), target(c))
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	want(a, nil)
	made := Volumes{"slot-1_data": "2026-01-02T03:04:05Z", "with \"quotes\"": ""}
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(a), made))
	release(t, p, a)
	b := claim(t, p, "b")
	want(b, made)
	if clean, err := p.NeedsCleanVolumes(t.Context(), target(b)); !clean || err != nil {
		t.Errorf("another's volumes need not go: %v", err)
	}
	worldtest.Must(t, p.VolumesMade(t.Context(), target(b), nil))
	want(b, nil)
	if clean, err := p.NeedsCleanVolumes(t.Context(), target(b)); !clean || err != nil {
		t.Errorf("that a volume has gone makes the others b's: %v", err)
	}
	_, err := p.Made(t.Context(), target(a))
	worldtest.WantErr(t, err, ErrNotHolder)
	worldtest.WantErr(t, p.VolumesMade(t.Context(), target(a), nil), ErrNotHolder)
}

// A log of the version before is read, and replaced with the next line.
func TestLogOfVersionBefore(t *testing.T) {
	w, p := machine(t, "small", "small")
	first, _, _ := strings.Cut(string(aLog(t, w, p)), "\n")
	text, _ := checkSum(first)
	w.Write(logPath, logLine([]byte(strings.Replace(text, `"version":2`, `"version":1`, 1))))
	a := claim(t, p, "a")
	if a.Slot != 1 || strings.Contains(read(t, w.World(), logPath), `"version":2`) {
		t.Errorf("a claim that changes nothing has written the log, or got %+v", a)
	}
	worldtest.Must(t, p.VolumesUsed(t.Context(), target(a), Volumes{"slot-1_data": "then"}))
	log := read(t, w.World(), logPath)
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, `{"version":2,`) || !strings.Contains(log, `"made":{"1":{"slot-1_data":"then"}}`) {
		t.Errorf("the log is\n%s", log)
	}
}
