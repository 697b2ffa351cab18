package lint

import (
	"strings"

	"go.starlark.net/syntax"
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

// checkWorkflows finds workflows that can't be found, and those without help.
func (c *Checker) checkWorkflows(u *unit, r *reporter) {
	declared := map[string]int32{}
	for _, call := range c.workflows(u) {
		at := syntax.Start(call)
		if strings.TrimSpace(docstring(u.tree.Stmts)) == "" {
			r.add(ruleHelp, at, "the file has no docstring, which would be the help of its command")
		}
		command := argument(call, -1, "command")
		if command == nil {
			continue // a missing argument
		}
		lit, ok := command.(*syntax.Literal)
		words, isText := "", false
		if ok {
			words, isText = lit.Value.(string)
		}
		name, isName := call.Fn.(*syntax.Ident)
		switch {
		case !isText:
			r.add(ruleWorkflow, syntax.Start(command), "the command must be a string literal, so that it can be found without running the file")
		case !isName || name.Name != "workflow" || at.Col != 1:
			r.add(ruleWorkflow, at, "workflow(…) must begin a line, so that the command can be found without running the file")
		case declared[words] != 0:
			r.add(ruleWorkflow, lit.TokenPos, "the command %q is declared twice: first in line %d", words, declared[words])
		default:
			declared[words] = lit.TokenPos.Line
		}
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
