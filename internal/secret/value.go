package secret

import (
	"errors"
	"fmt"
	"io"

	"github.com/ktrdr/kinfra/internal/mask"
)

// hidden is what shows of a secret.
const hidden = mask.Hidden

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
