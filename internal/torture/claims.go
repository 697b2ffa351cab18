package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/world"
)

// The least that has to be done for claims to count as tried, a second.
const (
	leastClaims = 5000.0 / 60
	leastKills  = 1000.0 / 60
	leastWithin = 400.0 / 60 // of the kills: in the middle of an operation
	leastReads  = 100000.0 / 60

	// shortShare is which part of these is enough in the short form, which shares its
	// processors with other tests.
	shortShare = 0.1
)

// claimsRun is what processes did that claimed, released and were killed.
type claimsRun struct {
	took time.Duration

	mu       sync.Mutex // guards what follows
	ops      []porcupine.Operation
	claims   int // that gave a slot
	refusals int // of claims: none was free
	kills    int
	inside   int // kills in the middle of an operation
	reads    int
	broken   []string
	torn     []string // what readers saw and mustn't
}

func (r *claimsRun) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

// claimsOf runs the workers once, for the rows that look at what they did.
func (l *lab) claimsOf(ctx context.Context) (*claimsRun, error) {
	if l.history == nil {
		run, err := l.runClaims(ctx, "", l.claiming)
		if err != nil {
			return nil, err
		}
		l.history = run
	}
	return l.history, nil
}

// tryClaims judges what the workers did.
func tryClaims(ctx context.Context, l *lab) (finding, error) {
	run, err := l.claimsOf(ctx)
	if err != nil {
		return finding{}, err
	}
	f := run.judge(3 * time.Minute)
	seconds := run.took.Seconds() * pick(l, 1, shortShare)
	if least := leastClaims * seconds; float64(run.claims) < least {
		f.wrong("%d claims were made, want at least %.0f", run.claims, least)
	}
	f.wants("the processes that claim", tally{kills: run.kills, inside: run.inside}, tally{kills: int(leastKills * seconds), inside: int(leastWithin * seconds)})
	return f, nil
}

// judge is what came of a run, but for how much it was.
func (r *claimsRun) judge(within time.Duration) finding {
	f := finding{broken: r.broken}
	f.figures = fmt.Sprintf("%.0f s, %d operations (%.0f/s), %d claims, %d refusals, %d kills, %d of them inside an operation",
		r.took.Seconds(), len(r.ops), float64(len(r.ops))/r.took.Seconds(), r.claims, r.refusals, r.kills, r.inside)
	if problem := linearizable(r.ops, within); problem != "" {
		f.wrong("%s", problem)
	}
	return f
}

// runClaims has workers claim in a pool, under a seeded fault if one is named, and
// kills them.
func (l *lab) runClaims(ctx context.Context, fault string, during time.Duration) (*claimsRun, error) {
	dir, err := l.newDirInMemory("claims")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := newPool(ctx, world.Real("the judge"), dir, specs(contested[:]...), workers)
	if err != nil {
		return nil, err
	}
	start := upTime()
	run, until := &claimsRun{}, start+during
	var wg sync.WaitGroup
	for i := range workers {
		k := keeper{run: run, order: order{Role: "worker", Dir: dir, Number: i, Fault: fault, Until: until}, killWithin: l.killWithin()}
		wg.Go(func() { k.keep(ctx) })
	}
	wg.Go(func() { run.readBeside(ctx, order{Role: "reader", Dir: dir, Until: until}) })
	wg.Wait()
	run.took = upTime() - start
	run.lookAfter(ctx, openPool(faults()[fault].of(p.w, child{}), dir))
	return run, ctx.Err()
}

// killWithin is the time within which a worker is killed from outside. So many die that
// of those that die in the middle of something there are enough, too.
func (l *lab) killWithin() time.Duration {
	const spare = 1.6
	return time.Duration(2 * workers / (leastKills * spare) * float64(time.Second))
}

// lookAfter looks at what is left: the next operations succeed, and then there are no
// strays. p has the fault under which the workers were.
func (r *claimsRun) lookAfter(ctx context.Context, p pool) {
	if len(r.broken) > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range workers {
		if err := p.claimAndRelease(ctx, i); err != nil && !errors.Is(err, claim.ErrNoneFree) {
			r.wrong("after all have ended: %v", err)
			return
		}
	}
	left, err := p.strays()
	if err != nil || len(left) > 0 {
		r.wrong("after all have ended there are strays: %v, %v", left, err)
	}
}

// keeper keeps a worker running: when one is killed, it starts the next.
type keeper struct {
	run *claimsRun
	order
	killWithin time.Duration
}

func (k keeper) keep(ctx context.Context) {
	for ctx.Err() == nil && upTime() < k.Until {
		o := k.order
		o.Seed = rand.Uint64()
		o.KillAt = 1 + rand.IntN(3000)
		if err := k.one(ctx, o); err != nil {
			k.run.wrong("%v", err)
			return
		}
	}
}

// one runs one process to its end.
func (k keeper) one(ctx context.Context, o order) error {
	cmd, err := o.command(ctx)
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(rand.N(k.killWithin), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	log := opLog{client: o.Number}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if err := log.add(lines.Bytes()); err != nil {
			break // the last line of a killed one may lack its end
		}
	}
	err = cmd.Wait()
	killed := wasKilled(cmd)
	inside := log.close(upTime())
	k.run.collect(log, killed, inside)
	if err != nil && !killed {
		return fmt.Errorf("worker %d: %w: %s", o.Number, err, &stderr)
	}
	return nil
}

func wasKilled(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// opLog is what one process did.
type opLog struct {
	client int
	ops    []porcupine.Operation
	open   *message // that has begun
}

// add takes a line of a worker's output.
func (g *opLog) add(line []byte) error {
	var e message
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	switch {
	case e.Call != nil:
		g.open = &e
	case e.Answer != nil && g.open != nil:
		g.end(e.At, *e.Answer)
	}
	return nil
}

func (g *opLog) end(at time.Duration, out answer) {
	g.ops = append(g.ops, porcupine.Operation{
		ClientId: g.client, Input: *g.open.Call, Call: int64(g.open.At), Output: out, Return: int64(at),
	})
	g.open = nil
}

// close ends what was under way when the process ended, which may have happened or not,
// but not after that: a process whose end was seen does nothing any more. It tells
// whether there was something.
func (g *opLog) close(at time.Duration) bool {
	if g.open == nil {
		return false
	}
	g.end(at, answer{Outcome: unknown})
	return true
}

// collect adds what one process did.
func (r *claimsRun) collect(g opLog, killed, inside bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if killed {
		r.kills++
	}
	if killed && inside {
		r.inside++
	}
	for i, op := range g.ops {
		out := op.Output.(answer)
		switch {
		case out.Outcome == failed:
			in := op.Input.(call)
			r.broken = append(r.broken, fmt.Sprintf("%s by tree-%d: %s", in.Kind, in.Tree, out.Error))
			g.ops[i].Output = answer{Outcome: unknown}
		case out.Outcome == done && op.Input.(call).Kind == kindClaim:
			r.claims++
		case out.Outcome == noneFree:
			r.refusals++
		}
	}
	r.ops = append(r.ops, g.ops...)
}
