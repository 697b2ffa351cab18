// Package doc is the documentation of what scripts can call: the builtins, as their
// tables declare them, and the scripts, as their docstrings tell. It finds an entry by
// its name, and writes it as text for a terminal or as JSON. The reference page comes
// from the same tables; see [table.Markdown].
package doc

import (
	"slices"
	"strings"

	"github.com/ktrdr/kinfra/engine/table"
)

// Reference is all that there is to look up.
type Reference struct {
	Modules  []table.Module
	Scripts  []Script
	Examples string // what the examples of the builtins see
}

// Entry is what a name stands for: exactly one of its fields is set.
type Entry struct {
	Module  *table.Module
	Builtin *table.Builtin
	Value   *table.Value
	Script  *Script
}

// Find gives what a name stands for: that of a module ("slot"), of a builtin
// ("slot.ensure", "step"), of a value ("math.pi"), or of a script ("pool.star", whose
// ending may be left out where no builtin has the name).
func (r *Reference) Find(name string) (Entry, bool) {
	for i := range r.Modules {
		m := &r.Modules[i]
		if m.Name == name && name != "" {
			return Entry{Module: m}, true
		}
		for j := range m.Builtins {
			if m.Builtins[j].Name == name {
				return Entry{Builtin: &m.Builtins[j]}, true
			}
		}
		for j := range m.Values {
			if m.Values[j].Name == name {
				return Entry{Value: &m.Values[j]}, true
			}
		}
	}
	for i := range r.Scripts {
		if s := &r.Scripts[i]; s.Name == name || strings.TrimSuffix(s.Name, ".star") == name {
			return Entry{Script: s}, true
		}
	}
	return Entry{}, false
}

// Names is all that Find knows, sorted.
func (r *Reference) Names() []string {
	var names []string
	for _, m := range r.Modules {
		if m.Name != "" {
			names = append(names, m.Name)
		}
		for _, b := range m.Builtins {
			names = append(names, b.Name)
		}
		for _, v := range m.Values {
			names = append(names, v.Name)
		}
	}
	for _, s := range r.Scripts {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// firstSentence is what of a text stands in lists.
func firstSentence(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	line = strings.Join(strings.Fields(line), " ")
	if i := strings.Index(line, ". "); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSuffix(line, ".")
}
