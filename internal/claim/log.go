package claim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/world"
)

// File is where kinfra keeps what it knows of its claims, below the root: a log of
// facts, a line for each transaction. A line is its checksum, a space and a JSON object.
// The first one says all that was known when it was written, and the format's version.
const File = "kinfra/claims.log"

const (
	logVersion = 2        // of 1, claims have no origin, and slots no volumes by name
	logMax     = 64 << 20 // bytes; the claim of a slot takes some 300

	// logGrowth is by how many bytes the log grows before it is written anew, unless its
	// first line has more. So what a reader has to read stays in proportion to what there
	// is to be known, and one transaction in fifty costs another file.
	logGrowth = 16 << 10

	// sumDigits is how many digits of a line's SHA-256, hexadecimal, stand before it.
	sumDigits = 16

	logDepth = 8 // levels of nesting of a line; it has 4
)

// readLedger reads the log; where there is none, nothing is known.
func (p *Pool) readLedger() (*ledger, error) {
	info, err := p.files.Lstat(File)
	var data []byte
	switch {
	case err == nil && !info.Mode.IsRegular():
		err = world.ErrNotRegular
	case err == nil:
		data, err = p.files.ReadFile(File, logMax)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newLedger(), nil
	case world.IsSystemError(err): // it may be whole, and must not be given up
		return nil, fmt.Errorf("reading the record of claims: %w; nothing was changed", err)
	}
	var l *ledger
	if err == nil {
		l, err = parseLog(data)
	}
	if err != nil {
		path := filepath.Join(p.store.Root(), filepath.FromSlash(File))
		err = fmt.Errorf("%w: %s: %w; nothing was changed", ErrDamaged, path, err)
		return nil, hint.Wrap(err, "move it away to go on without it: who holds what stays in the registry, leases and tokens are lost")
	}
	return l, nil
}

// parseLog reads a log up to where a loss of power, a full disk or a kill has cut an
// append short. It refuses what kinfra wouldn't have written.
func parseLog(data []byte) (*ledger, error) {
	l := newLedger()
	l.data = data
	rest, whole := string(data), false
	for n := 1; rest != ""; n++ {
		var line string
		line, rest, whole = strings.Cut(rest, "\n")
		text, ok := checkSum(line)
		if !ok && !whole { // the end of the line may be what is damaged
			text, ok = checkSum(line[:len(line)-1])
		}
		if !ok && n > 1 && (!whole || isHole(line) && !outlasts(rest)) {
			l.torn = true
			return l, nil
		}
		err := errors.New("its content has not the checksum before it")
		if ok {
			err = l.readLine(text, n == 1)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if n == 1 {
			l.head, l.old = len(line)+1, isOld(text)
		}
	}
	if l.head == 0 {
		return nil, errors.New("it is empty")
	}
	l.torn = !whole
	return l, nil
}

// isHole tells whether a line has what a loss of power leaves where something was added
// and written, but not what is before it: zeros from the end of what was durable, where a
// line begins, or from that of a block on. No other line has that, nor one in which a bit
// has changed.
func isHole(line string) bool {
	return strings.HasPrefix(line, "\x00") || strings.Contains(line, "\x00\x00")
}

// outlasts tells whether among lines that follow a hole there is one that was durable
// together with all before it, so that the hole is no loss of power. The last one was
// not, where the power failed before it was acknowledged.
func outlasts(lines string) bool {
	durable := false
	for line := range strings.Lines(lines) {
		text, ok := checkSum(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		if durable {
			return true
		}
		durable = lasts(text)
	}
	return false
}

// checkSum takes the checksum off a line, and tells whether it is right.
func checkSum(line string) (text string, ok bool) {
	sum, text, ok := strings.Cut(line, " ")
	return text, ok && sum == hashOf([]byte(text))[:sumDigits]
}

// logLine is a line that says this.
func logLine(text []byte) []byte {
	line := append([]byte(hashOf(text)[:sumDigits]), ' ')
	return append(append(line, text...), '\n')
}

// change is what makes the log say all that is known: a line more, or a log anew.
func (l *ledger) change() world.Change {
	c := world.Change{Name: File, Old: l.data, Mode: fileMode}
	if l.data == nil || l.old || l.torn || len(l.data)-l.head > max(l.head, logGrowth) {
		c.Data = logLine(l.facts.json(logVersion))
		return c
	}
	c.Data, c.Append, c.Unsynced = logLine(l.news.json(0)), true, !l.lasting
	return c
}
