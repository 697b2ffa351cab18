package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ktrdr/kinfra/internal/registry"
)

// tryReaders judges what was read while the workers claimed.
func tryReaders(ctx context.Context, l *lab) (finding, error) {
	run, err := l.claimsOf(ctx)
	if err != nil {
		return finding{}, err
	}
	f := finding{broken: run.torn, figures: fmt.Sprintf("%d reads, %d failures", run.reads, len(run.torn))}
	if least := leastReads * run.took.Seconds() * pick(l, 1, shortShare); float64(run.reads) < least {
		f.wrong("%d reads were made, want at least %.0f", run.reads, least)
	}
	return f, nil
}

// spareReads is how many times the least number of reads a reader makes, if it can.
const spareReads = 1.25

// reading is a reader's output.
type reading struct {
	Reads int      `json:"reads"`
	Torn  []string `json:"torn"`
}

// readBeside runs a reader.
func (r *claimsRun) readBeside(ctx context.Context, o order) {
	cmd, err := o.command(ctx)
	if err != nil {
		r.wrong("a reader: %v", err)
		return
	}
	out, err := cmd.Output()
	var got reading
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		r.wrong("a reader: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads, r.torn = r.reads+got.Reads, append(r.torn, got.Torn...)
}

// read is a process that reads the registry over and over. It reads each time once: the
// store would try again what doesn't parse.
func read(ctx context.Context, c child) error {
	p := openPool(c.world(), c.Dir)
	var got reading
	for start := upTime(); upTime() < c.Until && ctx.Err() == nil; {
		if due := leastReads * spareReads * (upTime() - start).Seconds(); float64(got.Reads) > due {
			time.Sleep(time.Millisecond) // the workers need the processors, too
			continue
		}
		for range 16 { // to ask for the time costs about as much as a read
			got.Reads++
			if err := readOnce(p.store.Path()); err != nil && len(got.Torn) < mostReasons {
				got.Torn = append(got.Torn, err.Error())
			}
		}
	}
	return c.out.Encode(got)
}

func readOnce(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	r, err := registry.Parse(data)
	if err != nil {
		return err
	}
	if n := len(r.Slots()); n != len(contested) {
		return fmt.Errorf("a registry of %d slots, want %d", n, len(contested))
	}
	return nil
}
