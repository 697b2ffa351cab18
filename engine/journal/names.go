package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// A run's name is of characters of which no two look alike, without vowels, so that it is no
// word, and without one twice in a row. It begins with a letter, so that it is no number
// either. There are twelve million: one that was removed hardly comes back.
const (
	nameLetters = "cdfhjkmprtwx"
	nameDigits  = "34679"
	nameSize    = 6
)

// newID is a name that no record has.
func (s *Store) newID() (string, error) {
	const tries = 1000 // each fails with the chance of one record in all the names
	for range tries {
		var random [nameSize]byte
		s.world.Env.Random(random[:])
		id := nameOf(random)
		if _, err := s.files.Lstat(id); errors.Is(err, fs.ErrNotExist) {
			return id, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no name was free for the run in %d tries", tries)
}

func nameOf(random [nameSize]byte) string {
	name, alphabet := make([]byte, nameSize), nameLetters
	for i, b := range random {
		name[i] = alphabet[int(b)%len(alphabet)]
		alphabet = strings.ReplaceAll(nameLetters+nameDigits, string(name[i]), "")
	}
	return string(name)
}

// Entry is a record in a list of them.
type Entry struct {
	ID     string
	Time   time.Time // when the run began, as far as a damaged record tells
	Record *Record   // nil if it is damaged
	Err    error     // what is wrong with it then
}

// List is all records, oldest first.
func (s *Store) List() ([]Entry, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, id := range ids {
		switch r, err := s.Read(id); {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			all = append(all, Entry{ID: id, Time: s.began(id), Err: err})
		default:
			all = append(all, Entry{ID: id, Time: r.Events[0].Time, Record: r})
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return all, nil
}

// began is when the run of a damaged record seems to have begun, or when something was last
// done to the record.
func (s *Store) began(id string) time.Time {
	if data, err := s.readOwn(path.Join(id, journalFile), mostJournal); err == nil {
		line, _, _ := bytes.Cut(data, []byte("\n"))
		var e event.Event
		if json.Unmarshal(line, &e) == nil && e.Type == event.RunBegan && !e.Time.IsZero() {
			return e.Time
		}
	}
	for _, name := range []string{path.Join(id, journalFile), id} {
		if info, err := s.files.Lstat(name); err == nil {
			return info.ModTime
		}
	}
	return time.Time{}
}

// Find gives the ID that begins with a text. Where several do, the error is an
// *AmbiguousError.
func (s *Store) Find(text string) (string, error) {
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	if slices.Contains(ids, text) {
		return text, nil
	}
	found := slices.DeleteFunc(ids, func(id string) bool { return text == "" || !strings.HasPrefix(id, text) })
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%q: %w", text, ErrUnknown)
	case 1:
		return found[0], nil
	}
	return "", &AmbiguousError{text, found}
}

// AmbiguousError says that several runs have names that begin with a text.
type AmbiguousError struct {
	Text string
	IDs  []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%q begins the names of %d runs: %s", e.Text, len(e.IDs), strings.Join(e.IDs, ", "))
}

// ErrFewer is returned for a number of a run that is larger than that of the records.
var ErrFewer = errors.New("so many runs are not on record")

// Last gives the ID of the run that began last, or of the one before that, and so on:
// number counts from 1. Of each journal only the first line is parsed.
func (s *Store) Last(number int) (string, error) {
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	var all []Entry
	for _, id := range ids {
		if began := s.began(id); !began.IsZero() { // else it was removed meanwhile
			all = append(all, Entry{ID: id, Time: began})
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	switch {
	case len(all) == 0:
		return "", ErrNone
	case number > len(all):
		return "", fmt.Errorf("@%d: %w: there are %d", number, ErrFewer, len(all))
	}
	return all[len(all)-number].ID, nil
}

// ErrNone is returned where no run is on record.
var ErrNone = errors.New("no run is on record: only workflows with steps leave a record")
