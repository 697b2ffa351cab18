// Package envfile writes and reads files of KEY=value lines that two readers
// must understand alike: Compose, as its .env or with --env-file, and a POSIX
// shell that sources them.
//
// The readers agree on little. Compose's rules are those of compose-go's dotenv
// package:
//
//   - unquoted, a value ends at " #", loses trailing blanks, keeps its
//     backslashes, and has $NAME expanded;
//   - in single quotes all is literal, except that a backslash before the closing
//     quote keeps it from closing;
//   - in double quotes $NAME is expanded, and more escapes are known than in a
//     shell (\n is a newline), but not the one before a backquote;
//   - quoted parts can't be joined.
//
// So a value is written plain where it consists of characters that mean nothing
// to either, else in single quotes, else in double quotes, and refused where
// none of these comes back the same from both.
package envfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/visible"
)

var (
	// ErrKey is returned for a key that can't be a variable's name.
	ErrKey = errors.New("not a variable name")

	// ErrValue is returned for a value that can't be written so that Compose and
	// a shell both read it as it is.
	ErrValue = errors.New("value can't be written to an environment file")
)

// Encode returns vars as KEY=value lines, sorted by key, with a final newline;
// without variables, nothing. Compose and a POSIX shell both read the given
// values back.
//
// The error is an ErrKey for a key that isn't [A-Za-z_][A-Za-z0-9_]* or that a
// shell keeps for itself, and an ErrValue for a value with a line break or a NUL
// in it, one that isn't UTF-8, and one that no way of quoting preserves. It
// names the key and never shows the value, which may be a secret. An ErrTooLarge
// is returned for more than MaxSize bytes, which Decode would refuse.
func Encode(vars map[string]string) ([]byte, error) {
	out, err := lines(vars, func(key, _, quoted string) string { return key + "=" + quoted })
	if err != nil {
		return nil, err
	}
	if len(out) > MaxSize {
		return nil, fmt.Errorf("writing %d bytes: %w (at most %d)", len(out), ErrTooLarge, MaxSize)
	}
	return out, nil
}

// Export returns vars as lines "export KEY=value" for a POSIX shell to evaluate. They can
// be printed: a value with characters that aren't seen has printf make it, from octal
// numbers. The errors are an ErrKey and an ErrValue, as those of Encode.
func Export(vars map[string]string) ([]byte, error) {
	return lines(vars, func(key, value, quoted string) string {
		if visible.Text(quoted) != quoted {
			quoted = `"$(printf '` + asOctal(value) + `')"`
		}
		return "export " + key + "=" + quoted
	})
}

// lines is a line for each variable, sorted by key.
func lines(vars map[string]string, line func(key, value, quoted string) string) ([]byte, error) {
	var out bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		quoted, err := quote(vars[key])
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", key, err)
		}
		out.WriteString(line(key, vars[key], quoted) + "\n")
	}
	return out.Bytes(), nil
}

// asOctal is a text for printf, in which all but the characters of plain values are numbers.
func asOctal(value string) string {
	var out strings.Builder
	for i := range len(value) {
		if c := value[i]; c != '%' && isPlain(value[i:i+1]) {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, `\%03o`, c)
		}
	}
	return out.String()
}

func checkKey(key string) error {
	if !isName(key) {
		return hint.Wrap(fmt.Errorf("environment variable %q: %w", key, ErrKey),
			"use letters, digits and _, and begin with a letter or _")
	}
	if ownedByShell(key) {
		return hint.Wrap(fmt.Errorf("environment variable %s: shells keep it for themselves: %w", key, ErrKey),
			"choose another name")
	}
	return nil
}

func isName(key string) bool {
	for i := range len(key) {
		if !isNameByte(key[i], i == 0) {
			return false
		}
	}
	return key != ""
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && '0' <= c && c <= '9'
}

// quote returns value as it stands behind the equals sign.
func quote(value string) (string, error) {
	if err := checkValue(value); err != nil {
		return "", err
	}
	switch {
	case isPlain(value):
		return value, nil
	case !strings.Contains(value, "'") && trailingBackslashes(value)%2 == 0:
		return "'" + value + "'", nil
	case !strings.Contains(value, "`"):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value) + `"`, nil
	}
	return "", hint.Wrap(
		fmt.Errorf("%w: beside a backquote there is a single quote, or a backslash at its end, and Compose and shells read no quoting of these alike", ErrValue),
		"take the backquote out of the value")
}

// checkValue refuses what is no text, and line breaks: Compose and shells do
// read them in quotes, but others read these files line by line, and to those a
// value could pretend to be further variables.
func checkValue(value string) error {
	switch {
	case strings.ContainsRune(value, 0):
		return hint.Wrap(fmt.Errorf("%w: it contains a NUL byte", ErrValue), "take the NUL byte out of the value")
	case strings.ContainsAny(value, "\n\r"):
		return hint.Wrap(fmt.Errorf("%w: it contains a line break", ErrValue), "write the value on one line")
	case !utf8.ValidString(value):
		return hint.Wrap(fmt.Errorf("%w: it is not valid UTF-8", ErrValue), "use names and values in UTF-8")
	}
	return nil
}

// isPlain tells whether neither reader gives any character of value a meaning.
// An empty value is plain. The tilde isn't: a shell expands it after a colon, too.
func isPlain(value string) bool {
	for i := range len(value) {
		c := value[i]
		if !isNameByte(c, false) && !strings.ContainsRune("%+,-./:=@", rune(c)) {
			return false
		}
	}
	return true
}

// trailingBackslashes counts the backslashes at value's end. Compose reads them
// in pairs, so an odd one would escape the closing quote.
func trailingBackslashes(value string) int {
	return len(value) - len(strings.TrimRight(value, `\`))
}

// ownedByShell tells whether a shell refuses an assignment to key, or does not
// give back what was assigned: the variables that bash or dash keep readonly or
// compute.
func ownedByShell(key string) bool {
	switch key {
	case "_", "BASHOPTS", "BASHPID", "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME",
		"GROUPS", "HISTCMD", "LINENO", "OPTIND", "PIPESTATUS", "PPID", "RANDOM", "SECONDS", "SHELLOPTS",
		"SRANDOM", "UID":
		return true
	}
	return strings.HasPrefix(key, "BASH_")
}
