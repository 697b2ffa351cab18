package claim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// The test binary, started with these variables, is a process that claims a slot of
// a pool for a worktree; see TestProcesses.
const (
	childRoot = "CLAIM_TEST_ROOT"
	childTree = "CLAIM_TEST_TREE"
	childWait = "CLAIM_TEST_WAIT"
)

// What such a process answers.
const (
	codeNoneFree = 3
	codeOther    = 1
)

func TestMain(m *testing.M) {
	root := os.Getenv(childRoot)
	if root == "" {
		os.Exit(m.Run())
	}
	os.Exit(child(root))
}

func child(root string) int {
	w := world.Real(fmt.Sprintf("pid %d: a test", os.Getpid()))
	wait, err := time.ParseDuration(os.Getenv(childWait))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return codeOther
	}
	req := Request{Worktree: os.Getenv(childTree), Order: order, Wait: wait}
	req.Waiting = func(*NoneFreeError) { fmt.Println("waiting") }
	c, _, err := Open(w, registry.Open(w, root)).Claim(context.Background(), req)
	switch {
	case errors.Is(err, ErrNoneFree):
		fmt.Fprintln(os.Stderr, err)
		return codeNoneFree
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return codeOther
	}
	fmt.Println(c.Slot)
	return 0
}

// realPool is a pool of n small slots on a real disk, with worktrees 0 to trees-1.
func realPool(t testing.TB, n, trees int) (p *Pool, treeDir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	worldtest.Must(t, err)
	w := world.Real("a test")
	profiles := make([]string, n)
	for i := range profiles {
		profiles[i] = "small"
	}
	provision(t, w, dir+"/pool", profiles...)
	for i := range trees {
		worldtest.Must(t, os.MkdirAll(fmt.Sprintf("%s/trees/%d", dir, i), 0o755))
	}
	return Open(w, registry.Open(w, dir+"/pool")), dir + "/trees/"
}

const (
	claimants = 64
	prizes    = 6
)

// race is what came out when many claimed few slots at the same moment.
type race struct {
	mu      sync.Mutex
	winners map[int]int // by slot
	refused int
}

func (r *race) won(slot int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.winners[slot]++
}

func (r *race) lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused++
}

func (r *race) check(t *testing.T, p *Pool) {
	t.Helper()
	if len(r.winners) != prizes || r.refused != claimants-prizes {
		t.Errorf("winners by slot: %v; %d refused, want %d", r.winners, r.refused, claimants-prizes)
	}
	for slot, n := range r.winners {
		if n != 1 {
			t.Errorf("slot %d has %d holders", slot, n)
		}
	}
	holders := map[string]bool{}
	for _, s := range list(t, p) {
		if s.Claim == nil || holders[s.Claim.Worktree] || s.Claim.Foreign || s.Contender != nil {
			t.Errorf("slot %d: %+v", s.ID, s.Claim)
			continue
		}
		holders[s.Claim.Worktree] = true
		env, err := os.ReadFile(s.Claim.Worktree + "/.env.sandbox")
		if err != nil || string(env) != fmt.Sprintf("SLOT=%d\n", s.ID) {
			t.Errorf("slot %d: its holder's copy is %q, %v", s.ID, env, err)
		}
	}
}

// Fault 1: two claim the same slot.
func TestGoroutines(t *testing.T) {
	p, trees := realPool(t, prizes, claimants)
	r := race{winners: map[int]int{}}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range claimants {
		wg.Go(func() {
			<-start
			c, _, err := p.Claim(t.Context(), Request{Worktree: fmt.Sprint(trees, i), Order: order})
			switch {
			case errors.Is(err, ErrNoneFree):
				r.lost()
			case err != nil:
				t.Error(err)
			default:
				r.won(c.Slot)
			}
		})
	}
	close(start)
	wg.Wait()
	r.check(t, p)
}

// startClaim starts a process that claims.
func startClaim(t testing.TB, p *Pool, tree string, wait time.Duration) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	worldtest.Must(t, err)
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), childRoot+"="+p.store.Root(), childTree+"="+tree, fmt.Sprint(childWait, "=", wait))
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// Fault 1 again, with processes.
func TestProcesses(t *testing.T) {
	p, trees := realPool(t, prizes, claimants)
	r := race{winners: map[int]int{}}
	var wg sync.WaitGroup
	for i := range claimants {
		cmd, stdout, stderr := startClaim(t, p, fmt.Sprint(trees, i), 0)
		worldtest.Must(t, cmd.Start())
		wg.Go(func() {
			err := cmd.Wait()
			exit, failed := errors.AsType[*exec.ExitError](err)
			switch {
			case failed && exit.ExitCode() == codeNoneFree && strings.Contains(stderr.String(), "is held by"):
				r.lost()
			case err != nil:
				t.Errorf("%v: %s", err, stderr)
			default:
				slot := 0
				fmt.Sscan(stdout.String(), &slot)
				r.won(slot)
			}
		})
	}
	wg.Wait()
	r.check(t, p)
}

// A waiter that is killed holds nobody up, and nor does its ticket.
func TestKilledWaiter(t *testing.T) {
	p, trees := realPool(t, 1, 3)
	holder, _, err := p.Claim(t.Context(), Request{Worktree: trees + "0", Order: order})
	worldtest.Must(t, err)
	cmd, _, _ := startClaim(t, p, trees+"1", time.Hour)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	worldtest.Must(t, err)
	worldtest.Must(t, cmd.Start())
	defer cmd.Process.Kill()
	line := make([]byte, len("waiting\n"))
	if _, err := out.Read(line); err != nil || string(line) != "waiting\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	release(t, p, holder)
	req := Request{Worktree: trees + "2", Order: order}
	// It may have the slot by now; if not, it is the one who gets it.
	if c, _, err := p.Claim(t.Context(), req); err == nil {
		t.Fatalf("slot %d was somebody's who has waited longer", c.Slot)
	}
	worldtest.Must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Fatal("it ended by itself")
	}
	if s, held, err := p.Find(t.Context(), trees+"1"); held {
		worldtest.Must(t, err)
		release(t, p, *s.Claim)
	}
	_, _, err = p.Claim(t.Context(), req)
	worldtest.Must(t, err)
	if entries, err := os.ReadDir(p.store.Root() + "/" + queueDir); err != nil || len(entries) != 0 {
		t.Errorf("tickets are left: %v, %v", entries, err)
	}
}

// older is a tool as kinfra's predecessor: it reads the registry, thinks, and
// writes all of it back in place, without a lock. Its own worktrees it gives the
// slots that it takes for free.
type older struct {
	file   string
	name   string
	claims map[string]string // slots that it holds, with the time of its claim

	// writing keeps two of them from writing at the same moment, which can leave a
	// mixture of both for good. That is damage, which kinfra refuses; see package
	// registry.
	writing *sync.Mutex
}

// turn is one reading and writing; it tells whether what it read made sense.
func (o *older) turn(n int) error {
	data, err := os.ReadFile(o.file)
	if err != nil {
		return err
	}
	var doc map[string]any
	if json.Unmarshal(data, &doc) != nil {
		return nil // another is writing
	}
	slots := doc["slots"].(map[string]any)
	for id, value := range slots {
		s := value.(map[string]any)
		switch {
		case n%7 == 0 && s["claimed_by"] == nil && len(o.claims) == 0:
			o.claims[id] = time.Now().UTC().Format("2006-01-02T15:04:05.000000-07:00")
			s["claimed_by"], s["claimed_at"] = o.name, o.claims[id]
		case n%7 == 5 && s["claimed_by"] == o.name && s["claimed_at"] == o.claims[id]:
			delete(o.claims, id)
			s["claimed_by"], s["claimed_at"] = nil, nil
		}
	}
	var written []byte
	for range 1 + rand.IntN(100) { // it takes its time
		if written, err = json.MarshalIndent(doc, "", "  "); err != nil {
			return err
		}
	}
	o.writing.Lock()
	defer o.writing.Unlock()
	return os.WriteFile(o.file, written, 0o600) // truncates, then writes
}

// Fault 2, and the promise about older tools: beside two of them no claim is lost
// for good, no slot is two worktrees' without a conflict that names both, and what
// the others hold is not touched.
func TestBesideOlderTools(t *testing.T) {
	const workers, rounds = 3, 12
	p, trees := realPool(t, 6, workers)
	var tools, wg sync.WaitGroup
	var writing sync.Mutex
	done := make(chan struct{})
	for i := range 2 {
		o := older{file: p.store.Path(), name: fmt.Sprint(trees, "older-", i), claims: map[string]string{}, writing: &writing}
		worldtest.Must(t, os.Mkdir(o.name, 0o755))
		tools.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if err := o.turn(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range workers {
		wg.Go(func() { work(t, p, fmt.Sprint(trees, i), rounds) })
	}
	wg.Wait()
	close(done)
	tools.Wait()
	worldtest.Must(t, p.Reconcile(t.Context()))
	for _, s := range list(t, p) {
		if s.Claim != nil && !strings.Contains(s.Claim.Worktree, "older-") {
			t.Errorf("slot %d is still held: %+v", s.ID, s.Claim)
		}
	}
}

// work claims and releases for a worktree, and checks each time that the claim holds.
func work(t *testing.T, p *Pool, tree string, rounds int) {
	for range rounds {
		c, _, err := p.Claim(t.Context(), Request{Worktree: tree, Order: order})
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNoneFree) || errors.Is(err, registry.ErrDamaged) {
			continue // told, and nothing done
		}
		if err != nil {
			t.Errorf("%s: %v", tree, err)
			return
		}
		for range 5 {
			s, held, err := p.Find(t.Context(), tree)
			if errors.Is(err, registry.ErrDamaged) {
				continue
			}
			if err != nil || !held || s.ID != c.Slot || s.Claim.Token != c.Token {
				t.Errorf("%s holds slot %d no more: %+v, %v", tree, c.Slot, s, err)
				return
			}
		}
		const patience = 50
		for try := 1; ; try++ {
			err := p.Release(t.Context(), target(c))
			if err == nil {
				break
			}
			told := errors.Is(err, ErrConflict) || errors.Is(err, registry.ErrDamaged)
			if !told || try == patience {
				t.Errorf("%s: releasing slot %d: %v", tree, c.Slot, err)
				return
			}
		}
	}
}

func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{6, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, trees := realPool(b, n, 1)
			for b.Loop() {
				c, _, err := p.Claim(b.Context(), Request{Worktree: trees + "0", Order: order})
				worldtest.Must(b, err)
				b.StopTimer()
				worldtest.Must(b, p.Release(b.Context(), target(c)))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkReplace is what a claim is measured against.
func BenchmarkReplace(b *testing.B) {
	w := world.Real("")
	files := w.Disk.Root(b.TempDir())
	for b.Loop() {
		worldtest.Must(b, world.Replace(files, w, "file", make([]byte, 4000), 0o600))
	}
}
