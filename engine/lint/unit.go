package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/layer"
)

// unit is a file after the first pass.
type unit struct {
	file    layer.File
	tree    *syntax.File // nil if it doesn't parse
	faults  []Finding    // what keeps the file from being loaded
	loading bool         // the first pass is under way: a load of it closes a cycle

	loads   map[*syntax.LoadStmt]*unit  // nil for what can't be loaded
	vars    map[*syntax.Ident]*variable // by the identifier that introduces each
	globals map[string]*variable
	locals  map[string]bool // what the file loads itself
	labels  map[string]resolved

	scopes    []*scope               // all functions, in the order of the text; the file itself first
	functions map[syntax.Node]*scope // the same, by their *syntax.DefStmt or *syntax.LambdaExpr
	loops     map[*syntax.ForStmt]*loop

	// What was found out already.
	structs    map[*syntax.CallExpr]map[string]syntax.Expr
	ends       map[*syntax.IfStmt]outcome
	calls      map[*scope][]call
	attributes map[string]bool
	succeeding []*scope
}

func newUnit(file layer.File) *unit {
	return &unit{
		file: file, loading: true,
		loads: map[*syntax.LoadStmt]*unit{}, vars: map[*syntax.Ident]*variable{}, globals: map[string]*variable{}, locals: map[string]bool{}, labels: map[string]resolved{},
		functions: map[syntax.Node]*scope{}, loops: map[*syntax.ForStmt]*loop{},
		structs: map[*syntax.CallExpr]map[string]syntax.Expr{}, ends: map[*syntax.IfStmt]outcome{}, calls: map[*scope][]call{},
	}
}

// unit gives the file after the first pass.
func (c *Checker) unit(file layer.File) *unit {
	path := file.Path()
	if u := c.units[path]; u != nil {
		return u
	}
	u := newUnit(file)
	c.units[path] = u
	c.loading = append(c.loading, u)
	tree, err := c.config.Dialect.Parse(path, file.Data, 0)
	if err != nil {
		u.faults = c.syntaxErrors(file, err)
	} else {
		u.tree = tree
		u.faults = c.resolve(tree)
		u.index()
		u.faults = append(u.faults, c.unknownNames(u)...)
		u.faults = append(u.faults, c.followLoads(u)...)
	}
	u.loading = false
	c.loading = c.loading[:len(c.loading)-1]
	return u
}

// resolve binds the names of a file and gives what the language doesn't allow. Every
// name passes for predeclared at first: unknownNames finds those that aren't, and what
// may have been meant, at a cost that is bounded.
func (c *Checker) resolve(tree *syntax.File) []Finding {
	predeclared := func(name string) bool {
		return c.bare[name] != nil || c.modules[name] != nil || !starlark.Universe.Has(name)
	}
	err := resolve.File(tree, predeclared, starlark.Universe.Has)
	var list resolve.ErrorList
	if !errors.As(err, &list) {
		return nil
	}
	var all []Finding
	for _, e := range list {
		if strings.HasPrefix(e.Msg, "load: names with leading underscores") {
			continue // followLoads says so
		}
		all = append(all, found(ruleLanguage, e.Pos, "%s", e.Msg))
	}
	return all
}

// statement matches the beginning of a line where a statement at the top level is sure
// to begin, whatever stands before it.
const statement = `^(def [A-Za-z_]\w*\(|load\(|[A-Za-z_][\w.]*\(|[A-Za-z_]\w* = )`

// syntaxErrors gives the syntax errors of a file. The parser stops at the first, so the
// rest is parsed from the next line on that begins a statement at the top level.
func (c *Checker) syntaxErrors(file layer.File, err error) []Finding {
	const most = 20
	begins := regexp.MustCompile(statement)
	lines := strings.SplitAfter(lineEnds.Replace(string(file.Data)), "\n")
	var all []Finding
	for start := 0; ; {
		var e syntax.Error
		if !errors.As(err, &e) {
			return all
		}
		if f := found(ruleSyntax, e.Pos, "%s", e.Msg); len(all) == 0 || f != all[len(all)-1] {
			all = append(all, f)
		}
		next := int(e.Pos.Line) - 1
		if next <= start { // the same line may begin what is behind the error
			next = start + 1
		}
		for next < len(lines) && !begins.MatchString(lines[next]) {
			next++
		}
		if next >= len(lines) || len(all) == most || strings.Contains(e.Msg, "in string") {
			return all // within a string that doesn't end, nothing is sure
		}
		start = next
		rest := syntax.FilePortion{Content: []byte(strings.Join(lines[start:], "")), FirstLine: int32(start) + 1, FirstCol: 1}
		_, err = c.config.Dialect.Parse(file.Path(), rest, 0)
	}
}

// lineEnds makes those of other systems newlines, as Starlark does.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// followLoads finds the files that a file loads, and gives what is wrong with that.
func (c *Checker) followLoads(u *unit) []Finding {
	var all []Finding
	s := &suggester{}
	for _, stmt := range u.tree.Stmts {
		load, ok := stmt.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		target, fault := c.follow(u, load)
		if fault != nil {
			all = append(all, *fault)
		}
		u.loads[load] = target
		for _, name := range load.From {
			all = append(all, loadedName(target, load, name, s)...)
		}
	}
	return all
}

// follow gives the file that a statement loads, and why it can't be loaded.
func (c *Checker) follow(u *unit, load *syntax.LoadStmt) (*unit, *Finding) {
	at, label := load.Module.TokenPos, load.ModuleName()
	file, err := c.resolveLabel(label, u)
	if err != nil {
		message := err.Error()
		if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(label, "@") && !strings.HasPrefix(label, "./") {
			message += fmt.Sprintf(" (%q would be beside this file)", "./"+label)
		}
		f := found(ruleLoad, at, "%s", message)
		return nil, &f
	}
	target := c.unit(file)
	switch {
	case target.loading:
		f := found(ruleLoadCycle, at, "load cycle: %s", c.chain(target))
		return nil, &f
	case len(target.faults) > 0:
		first := target.faults[0]
		f := found(ruleLoad, at, "%s can't be loaded: %s:%d:%d: %s", file.Path(), first.File, first.Line, first.Column, first.Message)
		if first.Rule == ruleLoadCycle {
			f = found(ruleLoadCycle, at, "%s", first.Message)
		}
		return target, &f
	}
	return target, nil
}

// resolveLabel gives the file that a label in another means. It is read once for each
// file that loads it, however often that does.
func (c *Checker) resolveLabel(label string, u *unit) (layer.File, error) {
	if known, ok := u.labels[label]; ok {
		return known.file, known.err
	}
	file, err := c.config.Layers.Resolve(label, u.file)
	u.labels[label] = resolved{file, err}
	return file, err
}

// resolved is what a label leads to.
type resolved struct {
	file layer.File
	err  error
}

// chain is the files that are being loaded from one on, which another load of it closes
// to a cycle.
func (c *Checker) chain(from *unit) string {
	var paths []string
	for _, u := range c.loading[slices.Index(c.loading, from):] {
		paths = append(paths, u.file.Path())
	}
	return strings.Join(append(paths, from.file.Path()), " -> ")
}
