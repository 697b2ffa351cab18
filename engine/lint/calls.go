package lint

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// mostArguments is how many positional, and how many named, arguments a call may have:
// the language refuses more.
const mostArguments = 255

// checkCalls compares the arguments of calls with what their functions take.
func (c *Checker) checkCalls(u *unit, r *reporter) {
	for _, scope := range c.meantToSucceed(u) {
		eachOwn(scope, func(n syntax.Node) {
			call, ok := n.(*syntax.CallExpr)
			if !ok || len(call.Args) > 2*mostArguments {
				return
			}
			switch fn := c.callee(u, call.Fn); {
			case fn.module != "":
				r.add(ruleArguments, syntax.Start(call), "%s is a module and can't be called", fn.module)
			case fn.builtin != nil:
				c.checkBuiltinCall(u, r, call, fn.builtin)
			case fn.function != nil:
				checkFunctionCall(r, call, fn.function)
			}
		})
	}
}

// arguments is those of a call, sorted out.
type arguments struct {
	positional []syntax.Expr
	named      []namedArgument
	rest       bool // *args: there may be more positional ones
	keywords   bool // **kwargs: there may be more named ones
}

type namedArgument struct {
	name  *syntax.Ident
	value syntax.Expr
}

func argumentsOf(call *syntax.CallExpr) arguments {
	var all arguments
	for _, arg := range call.Args {
		switch arg := arg.(type) {
		case *syntax.UnaryExpr:
			if arg.Op == syntax.STAR {
				all.rest = true
				continue
			}
			if arg.Op == syntax.STARSTAR {
				all.keywords = true
				continue
			}
		case *syntax.BinaryExpr:
			if id, ok := arg.X.(*syntax.Ident); ok && arg.Op == syntax.EQ {
				all.named = append(all.named, namedArgument{id, arg.Y})
				continue
			}
		}
		all.positional = append(all.positional, arg)
	}
	return all
}

// checkBuiltinCall does with the arguments of a call what table.Call will do with their
// values, as far as they are known.
func (c *Checker) checkBuiltinCall(u *unit, r *reporter, call *syntax.CallExpr, b *table.Builtin) {
	args, before := argumentsOf(call), len(r.findings)
	given := make([]bool, len(b.Params))
	for i, value := range args.positional {
		p, ok := positionalParam(b, i)
		if !ok {
			r.add(ruleArguments, syntax.Start(value), "%s", tooMany(b, i, len(args.positional)))
			break
		}
		given[min(i, len(given)-1)] = true
		c.checkValue(u, r, value, b, p, p.Name)
	}
	for _, arg := range args.named {
		c.checkNamed(u, r, arg, b, given)
	}
	if len(r.findings) > before {
		return // what is missing may be what is wrong
	}
	for i, p := range b.Params {
		may := args.keywords || args.rest && !p.Named
		if !given[i] && !p.Optional && !p.Rest && !p.Keywords && !may {
			r.add(ruleArguments, call.Lparen, "%s wants %q (%s): %s", b.Name, p.Name, p.Type.Name, p.Help)
		}
	}
}

// checkNamed is the part of checkBuiltinCall for an argument that is given by its name.
func (c *Checker) checkNamed(u *unit, r *reporter, arg namedArgument, b *table.Builtin, given []bool) {
	name := arg.name.Name
	i, last := indexOf(b, name), len(b.Params)-1
	switch {
	case last >= 0 && b.Params[last].Keywords && (i < 0 || i == last):
		c.checkValue(u, r, arg.value, b, b.Params[last], name)
	case i < 0:
		r.add(ruleArguments, arg.name.NamePos, "%s has no parameter %q%s", b.Name, name,
			r.names.suggest(name, func() []string { return paramNames(b) }))
	case b.Params[i].Rest:
		r.add(ruleArguments, arg.name.NamePos, "%s takes %q without a name", b.Name, name)
	case given[i]:
		r.add(ruleArguments, arg.name.NamePos, "%s: %q is given twice", b.Name, name)
	default:
		given[i] = true
		c.checkValue(u, r, arg.value, b, b.Params[i], name)
	}
}

// positionalParam is the parameter that takes the argument at an index.
func positionalParam(b *table.Builtin, i int) (table.Param, bool) {
	for j, p := range b.Params {
		switch {
		case p.Named || p.Keywords:
			return p, false
		case p.Rest || j == i:
			return p, true
		}
	}
	return table.Param{}, false
}

func tooMany(b *table.Builtin, taken, got int) string {
	switch {
	case len(b.Params) == 0:
		return b.Name + " takes no arguments"
	case taken == 0:
		return b.Name + " takes its arguments by name"
	}
	return fmt.Sprintf("%s takes at most %d argument(s) without a name, got %d", b.Name, taken, got)
}

func indexOf(b *table.Builtin, name string) int {
	for i := range b.Params {
		if b.Params[i].Name == name {
			return i
		}
	}
	return -1
}

func paramNames(b *table.Builtin) []string {
	var names []string
	for _, p := range b.Params {
		if !p.Rest && !p.Keywords {
			names = append(names, p.Name)
		}
	}
	return names
}

// checkValue finds an argument that is sure to be refused.
func (c *Checker) checkValue(u *unit, r *reporter, value syntax.Expr, b *table.Builtin, p table.Param, name string) {
	c.checkCallback(u, r, value, b, p, name)
	samples := c.samples(u, value)
	if len(samples) == 0 {
		return
	}
	for _, v := range samples {
		none := v == starlark.None && p.Optional && p.Default == nil
		if none || p.Type.Accepts(v) {
			return
		}
	}
	r.add(ruleArgumentType, syntax.Start(value), "%s: %q wants %s, got %s", b.Name, name, p.Type.Name, describe(value, samples))
}

// describe says what an argument is, as far as that is known.
func describe(value syntax.Expr, samples []starlark.Value) string {
	if _, ok := samples[0].(starlark.Callable); ok {
		return "a function"
	}
	if len(samples) == 1 && isExact(value) {
		return table.Describe(samples[0])
	}
	if t := samples[0].Type(); t != "int" {
		return "a " + t
	}
	return "an int"
}

// checkCallback finds a function that can't be called in the way in which a builtin
// calls it.
func (c *Checker) checkCallback(u *unit, r *reporter, value syntax.Expr, b *table.Builtin, p table.Param, name string) {
	if len(p.Type.Called) == 0 {
		return
	}
	fn := c.callee(u, value).function
	if fn == nil {
		return
	}
	n := p.Type.Called[0]
	s := fn.sign()
	if least := s.leastPositional(); n < least || n > len(s.positional) && !s.rest || len(s.namedOnly) > 0 {
		r.add(ruleArgumentType, syntax.Start(value), "%s calls %q with %s, but %s wants %s", b.Name, name, count(n, "argument"), fn.name(), s.describe())
	}
}

func unparen(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.ParenExpr)
		if !ok {
			return e
		}
		e = p.X
	}
}

func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// signature is what a function of a script takes.
type signature struct {
	positional []string       // in order; they can be given by name, too
	required   []string       // of these and of those by name only, what has no default
	namedOnly  []string       // required, and by name only
	names      map[string]int // all that can be given by name; the index among the positional ones, or -1
	rest       bool           // *args
	keywords   bool           // **kwargs
}

// sign gives what a function takes.
func (s *scope) sign() *signature {
	if s.signature != nil {
		return s.signature
	}
	sig := &signature{names: map[string]int{}}
	s.signature = sig
	onlyNamed := false
	add := func(e syntax.Expr, required bool) {
		id, ok := e.(*syntax.Ident)
		if !ok {
			return
		}
		if required {
			sig.required = append(sig.required, id.Name)
		}
		if onlyNamed {
			sig.names[id.Name] = -1
			if required {
				sig.namedOnly = append(sig.namedOnly, id.Name)
			}
			return
		}
		sig.names[id.Name] = len(sig.positional)
		sig.positional = append(sig.positional, id.Name)
	}
	for _, p := range s.params() {
		switch p := p.(type) {
		case *syntax.BinaryExpr:
			add(p.X, false)
		case *syntax.UnaryExpr:
			if p.Op == syntax.STARSTAR {
				sig.keywords = true
				continue
			}
			onlyNamed, sig.rest = true, sig.rest || p.X != nil
		default:
			add(p, true)
		}
	}
	return sig
}

// leastPositional is how many of the positional parameters have no default.
func (s *signature) leastPositional() int { return len(s.required) - len(s.namedOnly) }

func (s *signature) describe() string {
	least, most := s.leastPositional(), len(s.positional)
	switch {
	case len(s.namedOnly) > 0:
		return fmt.Sprintf("%q by name", s.namedOnly[0])
	case s.rest:
		return fmt.Sprintf("at least %d", least)
	case least == most && most == 0:
		return "none"
	case least == most:
		return fmt.Sprintf("%d", most)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// checkFunctionCall compares a call with the parameters of the function.
func checkFunctionCall(r *reporter, call *syntax.CallExpr, fn *scope) {
	args, s, before := argumentsOf(call), fn.sign(), len(r.findings)
	if n := len(args.positional); n > len(s.positional) && !s.rest {
		r.add(ruleArguments, syntax.Start(args.positional[len(s.positional)]), "%s takes %s without a name, got %d",
			fn.name(), atMost(len(s.positional)), n)
	}
	given := map[string]bool{}
	for i := range min(len(args.positional), len(s.positional)) {
		given[s.positional[i]] = true
	}
	for _, arg := range args.named {
		name := arg.name.Name
		_, known := s.names[name]
		switch {
		case !known && s.keywords:
		case !known:
			r.add(ruleArguments, arg.name.NamePos, "%s has no parameter %q%s", fn.name(), name,
				r.names.suggest(name, func() []string { return sortedKeys(s.names) }))
		case given[name]:
			r.add(ruleArguments, arg.name.NamePos, "%s: %q is given twice", fn.name(), name)
		}
		given[name] = true
	}
	if args.keywords || len(r.findings) > before {
		return // what is missing may be among those, or be what is wrong
	}
	if missing := s.missing(given, args.rest); len(missing) > 0 {
		r.add(ruleArguments, call.Lparen, "%s wants %s", fn.name(), strings.Join(missing, ", "))
	}
}

// missing is the parameters that a call lacks, quoted; of many, the first ones.
func (s *signature) missing(given map[string]bool, rest bool) []string {
	const most = 10
	var missing []string
	for _, name := range s.required {
		if given[name] || rest && s.names[name] >= 0 {
			continue
		}
		if len(missing) == most {
			return append(missing, "…")
		}
		missing = append(missing, fmt.Sprintf("%q", short(name)))
	}
	return missing
}

func atMost(n int) string {
	if n == 0 {
		return "no arguments"
	}
	return fmt.Sprintf("at most %d argument(s)", n)
}
