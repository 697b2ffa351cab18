package engine

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A few operations of the language make a value of any size at once from small ones: no
// watcher of the memory comes in time. Where they can be seen in a script, they are asked
// before how large that will be: the repetition of a list or text that stands in the script or
// has a name, a text that is filled in, and the methods join and replace. What else makes large
// values does so bit by bit.

const (
	// boundedMethod and boundedCount are names that no script can write.
	boundedMethod = "bounded·method"
	boundedCount  = "bounded·count"
	boundedValue  = "bounded·value"
	boundedTexts  = "bounded·texts"

	// elementSize is how much memory an element of a list takes, in bytes.
	elementSize = 16
)

// bound puts a call around what a parsed file makes in this way, with the positions as they
// are.
func bound(file *syntax.File) *syntax.File {
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			if dot, ok := n.Fn.(*syntax.DotExpr); ok && (dot.Name.Name == "join" || dot.Name.Name == "replace") {
				n.Fn = calling(boundedMethod, n.Lparen, dot)
			}
		case *syntax.BinaryExpr:
			if n.Op == syntax.PERCENT && isText(n.X) {
				n.Y = calling(boundedTexts, n.OpPos, n.Y)
			}
			if n.Op != syntax.STAR {
				break
			}
			if size := sizeOf(n.X); size > 0 {
				n.Y = calling(boundedCount, n.OpPos, n.Y, literal(size))
			} else if size := sizeOf(n.Y); size > 0 {
				n.X = calling(boundedCount, n.OpPos, n.X, literal(size))
			} else if isName(n.X) && !isSmall(n.Y) { // a name can be asked twice
				n.Y = calling(boundedValue, n.OpPos, n.Y, n.X)
			} else if isName(n.Y) && !isSmall(n.X) {
				n.X = calling(boundedValue, n.OpPos, n.X, n.Y)
			}
		case *syntax.AssignStmt:
			if n.Op == syntax.STAR_EQ && isName(n.LHS) && !isSmall(n.RHS) {
				n.RHS = calling(boundedValue, n.OpPos, n.RHS, n.LHS)
			}
		}
		return true
	})
	return file
}

func calling(name string, pos syntax.Position, args ...syntax.Expr) *syntax.CallExpr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: pos, Name: name}, Lparen: pos, Args: args, Rparen: pos}
}

func literal(n int) syntax.Expr {
	return &syntax.Literal{Token: syntax.INT, Raw: fmt.Sprint(n), Value: int64(n)}
}

func isName(e syntax.Expr) bool {
	_, ok := e.(*syntax.Ident)
	return ok
}

func isText(e syntax.Expr) bool {
	text, ok := e.(*syntax.Literal)
	return ok && text.Token == syntax.STRING
}

// isSmall tells whether an expression is a number that stands in the script, and makes nothing
// much larger.
func isSmall(e syntax.Expr) bool {
	const most = 64
	number, ok := e.(*syntax.Literal)
	if !ok {
		return false
	}
	n, ok := number.Value.(int64)
	return ok && n <= most
}

// sizeOf is how many bytes a list or text takes that stands in a script; 0 for what else
// there is.
func sizeOf(e syntax.Expr) int {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return sizeOf(e.X)
	case *syntax.ListExpr:
		return len(e.List) * elementSize
	case *syntax.TupleExpr:
		return len(e.List) * elementSize
	case *syntax.Literal:
		if text, ok := e.Value.(string); ok {
			return len(text)
		}
	}
	return 0
}

// boundedNames is what the calls call.
func boundedNames(names starlark.StringDict) {
	names[boundedCount] = starlark.NewBuiltin(boundedCount, checkedCount)
	names[boundedValue] = starlark.NewBuiltin(boundedValue, checkedValue)
	names[boundedTexts] = starlark.NewBuiltin(boundedTexts, checkedTexts)
	names[boundedMethod] = starlark.NewBuiltin(boundedMethod, checkedMethod)
}

// checkedCount is its first argument, unless so many values of the size of the second one
// are too much.
func checkedCount(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	size, _ := starlark.AsInt32(args[1])
	return args[0], stateOf(t).run.repeats(args[0], size)
}

// checkedValue is its first argument, unless that many of the second one, or of it as many as
// the second one says, are too much.
func checkedValue(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	r := stateOf(t).run
	if err := r.repeats(args[0], bytesOf(args[1])); err != nil {
		return nil, err
	}
	return args[0], r.repeats(args[1], bytesOf(args[0]))
}

// repeats tells why a value of a size can't be repeated n times; nil if it can, or n is no
// number.
func (r *Run) repeats(n starlark.Value, size int) error {
	times, ok := n.(starlark.Int)
	if !ok || size == 0 || times.Sign() <= 0 {
		return nil
	}
	count, fits := times.Uint64()
	if !fits {
		count = math.MaxUint64
	}
	return r.fits(count, uint64(size))
}

// bytesOf is how much memory a value takes that can be repeated; 0 for any other.
func bytesOf(v starlark.Value) int {
	switch v := v.(type) {
	case starlark.String:
		return len(v)
	case starlark.Bytes:
		return len(v)
	case *starlark.List:
		return v.Len() * elementSize
	case starlark.Tuple:
		return len(v) * elementSize
	}
	return 0
}

// checkedTexts is its argument, unless the texts in it are too much to be filled in: what they
// make is copied as it grows.
func checkedTexts(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	const copies = 2
	all, ok := args[0].(starlark.Tuple)
	if !ok {
		all = args
	}
	size := 0
	for _, v := range all {
		if text, ok := v.(starlark.String); ok {
			size += len(text)
		}
	}
	return args[0], stateOf(t).run.fits(copies, uint64(size))
}

// checkedMethod is a method as it is, but for one of a text, which then looks at its
// arguments first.
func checkedMethod(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	method, ok := args[0].(*starlark.Builtin)
	if !ok {
		return args[0], nil
	}
	text, ok := method.Receiver().(starlark.String)
	if !ok {
		return args[0], nil
	}
	checked := func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		count, size := made(string(text), method.Name(), args)
		if err := stateOf(t).run.fits(count, size); err != nil {
			return nil, err
		}
		return method.CallInternal(t, args, kwargs)
	}
	return starlark.NewBuiltin(method.Name(), checked), nil
}

// made is about how large the text is that join or replace makes: a number of pieces,
// and the size of each. What is wrong with the arguments, the method says.
func made(text, method string, args starlark.Tuple) (count, size uint64) {
	if method == "join" && len(args) > 0 {
		if all, ok := args[0].(starlark.Sequence); ok {
			for v := range starlark.Elements(all) {
				s, _ := starlark.AsString(v)
				size += uint64(len(s) + len(text))
			}
		}
		return 1, size
	}
	if len(args) < 2 {
		return 0, 0
	}
	old, _ := starlark.AsString(args[0])
	replaced, _ := starlark.AsString(args[1])
	return uint64(strings.Count(text, old)), uint64(len(replaced))
}

// fits tells why so many pieces of a size can't be made; nil if they can.
func (r *Run) fits(count, size uint64) error {
	most := r.config.Memory.Bytes
	over, bytes := bits.Mul64(count, size)
	if most == 0 || over == 0 && bytes <= most {
		return nil
	}
	return r.config.Memory.Err
}
