package engine

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// longestLine is how long a line of a process may be, in bytes; a longer one is parted.
const longestLine = 16 << 10 // and up to one character more

// lines makes lines of what a process prints on a stream, in pieces that end anywhere. Of a
// line that is written over, as a progress bar is, the last state counts.
type lines struct {
	line     []byte // that isn't finished
	returned bool   // the cursor went back to its begin: what comes next takes its place
}

// add takes a piece, and gives the lines that it has finished, with their ends.
func (l *lines) add(piece []byte) (finished string) {
	var out strings.Builder
	for len(piece) > 0 {
		i := bytes.IndexAny(piece, "\r\n")
		if i < 0 {
			l.write(&out, piece)
			break
		}
		l.write(&out, piece[:i])
		if piece[i] == '\n' {
			l.end(&out)
		} else {
			l.returned = true
		}
		piece = piece[i+1:]
	}
	return out.String()
}

// write adds to the line, and parts it where it gets too long.
func (l *lines) write(out *strings.Builder, text []byte) {
	if len(text) == 0 {
		return
	}
	if l.returned {
		l.line, l.returned = l.line[:0], false
	}
	for len(l.line)+len(text) > longestLine+utf8.UTFMax {
		room := longestLine + utf8.UTFMax + 1 - len(l.line)
		l.line, text = append(l.line, text[:room]...), text[room:]
		l.part(out)
	}
	l.line = append(l.line, text...)
}

// part ends the line where it is as long as may be, between two characters.
func (l *lines) part(out *strings.Builder) {
	cut := longestLine
	for cut > longestLine-utf8.UTFMax && !utf8.RuneStart(l.line[cut]) {
		cut--
	}
	out.Write(l.line[:cut])
	out.WriteByte('\n')
	l.line = l.line[:copy(l.line, l.line[cut:])]
}

// end ends the line.
func (l *lines) end(out *strings.Builder) {
	out.Write(l.line)
	out.WriteByte('\n')
	l.line, l.returned = l.line[:0], false
}

// unfinished is the line so far, without a character of which only a part has come.
func (l *lines) unfinished() string {
	for i := len(l.line) - 1; i >= 0 && i >= len(l.line)-utf8.UTFMax; i-- {
		if utf8.RuneStart(l.line[i]) {
			if !utf8.FullRune(l.line[i:]) {
				return string(l.line[:i])
			}
			break
		}
	}
	return string(l.line)
}

// rest is the line that the stream ended with, with an end; "" if there is none.
func (l *lines) rest() string {
	if len(l.line) == 0 {
		return ""
	}
	var out strings.Builder
	l.end(&out)
	return out.String()
}
