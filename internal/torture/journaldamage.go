package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	records "github.com/ktrdr/kinfra/engine/journal"
	"github.com/ktrdr/kinfra/internal/world"
)

//go:embed testdata/lines.star
var linesScript []byte

const (
	journalLines   = 200 // of each journal that is damaged
	journalDurable = 151 // of the run that is killed, as far as it was acknowledged
)

// journalFiles are those of a record.
const (
	journalFile = "journal.jsonl"
	sealFile    = "seal"
)

// tryJournal damages the journals of two runs of the program itself: one that has come to
// its end, so that all is durable, and one that was killed before its last lines were.
func tryJournal(ctx context.Context, l *lab) (finding, error) {
	var f finding
	program, err := l.buildKinfra(ctx)
	if err != nil {
		return f, err
	}
	var figures []string
	for _, stay := range []bool{false, true} {
		j, err := l.recordJournal(ctx, program, stay)
		if err != nil {
			return f, err
		}
		if want := pickIf(stay, journalDurable, journalLines); j.durable < want {
			f.wrong("%d of the %d lines of a journal are durable, want %d, that were acknowledged", j.durable, len(j.starts)-1, want)
		}
		if err := j.damage(ctx, pick(l, 1, 61)); err != nil {
			return f, err
		}
		if err := j.askProgram(ctx, program, pick(l, 100, 12)); err != nil {
			return f, err
		}
		f.broken = append(f.broken, j.broken...)
		figures = append(figures, j.figures())
	}
	f.figures = strings.Join(figures, "; ")
	return f, nil
}

// pickIf is one of two values.
func pickIf[T any](condition bool, then, otherwise T) T {
	if condition {
		return then
	}
	return otherwise
}

// damagedJournal is the record of a run, whose journal is damaged again and again.
type damagedJournal struct {
	home, id string
	files    map[string][]byte    // of the record
	text     []byte               // of the journal
	joined   []byte               // memory of a damaged one
	starts   []int                // where each line begins, and where the last ends
	before   []*records.Beginning // what is read before each line
	durable  int                  // lines

	counts            map[string]int
	whole             int // damages with which the record was read as a whole
	refused, dropped  int
	asked             int // damages that the program was shown
	broken            []string
	refusedByProgram  int
	droppedForProgram int
}

func (j *damagedJournal) wrong(format string, args ...any) {
	j.broken = append(j.broken, fmt.Sprintf(format, args...))
}

func (j *damagedJournal) figures() string {
	var parts []string
	for _, kind := range kindsOfDamage {
		parts = append(parts, fmt.Sprintf("%d %s", j.counts[kind], kind))
	}
	return fmt.Sprintf("a journal of %d lines, %d durable: %s: %d refused, %d dropped and said, %d of them as a whole record; of %d the program refused %d and dropped %d",
		len(j.starts)-1, j.durable, strings.Join(parts, ", "), j.refused, j.dropped, j.whole, j.asked, j.refusedByProgram, j.droppedForProgram)
}

// sealed is ample time for the seal, which may be 20 ms behind what is on disk.
const sealed = 200 * time.Millisecond

// recordJournal has the program run, to its end or until it is killed.
func (l *lab) recordJournal(ctx context.Context, program string, stay bool) (*damagedJournal, error) {
	home, err := l.newDir("journal")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(home, "lines.star")
	if err := os.WriteFile(script, linesScript, 0o600); err != nil {
		return nil, err
	}
	args := []string{"run", script}
	if stay {
		args = append(args, "--stay")
	}
	cmd := programIn(ctx, program, home, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if stay {
		err = awaitLines(ctx, home, journalLines)
		time.Sleep(sealed)
		err = errors.Join(err, cmd.Process.Kill())
		_ = cmd.Wait()
	} else {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("recording a run: %w: %s", err, &out)
	}
	return readRecord(home)
}

// programIn is a command of the program by a user whose home is that directory, and the root
// in it.
func programIn(ctx context.Context, program, home string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, append([]string{"--root", filepath.Join(home, "root")}, args...)...)
	cmd.Dir, cmd.Env = home, programEnv(home)
	return cmd
}

func runsOf(home string) string { return filepath.Join(home, "root", "kinfra", "runs") }

// awaitLines waits until the only journal has so many lines.
func awaitLines(ctx context.Context, home string, lines int) error {
	for start := time.Now(); time.Since(start) < time.Minute && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		names, err := filepath.Glob(filepath.Join(runsOf(home), "*", journalFile))
		if err != nil || len(names) == 0 {
			continue
		}
		if data, err := os.ReadFile(names[0]); err == nil && bytes.Count(data, []byte("\n")) >= lines {
			return nil
		}
	}
	return fmt.Errorf("the journal has not come to %d lines: %w", lines, ctx.Err())
}

// readRecord reads the only record of a home.
func readRecord(home string) (*damagedJournal, error) {
	j := &damagedJournal{home: home, files: map[string][]byte{}, counts: map[string]int{}}
	names, err := filepath.Glob(filepath.Join(runsOf(home), "*", "*"))
	for _, name := range names {
		data, readErr := os.ReadFile(name)
		err = errors.Join(err, readErr)
		j.id, j.files[filepath.Base(name)] = filepath.Base(filepath.Dir(name)), data
	}
	j.text = j.files[journalFile]
	j.starts = []int{0}
	for line := range bytes.Lines(j.text) {
		j.starts = append(j.starts, j.starts[len(j.starts)-1]+len(line))
	}
	if n := len(j.starts) - 1; err == nil && n != journalLines {
		err = fmt.Errorf("the journal in %s has %d lines, want %d", home, n, journalLines)
	}
	if err == nil {
		j.before, err = records.Beginnings(j.text, j.files[sealFile])
	}
	j.durable = durableLines(j.text, j.files[sealFile])
	return j, err
}

// durableLines is how many lines of a journal were on disk, by its seal and by what later
// lines say of earlier ones.
func durableLines(text, seal []byte) (lines int) {
	for mark := range strings.Lines(string(seal)) {
		var n int
		if _, err := fmt.Sscan(mark, &n); err == nil {
			lines = max(lines, n)
		}
	}
	for line := range bytes.Lines(text) {
		var says struct{ Durable int }
		if json.Unmarshal(line, &says) == nil {
			lines = max(lines, says.Durable)
		}
	}
	return lines
}

// harm is a damage to a journal: the text up to a line is as it was.
type harm struct {
	kind      string
	at, other int // the byte and its bit, or the line and the one that it is swapped with
	line      int // the first one, from 1, that is not as it was
	text      []byte
}

func (h harm) String() string { return fmt.Sprintf("%s: %d, %d", h.kind, h.at, h.other) }

const (
	harmBit     = "flipped bits"
	harmCut     = "cuts"
	harmLost    = "lost lines"
	harmDoubled = "doubled lines"
	harmSwapped = "swapped lines"
)

var kindsOfDamage = [...]string{harmBit, harmCut, harmLost, harmDoubled, harmSwapped}

// harms gives every single one of the damages, or one in step of them. What it gives is good
// until the next.
func (j *damagedJournal) harms(step int, yield func(harm) bool) {
	n := 0
	give := func(h harm) bool {
		n++
		return n%step > 0 || yield(h)
	}
	for line := 1; line < len(j.starts); line++ {
		if !j.harmsIn(line, give) || !j.harmsFrom(line, give) {
			return
		}
	}
}

// harmsIn are those to the bytes of a line.
func (j *damagedJournal) harmsIn(line int, give func(harm) bool) bool {
	for at := j.starts[line-1]; at < j.starts[line]; at++ {
		ok := give(harm{harmCut, at, 0, line, j.text[:at:at]})
		for bit := 0; ok && bit < 8; bit++ {
			j.text[at] ^= 1 << bit
			ok = give(harm{harmBit, at, bit, line, j.text})
			j.text[at] ^= 1 << bit
		}
		if !ok {
			return false
		}
	}
	return true
}

// harmsFrom are those to a line as a whole, and to it and each that comes later.
func (j *damagedJournal) harmsFrom(a int, give func(harm) bool) bool {
	before, line, after := j.text[:j.starts[a-1]], j.text[j.starts[a-1]:j.starts[a]], j.text[j.starts[a]:]
	ok := give(harm{harmLost, a, 0, a, j.join(before, after)}) &&
		give(harm{harmDoubled, a, 0, a + 1, j.join(before, line, line, after)})
	for b := a + 1; ok && b < len(j.starts); b++ {
		inner, other := j.text[j.starts[a]:j.starts[b-1]], j.text[j.starts[b-1]:j.starts[b]]
		ok = give(harm{harmSwapped, a, b, a, j.join(before, other, inner, line, j.text[j.starts[b]:])})
	}
	return ok
}

// join joins parts in memory that is used again.
func (j *damagedJournal) join(parts ...[]byte) []byte {
	j.joined = j.joined[:0]
	for _, part := range parts {
		j.joined = append(j.joined, part...)
	}
	return j.joined
}

// readWholeOneIn is of how many damages one is put into a record that is read as a whole,
// not only from the damaged line on.
const readWholeOneIn = 97

// damage has the journal read after every damage, or one in step of them.
func (j *damagedJournal) damage(ctx context.Context, step int) error {
	const dir = "/home/user/runs"
	machine := world.NewFake()
	for name, data := range j.files {
		machine.Write(filepath.Join(dir, j.id, name), data)
	}
	store := records.Open(machine.World(), dir, 1)
	n := 0
	j.harms(step, func(h harm) bool {
		lines, dropped, err := j.before[h.line-1].Read(h.text)
		j.counts[h.kind]++
		switch {
		case err != nil:
			j.refused++
		case dropped:
			j.dropped++
		}
		j.judge(h, lines, dropped, err)
		if n++; n%readWholeOneIn == 0 {
			j.whole++
			machine.Write(filepath.Join(dir, j.id, journalFile), h.text)
			record, err := store.Read(j.id)
			j.judge(h, len(record.Events), record.Dropped, err)
		}
		return ctx.Err() == nil && len(j.broken) < 100*mostReasons
	})
	return ctx.Err()
}

// judge wants a damage to durable lines to be refused, and what comes behind these to be left
// out from the first line on that isn't whole, with a word.
func (j *damagedJournal) judge(h harm, lines int, dropped bool, err error) {
	var damaged *records.DamagedError
	refused := errors.As(err, &damaged)
	left := len(h.text) - j.starts[h.line-1] // what is behind the whole lines
	switch {
	case h.line <= j.durable && !refused:
		j.wrong("%s, in line %d of %d durable ones: it was read: %v", h, h.line, j.durable, err)
	case h.line > j.durable && err != nil:
		j.wrong("%s, in line %d behind %d durable ones: it was refused: %v", h, h.line, j.durable, err)
	case h.line > j.durable && (lines != h.line-1 || dropped != (left > 0)):
		j.wrong("%s, in line %d behind %d durable ones: %d lines were read, and that some are left out is said: %v", h, h.line, j.durable, lines, dropped)
	}
}

// verified is what the program says of a record.
type verified struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"`
	Dropped bool   `json:"dropped"`
}

// askProgram has the program itself look at records with some damages: so many of the
// durable lines, and of the others if there are any.
func (j *damagedJournal) askProgram(ctx context.Context, program string, most int) error {
	want := map[string]bool{} // whether the record is damaged, by its name
	put := func(h harm) error {
		id := fmt.Sprintf("r%05d", len(want))
		dir := filepath.Join(runsOf(j.home), id)
		want[id] = h.line <= j.durable
		err := os.Mkdir(dir, 0o700)
		for name, data := range j.files {
			if name == journalFile {
				data = h.text
			}
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
		return err
	}
	var all []harm
	j.harms(3001, func(h harm) bool {
		h.text = bytes.Clone(h.text)
		all = append(all, h)
		return true
	})
	rand.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	for _, h := range all[:min(most, len(all))] {
		if err := put(h); err != nil {
			return err
		}
	}
	out, err := programIn(ctx, program, j.home, "--output", "json", "runs", "verify").Output()
	var failed *exec.ExitError
	if err == nil || !errors.As(err, &failed) || failed.ExitCode() != damagedCode {
		j.wrong("kinfra runs verify ended with %v, want code %d", err, damagedCode)
	}
	var said struct {
		Error  struct{ Runs []verified }
		Result struct{ Runs []verified }
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return fmt.Errorf("kinfra runs verify: %w: %s", err, out)
	}
	j.judgeProgram(append(said.Result.Runs, said.Error.Runs...), want)
	return nil
}

// damagedCode is the exit code where a record is damaged.
const damagedCode = 5

// judgeProgram wants the program to call those records damaged that are.
func (j *damagedJournal) judgeProgram(said []verified, want map[string]bool) {
	for _, v := range said {
		isDamaged, mine := want[v.ID]
		if !mine {
			continue
		}
		delete(want, v.ID)
		j.asked++
		switch {
		case v.Verdict == "damaged":
			j.refusedByProgram++
		case v.Dropped:
			j.droppedForProgram++
		}
		if isDamaged != (v.Verdict == "damaged") {
			j.wrong("kinfra runs verify calls a record %s, want damaged: %v", v.Verdict, isDamaged)
		}
	}
	if len(want) > 0 {
		j.wrong("kinfra runs verify doesn't tell of %d records", len(want))
	}
}
