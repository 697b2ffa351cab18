// Package interpolate replaces the variables of a text as Compose does, in its files
// and in environment files:
//
//	$NAME, ${NAME}   its value, nothing where it isn't set
//	${NAME:-word}    word where it isn't set or empty; ${NAME-word}: where it isn't set
//	${NAME:+word}    word where it is set and not empty; ${NAME+word}: where it is set
//	${NAME:?word}    an error where it isn't set or empty; ${NAME?word}: where it isn't set
//	$$               a dollar sign
//
// A word may itself have variables. Any other dollar sign stands for itself, unless a
// brace follows.
//
// The rules are those of compose-go's template package, to which the tests hold this
// one. That compiles a regular expression, and loads a logger, at the start of every
// process that is linked with it: a twentieth of what listing the slots takes.
package interpolate

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is returned for a ${ that begins no well-formed reference.
var ErrInvalid = errors.New("not a well-formed reference to a variable")

// MissingError is returned for a variable that has to be set and isn't.
type MissingError struct {
	Name   string
	Reason string // the text's own words; may be empty
}

func (e *MissingError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("required variable %s is missing a value", e.Name)
	}
	return fmt.Sprintf("required variable %s is missing a value: %s", e.Name, e.Reason)
}

// Lookup gives the value of a variable, and whether it is set.
type Lookup func(name string) (value string, set bool)

// Substitute replaces the variables of a text. The error is an ErrInvalid or a
// *MissingError.
func Substitute(text string, lookup Lookup) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name := leadingName(after)
		switch {
		case name != "":
			value, _ := lookup(name)
			out.WriteString(value)
			text = after[len(name):]
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "{"):
			r, rest, ok := parse(after)
			if !ok {
				return "", ErrInvalid
			}
			value, err := r.resolve(lookup)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			text = rest
		default:
			out.WriteByte('$')
			text = after
		}
	}
}

// CanFail tells whether there may be variables under which Substitute fails: whether a
// reference requires a value, or isn't well-formed.
func CanFail(text string) bool {
	for {
		_, after, found := strings.Cut(text, "$")
		if !found {
			return false
		}
		text = strings.TrimPrefix(after, "$")
		if !strings.HasPrefix(after, "{") {
			continue
		}
		r, rest, ok := parse(after)
		if !ok || r.operator == '?' || CanFail(r.word) {
			return true
		}
		text = rest
	}
}

// reference is what stands between braces.
type reference struct {
	name     string
	colon    bool // an empty value counts as none
	operator byte // '-', '+', '?', or 0
	word     string
}

// parse takes a reference off a text that begins with its opening brace.
func parse(text string) (r reference, rest string, ok bool) {
	r.name = leadingName(text[1:])
	behind := text[1+len(r.name):]
	if r.name == "" {
		return r, "", false
	}
	if plain, ok := strings.CutPrefix(behind, "}"); ok {
		return r, plain, true
	}
	behind, r.colon = strings.CutPrefix(behind, ":")
	if behind == "" || !strings.Contains("-+?", behind[:1]) {
		return r, "", false
	}
	r.operator, behind = behind[0], behind[1:]
	line, _, _ := strings.Cut(behind, "\n")
	last := strings.LastIndexByte(line, '}')
	if last < 0 {
		return r, "", false
	}
	begin := len(text) - len(behind)
	end := closing(text[:begin+last+1])
	r.word = text[begin:end]
	return r, text[end+1:], true
}

// closing is where the brace that a text begins with is closed: the last brace of the
// text, if none before it is. What follows an opening brace is no closing one, so that
// {} can be a word.
func closing(text string) int {
	open := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			open++
			i++
		case '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return len(text) - 1
}

func (r reference) resolve(lookup Lookup) (string, error) {
	value, set := lookup(r.name)
	there := set && (value != "" || !r.colon)
	switch {
	case r.operator == '?' && !there:
		reason, err := Substitute(r.word, lookup)
		if err != nil {
			return "", err
		}
		return "", &MissingError{r.name, reason}
	case r.operator == '-' && !there, r.operator == '+' && there:
		return Substitute(r.word, lookup)
	}
	return value, nil
}

// leadingName is the variable's name that a text begins with, or "".
func leadingName(text string) string {
	for i, r := range text {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == 'ſ' || r == '\u212A' // which fold to s and k
		if !letter && (i == 0 || r < '0' || r > '9') {
			return text[:i]
		}
	}
	return text
}
