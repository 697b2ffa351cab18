package envfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"

	"github.com/ktrdr/kinfra/internal/hint"
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

// Decode reads a file as Compose does, with compose-go's dotenv. Of a key that is
// set twice the last value counts. A $NAME in a value stands for what an earlier
// line has set, never for a variable of the process; a line with a name alone,
// which asks for such a variable, sets nothing.
//
// The error is a *SyntaxError, or an ErrTooLarge.
func Decode(data []byte) (map[string]string, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("reading %d bytes: %w (at most %d)", len(data), ErrTooLarge, MaxSize)
	}
	vars, err := dotenv.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, hint.Wrap(&SyntaxError{Line: findError(string(data)), Reason: reason(err)},
			"write KEY=value lines, a value with blanks or other special characters in single quotes")
	}
	delete(vars, "") // what dotenv makes of a line without a name
	return vars, nil
}

// findError returns the line where the first statement that doesn't parse begins.
// It reads the file anew, statement by statement, since the lines in dotenv's
// errors are missing or, for a quote that never ends, those of the file's end.
func findError(data string) int {
	known := map[string]string{}
	lookup := func(name string) (string, bool) {
		value, ok := known[name]
		return value, ok
	}
	start, line := 1, 0
	var statement strings.Builder
	for text := range strings.Lines(data) {
		line++
		statement.WriteString(text)
		vars, err := dotenv.ParseWithLookup(strings.NewReader(statement.String()), lookup)
		if isUnterminated(err) {
			continue // a value of several lines
		}
		if err != nil {
			return start
		}
		for key, value := range vars {
			known[key] = value
		}
		start = line + 1
		statement.Reset()
	}
	return min(start, max(line, 1))
}

const (
	unterminated = "unterminated quoted value"
	unexpected   = "unexpected character "
	spaceInKey   = "key cannot contain a space"
)

func isUnterminated(err error) bool {
	return err != nil && strings.Contains(err.Error(), unterminated)
}

// reason says what is wrong without dotenv's quotation of the line.
func reason(err error) string {
	if missing, ok := errors.AsType[*template.MissingRequiredError](err); ok {
		return "required variable " + missing.Variable + " is missing a value"
	}
	if _, ok := errors.AsType[*template.InvalidTemplateError](err); ok {
		return "a $ that begins no variable's name (a literal one is written in single quotes)"
	}
	message := err.Error()
	switch {
	case isUnterminated(err):
		return "a quoted value has no closing quote"
	case strings.Contains(message, spaceInKey):
		return "there is a space in a name"
	case strings.Contains(message, unexpected):
		_, rest, _ := strings.Cut(message, unexpected)
		char, _, _ := strings.Cut(rest, " in variable name")
		return "unexpected character " + char + " in a name"
	}
	return "not a KEY=value line"
}
