package mask

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// escaping is how the characters of a form may be written where they mean something.
type escaping int

const (
	asIs      escaping = iota
	inString           // with a backslash: in JSON, source text, and shells
	inString2          // in such a string within another one
	inString3          // and once more
	inURL              // with %
)

// character is how many bytes at the beginning of a text are a character, 0 for none; and,
// with 0, whether the text ends within one that may be it.
func (e escaping) character(text string, r rune) (n int, open bool) {
	if n, open = e.single(text, r); n > 0 || r != '\n' {
		return n, open
	}
	before, more := e.single(text, '\r') // a line break of another system
	if before == 0 {
		return 0, open || more
	}
	n, open = e.single(text[before:], '\n')
	if n == 0 {
		return 0, open
	}
	return before + n, false
}

func (e escaping) single(text string, r rune) (n int, open bool) {
	if text == "" {
		return 0, true
	}
	switch {
	case e == inURL && r == ' ' && text[0] == '+':
		return 1, false
	case e == inURL && text[0] == '%':
		return codes(text, string(r), "%", 16)
	case e >= inString && e <= inString3 && text[0] == '\\':
		return backslashed(text, r, int(e))
	}
	return prefix(text, string(r))
}

// prefix is how long what is there, at the beginning of a text.
func prefix(text, there string) (n int, open bool) {
	if strings.HasPrefix(text, there) {
		return len(there), false
	}
	return 0, len(text) < len(there) && strings.HasPrefix(there, text)
}

// backslashed is single for a text that begins with backslashes, in strings of which so many
// are around each other: each doubles the backslashes of the one inside.
func backslashed(text string, r rune, strings int) (n int, open bool) {
	run := 0
	for run < len(text) && text[run] == '\\' {
		run++
	}
	own := 1 << strings // of a character that is a backslash
	if r == '\\' && run >= own {
		return own, false
	}
	if run == len(text) {
		return 0, run < own
	}
	for ; own > 1; own /= 2 { // some may have no need of an escape further inside
		switch {
		case run == own-1 && r < utf8.RuneSelf && !isWord(byte(r)) && text[run] == byte(r):
			return run + 1, false
		case run == own/2:
			if n, more := named(text, r, run); n > 0 || more {
				return n, more
			}
		}
	}
	return 0, false
}

// named is single for a text that begins with the backslashes of an escape such as \n, \u00e4,
// \xe4 or \303\244.
func named(text string, r rune, run int) (n int, open bool) {
	mark, rest := text[:run], text[run:]
	const names, meant = "abfnrtve", "\a\b\f\n\r\t\v\x1b"
	switch c := rest[0]; {
	case c == 'u' && r > 0xffff && !strings.HasPrefix(rest, "u{"):
		high, low := utf16.EncodeRune(r)
		return several(text, []string{mark + "u" + digits(high, 4), mark + "u" + digits(low, 4)})
	case c == 'u' && strings.HasPrefix(rest, "u{"):
		return several(text, []string{mark + "u{" + digits(r, 1) + "}"})
	case c == 'u':
		return several(text, []string{mark + "u" + digits(r, 4)})
	case c == 'U':
		return several(text, []string{mark + "U" + digits(r, 8)})
	case c == 'x':
		if r <= 0xff {
			if n, open = several(text, []string{mark + "x" + digits(r, 2)}); n > 0 || open {
				return n, open
			}
		}
		return codes(text, string(r), mark+"x", 16)
	case '0' <= c && c <= '7':
		return codes(text, string(r), mark, 8)
	default:
		i := strings.IndexRune(meant, r)
		if i >= 0 && names[i] == c {
			return run + 1, false
		}
	}
	return 0, false
}

func digits(r rune, least int) string {
	text := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, least-len(text))) + text
}

// codes is how long the bytes of a character are, each written with its number behind a mark.
func codes(text, character, mark string, base int) (n int, open bool) {
	parts := make([]string, len(character))
	for i := range len(character) {
		number := strconv.FormatInt(int64(character[i]), base)
		width := 2
		if base == 8 {
			width = 3
		}
		parts[i] = mark + strings.Repeat("0", width-len(number)) + number
	}
	return several(text, parts)
}

// several is how long parts are, one behind the other, at the beginning of a text; the digits
// in them may be of either case.
func several(text string, parts []string) (n int, open bool) {
	whole := strings.Join(parts, "")
	if len(text) >= len(whole) {
		if strings.EqualFold(text[:len(whole)], whole) {
			return len(whole), false
		}
		return 0, false
	}
	return 0, strings.EqualFold(text, whole[:len(text)])
}
