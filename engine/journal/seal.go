package journal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/ktrdr/kinfra/internal/world"
)

// mark says up to which line a journal was durable, and the hash of that line. The file
// of the seal has a line for each:
//
//	17 8c1f0d2e4b6a9753 0a1b2c3d
//
// the count of lines, the hash, and a checksum of the two. The first one is durable before
// the record has its name, the others are written after a sync of the journal and not
// synced themselves: a loss of power may take them, or leave a part, so what has no right
// checksum doesn't count. None can say more than is so.
type mark struct {
	count int
	hash  link
}

// appendMark adds the line of a mark.
func appendMark(b []byte, m mark) []byte {
	start := len(b)
	b = append(strconv.AppendInt(b, int64(m.count), 10), ' ')
	b = append(b, m.hash[:]...)
	sum := crc32.ChecksumIEEE(b[start:])
	b = append(b, ' ')
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[sum>>shift&15])
	}
	return append(b, '\n')
}

// parseMark reads a line without its end.
func parseMark(line []byte) (m mark, ok bool) {
	count, rest, _ := bytes.Cut(line, []byte(" "))
	n, err := strconv.Atoi(string(count))
	if err != nil || n < 1 || len(rest) < len(m.hash) {
		return mark{}, false
	}
	m = mark{n, link(rest)}
	return m, string(appendMark(nil, m)) == string(line)+"\n"
}

// sealed is what a seal says. Of a journal of version 1 that was resumed, the first mark
// is that of the lines that have no hashes: its hash is over all of them.
type sealed struct {
	first, last mark
}

var errNoMark = errors.New("it does not begin with a mark that has a right checksum")

func parseSeal(data []byte) (*sealed, error) {
	s := &sealed{}
	for number := 0; len(data) > 0; number++ {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		m, ok := parseMark(line)
		ok = ok && ended
		if number == 0 {
			if !ok {
				break
			}
			s.first = m
		}
		if ok && m.count > s.last.count {
			s.last = m
		}
		data = rest
	}
	if s.first.count == 0 {
		return nil, errNoMark
	}
	return s, nil
}

// sealEvery is how far apart marks are. Where syncs come faster, a mark for each would take
// longer than the rest of a step: lines that come later tell of those before.
const sealEvery = time.Millisecond

// settleAfter is when the last of them is written, if no other sync comes before. To be woken
// sooner would take longer than a step.
const settleAfter = 20 * time.Millisecond

// sealer adds marks to a seal.
type sealer struct {
	world  world.World
	file   world.Appender
	memory []byte    // to be used again
	last   time.Time // when the last mark was written
	owed   mark      // that is to be written; without a count, none is
	waits  bool      // somebody waits to write what is owed
	closed bool
}

// isDue tells whether the mark of a sync is to be written at once.
func (s *sealer) isDue(now time.Time) bool {
	since := now.Sub(s.last)
	return since <= 0 || since >= sealEvery // not above 0: the clock was set, or stands still
}

func (s *sealer) add(m mark, now time.Time) error {
	s.owed, s.last = mark{}, now
	s.memory = appendMark(s.memory[:0], m)
	_, err := s.file.Write(s.memory)
	return err
}

// owe keeps a mark to be written later, and tells whether nobody waits to do so.
func (s *sealer) owe(m mark) (alone bool) {
	s.owed = m
	alone, s.waits = !s.waits, true
	return alone
}

// settle writes what is owed.
func (s *sealer) settle() error {
	if s.owed.count == 0 || s.closed {
		return nil
	}
	return s.add(s.owed, s.world.Clock.Now())
}

func (s *sealer) close() error {
	s.closed = true
	return s.file.Close()
}
