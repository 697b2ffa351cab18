package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

const runsDir = "/home/user/runs"

// sample is a record of which some lines are durable, and what is in its files.
type sample struct {
	world   *world.Fake
	store   *Store
	id      string
	data    []byte
	marks   []byte
	seal    *sealed
	starts  []int        // where each line begins, and where the last ends
	told    []int        // up to where each line says that all was durable; the first is that of line 1
	before  []*Beginning // what is read before each line
	durable int

	random         *rand.Rand
	memory, joined []byte // used again
}

// newSample records a run of so many lines, of which the first durable ones were synced, a
// few at a time.
func newSample(t *testing.T, lines, durable int) *sample {
	t.Helper()
	s := &sample{world: world.NewFake(), durable: durable, random: rand.New(rand.NewPCG(1, 2))}
	s.store = Open(s.world.World(), runsDir, 50)
	j, id, err := s.store.Create([]byte("{}"), func(id string) *event.Event {
		return &event.Event{Seq: 1, Time: s.world.Now(), Type: event.RunBegan, Run: &event.Run{Version: event.Version, ID: id, Command: "sample"}}
	})
	for n := 2; n <= lines && err == nil; n++ {
		err = j.Add(sampleEvent(n, s.world.World()))
		if err == nil && n <= durable && (n%2 == 1 || n == durable) {
			err = j.Sync()
		}
	}
	if err = errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	s.id = id
	s.data, s.marks = s.file(t, journalFile), s.file(t, sealFile)
	if s.seal, err = parseSeal(s.marks); err != nil || s.seal.last.count != durable {
		t.Fatalf("the seal says %+v (%v), want %d lines", s.seal, err, durable)
	}
	s.split(t, lines)
	return s
}

// sampleEvent is line n of a run of steps, each of them ended in the next line.
func sampleEvent(n int, w world.World) *event.Event {
	e := &event.Event{Seq: n, Time: w.Clock.Now(), Type: event.Began, Key: fmt.Sprint("step ", n/2), Kind: event.Step, Undoable: n%3 == 0}
	if n%2 == 1 {
		e.Type, e.Status, e.Seconds = event.Ended, event.Passed, 0.001
		e.Result = json.RawMessage(fmt.Sprintf(`{"$struct":{"number":%d,"text":"größer \" <&>"}}`, n))
	}
	return e
}

func (s *sample) file(t *testing.T, name string) []byte {
	t.Helper()
	data, err := s.world.Host().ReadFile(path.Join(runsDir, s.id, name), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// under is the sample with another seal.
func (s *sample) under(t *testing.T, seal *sealed) *sample {
	t.Helper()
	other := *s
	other.seal, other.starts, other.told, other.before = seal, nil, nil, nil
	other.split(t, len(s.told))
	return &other
}

// split reads line by line.
func (s *sample) split(t *testing.T, lines int) {
	t.Helper()
	r := newReading(s.data, s.seal)
	for {
		s.before = append(s.before, r.beginning())
		s.starts = append(s.starts, r.whole)
		if r.whole == len(s.data) {
			break
		}
		number := len(s.before)
		line, _, _ := bytes.Cut(s.data[r.whole:], []byte("\n"))
		read, err := r.line(number, line)
		if err == nil {
			s.told = append(s.told, read.Durable)
			r.whole += len(line) + 1
			err = r.add(number, read)
		}
		if err != nil {
			t.Fatalf("line %d: %v", number, err)
		}
	}
	if len(s.told) != lines {
		t.Fatalf("there are %d lines, want %d", len(s.told), lines)
	}
}

// line is one of the lines, counted from 1, with its end.
func (s *sample) line(number int) []byte { return s.data[s.starts[number-1]:s.starts[number]] }

// outcome is what a journal is read as: the number of the line that is damaged, or how many
// lines count, and whether others are left out.
type outcome struct {
	damaged, events int
	dropped         bool
}

func outcomeOf(c *content, data []byte, err error) outcome {
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		return outcome{damaged: max(damaged.Line, 1)}
	}
	return outcome{events: len(c.events), dropped: c.whole < len(data)}
}

// read reads a journal that is as it was up to a line, counted from 1. What comes before
// that is not read again: a line is read by what was before it, so it can't matter.
func (s *sample) read(data []byte, from int) outcome {
	r := s.before[from-1].reading
	r.running, r.data, r.memory = maps.Clone(r.running), data, s.memory
	c, err := r.finish("journal")
	s.memory = r.memory
	return outcomeOf(c, data, err)
}

// wants holds what is read of a journal that was changed in a line against what there has
// to be: refused if that was durable, and else the lines before it.
func (s *sample) wants(t *testing.T, data []byte, line int, what string, args ...any) {
	t.Helper()
	got := s.read(data, line)
	if line <= s.durable && got.damaged == 0 {
		t.Fatalf("%s: %d events were read, want it refused: %d lines were durable", fmt.Sprintf(what, args...), got.events, s.durable)
	}
	if want := (outcome{0, line - 1, len(data) > s.starts[line-1]}); line > s.durable && got != want {
		t.Fatalf("%s: read is %+v, want %+v", fmt.Sprintf(what, args...), got, want)
	}
	if s.random.IntN(700) == 0 {
		s.wantsWhole(t, data, got, fmt.Sprintf(what, args...))
	}
}

// wantsWhole reads a journal through the store, all of it.
func (s *sample) wantsWhole(t *testing.T, data []byte, want outcome, what string) {
	t.Helper()
	s.world.Write(path.Join(runsDir, s.id, journalFile), data)
	r, err := s.store.Read(s.id)
	var damaged *DamagedError
	switch {
	case want.damaged > 0 && (!errors.As(err, &damaged) || max(damaged.Line, 1) != want.damaged):
		t.Fatalf("%s: the error is %v, want damage in line %d", what, err, want.damaged)
	case want.damaged == 0 && (err != nil || len(r.Events) != want.events || r.Dropped != want.dropped):
		t.Fatalf("%s: read is %+v (%v), want %+v", what, r, err, want)
	}
}

const (
	sampleLines   = 200
	sampleDurable = 151
)

// samples are a journal of which all is durable, as runs leave it that end, and one of which
// the last lines are not.
func samples(t *testing.T, check func(t *testing.T, s *sample)) {
	for _, durable := range []int{sampleLines, sampleDurable} {
		t.Run(fmt.Sprint(durable, " lines durable"), func(t *testing.T) {
			t.Parallel()
			check(t, newSample(t, sampleLines, durable))
		})
	}
}

// Every flip of a bit in a durable line is refused. After one behind these, what comes
// before its line is read.
func TestFlippedBits(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 5
	}
	samples(t, func(t *testing.T, s *sample) {
		data := bytes.Clone(s.data)
		for line := 1; line <= sampleLines; line++ {
			for at := s.starts[line-1]; at < s.starts[line]; at++ {
				for bit := 0; bit < 8; bit += step {
					data[at] ^= 1 << bit
					s.wants(t, data, line, "bit %d of byte %d, in line %d", bit, at, line)
					data[at] ^= 1 << bit
				}
			}
		}
	})
}

// Every cut is refused that takes something of the durable lines.
func TestCuts(t *testing.T) {
	samples(t, func(t *testing.T, s *sample) {
		for line := 1; line <= sampleLines; line++ {
			for at := s.starts[line-1]; at < s.starts[line]; at++ {
				s.wants(t, s.data[:at:at], line, "cut to %d bytes, in line %d", at, line)
			}
		}
	})
}

// Every durable line that is missing, stands twice, or in the place of another, shows.
func TestMovedLines(t *testing.T) {
	samples(t, func(t *testing.T, s *sample) {
		for a := 1; a <= sampleLines; a++ {
			for b := a; b <= sampleLines; b++ {
				before, lines, after := s.data[:s.starts[a-1]], s.data[s.starts[a-1]:s.starts[b]], s.data[s.starts[b]:]
				s.wants(t, s.concat(before, after), a, "lines %d to %d lost", a, b)
				s.wants(t, s.concat(before, lines, lines, after), b+1, "lines %d to %d doubled", a, b)
				if a < b {
					inner := s.data[s.starts[a]:s.starts[b-1]]
					s.wants(t, s.concat(before, s.line(b), inner, s.line(a), after), a, "lines %d and %d swapped", a, b)
					s.wants(t, s.concat(before, inner, s.line(b), s.line(a), after), a, "line %d moved behind %d", a, b)
					s.wants(t, s.concat(before, s.line(a), inner, s.line(a), after), b, "line %d in the place of %d", a, b)
				}
			}
		}
	})
}

// concat joins parts in memory that is used again.
func (s *sample) concat(parts ...[]byte) []byte {
	s.joined = s.joined[:0]
	for _, part := range parts {
		s.joined = append(s.joined, part...)
	}
	return s.joined
}

// Where a loss of power has taken all of the seal but its first mark, which is synced, what
// the lines themselves say of those before still shows damage to these.
func TestLostSeal(t *testing.T) {
	whole := newSample(t, sampleLines, sampleLines)
	s := whole.under(t, &sealed{whole.seal.first, whole.seal.first})
	for line := 2; line <= sampleLines-4; line++ { // the last two syncs are told by nothing else
		data := bytes.Clone(s.data)
		data[s.starts[line-1]+20] ^= 1
		if got := s.read(data, line); got.damaged != line {
			t.Errorf("with line %d changed, read is %+v", line, got)
		}
	}
	if got := s.read(s.data, 1); got != (outcome{events: sampleLines}) {
		t.Errorf("unchanged, read is %+v", got)
	}
}

// Whatever becomes of the seal, a journal that nothing was done to is refused or read as
// it is; and a seal that is gone, empty, of another run or without its beginning is refused.
func TestDamagedSeal(t *testing.T) {
	s, other := newSample(t, 20, 20), newSample(t, 21, 21)
	read := func(marks []byte) outcome {
		seal, err := parseSeal(marks)
		if err != nil {
			return outcome{damaged: 1}
		}
		c, err := parse("journal", s.data, seal)
		return outcomeOf(c, s.data, err)
	}
	right := outcome{events: 20}
	if got := read(s.marks); got != right {
		t.Fatalf("undamaged, read is %+v", got)
	}
	for at := range s.marks {
		if got := read(s.marks[:at]); got != right && got.damaged == 0 {
			t.Errorf("with %d bytes of the seal, read is %+v", at, got)
		}
		for bit := range 8 {
			marks := bytes.Clone(s.marks)
			marks[at] ^= 1 << bit
			if got := read(marks); got != right && got.damaged == 0 {
				t.Errorf("with bit %d of byte %d of the seal changed, read is %+v", bit, at, got)
			}
		}
	}
	first := bytes.IndexByte(s.marks, '\n') + 1
	for what, marks := range map[string][]byte{
		"empty": nil, "of another run": other.marks, "without its beginning": s.marks[5:],
		"of zeros": make([]byte, len(s.marks)), "garbage": []byte("seal\n"),
		"of more lines": slices.Concat(s.marks, other.marks[len(other.marks)-first-2:]),
	} {
		if got := read(marks); got.damaged == 0 {
			t.Errorf("with a seal that is %s, read is %+v", what, got)
		}
	}
	if err := s.world.Host().Remove(path.Join(runsDir, s.id, sealFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Read(s.id); !errors.Is(err, errNoSeal) {
		t.Errorf("without the seal, the error is %v", err)
	}
}

// Where syncs come faster than [sealEvery], the seal gets fewer marks, and that of the
// last sync all the same, whether the journal is closed or its process only waits.
func TestSealOfFastSyncs(t *testing.T) {
	for _, closed := range []bool{true, false} {
		w := &slow{Fake: world.NewFake(), wake: make(chan struct{})}
		s := Open(w.World(), runsDir, 50)
		j, id, err := s.Create([]byte("{}"), func(id string) *event.Event {
			return &event.Event{Seq: 1, Time: w.Now(), Type: event.RunBegan, Run: &event.Run{Version: event.Version, ID: id}}
		})
		for n := 2; n <= 301 && err == nil; n++ {
			w.Advance(10 * time.Microsecond)
			err = errors.Join(j.Add(sampleEvent(n, w.World())), j.Sync())
		}
		if err != nil {
			t.Fatal(err)
		}
		if closed {
			err = j.Close()
		}
		close(w.wake)
		var seal *sealed
		var marks []byte
		for start := time.Now(); err == nil && (seal == nil || seal.last.count < 301) && time.Since(start) < 10*time.Second; runtime.Gosched() {
			marks, err = w.Host().ReadFile(path.Join(runsDir, id, sealFile), 1<<20)
			if err == nil {
				seal, err = parseSeal(marks)
			}
		}
		if n := bytes.Count(marks, []byte("\n")); err != nil || seal.last.count != 301 || n > 10 {
			t.Errorf("closed: %t: the seal has %d marks up to %+v, want few, up to 301 (%v)", closed, n, seal, err)
		}
	}
}

// slow is a world in which those who sleep wait until they are woken.
type slow struct {
	*world.Fake
	wake chan struct{}
}

func (w *slow) World() world.World {
	all := w.Fake.World()
	all.Clock = w
	return all
}

func (w *slow) Sleep(context.Context, time.Duration) error {
	<-w.wake
	return nil
}
