package project

import (
	"strconv"
	"strings"
	"unicode"
)

// poolName makes a name for a pool, which is also that of its Compose projects: lower
// case letters, digits and dashes, beginning with a letter or digit.
func poolName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}, text)
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return strings.Trim(name, "-_")
}

// word makes a text one that a port can be named by: lower case letters, digits and
// underscores.
func word(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(poolName(text), "-", "_"), "__", "_")
}

// variableName makes the name of a variable from words.
func variableName(words ...string) string {
	name := strings.ToUpper(strings.Join(words, "_"))
	name = strings.ReplaceAll(name, "-", "_")
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// unique is a name, or one with a number behind it, that isn't taken.
func unique(name, separator string, taken func(string) bool) string {
	candidate := name
	for n := 2; taken(candidate); n++ {
		candidate = name + separator + strconv.Itoa(n)
	}
	return candidate
}

func joined(all []string) string { return strings.Join(all, ", ") }
