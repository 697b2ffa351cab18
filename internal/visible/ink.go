package visible

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Ink colours parts of a text. It marks them with a key that nobody outside of the
// process can know, so that what prints the text can tell these colours from escape codes
// that somebody else has put into it. The zero Ink leaves text as it is.
type Ink struct {
	start string // of a mark: "\x1b[KEY;", which "32m" completes
}

// NewInk is an ink with a key of its own. random fills bytes that can't be guessed.
func NewInk(random func([]byte)) Ink {
	var key [8]byte
	random(key[:])
	return Ink{"\x1b[" + strconv.FormatUint(binary.BigEndian.Uint64(key[:]), 10) + ";"}
}

// Blank tells whether the ink colours nothing.
func (i Ink) Blank() bool { return i.start == "" }

// Paint is a text in a colour, which is a number of the code SGR, such as 32 for green.
func (i Ink) Paint(color int, text string) string {
	if i.Blank() || text == "" {
		return text
	}
	return i.start + strconv.Itoa(color) + "m" + text + i.start + "0m"
}

// Text is a text as it can be printed: what was painted has its colours, or where none
// are shown is as if it had not been painted, and all else is as [Text] has it.
func (i Ink) Text(s string, colors bool) string {
	return i.each(s, Text, func(mark string) string {
		if !colors {
			return ""
		}
		return "\x1b[" + mark[len(i.start):]
	})
}

// Line is a text as it can stand within a line, with what was painted as it is, for
// a text that is yet to be printed.
func (i Ink) Line(s string) string {
	return i.each(s, Line, func(mark string) string { return mark })
}

// Remove is a text as it was before parts of it were painted, for what is kept or is
// printed by another process.
func (i Ink) Remove(s string) string {
	return i.each(s, func(part string) string { return part }, func(string) string { return "" })
}

// each replaces the marks in a text, and what is between them.
func (i Ink) each(s string, between, mark func(string) string) string {
	if i.Blank() || !strings.Contains(s, i.start) {
		return between(s)
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, i.start)
		out.WriteString(between(before))
		if !found {
			return out.String()
		}
		color := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		if s = rest[len(color):]; color == "" || !strings.HasPrefix(s, "m") {
			out.WriteString(between(i.start + color)) // the mark was cut in two
			continue
		}
		out.WriteString(mark(i.start + color + "m"))
		s = s[1:]
	}
}
