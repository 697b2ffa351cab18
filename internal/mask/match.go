package mask

import (
	"math/bits"
	"strings"
)

// form is a text that gives a value away.
type form struct {
	text string

	// broken is behind how many bytes the form may go on after a blank or a line break, as
	// base64 and hex do that programs break into lines; 0: nowhere.
	broken int

	escaped escaping // of its characters
}

// forms is all forms of some values.
type forms struct {
	by    [256][]form                // those that may begin with a byte
	pairs [256 * 256 / wordBits]uint // a bit for each pair of bytes with which one may begin
}

const wordBits = bits.UintSize

func formsOf(values []string) *forms {
	var all forms
	seen := map[form]bool{}
	for _, value := range values {
		for _, f := range formsOfValue(value) {
			if !seen[f] {
				seen[f] = true
				all.add(f)
			}
		}
	}
	return &all
}

func (fs *forms) add(f form) {
	for _, c := range f.begins() {
		fs.by[c] = append(fs.by[c], f)
		for _, next := range f.follows(c) {
			pair := int(c)<<8 | int(next)
			fs.pairs[pair/wordBits] |= 1 << (pair % wordBits)
		}
	}
}

// begin tells whether one of the forms may begin where a text does, of which there must be
// some. It is a quick look, and mostly says no.
func (fs *forms) begin(text string) bool {
	if len(text) == 1 {
		return len(fs.by[text[0]]) > 0
	}
	pair := int(text[0])<<8 | int(text[1])
	return fs.pairs[pair/wordBits]&(1<<(pair%wordBits)) != 0
}

// in tells whether a text has one of the forms in it.
func (fs *forms) in(text string) bool {
	for i := range len(text) {
		if n, _ := fs.longest(text[i:]); n > 0 {
			return true
		}
	}
	return false
}

// mask gives a text without what belongs to a form in it: of forms that overlap, all. The
// first bytes may belong to one that has begun before. Unless the text ends here, the rest is
// what can't be told before more of it is known; the bytes covered behind it belong to a form.
func (fs *forms) mask(text string, covered int, ends bool) (masked []byte, rest string, left int) {
	masked = make([]byte, 0, len(text))
	i := 0
	for ; i < len(text); i++ {
		n, open := fs.longest(text[i:])
		if open && !ends {
			break
		}
		if n > covered {
			if covered == 0 {
				masked = append(masked, Hidden...)
			}
			covered = n
		}
		if covered > 0 {
			covered--
		} else {
			masked = append(masked, text[i])
		}
	}
	return masked, text[i:], covered
}

// longest is how long the longest form is with which a text begins, 0 for none; and whether
// it is the beginning of a longer one.
func (fs *forms) longest(text string) (n int, open bool) {
	if !fs.begin(text) {
		return 0, false
	}
	for _, f := range fs.by[text[0]] {
		length, more := f.match(text)
		n, open = max(n, length), open || more
	}
	return n, open
}

// match is how much of the beginning of a text is the form, 0 for none; and whether all of
// the text is a beginning of the form.
func (f form) match(text string) (n int, open bool) {
	switch {
	case f.broken > 0:
		return f.matchBroken(text)
	case f.escaped != asIs || strings.Contains(f.text, "\n"):
		return f.matchEscaped(text)
	}
	return prefix(text, f.text)
}

func (f form) matchBroken(text string) (n int, open bool) {
	at := 0 // in the text
	for i := range len(f.text) {
		if i >= f.broken {
			at += blanks(text[at:])
		}
		if at >= len(text) {
			return 0, true
		}
		if text[at] != f.text[i] {
			return 0, i >= f.broken && text[at:] == `\` // which may be half a line break
		}
		at++
	}
	return at, false
}

// blanks is how many bytes at the beginning of a text are blanks or line breaks, or line
// breaks as JSON and source text have them.
func blanks(text string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case strings.IndexByte(" \t\r\n", text[i]) >= 0:
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r'):
			i++
		default:
			return i
		}
	}
	return len(text)
}
