package compose

import (
	"maps"
	"strings"
)

// Variable is a variable that a Compose file refers to.
type Variable struct {
	Name       string
	Default    string // what stands for it when it isn't set: 8000 in ${PORT:-8000}; may itself contain variables
	HasDefault bool   // whether there is a default, be it an empty one
	Required   bool   // whether some reference fails when it isn't set: ${PORT:?}
	Line       int    // of the first reference
}

// Variables returns the variables of the file's values, in the order of their
// first use, with the first default that any reference gives. Keys aren't
// interpolated, so there are none in them.
func (f *File) Variables() []Variable {
	var all []Variable
	index := map[string]int{}
	add := func(v Variable) {
		i, seen := index[v.Name]
		if !seen {
			index[v.Name] = len(all)
			all = append(all, v)
			return
		}
		if !all[i].HasDefault && v.HasDefault {
			all[i].Default, all[i].HasDefault = v.Default, true
		}
		all[i].Required = all[i].Required || v.Required
	}
	for _, n := range f.references {
		line := n.line
		for part := range strings.Lines(n.value) {
			if n.literal {
				line++
			}
			eachVariable(part, line, add)
		}
	}
	return all
}

// Complete returns env with a value for each variable that the file requires and env
// lacks: services and ports can then be read where those variables are known only when
// the stack is started.
func (f *File) Complete(env map[string]string) map[string]string {
	const placeholder = "1" // is good for a text, a port and a number of containers
	complete := map[string]string{}
	for _, v := range f.Variables() {
		if v.Required {
			complete[v.Name] = placeholder
		}
	}
	maps.Copy(complete, env)
	return complete
}

// eachVariable calls add for every $NAME and ${NAME…} of one line of text, also
// within defaults. It leaves out what isn't well-formed: that is an error once
// the text is interpolated.
func eachVariable(s string, line int, add func(Variable)) {
	for {
		_, rest, found := strings.Cut(s, "$")
		if !found {
			return
		}
		switch {
		case strings.HasPrefix(rest, "$"): // an escaped dollar sign
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			end := closingBrace(rest)
			if end < 0 {
				s = rest
				continue
			}
			braced(rest[1:end], line, add)
			s = rest[end+1:]
		default:
			name := leadingName(rest)
			if name != "" {
				add(Variable{Name: name, Line: line})
			}
			s = rest[len(name):]
		}
	}
}

// braced handles what stands between the braces of ${…}.
func braced(s string, line int, add func(Variable)) {
	name := leadingName(s)
	if name == "" {
		return
	}
	v := Variable{Name: name, Line: line}
	rest := s[len(name):]
	operator, argument := "", ""
	if bare := strings.TrimPrefix(rest, ":"); bare != "" {
		operator, argument = bare[:1], bare[1:]
	}
	switch operator {
	case "-":
		v.Default, v.HasDefault = argument, true
	case "?":
		v.Required = true
	}
	add(v)
	eachVariable(argument, line, add)
}

// closingBrace returns the index of the brace that closes the one at the
// beginning of s, or -1.
func closingBrace(s string) int {
	open := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

func leadingName(s string) string {
	i := 0
	for i < len(s) && isNameByte(s[i]) && (i > 0 || s[0] < '0' || s[0] > '9') {
		i++
	}
	return s[:i]
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
