package lint

import (
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/layer"
)

// workflows is the calls of workflow at the top level of a file.
func (c *Checker) workflows(u *unit) []*syntax.CallExpr {
	var all []*syntax.CallExpr
	for _, stmt := range u.tree.Stmts {
		e, ok := stmt.(*syntax.ExprStmt)
		if !ok {
			continue
		}
		if call, ok := e.X.(*syntax.CallExpr); ok {
			if fn := c.callee(u, call.Fn); fn.builtin != nil && fn.builtin.Name == "workflow" {
				all = append(all, call)
			}
		}
	}
	return all
}

// checkWorkflows finds workflows that can't be found, those without help, and names that
// are taken.
func (c *Checker) checkWorkflows(u *unit, r *reporter) {
	declared := map[string]int32{}
	documented := strings.TrimSpace(docstring(u.tree.Stmts)) != ""
	flags := map[*syntax.DictExpr]bool{} // that were looked at
	for _, call := range c.workflows(u) {
		at := syntax.Start(call)
		if !documented {
			r.add(ruleHelp, at, "the file has no docstring, which would be the help of its command")
		}
		if dict := flagsOf(u, call); dict != nil && !flags[dict] {
			flags[dict] = true
			c.checkFlagNames(u, dict, r)
		}
		command := argument(call, -1, "command")
		if command == nil {
			continue // a missing argument
		}
		lit, words := commandOf(call)
		switch {
		case lit == nil:
			r.add(ruleWorkflow, syntax.Start(command), "the command must be a string literal, so that it can be found without running the file")
		case !canBeFound(call):
			r.add(ruleWorkflow, at, "workflow(…) must begin a line, so that the command can be found without running the file")
		case declared[words] != 0:
			r.add(ruleWorkflow, lit.TokenPos, "the command %q is declared twice: first in line %d", words, declared[words])
		default:
			declared[words] = lit.TokenPos.Line
			c.checkCommandName(u, lit, words, r)
		}
	}
}

// commandOf is the command of a workflow, if that is a string literal.
func commandOf(call *syntax.CallExpr) (lit *syntax.Literal, words string) {
	lit, ok := argument(call, -1, "command").(*syntax.Literal)
	if !ok {
		return nil, ""
	}
	words, ok = lit.Value.(string)
	if !ok {
		return nil, ""
	}
	return lit, words
}

// canBeFound tells whether a call of workflow stands where the scan for commands looks.
func canBeFound(call *syntax.CallExpr) bool {
	name, isName := call.Fn.(*syntax.Ident)
	return isName && name.Name == "workflow" && syntax.Start(call).Col == 1
}

// checkCommandName finds a command that is the binary's own, or that another file of the
// layer declares, too: without a word, only the first of them is run. What stands
// elsewhere than at the top of a layer is run by its path, and may be called anything.
func (c *Checker) checkCommandName(u *unit, lit *syntax.Literal, words string, r *reporter) {
	if !c.declares(u.file) {
		return
	}
	if slices.Contains(c.config.Commands, words) {
		r.add(ruleWorkflow, lit.TokenPos, "the command %q is one of kinfra's own, which goes before this", words)
		return
	}
	all := c.commandsOf(u.file.Layer)[words]
	for _, other := range all {
		switch {
		case other.file.Path() == u.file.Path():
		case all[0].file.Path() == u.file.Path():
			r.add(ruleWorkflow, lit.TokenPos, "the command %q is declared by %s, too, where it is never run", words, other.file.Path())
		case other == all[0]:
			r.add(ruleWorkflow, lit.TokenPos, "the command %q is declared by %s, too, and it is that which is run", words, other.file.Path())
		}
	}
}

// declares tells whether what a file declares is a command of the layers.
func (c *Checker) declares(file layer.File) bool {
	return !strings.Contains(file.Name, "/") && slices.Contains(c.config.Layers.Layers, file.Layer)
}

// commandsOf is the commands that the files of a layer declare, each with its files in
// the order in which they are looked through.
func (c *Checker) commandsOf(l *layer.Layer) map[string][]*unit {
	if all, known := c.commands[l]; known {
		return all
	}
	all := map[string][]*unit{}
	c.commands[l] = all
	names, err := l.Scripts()
	if err != nil {
		return all // what can't be listed is for others to say
	}
	for _, name := range names {
		file, err := l.Read(name)
		if err != nil {
			continue
		}
		u := c.unit(file)
		if u.tree == nil {
			continue
		}
		for _, call := range c.workflows(u) {
			if _, words := commandOf(call); words != "" && canBeFound(call) && !slices.Contains(all[words], u) {
				all[words] = append(all[words], u)
			}
		}
	}
	return all
}

// flagsOf is the flags of a workflow, nil if they aren't known.
func flagsOf(u *unit, call *syntax.CallExpr) *syntax.DictExpr {
	var flags syntax.Node = argument(call, -1, "flags")
	if id, ok := flags.(*syntax.Ident); ok {
		if v := u.variable(id); v != nil {
			flags = v.value
		}
	}
	dict, _ := flags.(*syntax.DictExpr)
	return dict
}

// checkFlagNames finds flags whose name or letter is the binary's own.
func (c *Checker) checkFlagNames(u *unit, flags *syntax.DictExpr, r *reporter) {
	for _, e := range flags.List {
		entry, ok := e.(*syntax.DictEntry)
		if !ok {
			continue
		}
		c.checkFlagName(entry.Key, r)
		if declared, ok := unparen(entry.Value).(*syntax.CallExpr); ok && c.callee(u, declared.Fn).builtin != nil {
			c.checkFlagName(argument(declared, -1, "short"), r)
		}
	}
}

func (c *Checker) checkFlagName(e syntax.Expr, r *reporter) {
	lit, ok := e.(*syntax.Literal)
	if !ok {
		return
	}
	text, _ := lit.Value.(string)
	if name := strings.ReplaceAll(text, "_", "-"); slices.Contains(c.config.Flags, name) {
		r.add(ruleWorkflow, lit.TokenPos, "the flag name %q is one of the binary's own", name)
	}
}

// docstring is the text that a file begins with, "" if it doesn't.
func docstring(all []syntax.Stmt) string {
	if len(all) == 0 {
		return ""
	}
	if e, ok := all[0].(*syntax.ExprStmt); ok {
		if lit, ok := e.X.(*syntax.Literal); ok {
			text, _ := lit.Value.(string)
			return text
		}
	}
	return ""
}
