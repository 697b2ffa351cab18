package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// What somebody types, and what a program sends, are answers or are refused with what is
// wanted.
func TestAnswers(t *testing.T) {
	confirm := &Question{Kind: Confirm}
	likely := &Question{Kind: Confirm, Default: json.RawMessage("true")}
	choose := &Question{Kind: Choose, Choices: []string{"a", "3", "b"}}
	standard := &Question{Kind: Choose, Choices: []string{"a", "b"}, Default: json.RawMessage(`"b"`)}
	text := &Question{Kind: Write}
	version := &Question{Kind: Write, Pattern: "v[0-9]+|"}
	for _, c := range []struct {
		q     *Question
		given string
		json  bool
		want  string
		wrong string
	}{
		{confirm, "y", false, "true", ""}, {confirm, " YES ", false, "true", ""}, {confirm, "n", false, "false", ""}, {confirm, "", false, "false", ""},
		{confirm, "maybe", false, "", `"maybe" is no answer: want yes or no`},
		{likely, "", false, "true", ""}, {likely, "no", false, "false", ""},
		{choose, "a", false, `"a"`, ""}, {choose, " 1 ", false, `"a"`, ""}, {choose, "3", false, `"3"`, ""}, {choose, "2", false, `"3"`, ""},
		{choose, "4", false, "", `"4" is no answer: want one of a, 3, b`}, {choose, "0", false, "", `"0" is no`}, {choose, "", false, "", `"" is no answer`},
		{standard, "", false, `"b"`, ""},
		{text, "x y", false, `"x y"`, ""}, {text, "", false, "", "an empty text is no answer"}, {text, "\xff", false, "", "want UTF-8"},
		{version, "v12", false, `"v12"`, ""}, {version, "", false, `""`, ""}, {version, "v1x", false, "", `"v1x" is no answer: want a text that matches v[0-9]+|`},
		{version, "v1\n", false, "", "is no answer"},
		{confirm, "true", true, "true", ""}, {confirm, " false", true, "false", ""}, {confirm, `"yes"`, true, "", `"yes" is no answer: want true or false`},
		{confirm, "null", true, "", "null is no answer: want true or false"}, {likely, "null", true, "", "null is no answer"},
		{choose, `"b"`, true, `"b"`, ""}, {choose, `"1"`, true, "", `"1" is no answer: want one of`}, {choose, "1", true, "", "1 is no answer: want a string"},
		{text, `"é\n"`, true, `"é\n"`, ""}, {text, "null", true, "", "want a string"},
	} {
		from := func() (json.RawMessage, error) { return c.q.FromText(c.given) }
		if c.json {
			from = func() (json.RawMessage, error) { return c.q.FromJSON(json.RawMessage(c.given)) }
		}
		got, err := from()
		wrong, isWrong := errors.AsType[*WrongAnswer](err)
		switch {
		case c.wrong == "" && (err != nil || string(got) != c.want):
			t.Errorf("%s %q: %s, %v, want %s", c.q.Kind, c.given, got, err, c.want)
		case c.wrong != "" && (!isWrong || !strings.Contains(wrong.Message, c.wrong)):
			t.Errorf("%s %q: %s, %v, want %s", c.q.Kind, c.given, got, err, c.wrong)
		}
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		message, value string
		by             Answerer
		want           string
	}{
		{"Go on?", "true", ByYes, "Go on? yes (by --yes)"},
		{"This removes a.\nAnd b.", "false", ByTerminal, "This removes a. And b. no (on the terminal)"},
		{"Name", `"x"`, ByDefault, "Name: x (by default)"},
		{"Name", `"x"`, ByStdin, "Name: x (on stdin)"},
		{"Name", `"x"`, ByTest, "Name: x (by the test)"},
		{"Name", "", "", "Name: (not answered)"},
	} {
		var a *Answer
		if c.value != "" {
			a = &Answer{json.RawMessage(c.value), c.by}
		}
		if got := (&Question{Message: c.message}).Line(a); got != c.want {
			t.Errorf("it is %q, want %q", got, c.want)
		}
	}
}
