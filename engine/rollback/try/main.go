// Command try runs random programs of steps and holds what comes of them against the model
// of package rollback. It prints what it did as a line of JSON, with what it found wrong.
//
//	go run ./engine/rollback/try -cases 100000           # in memory
//	go run ./engine/rollback/try -cases 0 -real 500      # with processes that are killed
//	go run ./engine/rollback/try -case FILE              # one that was printed, again
//
// The exit code is 1 where something is wrong, and 2 where it could not be tried.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"time"

	"github.com/ktrdr/kinfra/engine/rollback"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// report is what was done.
type report struct {
	Cases   int             `json:"cases"` // in memory
	Real    int             `json:"real"`  // with real processes
	Deaths  rollback.Deaths `json:"deaths"`
	Entries int             `json:"entries"` // of all traces
	Wrong   string          `json:"wrong,omitempty"`
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("try", flag.ContinueOnError)
	flags.SetOutput(stderr)
	first := flags.Uint64("first", 1, "the `number` of the first case")
	cases := flags.Int("cases", 1000, "how many run in memory")
	real := flags.Int("real", 0, "how many run with real processes")
	file := flags.String("case", "", "a `FILE` with a case, as JSON")
	obey := flags.Bool("obey", false, "be a process of a case, as standard input says")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	debug.SetGCPercent(400)
	var r report
	var err error
	switch {
	case *obey:
		err = obeyOrder(stdin)
	case *file != "":
		err = r.again(*file)
	default:
		err = r.inMemory(ctx, *first, *cases, stderr)
		if err == nil && r.Wrong == "" {
			err = r.withProcesses(ctx, *first, *real, stderr)
		}
	}
	if err == nil && !*obey {
		err = json.NewEncoder(stdout).Encode(r)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "error:", err)
		return 2
	case r.Wrong != "":
		fmt.Fprintln(stderr, r.Wrong)
		return 1
	}
	return 0
}

func obeyOrder(stdin io.Reader) error {
	var o rollback.Order
	if err := json.NewDecoder(stdin).Decode(&o); err != nil {
		return err
	}
	return rollback.Obey(o)
}

// shrinking is how long a smaller case is looked for.
const shrinking = 20 * time.Second

func (r *report) inMemory(ctx context.Context, first uint64, n int, stderr io.Writer) error {
	start := time.Now()
	found, entries, err := rollback.Soak(ctx, first, n, func(done int) {
		if done%10000 == 0 {
			fmt.Fprintf(stderr, "  %d programs after %.0f s\n", done, time.Since(start).Seconds())
		}
	})
	r.Cases, r.Entries = n, entries
	if found != nil {
		r.Wrong = found.Shrink(shrinking).String()
	}
	return err
}

func (r *report) withProcesses(ctx context.Context, first uint64, n int, stderr io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	child := func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, exe, "-obey") }
	for seed := first; r.Real < n && r.Wrong == "" && err == nil; seed++ {
		if err = r.one(ctx, seed, child); err == nil && r.Real%50 == 0 {
			fmt.Fprintf(stderr, "  %d programs with %d processes killed\n", r.Real, r.Deaths.Own+r.Deaths.Other)
		}
	}
	return err
}

// one runs a case with real processes; it counts if one of them was killed.
func (r *report) one(ctx context.Context, seed uint64, child func(context.Context) *exec.Cmd) error {
	dir, err := os.MkdirTemp("", "kinfra-rollback-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, before := rollback.Generate(seed), r.Deaths
	trace, err := rollback.RunReal(ctx, c, dir, child, rand.New(rand.NewPCG(seed, 2)), &r.Deaths)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	r.Entries += len(trace)
	if wrong := rollback.Judge(c, trace); wrong != "" {
		r.Wrong = (&rollback.Found{Seed: seed, Case: c, Trace: trace, Wrong: wrong}).String()
	}
	if r.Deaths != before {
		r.Real++
	}
	return nil
}

// again runs a case that was printed.
func (r *report) again(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c rollback.Case
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	for range 20 {
		trace := rollback.Run(c)
		r.Cases++
		r.Entries += len(trace)
		if wrong := rollback.Judge(c, trace); wrong != "" {
			r.Wrong = (&rollback.Found{Case: c, Trace: trace, Wrong: wrong}).String()
			break
		}
	}
	return nil
}
