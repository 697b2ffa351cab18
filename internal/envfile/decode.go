package envfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/hint"
	"github.com/ktrdr/kinfra/internal/interpolate"
)

// MaxSize is the most bytes of an environment file.
const MaxSize = 64 << 10

// ErrTooLarge is returned for a file of more than MaxSize bytes.
var ErrTooLarge = errors.New("too large for an environment file")

// SyntaxError says that a file is not one of KEY=value lines.
type SyntaxError struct {
	Line   int    // where the wrong statement begins, counted from 1
	Reason string // what is wrong; never shows a value, which may be a secret
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d of the environment file: %s", e.Line, e.Reason)
}

// Decode reads a file as Compose does; the tests hold it to compose-go's dotenv. Of a
// key that is set twice the last value counts. A $NAME in a value stands for what an
// earlier line has set, never for a variable of the process; a line with a name alone,
// which asks for such a variable, sets nothing.
//
// The error is a *SyntaxError, or an ErrTooLarge.
func Decode(data []byte) (map[string]string, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("reading %d bytes: %w (at most %d)", len(data), ErrTooLarge, MaxSize)
	}
	const byteOrderMark = "\ufeff"
	text := strings.TrimPrefix(string(data), byteOrderMark)
	vars := map[string]string{}
	for rest := text; ; {
		statement := skipBlank(rest)
		if statement == "" {
			return vars, nil
		}
		var err error
		if rest, err = decodeStatement(statement, vars); err != nil {
			line := 1 + strings.Count(text[:len(text)-len(statement)], "\n")
			return nil, hint.Wrap(&SyntaxError{Line: line, Reason: err.Error()},
				"write KEY=value lines, a value with blanks or other special characters in single quotes")
		}
	}
}

// skipBlank takes blank lines and comments off a text.
func skipBlank(text string) string {
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if !strings.HasPrefix(text, "#") {
			return text
		}
		_, text, _ = strings.Cut(text, "\n")
	}
}

// decodeStatement adds the variable that a text begins with, and gives what follows it.
// An error is the reason of a SyntaxError.
func decodeStatement(text string, vars map[string]string) (rest string, err error) {
	name, text, sets, err := decodeName(text)
	if err != nil || !sets {
		return text, err
	}
	value, rest, err := decodeValue(text, vars)
	if err == nil && name != "" {
		vars[name] = value
	}
	return rest, err
}

// decodeName takes the name off a statement, with what separates it from the value. One
// that a line ends with sets nothing.
func decodeName(text string) (name, rest string, sets bool, err error) {
	const export = "export"
	if behind, ok := strings.CutPrefix(text, export); ok && behind != "" && strings.Contains(" \t\n\f\r", behind[:1]) {
		if text = strings.TrimLeftFunc(behind, isBlank); text == "" {
			return "", "", false, errors.New("not a KEY=value line")
		}
	}
	end := strings.IndexFunc(text, func(r rune) bool { return !isBlank(r) && !isKeyRune(r) })
	if end < 0 {
		return "", "", false, nil // a name at the end of the file
	}
	separator, _ := utf8.DecodeRuneInString(text[end:])
	switch separator {
	case '=', ':', '\n':
	default:
		return "", "", false, fmt.Errorf("unexpected character %q in a name", string(separator))
	}
	name = strings.TrimRightFunc(text[:end], unicode.IsSpace)
	if strings.Contains(name, " ") {
		return "", "", false, errors.New("there is a space in a name")
	}
	return name, strings.TrimLeftFunc(text[end+1:], isBlank), separator != '\n', nil
}

func isKeyRune(r rune) bool {
	return strings.ContainsRune("_.-[]", r) || unicode.IsLetter(r) || unicode.IsNumber(r)
}

// isBlank tells whether a character is one that may stand around a name.
func isBlank(r rune) bool { return strings.ContainsRune("\t\v\f\r \u0085\u00a0", r) }

// decodeValue takes the value off a text, and expands the variables in it.
func decodeValue(text string, vars map[string]string) (value, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "'"):
		return cutQuoted(text)
	case strings.HasPrefix(text, `"`):
		if value, rest, err = cutQuoted(text); err == nil {
			value, err = expand(unescape(value), vars)
		}
		return value, rest, err
	}
	value, rest, _ = strings.Cut(text, "\n")
	value, _, _ = strings.Cut(value, " #")
	value, err = expand(strings.TrimRightFunc(value, unicode.IsSpace), vars)
	return value, rest, err
}

// cutQuoted takes a value in quotes off a text. A backslash before the quote keeps it
// from closing, and is gone then.
func cutQuoted(text string) (value, rest string, err error) {
	quote := text[0]
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == quote:
			return out.String(), text[i+1:], nil
		case text[i] == '\\' && i+1 < len(text):
			i++
			if text[i] != quote {
				out.WriteByte('\\')
			}
		}
		out.WriteByte(text[i])
	}
	return "", "", errors.New("a quoted value has no closing quote")
}

func expand(value string, vars map[string]string) (string, error) {
	expanded, err := interpolate.Substitute(value, func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	})
	if missing, ok := errors.AsType[*interpolate.MissingError](err); ok {
		return "", fmt.Errorf("required variable %s is missing a value", missing.Name)
	}
	if err != nil {
		return "", errors.New("a $ that begins no variable's name (a literal one is written in single quotes)")
	}
	return expanded, nil
}

// unescape replaces the escapes that Compose knows in double quotes. A dollar sign that
// is escaped is left to expand.
func unescape(value string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(value, `\`)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		meaning, n := escape(after)
		out.WriteString(meaning)
		value = after[n:]
	}
}

// escape is what a backslash means with the text behind it, and how many bytes of that
// it takes.
func escape(text string) (meaning string, n int) {
	if text == "" {
		return `\`, 0
	}
	const known, meanings = `abfnrtv"\`, "\a\b\f\n\r\t\v\"\\"
	switch i := strings.IndexByte(known, text[0]); {
	case i >= 0:
		return meanings[i : i+1], 1
	case text[0] == '$':
		return "$$", 1
	case text[0] == '0':
		return octal(text[1:])
	}
	return `\`, 0
}

// octal is what \0 means with the text behind it: a character by three octal digits, or
// else a backslash and the digits that there are.
func octal(text string) (meaning string, n int) {
	const most = 3
	digits := 0
	for digits < min(most, len(text)) && '0' <= text[digits] && text[digits] <= '9' {
		digits++
	}
	code := rune(0)
	for i := range digits {
		code = code*8 + rune(text[i]-'0')
	}
	if digits < most || strings.ContainsAny(text[:digits], "89") || code > 0o377 {
		return `\` + text[:digits], 1 + digits
	}
	return string(code), 1 + digits
}
