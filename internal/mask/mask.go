// Package mask takes values that must not show, such as secrets, out of text: each stands
// there as *** then.
//
// A value is found as it is, and as programs write it into other text: escaped for JSON,
// URLs, shells, HTML and source text, in base64 at each of its three alignments, and in hex.
// The lines of a value of several lines are found by themselves. What a program has made of a
// value otherwise (compressed, encrypted, reversed, taken apart) is not found.
package mask

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Hidden is what stands in the place of a value.
const Hidden = "***"

// Least is how many bytes a value has to have. Shorter ones stand everywhere, so that a text
// without them could no longer be read.
const Least = 6

// Set is the values that must not show. It grows, and text is masked by those that it has
// then. The zero Set has none, as has a nil one; then masking costs nothing. A Set may be used
// by several goroutines.
type Set struct {
	mu     sync.Mutex
	values []string
	forms  atomic.Pointer[forms] // of the values; nil for none
}

// Add adds a value. One of fewer than [Least] bytes, blanks around it not counted, is left
// out: whoever adds values is to refuse it before.
func (s *Set) Add(value string) {
	if len(strings.TrimSpace(value)) < Least {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.values, value) {
		return
	}
	s.values = append(s.values, value)
	s.forms.Store(formsOf(s.values))
}

// Has tells whether a value was added.
func (s *Set) Has(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.values, value)
}

// Empty tells whether there are no values.
func (s *Set) Empty() bool { return s.known() == nil }

func (s *Set) known() *forms {
	if s == nil {
		return nil
	}
	return s.forms.Load()
}

// Text is a text with its values masked.
func (s *Set) Text(text string) string {
	f := s.known()
	if f == nil || !f.in(text) {
		return text
	}
	masked, _, _, _ := f.mask(text, 0, nil, true)
	return string(masked)
}

// Texts is several texts, each with its values masked. Those that it gets stay as they are.
func (s *Set) Texts(texts []string) []string {
	if s.Empty() {
		return texts
	}
	masked := slices.Clone(texts)
	for i, text := range masked {
		masked[i] = s.Text(text)
	}
	return masked
}

// Holds tells whether a text has a value in it.
func (s *Set) Holds(text string) bool {
	f := s.known()
	return f != nil && f.in(text)
}

// Stream masks a text that comes in pieces, which end anywhere. However it is parted, all
// pieces together come out as Text has them. It is for one goroutine at a time.
type Stream struct {
	set     *Set
	held    strings.Builder // what may be the beginning of a value
	covered int             // bytes that follow and belong to a value that was masked already
	forms   *forms          // by which that was told
	open    *begun          // what is known of the forms that begin where held does
}

// Stream masks with the values of the set.
func (s *Set) Stream() Stream { return Stream{set: s} }

// Write gives what can be shown after another piece. It may be the piece itself.
func (s *Stream) Write(piece []byte) []byte {
	f := s.set.known()
	if f == nil {
		return piece
	}
	if f != s.forms {
		s.forms, s.open = f, nil
	}
	s.held.Write(piece)
	text := s.held.String()
	masked, rest, covered, open := f.mask(text, s.covered, s.open, false)
	if s.covered, s.open = covered, open; len(rest) < len(text) {
		s.held.Reset()
		s.held.WriteString(rest)
	}
	return masked
}

// Close gives what is left when no more pieces come.
func (s *Stream) Close() []byte {
	f := s.set.known()
	if f == nil {
		return nil
	}
	masked, _, _, _ := f.mask(s.held.String(), s.covered, nil, true)
	s.held.Reset()
	s.covered, s.open = 0, nil
	return masked
}
