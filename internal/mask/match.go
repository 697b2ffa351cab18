package mask

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// form is a text that gives a value away.
type form struct {
	text string

	// Behind how many bytes the form may go on after blanks, and after a line break, as base64
	// and hex do that programs part; 0: nowhere.
	parted, broken int

	escaped escaping // of its characters
}

// forms is all forms of some values, by what a text begins with that may be one of them. How
// many there are hardly counts for how long a look takes.
type forms struct {
	pairs    [256 * 256 / wordBits]uint        // a bit for each pair of bytes with which one may begin
	plain    [mostPlain + 1]map[string][]*form // by so many bytes that are written as they are
	openings map[opening][]*form               // by the first character, for texts in which it isn't
}

const wordBits = bits.UintSize

// mostPlain is by how many bytes forms are told apart before they are looked for one by one.
const mostPlain = 4

// opening is the first character of a form, and how it may be written.
type opening struct {
	escaped escaping
	first   rune
}

func formsOf(values []string) *forms {
	all := forms{openings: map[opening][]*form{}}
	for i := range all.plain {
		all.plain[i] = map[string][]*form{}
	}
	seen := map[form]bool{}
	for _, value := range values {
		for _, f := range formsOfValue(value) {
			if !seen[f] {
				seen[f] = true
				all.add(&f)
			}
		}
	}
	return &all
}

func (fs *forms) add(f *form) {
	for n := 1; n <= min(mostPlain, len(f.text)) && isPlain(f.text[n-1]); n++ {
		fs.plain[n][f.text[:n]] = append(fs.plain[n][f.text[:n]], f)
	}
	first, _ := utf8.DecodeRuneInString(f.text)
	at := opening{f.escaped, first}
	fs.openings[at] = append(fs.openings[at], f)
	for _, c := range f.begins() {
		for _, next := range f.follows(c) {
			pair := int(c)<<8 | int(next)
			fs.pairs[pair/wordBits] |= 1 << (pair % wordBits)
		}
	}
}

// isPlain tells whether a byte stands for itself wherever a form has it. The others may begin
// an escape, or stand where the form is parted.
func isPlain(c byte) bool {
	switch c {
	case '\\', '%', '+', ' ', '\t', '\r', '\n':
		return false
	}
	return true
}

// mayBegin tells whether one of the forms may begin where a text does, of which there must be
// some. It is a quick look, and mostly says no.
func (fs *forms) mayBegin(text string) bool {
	if len(text) == 1 {
		return true
	}
	pair := int(text[0])<<8 | int(text[1])
	return fs.pairs[pair/wordBits]&(1<<(pair%wordBits)) != 0
}

// in tells whether a text has one of the forms in it.
func (fs *forms) in(text string) bool {
	for i := range len(text) {
		if fs.begin(text[i:]).longest > 0 {
			return true
		}
	}
	return false
}

// mask gives a text without what belongs to a form in it: of forms that overlap, all. The
// first bytes may belong to one that has begun before, and of those that begin with the text
// something may be known. Unless the text ends here, the rest is what can't be told before more
// of it is known: then the bytes covered behind it belong to a form, and open is what is known
// of those that begin with it.
func (fs *forms) mask(text string, covered int, known *begun, ends bool) (masked []byte, rest string, left int, open *begun) {
	for i := range len(text) {
		var b begun
		if i == 0 && known != nil {
			b = fs.goOn(known, text)
		} else {
			b = fs.begin(text[i:])
		}
		if b.open && !ends {
			return masked, text[i:], covered, &b
		}
		if i == 0 {
			masked = make([]byte, 0, len(text))
		}
		if b.longest > covered {
			if covered == 0 {
				masked = append(masked, Hidden...)
			}
			covered = b.longest
		}
		if covered > 0 {
			covered--
		} else {
			masked = append(masked, text[i])
		}
	}
	return masked, "", covered, nil
}

// begun is what is known of the forms that begin where a text does.
type begun struct {
	longest int       // how long the longest is that is all there, 0 for none
	open    bool      // the text ends within another one
	partial []partial // those; none while the text is too short for a look at each
}

func (fs *forms) begin(text string) (b begun) {
	if !fs.mayBegin(text) {
		return b
	}
	n := 0
	for n < min(mostPlain, len(text)) && isPlain(text[n]) {
		n++
	}
	switch all := fs.plain[n][text[:n]]; {
	case n > 0 && n == len(text) && n < mostPlain:
		b.open = len(all) > 0
		return b
	case n > 0:
		b.take(all, text)
		return b
	}
	for at, all := range fs.openings {
		if n, open := at.escaped.character(text, at.first); n > 0 || open {
			b.take(all, text)
		}
	}
	return b
}

// take looks for forms from their beginning on.
func (b *begun) take(all []*form, text string) {
	for _, f := range all {
		b.follow(partial{form: f}, text)
	}
}

// goOn is what is known when there is more of the text.
func (fs *forms) goOn(b *begun, text string) begun {
	if len(b.partial) == 0 {
		return fs.begin(text)
	}
	more := begun{longest: b.longest}
	for _, p := range b.partial {
		more.follow(p, text)
	}
	return more
}

func (b *begun) follow(p partial, text string) {
	switch whole, open := p.goOn(text); {
	case whole:
		b.longest = max(b.longest, p.at)
	case open:
		b.open, b.partial = true, append(b.partial, p)
	}
}

// partial is a form of which a text has the first bytes, so far as it was looked at.
type partial struct {
	*form
	found int // bytes of the form
	at    int // how many of the text they are
}

// goOn looks for the rest of the form, and tells whether it is all there, or else whether the
// text ends within it.
func (p *partial) goOn(text string) (whole, open bool) {
	if p.broken == 0 && p.escaped == asIs && !strings.Contains(p.text[p.found:], "\n") {
		n := min(len(p.text)-p.found, len(text)-p.at)
		if p.text[p.found:p.found+n] != text[p.at:p.at+n] {
			return false, false
		}
		p.found, p.at = p.found+n, p.at+n
		return p.found == len(p.text), true
	}
	for p.found < len(p.text) {
		size, n, open := 1, 0, false
		if p.broken > 0 {
			n, open = p.digit(text[p.at:])
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(p.text[p.found:])
			n, open = p.escaped.character(text[p.at:], r)
		}
		if n == 0 {
			return false, open
		}
		p.found, p.at = p.found+size, p.at+n
	}
	return true, false
}

// digit is how many bytes at the beginning of a text are the next digit of a form that may be
// parted, with what parts it, 0 for none; and, with 0, whether the text ends before it.
func (p *partial) digit(text string) (n int, open bool) {
	if p.found >= p.parted {
		n, open = blanks(text, p.found >= p.broken)
	}
	switch {
	case n == len(text):
		return 0, n < mostBlanks
	case n >= mostBlanks || text[n] != p.text[p.found]:
		return 0, open
	}
	return n + 1, false
}

// mostBlanks is how many bytes of blanks and line breaks a form is not looked for behind: no
// program indents text by so much, and what may be a form is not shown before it is known.
const mostBlanks = 64

// blanks is how many bytes at the beginning of a text are blanks or, with breaks, line breaks,
// also as JSON and source text have them; and whether it ends in half of one.
func blanks(text string, breaks bool) (n int, half bool) {
	for n < min(len(text), mostBlanks) {
		switch c := text[n]; {
		case c == ' ' || c == '\t' || breaks && (c == '\r' || c == '\n'):
			n++
		case breaks && c == '\\' && n+1 == len(text):
			return n, true
		case breaks && c == '\\' && (text[n+1] == 'n' || text[n+1] == 'r'):
			n += 2
		default:
			return n, false
		}
	}
	return n, false
}
