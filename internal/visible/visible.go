// Package visible shows characters that a reader can't see as what they are.
//
// Text that kinfra prints comes from many hands: whoever names a file, a branch or a
// container, logs a line, or writes to the registry. Some characters in it would rewrite
// a terminal, turn the direction of writing, or hide a part of the text. [Text] writes
// each of them as a string of a script would:
//
//	\x1b \r \a      control characters: C0 and DEL
//	\u009b          control characters: C1
//	\u202e          bidi controls, zero-width characters, line and paragraph separators
//	\U000e0041      tags, and whatever else is beyond U+FFFF
//	\xff            bytes that are not UTF-8
//
// A line break and a tab are layout and stay, but for [Line]. What else stays:
//
//   - U+200D and U+200C, a joiner and a non-joiner, between two letters of a script
//     that is written with them, and U+200D between two emoji;
//   - one variation selector behind a symbol, a letter without case (such as a Chinese
//     character) or, for keycaps, a digit, "#" or "*";
//   - characters that format but are seen, such as the Arabic number sign;
//   - spaces of any width, marks that combine, and characters for private use.
//
// A backslash stays one backslash, so the form can't be told from the same letters in the
// original. Who needs the original reads JSON, in which [JSON] escapes the same characters.
package visible

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is a text as it can be printed. Plain text comes back as it is.
func Text(s string) string { return shown(s, isLayout, appendForm) }

// Line is a text as it can stand within a line: line breaks and tabs are shown, too.
func Line(s string) string { return shown(s, func(byte) bool { return false }, appendForm) }

// JSON is a JSON text with the same value, in which the characters are escaped that Text
// shows.
func JSON(data []byte) []byte {
	s := string(data)
	// Control characters that JSON has raw are blanks between its tokens.
	if out := shown(s, func(c byte) bool { return c < ' ' }, appendJSON); len(out) != len(s) {
		return []byte(out)
	}
	return data
}

func isLayout(c byte) bool { return c == '\n' || c == '\t' }

// shown replaces what isn't seen, but for the control characters that stay.
func shown(s string, stays func(byte) bool, form func(out []byte, char string) []byte) string {
	var out []byte
	done := 0 // up to where out has the text; from there on it is as it was
	before := rune(-1)
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < '\x7f' || c < ' ' && stays(c) {
			before = rune(c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || hidden(r) && !belongs(before, r, s[i+n:]) {
			out = form(append(out, s[done:i]...), s[i:i+n])
			done = i + n
			r = -1
		}
		before = r
		i += n
	}
	if done == 0 {
		return s
	}
	return string(append(out, s[done:]...))
}

// hidden tells whether a character isn't seen, wherever it stands.
func hidden(r rune) bool {
	return unicode.IsControl(r) ||
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point) &&
			!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
)

// belongs tells whether a hidden character is a part of how the text around it is
// written.
func belongs(before, r rune, rest string) bool {
	after, n := utf8.DecodeRuneInString(rest)
	if after == utf8.RuneError && n <= 1 || hidden(after) {
		after = -1 // what comes isn't shown as itself
	}
	switch {
	case r == joiner && isEmoji(before) && isEmoji(after):
		return true
	case r == joiner || r == nonJoiner:
		return joins(before) && joins(after)
	case r == '\ufe0e' || r == '\ufe0f': // as text, as an emoji
		return unicode.IsSymbol(before) && before >= utf8.RuneSelf || strings.ContainsRune("#*0123456789", before)
	case unicode.Is(unicode.Variation_Selector, r):
		return unicode.In(before, unicode.So, unicode.Sm, unicode.Lo) && before >= utf8.RuneSelf
	}
	return false
}

// isEmoji tells whether a joiner may be beside a character in an emoji: it is a symbol,
// a tone of skin, or says that the character before it is shown as an emoji.
func isEmoji(r rune) bool {
	return r >= utf8.RuneSelf && unicode.In(r, unicode.So, unicode.Sk) || r == '\ufe0f'
}

// joins tells whether a character is of a script in which joiners change how letters
// look.
func joins(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Nko, unicode.Mongolian,
		unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil,
		unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar)
}

// appendForm appends a character that isn't seen as what it is.
func appendForm(out []byte, char string) []byte {
	r, n := utf8.DecodeRuneInString(char)
	if r == utf8.RuneError && n == 1 {
		return fmt.Appendf(out, `\x%02x`, char[0])
	}
	quoted := strconv.QuoteRuneToASCII(r)
	return append(out, quoted[1:len(quoted)-1]...)
}

// appendJSON appends a character that isn't seen as JSON escapes it.
func appendJSON(out []byte, char string) []byte {
	r, _ := utf8.DecodeRuneInString(char)
	if first, second := utf16.EncodeRune(r); first != utf8.RuneError {
		return fmt.Appendf(out, `\u%04x\u%04x`, first, second)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
