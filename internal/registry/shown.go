package registry

import (
	"strconv"

	"github.com/ktrdr/kinfra/internal/visible"
)

// Shown is a text out of the registry, such as the path of a holder, as it can stand
// within a line: quoted where it has characters that aren't seen. What kinfra enters
// itself has none, but other tools enter what they like, and a line break there must
// not pass for a line of kinfra's.
func Shown(text string) string {
	if visible.Line(text) == text {
		return text
	}
	return visible.Line(strconv.Quote(text))
}
