package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/mask"
	"github.com/ktrdr/kinfra/internal/visible"
	"github.com/ktrdr/kinfra/internal/world"
)

func structBuiltin() table.Builtin {
	return table.Builtin{
		Name:   "struct",
		Doc:    "Makes a value with named attributes: `struct(x = 1).x`.",
		Params: []table.Param{{Name: "attributes", Type: table.Any(), Keywords: true, Help: "the attributes"}},
		Result: "a struct",
		Run: func(c *table.Call) (starlark.Value, error) {
			return starlarkstruct.FromKeywords(starlarkstruct.Default, c.Keywords()), nil
		},
		Example: `point = struct(x = 1, y = 2)
point.x + point.y  # -> 3`,
	}
}

// Struct makes a struct of names and values, which are Starlark values or Go bools,
// ints and strings.
func Struct(pairs ...any) *starlarkstruct.Struct {
	fields := make(starlark.StringDict, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i].(string)] = toValue(pairs[i+1])
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, fields)
}

func toValue(v any) starlark.Value {
	switch v := v.(type) {
	case starlark.Value:
		return v
	case bool:
		return starlark.Bool(v)
	case int:
		return starlark.MakeInt(v)
	case string:
		return starlark.String(v)
	}
	panic(fmt.Sprintf("no Starlark form of %T", v))
}

// List makes a list from Go values, each made a Starlark value by convert.
func List[T any](all []T, convert func(T) starlark.Value) *starlark.List {
	values := make([]starlark.Value, len(all))
	for i, v := range all {
		values[i] = convert(v)
	}
	return starlark.NewList(values)
}

// unknown is a value that only a real run can know. All that is asked of it raises
// that, but for what Starlark does not let fail: its truth, its text and comparing it.
type unknown struct {
	what  string
	asked *atomic.Bool // set when it is asked for its type
}

func (u unknown) String() string                      { return "<known only when it runs>" }
func (u unknown) Type() string                        { u.asked.Store(true); return "unknown" }
func (u unknown) Freeze()                             {}
func (u unknown) Truth() starlark.Bool                { return true }
func (u unknown) Hash() (uint32, error)               { return 0, u.err() }
func (u unknown) Attr(string) (starlark.Value, error) { return nil, u.err() }
func (u unknown) AttrNames() []string                 { return nil }
func (u unknown) Name() string                        { return u.what }

// Get is u[key].
func (u unknown) Get(starlark.Value) (starlark.Value, bool, error) { return nil, false, u.err() }

// Binary is u + y, y in u, and so on.
func (u unknown) Binary(syntax.Token, starlark.Value, starlark.Side) (starlark.Value, error) {
	return nil, u.err()
}

// Unary is -u.
func (u unknown) Unary(syntax.Token) (starlark.Value, error) { return nil, u.err() }

// CallInternal is u().
func (u unknown) CallInternal(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	return nil, u.err()
}

// Later is why it isn't known.
func (u unknown) Later() error { return u.err() }

func (u unknown) err() error { return fmt.Errorf("the result of %s is %w", u.what, world.ErrPlanned) }

// Unknown is the result of a call that a dry run does not make. Asking for its
// attributes raises "known only when it runs".
func Unknown(t *starlark.Thread, what string) starlark.Value { return stateOf(t).unknown(what) }

func (s *state) unknown(what string) unknown { return unknown{what, &s.run.asked} }

// recorded is a step's result as the record will give it back.
func (r *Run) recorded(v starlark.Value) (starlark.Value, error) {
	return (&copier{limit: r.config.Limits.Result, ink: r.config.Output.Ink, masks: r.config.Masks}).recorded(v)
}

// copier copies a value as a record would give it back: frozen, made of nothing but JSON's
// types, structs and secrets, and without the colours of this process's ink. It fails where a
// secret's value is in it, since a run that goes on needs each result as it was.
type copier struct {
	limit int // bytes
	ink   visible.Ink
	masks *mask.Set // the values of secrets, which must not be in it
	size  int
	place string // of a secret's value, as a script would get there: ".stdout"
}

func (c *copier) recorded(v starlark.Value) (starlark.Value, error) {
	out, err := c.value(v, 0)
	switch {
	case errors.Is(err, errHoldsSecret):
		return nil, secretResult(c.masks.Text(c.place))
	case err != nil:
		return nil, fmt.Errorf("a step's result must be JSON-able: %w", err)
	}
	out.Freeze()
	return out, nil
}

// mostDepth is how deep values may nest that become JSON.
const mostDepth = 100

func (c *copier) value(v starlark.Value, depth int) (starlark.Value, error) {
	if depth > mostDepth {
		return nil, fmt.Errorf("it nests deeper than %d", mostDepth)
	}
	if err := c.grows(2); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case starlark.NoneType, starlark.Bool:
		return v, nil
	case starlark.Int:
		return c.int(v)
	case starlark.Float:
		if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
			return nil, fmt.Errorf("the number %s has no JSON form", v)
		}
		return v, c.number(v)
	case unknown:
		return nil, v.err()
	case starlark.String:
		text, err := c.text(string(v))
		return starlark.String(text), err
	case Secret:
		_, err := c.text(v.Reference())
		return v, err
	case *starlark.List:
		return c.sequence(v, depth)
	case starlark.Tuple:
		return c.sequence(v, depth)
	case starlark.IterableMapping:
		return c.dict(v, depth)
	case *starlarkstruct.Struct:
		fields := starlark.StringDict{}
		for name, field := range v.Entries() {
			var err error
			if fields[name], err = c.part(".%s", name, field, depth); err != nil {
				return nil, err
			}
		}
		return starlarkstruct.FromStringDict(starlarkstruct.Default, fields), nil
	}
	return nil, fmt.Errorf("%s has no JSON form", table.Describe(v))
}

// grows takes note of so many bytes more.
func (c *copier) grows(n int) error {
	if c.size += n; c.size > c.limit {
		return fmt.Errorf("it has more than %d bytes", c.limit)
	}
	return nil
}

func (c *copier) int(v starlark.Int) (starlark.Value, error) {
	if _, small := v.Int64(); !small {
		if err := c.grows(v.BigInt().BitLen() / 3); err != nil {
			return nil, err
		}
	}
	return v, c.number(v)
}

// number refuses a number that has a secret's value among its digits.
func (c *copier) number(v starlark.Value) error {
	if !c.masks.Empty() && c.masks.Holds(v.String()) {
		return errHoldsSecret
	}
	return nil
}

// text is a text as JSON has it.
func (c *copier) text(text string) (string, error) {
	if err := c.grows(len(text)); err != nil {
		return "", err
	}
	text = strings.ToValidUTF8(c.ink.Remove(text), "\uFFFD")
	if c.masks.Holds(text) {
		return "", errHoldsSecret
	}
	return text, nil
}

// part is a value that another one holds, under a name; there is the format for how a script
// gets to it.
func (c *copier) part(there, name string, v starlark.Value, depth int) (starlark.Value, error) {
	out, err := c.value(v, depth+1)
	if err == nil && c.masks.Holds(name) {
		err = errHoldsSecret
	}
	if err == errHoldsSecret {
		c.place = fmt.Sprintf(there, name) + c.place
	}
	return out, err
}

func (c *copier) sequence(all starlark.Iterable, depth int) (starlark.Value, error) {
	var copied []starlark.Value
	for e := range starlark.Elements(all) {
		out, err := c.part("[…]%s", "", e, depth)
		if err != nil {
			return nil, err
		}
		copied = append(copied, out)
	}
	return starlark.NewList(copied), nil
}

func (c *copier) dict(v starlark.IterableMapping, depth int) (starlark.Value, error) {
	out := starlark.NewDict(0)
	for _, kv := range v.Items() {
		key, ok := kv[0].(starlark.String)
		if !ok {
			return nil, fmt.Errorf("a dict has the key %s, which is not a string", kv[0])
		}
		c.size += len(key)
		copied, err := c.part("[%q]", string(key), kv[1], depth)
		if err != nil {
			return nil, err
		}
		if err := out.SetKey(starlark.String(strings.ToValidUTF8(string(key), "\uFFFD")), copied); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mostJSON is the most bytes that a value has as JSON. A value of a few lists that
// contain each other's elements twice could fill the memory.
const mostJSON = 16 << 20

// ToJSON is the JSON form of a value: dicts in their order, structs by name.
func ToJSON(v starlark.Value) ([]byte, error) { return appendJSON(nil, v, 0) }

func appendJSON(b []byte, v starlark.Value, depth int) ([]byte, error) {
	if depth > mostDepth {
		return nil, fmt.Errorf("a value nests deeper than %d", mostDepth)
	}
	if len(b) > mostJSON {
		return nil, fmt.Errorf("a value has more than %d MiB as JSON", mostJSON>>20)
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return append(b, "null"...), nil
	case starlark.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case starlark.Int:
		return append(b, v.String()...), nil
	case starlark.Float:
		if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
			return nil, fmt.Errorf("the number %s has no JSON form", v)
		}
		return append(b, v.String()...), nil
	case starlark.String:
		return appendString(b, string(v)), nil
	case startime.Duration:
		return appendString(b, v.String()), nil
	case startime.Time:
		return appendString(b, time.Time(v).Format(time.RFC3339Nano)), nil
	case unknown:
		return appendString(b, v.String()), nil
	case starlark.IterableMapping:
		items := v.Items()
		return appendObject(b, len(items), depth, func(i int) (string, starlark.Value, error) {
			key, ok := starlark.AsString(items[i][0])
			if !ok {
				key = items[i][0].String()
			}
			return key, items[i][1], nil
		})
	case starlark.Iterable:
		return appendArray(b, v, depth)
	case starlark.HasAttrs:
		names := v.AttrNames()
		return appendObject(b, len(names), depth, func(i int) (string, starlark.Value, error) {
			field, err := v.Attr(names[i])
			return names[i], field, err
		})
	}
	return nil, fmt.Errorf("%s has no JSON form", table.Describe(v))
}

func appendArray(b []byte, all starlark.Iterable, depth int) ([]byte, error) {
	b = append(b, '[')
	n := 0
	for e := range starlark.Elements(all) {
		if n++; n > 1 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendJSON(b, e, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, n, depth int, field func(int) (string, starlark.Value, error)) ([]byte, error) {
	b = append(b, '{')
	for i := range n {
		name, v, err := field(i)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		if b, err = appendJSON(b, v, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendString quotes a string, replacing bytes that aren't UTF-8.
func appendString(b []byte, s string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // can't fail for a string
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}
