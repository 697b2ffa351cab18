package event

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Asking is the way in which a question is asked.
type Asking string

// The ways to ask.
const (
	Confirm Asking = "confirm" // answered by true or false
	Choose  Asking = "choose"  // answered by one of the choices
	Write   Asking = "text"    // answered by a text
)

// Question is something that a run asks its user.
type Question struct {
	ID          int             `json:"id"` // from 1, in the order in which the run asks
	Kind        Asking          `json:"kind"`
	Message     string          `json:"message"`
	Choices     []string        `json:"choices,omitempty"`     // of Choose
	Default     json.RawMessage `json:"default,omitempty"`     // the answer if nobody gives another one; nil if there is none
	Pattern     string          `json:"pattern,omitempty"`     // of Write: what the whole of it must match (RE2)
	Irrevocable bool            `json:"irrevocable,omitempty"` // what a yes leads to can't be taken back: there is no default
	Flag        string          `json:"flag,omitempty"`        // of the command line, that answers it
}

// Answer is what was answered, and by whom.
type Answer struct {
	Value json.RawMessage `json:"value"` // a bool for Confirm, else a string
	By    Answerer        `json:"by"`
}

// Answerer is where an answer has come from.
type Answerer string

// Who answers.
const (
	ByTerminal Answerer = "terminal"
	ByStdin    Answerer = "stdin"   // as a line of JSON
	ByYes      Answerer = "--yes"   // the flag
	ByDefault  Answerer = "default" // nobody could be asked
	ByTest     Answerer = "test"    // of a script
)

// WrongAnswer is the error of what was answered, but is no answer to the question.
type WrongAnswer struct{ Message string }

func (e *WrongAnswer) Error() string { return e.Message }

// Yes tells whether an answer to Confirm is yes.
func (a *Answer) Yes() bool { return string(a.Value) == "true" }

// Refused tells whether the answer to an irrevocable question is no, which ends the run.
func (q *Question) Refused(a *Answer) bool { return q.Irrevocable && !a.Yes() }

// Identity is the same for two questions if an answer to one answers the other.
func (q *Question) Identity() string {
	data, err := json.Marshal([]any{q.Kind, q.Message, q.Choices, q.Pattern})
	if err != nil {
		panic(err) // strings have a JSON form
	}
	return string(data)
}

// FromText is the answer of a line that somebody has typed, without its line break. An
// empty one is the default, and no to Confirm without one.
func (q *Question) FromText(line string) (json.RawMessage, error) {
	if line == "" && q.Default != nil {
		return q.Default, nil
	}
	switch q.Kind {
	case Confirm:
		return yesOrNo(line)
	case Choose:
		line = strings.TrimSpace(line)
		if n, err := strconv.Atoi(line); err == nil && !slices.Contains(q.Choices, line) && n >= 1 && n <= len(q.Choices) {
			line = q.Choices[n-1]
		}
	}
	return q.fromString(line)
}

func yesOrNo(line string) (json.RawMessage, error) {
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return json.RawMessage("true"), nil
	case "", "n", "no":
		return json.RawMessage("false"), nil
	}
	return nil, &WrongAnswer{fmt.Sprintf("%q is no answer: want yes or no", line)}
}

// FromJSON is the answer that a JSON value gives.
func (q *Question) FromJSON(data json.RawMessage) (json.RawMessage, error) {
	if q.Kind == Confirm {
		var yes *bool
		if json.Unmarshal(data, &yes) != nil || yes == nil {
			return nil, &WrongAnswer{fmt.Sprintf("%s is no answer: want true or false", data)}
		}
		return json.RawMessage(strconv.FormatBool(*yes)), nil
	}
	var text *string
	if json.Unmarshal(data, &text) != nil || text == nil {
		return nil, &WrongAnswer{fmt.Sprintf("%s is no answer: want a string", data)}
	}
	return q.fromString(*text)
}

// fromString is the answer of a text to Choose or Write.
func (q *Question) fromString(text string) (json.RawMessage, error) {
	switch {
	case !utf8.ValidString(text):
		return nil, &WrongAnswer{fmt.Sprintf("%q is no answer: want UTF-8", text)}
	case q.Kind == Choose && !slices.Contains(q.Choices, text):
		return nil, &WrongAnswer{fmt.Sprintf("%q is no answer: want one of %s", text, strings.Join(q.Choices, ", "))}
	case q.Kind == Write && !q.matches(text):
		return nil, &WrongAnswer{fmt.Sprintf("%q is no answer: want a text that matches %s", text, q.Pattern)}
	case q.Kind == Write && text == "" && q.Pattern == "":
		return nil, &WrongAnswer{"an empty text is no answer"}
	}
	return json.Marshal(text)
}

func (q *Question) matches(text string) bool {
	if q.Pattern == "" {
		return true
	}
	pattern, err := Whole(q.Pattern)
	return err == nil && pattern.MatchString(text)
}

// Whole is a pattern that matches whole texts only.
func Whole(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err // that of the pattern as it was given
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// Shown is an answer for people.
func (a *Answer) Shown() string {
	var text string
	switch {
	case a.Yes():
		return "yes"
	case string(a.Value) == "false":
		return "no"
	case json.Unmarshal(a.Value, &text) != nil:
		return string(a.Value)
	}
	return text
}

// Line is a question, how it was answered, and by whom, in one line; a nil Answer is none.
func (q *Question) Line(a *Answer) string {
	line := strings.ReplaceAll(strings.TrimSpace(q.Message), "\n", " ")
	if !strings.HasSuffix(line, "?") && !strings.HasSuffix(line, ".") {
		line += ":"
	}
	switch {
	case a == nil:
		return line + " (not answered)"
	case a.By == ByDefault:
		return line + " " + a.Shown() + " (by default)"
	case a.By == ByTerminal:
		return line + " " + a.Shown() + " (on the terminal)"
	case a.By == ByTest:
		return line + " " + a.Shown() + " (by the test)"
	case a.By == ByStdin:
		return line + " " + a.Shown() + " (on stdin)"
	}
	return line + " " + a.Shown() + " (by " + string(a.By) + ")"
}
