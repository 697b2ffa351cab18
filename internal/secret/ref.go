// Package secret reads secrets where they are kept, when they are needed, and keeps
// what it has read from showing.
//
// A [Ref] says where a secret is kept. There is nothing secret in it. A [Value] is
// what is kept there: it prints as ***, has no JSON, and only [Value.Reveal] gives it.
//
// Everything fails closed. Where a value can't be had beyond doubt there is an error,
// never an empty value. No error holds a value, what somebody may have given in the
// place of a reference, or what a program has printed that was asked for one.
package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

var (
	// ErrInvalid is returned for a text that is no reference, and for a name that a
	// secret's variable can't have.
	ErrInvalid = errors.New("invalid secret")

	// ErrUnavailable is returned where a secret can't be had from where it is kept.
	ErrUnavailable = errors.New("secret is not available")
)

// Ref says where a secret is kept. The zero Ref leads nowhere.
type Ref struct {
	scheme string // one of the following
	place  string // a variable's name, a path, or VAULT/ITEM/FIELD
}

const (
	envScheme  = "env://"
	fileScheme = "file://"
	opScheme   = "op://"
)

// Parse reads a reference:
//
//   - env://NAME is a variable of the caller's environment;
//   - file:///PATH and file://~/PATH are a file, below the home directory with the
//     latter; the path is taken as it stands, without %-escapes;
//   - op://VAULT/ITEM/FIELD and op://VAULT/ITEM/SECTION/FIELD are a field of
//     1Password, with what its secret references may consist of: letters and digits
//     of ASCII, "-", "_", "." and spaces, and attributes behind a "?".
//
// The error is an ErrInvalid, and doesn't show the text, which may be the secret
// itself, given by mistake.
func Parse(text string) (Ref, error) {
	for _, known := range []struct {
		scheme string
		valid  func(string) bool
		want   string
	}{
		{envScheme, isName, "a variable's name: letters, digits and _"},
		{fileScheme, isPath, "an absolute path to a file, or one that begins with ~/"},
		{opScheme, isField, "VAULT/ITEM/FIELD or VAULT/ITEM/SECTION/FIELD: letters, digits, - _ . and spaces (for other names there are ids)"},
	} {
		place, ok := strings.CutPrefix(text, known.scheme)
		if !ok {
			continue
		}
		if !known.valid(place) {
			return Ref{}, fmt.Errorf("%w: want behind %s %s", ErrInvalid, known.scheme, known.want)
		}
		return Ref{known.scheme, place}, nil
	}
	return Ref{}, fmt.Errorf("%w: want where it is kept, not what it is: env://NAME, file:///PATH, file://~/PATH or op://VAULT/ITEM/FIELD", ErrInvalid)
}

// String is the reference as Parse reads it.
func (r Ref) String() string { return r.scheme + r.place }

// CheckName tells why a variable that holds a secret can't have this name, or nil. The
// error is an ErrInvalid. Names by which programs and Docker find what they work with
// are refused, since the caller's environment has those.
func CheckName(name string) error {
	switch {
	case !isName(name):
		return fmt.Errorf("%w: the variable %q: a name has letters, digits and _, and doesn't begin with a digit", ErrInvalid, name)
	case world.Locates(name), name == "PWD", strings.HasPrefix(name, "DOCKER_"), strings.HasPrefix(name, "COMPOSE_"):
		return fmt.Errorf("%w: the variable %s decides what Docker Compose works on, and can't be one", ErrInvalid, name)
	}
	return nil
}

func isName(text string) bool {
	for i, c := range []byte(text) {
		if c != '_' && !isLetter(c) && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return text != ""
}

func isPath(text string) bool {
	path := strings.TrimPrefix(text, "~")
	return filepath.IsAbs(path) && !strings.HasSuffix(path, "/") && !strings.ContainsRune(path, 0)
}

// isField tells whether 1Password's documentation allows the reference:
// https://developer.1password.com/docs/cli/secret-reference-syntax
func isField(text string) bool {
	path, attributes, hasAttributes := strings.Cut(text, "?")
	parts := strings.Split(path, "/")
	if len(parts) < 3 || len(parts) > 4 || hasAttributes && attributes == "" {
		return false
	}
	for _, part := range parts {
		if strings.TrimSpace(part) == "" || !consistsOf(part, "-_. ") {
			return false
		}
	}
	return consistsOf(attributes, "-_=&")
}

// consistsOf tells whether text has nothing but letters, digits and those others.
func consistsOf(text, others string) bool {
	for _, c := range []byte(text) {
		if !isLetter(c) && !isDigit(c) && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
