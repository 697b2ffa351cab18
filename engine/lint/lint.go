// Package lint finds faults in scripts without running them: what would fail when the
// script is loaded or run, and what its author can't have meant.
//
// It is built to raise no false alarm. A rule speaks only of what it can be sure of, so
// a value whose type or a function whose body isn't known passes. What scripts can call
// comes from the tables in which the builtins are declared, and loads lead through the
// layers as at run time, so that neither can drift from what a run does.
//
// A file is looked at in two passes. The first (unit.go) parses it, resolves its names
// and follows its loads, and is done once for each file, also for those that others
// load. The second holds one rule after the other against the files that are asked
// about.
package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/layer"
	"github.com/ktrdr/kinfra/engine/table"
)

// Finding is a fault in a script.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // in characters, from 1
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// String is the finding as a line without its end: "file:line:column: message [rule]".
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s [%s]", f.File, f.Line, f.Column, f.Message, f.Rule)
}

// Config is what scripts are checked against.
type Config struct {
	Layers  *layer.Stack
	Modules []table.Module // all builtins, the engine's own included
	Dialect *syntax.FileOptions

	Commands []string // what scripts can't call their commands, since the binary has it: "version"
	Flags    []string // the same of flags, and of their letters: "help", "h"
}

// Checker checks scripts. It remembers the files that it has read, and is not safe for
// concurrent use.
type Checker struct {
	config  Config
	bare    map[string]*table.Builtin // those without a module
	modules map[string]*members
	units   map[string]*unit // by the path that messages give
	loading []*unit          // those whose first pass is under way, outermost first

	commands map[*layer.Layer]map[string][]*unit // by their words: the files at the top of a layer that declare each
}

// members is what a module has.
type members struct {
	builtins map[string]*table.Builtin
	names    []string // of builtins and values
}

// New makes a checker.
func New(config Config) *Checker {
	c := &Checker{config: config, bare: map[string]*table.Builtin{}, modules: map[string]*members{}, units: map[string]*unit{}, commands: map[*layer.Layer]map[string][]*unit{}}
	for i := range config.Modules {
		switch m := &config.Modules[i]; {
		case m.Type:
		case m.Name == "":
			for j := range m.Builtins {
				c.bare[m.Builtins[j].Name] = &m.Builtins[j]
			}
		default:
			c.modules[m.Name] = membersOf(m)
		}
	}
	return c
}

func membersOf(m *table.Module) *members {
	prefix := len(m.Name) + 1
	all := &members{builtins: make(map[string]*table.Builtin, len(m.Builtins))}
	for i := range m.Builtins {
		name := m.Builtins[i].Name[prefix:]
		all.builtins[name] = &m.Builtins[i]
		all.names = append(all.names, name)
	}
	for _, v := range m.Values {
		all.names = append(all.names, v.Name[prefix:])
	}
	return all
}

// known tells whether a name is one of the builtins or modules.
func (c *Checker) known(name string) bool {
	return c.bare[name] != nil || c.modules[name] != nil || starlark.Universe.Has(name)
}

// builtinNames is what a script can name without defining it.
func (c *Checker) builtinNames() []string {
	return slices.Concat(slices.Sorted(maps.Keys(c.bare)), slices.Sorted(maps.Keys(c.modules)), starlark.Universe.Keys())
}

// Check gives the findings in a file, sorted by their place.
func (c *Checker) Check(file layer.File) []Finding {
	u := c.unit(file)
	findings := slices.Clone(u.faults)
	if u.tree != nil {
		r := &reporter{unit: u, names: &suggester{}}
		for _, rule := range c.passes() {
			rule(u, r)
		}
		findings = append(findings, r.findings...)
	}
	findings = u.unsuppressed(findings)
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}

// passes is the second pass: each looks through a file for the faults of a rule, or of
// a few.
func (c *Checker) passes() []func(*unit, *reporter) {
	return []func(*unit, *reporter){
		c.checkAttributes, c.checkCalls, checkUnused, c.checkUnreachable, c.checkStepNames, c.checkCaptures,
		c.checkWorkflows, c.checkChanges, c.checkRecursion, c.checkKeys, c.checkFormats, c.checkEffects,
	}
}

// reporter collects the findings in a file.
type reporter struct {
	unit     *unit
	names    *suggester
	findings []Finding
}

func (r *reporter) add(rule string, at syntax.Position, format string, args ...any) {
	r.findings = append(r.findings, found(rule, at, format, args...))
}

// mostText is how many bytes of a text from a script stand in a message.
const mostText = 1000

// short is a text as it stands in a message: the name of a function may be as long as its
// file, and be in as many findings as there are lines.
func short(text string) string {
	if len(text) <= mostText {
		return text
	}
	return strings.ToValidUTF8(text[:mostText], "") + "…"
}

func found(rule string, at syntax.Position, format string, args ...any) Finding {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = short(text)
		}
	}
	return Finding{File: at.Filename(), Line: int(at.Line), Column: int(at.Col), Rule: rule, Message: fmt.Sprintf(format, args...)}
}
