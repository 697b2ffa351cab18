package secret

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// hidden is what shows of a secret.
const hidden = "***"

// Value is a secret. The zero Value is one that wasn't read; it reveals ***, for what
// wants a variable set, and doesn't use it.
type Value struct {
	// text is a pointer, since fmt asks no methods of what stands in unexported
	// fields of others: it would print a string there, and prints an address.
	text *string
}

// Reveal is the secret itself. Whoever calls it is to hand it on to where it is used,
// and to nothing else.
func (v Value) Reveal() string {
	if v.text == nil {
		return hidden
	}
	return *v.text
}

// Known tells whether the secret was read.
func (v Value) Known() bool { return v.text != nil }

// String is ***.
func (v Value) String() string { return hidden }

// GoString is ***.
func (v Value) GoString() string { return hidden }

// Format prints *** for all verbs.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalJSON always fails.
func (v Value) MarshalJSON() ([]byte, error) { return nil, errors.New("a secret has no JSON form") }

// leastLine is how many bytes a line of a secret has to have to be looked for by
// itself: shorter ones stand everywhere, as the brackets of JSON do.
const leastLine = 4

// Redact returns text, which another program has printed, with *** in the place of
// the values: as they are, as Go's %q has them, and each line of one that has several. What a program has encoded otherwise is not found.
func Redact(text string, values ...Value) string {
	var forms []string
	for _, v := range values {
		if !v.Known() {
			continue
		}
		forms = append(forms, *v.text)
		for line := range strings.Lines(*v.text) {
			if line = strings.TrimSpace(line); len(line) >= leastLine {
				forms = append(forms, line)
			}
		}
	}
	for _, form := range forms {
		quoted := strconv.Quote(form)
		forms = append(forms, quoted[1:len(quoted)-1])
	}
	// The longest first: one may be the beginning of another.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, hidden)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
