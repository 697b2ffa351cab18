package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/internal/world"
)

// candidate is a record that may be removed.
type candidate struct {
	id       string
	began    time.Time
	finished bool // nothing is left to do about the run
}

// prune removes records beyond those that are kept.
func (s *Store) prune() error {
	ids, err := s.ids()
	if err != nil || len(ids) <= s.keep {
		return err
	}
	var all []candidate
	for _, id := range ids {
		if c, ok := s.candidate(id); ok {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return b.began.Compare(a.began) })
	left := map[bool]int{} // by whether nothing is left to do about the run
	for _, c := range all {
		if left[c.finished]++; left[c.finished] > s.keep {
			if err := s.remove(c.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidate looks at a record. It is not ok while a process is at it, or if nothing is known
// of it.
func (s *Store) candidate(id string) (c candidate, ok bool) {
	if began, passed := s.passed(id); passed {
		return candidate{id, began, true}, true
	}
	switch r, err := s.Read(id); {
	case errors.Is(err, fs.ErrNotExist), world.IsSystemError(err):
		return candidate{}, false
	case err != nil:
		return candidate{id, s.began(id), false}, true
	default:
		return candidate{id, r.Events[0].Time, !r.Unfinished()}, !r.Running
	}
}

// passed tells whether the last line of a record's journal says that the run has passed, and
// when it began. Most runs have, and each new one looks at all of them: to read fifty whole
// journals takes longer than many a run.
func (s *Store) passed(id string) (began time.Time, ok bool) {
	data, err := s.readOwn(path.Join(id, journalFile), mostJournal)
	if err != nil {
		return time.Time{}, false
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	head, _, _ := bytes.Cut(data, []byte("\n"))
	var first, last journalLine
	ok = parseLine(data[bytes.LastIndexByte(data, '\n')+1:], &last) == nil && last.Type == event.RunEnded && last.Status == event.Passed
	ok = ok && parseLine(head, &first) == nil && first.Type == event.RunBegan
	return first.Time, ok
}

// remove renames a record to what clear removes, unless a process has begun to resume it.
func (s *Store) remove(id string) error {
	unlock, err := s.tryLock(id)
	switch {
	case errors.Is(err, world.ErrHeld):
		return nil
	case isDamaged(err): // it has no journal that could be resumed
	case err != nil:
		return err
	default:
		defer unlock()
	}
	return s.files.Rename(id, world.TempName(s.world, id))
}
