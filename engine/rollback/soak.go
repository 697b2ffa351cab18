package rollback

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Found is a case of which something is wrong.
type Found struct {
	Seed  uint64
	Case  Case
	Trace Trace
	Wrong string
}

// Soak runs the cases with the numbers from first on, on all processors, until it has found
// something wrong or has run n. It also tells how many entries their traces had.
func Soak(ctx context.Context, first uint64, n int, progress func(done int)) (*Found, int, error) {
	var next, entries atomic.Int64
	var found atomic.Pointer[Found]
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && found.Load() == nil && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				seed := first + uint64(i)
				c := Generate(seed)
				trace := Run(c)
				entries.Add(int64(len(trace)))
				if wrong := Judge(c, trace); wrong != "" {
					found.CompareAndSwap(nil, &Found{seed, c, trace, wrong})
				}
				progress(i + 1)
			}
		})
	}
	wg.Wait()
	return found.Load(), int(entries.Load()), ctx.Err()
}

// String tells what went wrong: the script, what its processes were to do, and what happened.
func (f *Found) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "case %d: %s\n\n%s\n", f.Seed, f.Wrong, f.Case.Program)
	for i, p := range f.Case.Processes {
		fmt.Fprintf(&b, "process %d: %s\n", i+1, p)
	}
	for i, e := range f.Trace {
		fmt.Fprintf(&b, "%4d %s\n", i, e)
	}
	text, _ := json.Marshal(f.Case)
	fmt.Fprintf(&b, "to run it again: %s\n", text)
	return b.String()
}

func (p Process) String() string {
	text := p.Do
	for _, name := range slices.Sorted(maps.Keys(p.Fails)) {
		text += fmt.Sprintf(", %s fails %d times", name, p.Fails[name].Times)
		if p.Fails[name].Late {
			text += " at its end"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Stuck)) {
		text += fmt.Sprintf(", the undo of %s fails", name)
	}
	if p.Signal > 0 {
		text += fmt.Sprintf(", interrupted after %d entries", p.Signal)
	}
	if p.Kill > 0 {
		text += fmt.Sprintf(", killed after %d entries", p.Kill)
	}
	if p.Program != nil {
		text += ", with\n\n" + p.Program.String()
	}
	return text
}

func (e Entry) String() string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", e.What, e.Key, e.Arg, e.Event, e.Kind, e.Status)), " ")
}
