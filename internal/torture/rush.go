package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/internal/claim"
	"github.com/ktrdr/kinfra/internal/world"
)

const (
	racers  = 64
	winners = 6 // the slots that they race for

	// startIn is how far ahead a round's start is, so that all have heard of it.
	startIn = 50 * time.Millisecond
)

// tryRush has processes claim at the same moment.
func tryRush(ctx context.Context, l *lab) (finding, error) {
	var f finding
	dir, err := l.newDir("rush")
	if err != nil {
		return f, err
	}
	p, err := newPool(ctx, world.Real("the judge"), dir, small(winners), racers)
	if err != nil {
		return f, err
	}
	field, err := startRacers(ctx, dir)
	defer field.end()
	if err != nil {
		return f, err
	}
	rounds := pick(l, 20, 3)
	won, refused := 0, 0
	for round := range rounds {
		results, err := field.race()
		if err != nil {
			return f, err
		}
		w, r, err := judgeRace(ctx, p, results)
		if err != nil {
			f.wrong("round %d: %v", round+1, err)
		}
		won, refused = won+w, refused+r
		for i := range racers {
			c, ok, err := p.Find(ctx, p.tree(i))
			if err == nil && ok {
				err = p.Release(ctx, target(*c.Claim))
			}
			if err != nil {
				return f, err
			}
		}
	}
	f.figures = fmt.Sprintf("%d rounds of %d processes: %d winners, %d refusals that name all holders", rounds, racers, won, refused)
	return f, nil
}

// judgeRace counts who won and who was refused clearly, and says what is wrong.
func judgeRace(ctx context.Context, p pool, results []raced) (won, refused int, err error) {
	listed, err := p.List(ctx)
	if err != nil {
		return 0, 0, err
	}
	var bad []error
	taken := map[int]int{} // racer by slot
	for i, r := range results {
		if r.Slot == 0 {
			continue
		}
		if other, twice := taken[r.Slot]; twice {
			bad = append(bad, fmt.Errorf("slot %d was given to tree-%d and tree-%d", r.Slot, other, i))
		}
		taken[r.Slot] = i
		if holder := listed[r.Slot-1].ClaimedBy; holder != p.tree(i) {
			bad = append(bad, fmt.Errorf("slot %d was given to tree-%d and is held by %q", r.Slot, i, holder))
		}
		won++
	}
	for i, r := range results {
		if r.Slot > 0 {
			continue
		}
		if !r.NoneFree || !namesAll(r.Error, p, taken) {
			bad = append(bad, fmt.Errorf("tree-%d was refused by: %s", i, r.Error))
			continue
		}
		refused++
	}
	if won != winners || refused != racers-winners {
		bad = append(bad, fmt.Errorf("%d won and %d were refused", won, refused))
	}
	return won, refused, errors.Join(bad...)
}

// namesAll tells whether a refusal names all who hold a slot.
func namesAll(refusal string, p pool, taken map[int]int) bool {
	for id, i := range taken {
		if !strings.Contains(refusal, fmt.Sprintf("slot %d (%s) is held by %s since", id, profiles[0], p.tree(i))) {
			return false
		}
	}
	return true
}

// raced is how a race ended for one process.
type raced struct {
	Slot     int    `json:"slot"` // 0 for none
	NoneFree bool   `json:"none_free"`
	Error    string `json:"error"`
}

// race is a process that claims once for each line of its input, at the time on the
// clock of world.BootTime that stands there.
func race(ctx context.Context, c child) error {
	p := openPool(c.world(), c.Dir)
	lines := bufio.NewScanner(c.in)
	for lines.Scan() {
		start, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		time.Sleep(start - upTime())
		var r raced
		got, err := p.claim(ctx, c.Number)
		if err == nil {
			r.Slot = got.Slot
		} else {
			r.NoneFree, r.Error = errors.Is(err, claim.ErrNoneFree), err.Error()
		}
		if err := c.out.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

// field are the processes of a race.
type field struct {
	starts  []io.WriteCloser
	results []*json.Decoder
	cmds    []*exec.Cmd
}

func startRacers(ctx context.Context, dir string) (*field, error) {
	f := &field{}
	for i := range racers {
		cmd, err := order{Role: "racer", Dir: dir, Number: i}.command(ctx)
		if err != nil {
			return f, err
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			return f, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return f, err
		}
		if err := cmd.Start(); err != nil {
			return f, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
		}
		f.starts, f.results, f.cmds = append(f.starts, in), append(f.results, json.NewDecoder(out)), append(f.cmds, cmd)
	}
	return f, nil
}

// race runs one round.
func (f *field) race() ([]raced, error) {
	at := upTime() + startIn
	for _, start := range f.starts {
		if _, err := fmt.Fprintln(start, at); err != nil {
			return nil, err
		}
	}
	all := make([]raced, len(f.results))
	for i, result := range f.results {
		if err := result.Decode(&all[i]); err != nil {
			return nil, fmt.Errorf("racer %d: %w", i, err)
		}
	}
	return all, nil
}

func (f *field) end() {
	for _, start := range f.starts {
		start.Close()
	}
	for _, cmd := range f.cmds {
		_ = cmd.Wait()
	}
}
