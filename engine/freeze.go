package engine

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// Freezing recurses on Go's stack, whose overflow nothing can catch. Lists, dicts, sets
// and structs note that they are frozen, and so end a cycle; tuples and functions don't:
// a closure that refers to itself would be frozen without end. So values are looked at
// before they are frozen.

const (
	// mostFreezeDepth is how deep values may nest that are frozen: the stack would hold
	// some hundred times as much.
	mostFreezeDepth = 10_000

	// mostFreezeVisits is how often values may be visited by one freezing. A tuple that
	// holds another one twice freezes it twice, so forty of them would take for ever.
	mostFreezeVisits = 1 << 28
)

// Holder is a value of a builtin that holds on to values of the script. Its Freeze
// freezes them.
type Holder interface {
	starlark.Value
	Held() []starlark.Value
}

// freeze freezes values, or says why they can't be frozen.
func freeze(values ...starlark.Value) error {
	w := freezeWalk{seen: map[starlark.Value]bool{}, open: map[any]*openValue{}}
	for _, v := range values {
		if err := w.enter(v, 0); err != nil {
			return err
		}
	}
	for _, v := range values { // in the order in which they were looked at
		v.Freeze()
	}
	return nil
}

// freezeGlobals freezes what a file defines.
func freezeGlobals(globals starlark.StringDict) error {
	values := make([]starlark.Value, 0, len(globals))
	for _, name := range slices.Sorted(maps.Keys(globals)) {
		values = append(values, globals[name])
	}
	return freeze(values...)
}

// freezeWalk goes the way that freezing will go, in the same order, but into each value
// only once.
type freezeWalk struct {
	seen   map[starlark.Value]bool // of those that note that they are frozen
	open   map[any]*openValue      // of those that don't
	path   []starlark.Value        // the open values that hold each other, outermost first
	visits int
}

// openValue is what is known of a value that doesn't note that it is frozen.
type openValue struct {
	done    bool // whether height and visits are known
	entered bool // whether what it holds was looked at
	height  int  // how deep open values nest in it, itself included
	visits  int  // of open values, when it is frozen
}

// tupleKey identifies a tuple, which is a slice.
type tupleKey struct {
	first *starlark.Value
	len   int
}

// enter looks at a value that is frozen at a depth, for itself or as part of one that
// notes that it is frozen.
func (w *freezeWalk) enter(v starlark.Value, depth int) error {
	held := heldBy(v)
	if len(held) == 0 {
		return nil
	}
	if noted(v) {
		if depth >= mostFreezeDepth {
			return tooDeep(v)
		}
		if w.seen[v] {
			return nil
		}
		w.seen[v] = true
		return w.enterAll(held, depth+1)
	}
	o, err := w.measure(v, held)
	if err != nil {
		return err
	}
	if w.visits += o.visits; w.visits > mostFreezeVisits {
		return &Error{Code: Failed, Message: "a value holds others too many times over to be frozen", Next: "use lists or dicts in place of tuples that hold the same tuple several times"}
	}
	return w.enterOpen(v, o, held, depth)
}

func (w *freezeWalk) enterAll(held []starlark.Value, depth int) error {
	for _, part := range held {
		if err := w.enter(part, depth); err != nil {
			return err
		}
	}
	return nil
}

// enterOpen looks at what an open value holds, through the open values in it.
func (w *freezeWalk) enterOpen(v starlark.Value, o *openValue, held []starlark.Value, depth int) error {
	if depth+o.height > mostFreezeDepth {
		return tooDeep(v)
	}
	if o.entered {
		return nil
	}
	o.entered = true
	for _, part := range held {
		inner := heldBy(part)
		var err error
		switch {
		case len(inner) == 0:
		case noted(part):
			err = w.enter(part, depth+1)
		default:
			err = w.enterOpen(part, w.open[keyOf(part)], inner, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// measure finds out how deep, and how often, freezing goes from an open value to others,
// unless it has no end.
func (w *freezeWalk) measure(v starlark.Value, held []starlark.Value) (*openValue, error) {
	key := keyOf(v)
	if o := w.open[key]; o != nil {
		if !o.done {
			return nil, w.cycle(key)
		}
		return o, nil
	}
	if len(w.path) >= mostFreezeDepth {
		return nil, tooDeep(v)
	}
	o := &openValue{height: 1, visits: 1}
	w.open[key] = o
	w.path = append(w.path, v)
	for _, part := range held {
		inner := heldBy(part)
		if len(inner) == 0 || noted(part) {
			continue
		}
		p, err := w.measure(part, inner)
		if err != nil {
			return nil, err
		}
		o.height = max(o.height, 1+p.height)
		o.visits = min(o.visits+p.visits, mostFreezeVisits+1)
	}
	w.path = w.path[:len(w.path)-1]
	o.done = true
	return o, nil
}

// cycle is the error of open values that lead back to one of them. There is a function
// among them: nothing else that is open can get to hold what was made after it.
func (w *freezeWalk) cycle(back any) error {
	from := slices.IndexFunc(w.path, func(v starlark.Value) bool { return keyOf(v) == back })
	var names []string
	var at []syntax.Position
	for _, v := range w.path[from:] {
		if f, ok := v.(*starlark.Function); ok {
			names = append(names, f.Name())
			at = append(at, f.Position())
		}
	}
	message := fmt.Sprintf("the function %s refers to itself", names[0])
	if len(names) > 1 {
		message += " (" + strings.Join(append(names, names[0]), " -> ") + ")"
	}
	return &Error{
		Code: Failed, Message: message + ", so it can't be frozen", At: at[:1],
		Next: "define it at the top level of a file, where a function may use its own name, or give it what it needs as an argument",
	}
}

func tooDeep(v starlark.Value) error {
	return &Error{Code: Failed, Message: fmt.Sprintf("a value nests too deep to be frozen: more than %d values (of type %s) inside each other", mostFreezeDepth, v.Type())}
}

// noted tells whether a value notes that it is frozen, and then isn't frozen again.
func noted(v starlark.Value) bool {
	switch v.(type) {
	case *starlark.List, *starlark.Dict, *starlark.Set, *starlarkstruct.Struct:
		return true
	}
	return false
}

// keyOf identifies an open value.
func keyOf(v starlark.Value) any {
	if t, ok := v.(starlark.Tuple); ok {
		return tupleKey{&t[0], len(t)}
	}
	return v
}

// heldBy is what is frozen with a value, in that order, but for what holds nothing: texts,
// numbers and the like.
func heldBy(v starlark.Value) []starlark.Value {
	switch v := v.(type) {
	case starlark.Tuple:
		return holding(slices.Values(v))
	case *starlark.List:
		return holding(v.Elements())
	case *starlark.Set:
		return holding(v.Elements())
	case *starlark.Dict:
		return holding(both(v.Entries()))
	case *starlarkstruct.Struct:
		return holding(second(v.Entries()))
	case *starlark.Function:
		return holding(heldByFunction(v))
	case *starlark.Builtin:
		if v.Receiver() != nil {
			return holding(slices.Values([]starlark.Value{v.Receiver()}))
		}
	case Holder:
		return holding(slices.Values(v.Held()))
	}
	return nil
}

// heldByFunction is what a function holds beside the globals of its file.
func heldByFunction(f *starlark.Function) iter.Seq[starlark.Value] {
	return func(yield func(starlark.Value) bool) {
		for i := range f.NumParams() {
			if v := f.ParamDefault(i); v != nil && !yield(v) {
				return
			}
		}
		for i := range f.NumFreeVars() {
			if _, v := f.FreeVar(i); v != nil && !yield(v) { // nil before its assignment
				return
			}
		}
	}
}

func holding(values iter.Seq[starlark.Value]) []starlark.Value {
	var all []starlark.Value
	for v := range values {
		switch v.(type) {
		case starlark.String, starlark.Int, starlark.Bool, starlark.NoneType, starlark.Float, starlark.Bytes:
		default:
			all = append(all, v)
		}
	}
	return all
}

func both(pairs iter.Seq2[starlark.Value, starlark.Value]) iter.Seq[starlark.Value] {
	return func(yield func(starlark.Value) bool) {
		for k, v := range pairs {
			if !yield(k) || !yield(v) {
				return
			}
		}
	}
}

func second(pairs iter.Seq2[string, starlark.Value]) iter.Seq[starlark.Value] {
	return func(yield func(starlark.Value) bool) {
		for _, v := range pairs {
			if !yield(v) {
				return
			}
		}
	}
}
