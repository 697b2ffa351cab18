package registry

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shown is a text out of the registry, such as the path of a holder, as it can stand
// within a line: quoted where it has characters that aren't seen. What kinfra enters
// itself has none, but other tools enter what they like, and a line break there must
// not pass for a line of kinfra's.
func Shown(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unseen) {
		return text
	}
	return strconv.Quote(text)
}

func unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
