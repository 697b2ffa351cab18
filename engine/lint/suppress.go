package lint

import (
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/syntax"
)

// ignore is a comment that suppresses findings:
//
//	# kinfra: ignore[rule] because …
type ignore struct {
	at    syntax.Position
	line  int // whose findings it suppresses
	rules []string
	used  map[string]bool
}

// marker matches the beginning of such a comment, however it goes on.
const marker = `^#\s*kinfra:\s*ignore\b`

// whole matches such a comment: its rules, and why.
const whole = `^#\s*kinfra:\s*ignore\[([^\]]*)\]\s+because\s+(\S.*)$`

// unsuppressed is the findings that no comment suppresses, and what is wrong with the
// comments that should.
func (u *unit) unsuppressed(findings []Finding) []Finding {
	if !strings.Contains(string(u.file.Data), "kinfra:") {
		return findings
	}
	ignores, wrong := u.ignores()
	type what struct {
		line int
		rule string
	}
	first := map[what]*ignore{}
	for _, i := range slices.Backward(ignores) {
		for _, rule := range i.rules {
			first[what{i.line, rule}] = i
		}
	}
	left := slices.DeleteFunc(findings, func(f Finding) bool {
		i := first[what{f.Line, f.Rule}]
		if i != nil {
			i.used[f.Rule] = true
		}
		return i != nil
	})
	if u.tree != nil { // else the rules have not been held against it
		for _, i := range ignores {
			for _, rule := range i.rules {
				if !i.used[rule] {
					wrong = append(wrong, found(ruleIgnore, i.at, "there is no finding of the rule %q to suppress in line %d", rule, i.line))
				}
			}
		}
	}
	return append(left, wrong...)
}

// ignores is the suppressing comments of a file, and what is wrong with them.
func (u *unit) ignores() (all []*ignore, wrong []Finding) {
	names := &suggester{}
	begins, form := regexp.MustCompile(marker), regexp.MustCompile(whole)
	path := u.file.Path()
	for _, c := range comments(u.file.Data) {
		if !begins.MatchString(c.text) {
			continue
		}
		at := syntax.MakePosition(&path, int32(c.line), int32(c.column))
		parts := form.FindStringSubmatch(strings.TrimRight(c.text, " \t"))
		if parts == nil {
			wrong = append(wrong, found(ruleIgnore, at, "want the rules and why: # kinfra: ignore[rule] because …"))
			continue
		}
		i := &ignore{at: at, line: c.line, used: map[string]bool{}}
		if c.alone {
			i.line = c.next
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			name = strings.TrimSpace(name)
			switch {
			case !isRule(name):
				wrong = append(wrong, found(ruleIgnore, at, "there is no rule %q%s", name, names.suggest(name, ruleNames)))
			case name == ruleSyntax || name == ruleIgnore:
				wrong = append(wrong, found(ruleIgnore, at, "the rule %q can't be suppressed", name))
			default:
				i.rules = append(i.rules, name)
			}
		}
		all = append(all, i)
	}
	return all, wrong
}

func isRule(name string) bool { return slices.Contains(ruleNames(), name) }

func ruleNames() []string {
	var names []string
	for _, r := range Rules() {
		names = append(names, r.Name)
	}
	return names
}

// comment is a comment of a script.
type comment struct {
	line, column int
	text         string // from its # to the end of the line
	alone        bool   // nothing stands before it in its line
	next         int    // the first line after it that isn't a comment alone
}

// comments finds the comments of a text, whether it parses or not.
func comments(data []byte) []comment {
	var all []comment
	quote := "" // of the string that a line begins in
	for n, line := range strings.Split(lineEnds.Replace(string(data)), "\n") {
		var at int
		at, quote = commentIn(line, quote)
		if at < 0 {
			continue
		}
		alone := strings.TrimSpace(line[:at]) == ""
		c := comment{line: n + 1, column: len([]rune(line[:at])) + 1, text: line[at:], alone: alone, next: n + 2}
		all = append(all, c)
	}
	for i := len(all) - 2; i >= 0; i-- {
		if below := all[i+1]; below.alone && below.line == all[i].next {
			all[i].next = below.next
		}
	}
	return all
}

// commentIn is where in a line its comment begins, -1 if it has none, and the quotes of
// the string in which the line ends, "" if it ends in none.
func commentIn(line, quote string) (at int, open string) {
	for i := 0; i < len(line); {
		rest := line[i:]
		switch {
		case quote == "" && rest[0] == '#':
			return i, ""
		case quote == "" && (rest[0] == '"' || rest[0] == '\''):
			quote = rest[:1]
			if strings.HasPrefix(rest, strings.Repeat(quote, 3)) {
				quote = rest[:3]
			}
			i += len(quote)
		case quote != "" && rest[0] == '\\':
			i += 2
		case quote != "" && strings.HasPrefix(rest, quote):
			i += len(quote)
			quote = ""
		default:
			i++
		}
	}
	if len(quote) == 1 && !strings.HasSuffix(line, "\\") {
		quote = "" // a string of one line that doesn't end
	}
	return -1, quote
}
