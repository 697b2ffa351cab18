package table

import (
	"fmt"
	"strings"
)

// Markdown is the reference of modules: for each a section, with a part for each
// builtin that gives its signature, parameters, result and errors. The builtins
// of all modules without a name come first, in one section.
func Markdown(modules []Module) string {
	var b strings.Builder
	sections := sectionsOf(modules)
	for _, m := range sections {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", title(m), anchor(title(m)), m.Doc)
	}
	for _, m := range sections {
		m.markdown(&b)
	}
	return b.String()
}

// universal is what the section of the builtins without a module is called.
const universal = "Without a module"

// sectionsOf is the modules as the reference has them.
func sectionsOf(modules []Module) []Module {
	first := Module{Doc: "what every script can call by its bare name."}
	var named []Module
	for _, m := range modules {
		if m.Name == "" {
			first.Builtins = append(first.Builtins, m.Builtins...)
			first.Values = append(first.Values, m.Values...)
		} else {
			named = append(named, m)
		}
	}
	return append([]Module{first}, named...)
}

func title(m Module) string {
	if m.Name == "" {
		return universal
	}
	return m.Name
}

// anchor is the address of a heading within its page.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(heading), " ", "-")
}

func (m Module) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n", title(m))
	if m.Name != "" {
		fmt.Fprintf(b, "\n%s\n", m.Doc)
	}
	if note := m.Note(); note != "" {
		fmt.Fprintf(b, "\n%s\n", note)
	}
	if len(m.Values) > 0 {
		b.WriteString("\n")
	}
	for _, v := range m.Values {
		fmt.Fprintf(b, "- `%s`: %s\n", v.Name, v.Doc)
	}
	for _, builtin := range m.Builtins {
		builtin.markdown(b)
	}
}

// Note is what a reader must know of a module beside what it is for.
func (m Module) Note() string {
	switch {
	case m.Type:
		return "These are methods of such a value, not of a module."
	case m.Testing:
		return "It is there only in tests, which kinfra test runs."
	}
	return ""
}

func (builtin *Builtin) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n```python\n%s\n```\n\n%s\n", builtin.Name, builtin.Signature(), builtin.Doc)
	if len(builtin.Params) > 0 {
		b.WriteString("\n")
	}
	for _, p := range builtin.Params {
		fmt.Fprintf(b, "- `%s`%s: %s\n", p.Name, p.Describe(), p.Help)
	}
	if builtin.Result != "" {
		fmt.Fprintf(b, "\n**Returns** %s.\n", builtin.Result)
	}
	if builtin.Errors != "" {
		fmt.Fprintf(b, "\n**Errors:** %s\n", builtin.Errors)
	}
	if builtin.Example != "" {
		fmt.Fprintf(b, "\n**Example**\n\n```python\n%s\n```\n", strings.TrimSpace(builtin.Example))
	}
}

// Describe says what a parameter takes, and whether it has to be given.
func (p Param) Describe() string {
	switch {
	case p.Rest:
		return ", any number, each " + p.Type.Name
	case p.Keywords:
		return ", any names of your own, each " + p.Type.Name
	case p.Optional && p.Default == nil:
		return ", " + p.Type.Name + ", optional"
	case p.Optional:
		return fmt.Sprintf(", %s, `%s` if left out", p.Type.Name, p.Default)
	}
	return ", " + p.Type.Name
}

// Signature is how the builtin is called, in the form of a Starlark function's
// head: what stands behind a "*" is given by name. One that is too long for a line
// has a line for each parameter.
func (builtin *Builtin) Signature() string {
	const width = 88
	var parts []string
	onlyNamed := false
	for _, p := range builtin.Params {
		if p.Named && !onlyNamed {
			onlyNamed = true
			if !builtin.takesRest() {
				parts = append(parts, "*")
			}
		}
		parts = append(parts, p.signature())
	}
	line := builtin.Name + "(" + strings.Join(parts, ", ") + ")"
	if len(line) <= width {
		return line
	}
	return builtin.Name + "(\n    " + strings.Join(parts, ",\n    ") + ",\n)"
}

func (builtin *Builtin) takesRest() bool {
	for _, p := range builtin.Params {
		if p.Rest {
			return true
		}
	}
	return false
}

func (p Param) signature() string {
	switch {
	case p.Rest:
		return "*" + p.Name
	case p.Keywords:
		return "**" + p.Name
	case p.Optional && p.Default == nil:
		return p.Name + " = None"
	case p.Optional:
		return p.Name + " = " + p.Default.String()
	}
	return p.Name
}
