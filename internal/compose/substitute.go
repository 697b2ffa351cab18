package compose

import (
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
)

// substitute replaces the variables of a text as compose-go does. What nearly all
// texts consist of, it replaces itself, without compose-go's regular expressions: they
// made up a fifth of a whole process that has six slots to check.
func substitute(s string, lookup func(name string) (string, bool)) (string, error) {
	references, rest, ok := plainReferences(s)
	if !ok {
		return template.Substitute(s, lookup)
	}
	var b strings.Builder
	for _, ref := range references {
		b.WriteString(ref.before)
		value, _ := lookup(ref.name)
		if value == "" {
			value = ref.fallback
		}
		b.WriteString(value)
	}
	b.WriteString(rest)
	return b.String(), nil
}

// reference is a ${NAME} or ${NAME:-fallback}, and the text before it.
type reference struct {
	before, name, fallback string
}

// plainReferences takes a text apart whose dollar signs all begin a ${NAME} or a
// ${NAME:-fallback} on one line without variables or opening braces in the fallback.
func plainReferences(s string) (all []reference, rest string, ok bool) {
	for {
		before, after, found := strings.Cut(s, "${")
		if strings.Contains(before, "$") {
			return nil, "", false
		}
		if !found {
			return all, before, true
		}
		inner, behind, closed := strings.Cut(after, "}")
		name := leadingName(inner)
		fallback, hasFallback := strings.CutPrefix(inner[len(name):], ":-")
		if !closed || name == "" || fallback != "" && !hasFallback || strings.ContainsAny(fallback, "${\n") {
			return nil, "", false
		}
		all = append(all, reference{before, name, fallback})
		s = behind
	}
}
