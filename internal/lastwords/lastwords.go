// Package lastwords tells from what a process printed why it failed.
//
// Two rules, and no knowledge of any program. A line decides if it speaks of a failure:
// it has one of a few words, such as "error", "fatal" or "denied", and doesn't count them
// ("0 errors"). The first one of stderr is the reason, else the first one of stdout, else
// the last line of stderr, else that of stdout. Around it a reader wants the end of all.
package lastwords

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/internal/visible"
)

// Line is a line that a process printed, without its end.
type Line struct {
	Text   string
	Stderr bool // not on stdout
}

// Lines are those of two streams whose order is not known.
func Lines(stdout, stderr []byte) []Line {
	var all []Line
	for i, stream := range [][]byte{stdout, stderr} {
		for line := range strings.Lines(string(stream)) {
			all = append(all, Line{strings.TrimRight(line, "\r\n"), i == 1})
		}
	}
	return all
}

const (
	mostLast     = 10  // lines from the end
	mostDeciding = 3   // of those before them
	longest      = 400 // characters of a line
)

// Of is what there is to say of a process that failed: the reason, which is one line, "" if
// it printed nothing; and what it printed: first the lines before the last ones that decide,
// then the last ones. Where the reason is all, there is no more.
func Of(all []Line) (reason string, said []string) {
	lines := seen(all)
	if len(lines) == 0 {
		return "", nil
	}
	reason = Middle(strings.TrimSpace(decisive(lines).Text), longest)
	if len(lines) == 1 {
		return reason, nil
	}
	last := max(0, len(lines)-mostLast)
	for _, l := range lines[:last] {
		if len(said) < mostDeciding && decides(l.Text) {
			said = append(said, Middle(l.Text, longest))
		}
	}
	if len(said) > 0 {
		said = append(said, "…")
	}
	for _, l := range lines[last:] {
		said = append(said, Middle(l.Text, longest))
	}
	return reason, said
}

// seen are the lines that aren't blank.
func seen(all []Line) []Line {
	lines := make([]Line, 0, len(all))
	for _, l := range all {
		if l.Text = strings.TrimRight(strings.ToValidUTF8(l.Text, "\uFFFD"), " \t\r\n"); l.Text != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// decisive is the line of the reason.
func decisive(lines []Line) Line {
	for _, stderr := range []bool{true, false} {
		for _, l := range lines {
			if l.Stderr == stderr && decides(l.Text) {
				return l
			}
		}
	}
	last := lines[len(lines)-1]
	for _, l := range lines {
		if l.Stderr {
			last = l
		}
	}
	return last
}

// The words are compiled when they are first asked for: most processes need none.
var (
	failing = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)error|fatal|panic|fail(ed|ure|s|:)|denied|refused|cannot|can't|can not|could not|couldn't|unable to|not found|no such|not permitted|exception|invalid|undefined|unknown|abort(ed)?\b|killed|timed out|\bERR!`)
	})
	counting = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(0|no|without) (error|fail|warn|exception)|\b(error|failure)s?: 0\b`)
	})
)

// decides tells whether a line speaks of a failure.
func decides(line string) bool {
	return failing().MatchString(line) && !counting().MatchString(line)
}

// Message is an error's text about a process that failed: what happened to it, why, and what
// it printed.
func Message(what string, all []Line) string {
	reason, said := Of(all)
	if reason == "" {
		return what
	}
	var b strings.Builder
	b.WriteString(what + ": " + reason)
	for _, line := range said {
		b.WriteString("\n  | " + line)
	}
	return b.String()
}

// Until is what there is to add to the error of a process that was ended before it was
// done: the last lines that it printed.
func Until(all []Line) string {
	lines := seen(all)
	if len(lines) == 0 {
		return ""
	}
	text := "; until then it printed:"
	for _, l := range lines[max(0, len(lines)-mostLast):] {
		text += "\n  | " + Middle(l.Text, longest)
	}
	return text
}

// Middle is a text of at most so many characters: of a longer one the middle is left out.
func Middle(text string, most int) string {
	if len(text) <= most || utf8.RuneCountInString(text) <= most {
		return text
	}
	const mark = " … "
	runes := []rune(text)
	head := (most - len([]rune(mark))) * 2 / 3
	return string(runes[:head]) + mark + string(runes[len(runes)-(most-head-len([]rune(mark))):])
}

// Command is a command line as its user would type it, on one line.
func Command(args []string) string {
	typed := make([]string, len(args))
	for i, arg := range args {
		if typed[i] = arg; arg == "" || strings.ContainsAny(arg, " \t\n'\"\\$`*?[]{}()<>|&;!~#") {
			typed[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return visible.Line(strings.Join(typed, " "))
}

// Failed is the error's text of a command that ended with a code other than 0. A command
// line that isn't short stands at the end, cut in the middle, so that the reason comes first.
func Failed(args []string, code int, all []Line) string {
	const short, long = 60, 300
	line := Command(args)
	if utf8.RuneCountInString(line) > short {
		program := Command([]string{args[0][strings.LastIndexByte(args[0], '/')+1:]})
		return Message(fmt.Sprintf("%s ended with code %d", program, code), all) + "\nthe command: " + Middle(line, long)
	}
	return Message(fmt.Sprintf("%s ended with code %d", line, code), all)
}
