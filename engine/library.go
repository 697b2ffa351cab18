package engine

import (
	"bytes"
	"fmt"

	starjson "go.starlark.net/lib/json"
	starmath "go.starlark.net/lib/math"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.yaml.in/yaml/v4"

	"github.com/ktrdr/kinfra/engine/table"
	"github.com/ktrdr/kinfra/internal/visible"
)

// delegate declares a function of one of Starlark's own libraries.
func delegate(library *starlarkstruct.Module, name, doc, result, example string, params ...table.Param) table.Builtin {
	return table.Builtin{
		Name: library.Name + "." + name, Doc: doc, Params: params, Result: result, Example: example,
		Run: func(c *table.Call) (starlark.Value, error) {
			var args starlark.Tuple
			var named []starlark.Tuple
			for i, p := range params {
				switch v := c.Value(p.Name); {
				case v == nil:
				case p.Named || len(args) < i: // one before it was left out
					named = append(named, starlark.Tuple{starlark.String(p.Name), v})
				default:
					args = append(args, v)
				}
			}
			if err := checkElements(c.Builtin.Name, args, named); err != nil {
				return nil, err
			}
			f := library.Members[name].(*starlark.Builtin)
			return f.CallInternal(c.Thread, args, named)
		},
	}
}

func jsonModule() table.Module {
	value := table.Param{Name: "x", Type: table.Any(), Help: "the value: dicts need keys that are strings"}
	text := table.Param{Name: "x", Type: table.String(), Help: "the JSON text"}
	indent := []table.Param{
		{Name: "prefix", Type: table.String(), Named: true, Optional: true, Help: "begins each line but the first"},
		{Name: "indent", Type: table.String(), Named: true, Optional: true, Help: "a level's indentation; a tab if left out"},
	}
	return table.Module{
		Name: "json", Doc: "Reads and writes JSON.",
		Builtins: []table.Builtin{
			printable(delegate(starjson.Module, "encode", "Gives the JSON text of a value, with the keys of dicts sorted. Characters that aren't seen are escaped, so that it stays JSON when it is printed.", "a string", `json.encode({"b": [1, None], "a": "x"})  # -> '{"a":"x","b":[1,null]}'`, value)),
			shallow(delegate(starjson.Module, "decode", "Gives the value of a JSON text.", "a value of dicts, lists, strings, ints, floats, bools and None", `json.decode('{"a": [1, 2.5, null]}')  # -> {"a": [1, 2.5, None]}
json.decode("not JSON", default = {})  # -> {}`, text,
				table.Param{Name: "default", Type: table.Any(), Optional: true, Help: "what to give for a text that isn't JSON, instead of failing"})),
			printable(delegate(starjson.Module, "indent", "Gives a JSON text on indented lines.", "a string", `json.indent('{"a":1}', indent = "  ")  # -> '{\n  "a": 1\n}'`, append([]table.Param{{Name: "str", Type: table.String(), Help: "the JSON text"}}, indent...)...)),
		},
	}
}

// printable has a builtin that gives JSON escape what isn't seen: printed raw, it would be
// shown in a form that is none of JSON's.
func printable(encode table.Builtin) table.Builtin {
	run := encode.Run
	encode.Run = func(c *table.Call) (starlark.Value, error) {
		v, err := run(c)
		if text, ok := v.(starlark.String); ok {
			v = starlark.String(visible.JSON([]byte(text)))
		}
		return v, err
	}
	return encode
}

// shallow refuses a JSON text that nests too deeply, before a decoder that descends into
// it overflows the stack: nothing could catch that.
func shallow(decode table.Builtin) table.Builtin {
	run := decode.Run
	decode.Expects = true
	decode.Errors = fmt.Sprintf("A text that isn't JSON, or is nested deeper than %d levels.", deepestJSON)
	decode.Run = func(c *table.Call) (starlark.Value, error) {
		if jsonDepth(c.String("x")) > deepestJSON {
			return nil, fmt.Errorf("%s: nested deeper than %d levels", decode.Name, deepestJSON)
		}
		return run(c)
	}
	return decode
}

// deepestJSON is how deep a JSON text may nest: as deep as the YAML library has it.
const deepestJSON = 10_000

// jsonDepth is how deep the lists and objects of a JSON text are nested.
func jsonDepth(text string) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++ // what it escapes
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '[' || b == '{':
			depth++
			deepest = max(deepest, depth)
		case b == ']' || b == '}':
			depth--
		}
	}
	return deepest
}

func timeModule() table.Module {
	m := table.Module{
		Name: "time", Doc: "Times and durations. The clock is the run's, so that a replay sees the same.",
		Builtins: []table.Builtin{
			delegate(startime.Module, "now", "Gives the time.", "a time, with attributes such as `year` and `unix`, and methods `format(layout)` and `in_location(name)`", `print("It is " + time.now().format("2006-01-02 15:04"))`),
			delegate(startime.Module, "parse_duration", "Gives the duration of a text such as \"1h30m\".", "a duration, with attributes such as `seconds`", `time.parse_duration("1h30m").minutes  # -> 90.0`,
				table.Param{Name: "d", Type: table.String(), Help: "the text"}),
			delegate(startime.Module, "parse_time", "Gives the time of a text.", "a time", `time.parse_time("2026-02-02T10:11:12Z").year  # -> 2026`,
				table.Param{Name: "x", Type: table.String(), Help: "the text"},
				table.Param{Name: "format", Type: table.String(), Optional: true, Help: "its layout, as Go writes it; RFC 3339 if left out"},
				table.Param{Name: "location", Type: table.String(), Optional: true, Help: "the zone of a text without one; UTC if left out"}),
			delegate(startime.Module, "from_timestamp", "Gives the time of a Unix timestamp.", "a time", `time.from_timestamp(86400).format("2006-01-02")  # -> "1970-01-02"`,
				table.Param{Name: "sec", Type: table.Int(), Help: "seconds since 1970"}),
		},
	}
	for _, unit := range []string{"nanosecond", "microsecond", "millisecond", "second", "minute", "hour"} {
		m.Values = append(m.Values, constant(startime.Module, unit, "One "+unit+", as a duration."))
	}
	return m
}

func constant(library *starlarkstruct.Module, name, doc string) table.Value {
	return table.Value{Name: library.Name + "." + name, Doc: doc, Value: library.Members[name]}
}

func mathModule() table.Module {
	x := table.Param{Name: "x", Type: number(), Help: "a number"}
	y := table.Param{Name: "y", Type: number(), Help: "a number"}
	one := func(name, doc, result, example string) table.Builtin {
		return delegate(starmath.Module, name, doc, result, example, x)
	}
	two := func(name, doc, example string) table.Builtin {
		return delegate(starmath.Module, name, doc, "a float", example, x, y)
	}
	return table.Module{
		Name: "math", Doc: "Numbers.",
		Builtins: []table.Builtin{
			one("ceil", "Rounds up.", "an int", "math.ceil(1.2)  # -> 2"),
			one("floor", "Rounds down.", "an int", "math.floor(1.8)  # -> 1"),
			one("round", "Rounds to the nearest whole number, halves away from zero.", "a float", "math.round(1.5)  # -> 2.0"),
			one("fabs", "Gives the absolute value.", "a float", "math.fabs(-1.5)  # -> 1.5"),
			one("sqrt", "Gives the square root.", "a float", "math.sqrt(16)  # -> 4.0"),
			one("exp", "Gives e to the power of x.", "a float", "math.exp(0)  # -> 1.0"),
			delegate(starmath.Module, "log", "Gives the logarithm of x, to the base e unless another is given.", "a float", "math.log(8, 2)  # -> 3.0", x,
				table.Param{Name: "base", Type: number(), Optional: true, Help: "the base"}),
			two("pow", "Gives x to the power of y.", "math.pow(2, 10)  # -> 1024.0"),
			two("mod", "Gives the remainder of x divided by y, with the sign of x.", "math.mod(7, 3)  # -> 1.0"),
		},
		Values: []table.Value{
			constant(starmath.Module, "pi", "The ratio of a circle's circumference to its diameter."),
			constant(starmath.Module, "e", "The base of the natural logarithm."),
		},
	}
}

func number() table.Type {
	t := table.OneOf(table.Of[starlark.Int]("an int"), table.Of[starlark.Float]("a float"))
	t.Name = "a number"
	return t
}

func yamlModule() table.Module {
	return table.Module{
		Name: "yaml", Doc: "Reads and writes YAML.",
		Builtins: []table.Builtin{
			{
				Name: "yaml.decode", Expects: true, Doc: "Gives the value of a YAML text of one document, with the keys of mappings in their order.",
				Params: []table.Param{{Name: "text", Type: table.String(), Help: "the YAML text"}},
				Result: "a value of dicts, lists, strings, ints, floats, bools and None",
				Errors: "A text that isn't YAML; a key that isn't a string.",
				Run: func(c *table.Call) (starlark.Value, error) {
					var document yaml.Node
					if err := yaml.Unmarshal([]byte(c.String("text")), &document); err != nil {
						return nil, fmt.Errorf("yaml.decode: %w", err)
					}
					return fromYAML(&document)
				},
				Example: `yaml.decode("web: {ports: [80, 443]}")  # -> {"web": {"ports": [80, 443]}}`,
			},
			{
				Name: "yaml.encode", Doc: "Gives the YAML text of a value.",
				Params: []table.Param{{Name: "value", Type: table.Any(), Help: "the value: what has a JSON form"}},
				Result: "a string that ends in a newline",
				Errors: "A value that has no JSON form.",
				Run: func(c *table.Call) (starlark.Value, error) {
					data, err := ToJSON(c.Value("value"))
					if err != nil {
						return nil, fmt.Errorf("yaml.encode: %w", err)
					}
					out, err := blockYAML(data)
					return starlark.String(out), err
				},
				Example: `print(yaml.encode({"web": [80, 443]}))`,
			},
		},
	}
}

// blockYAML writes JSON, which is YAML, in YAML's block style, in its order.
func blockYAML(data []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return "", err
	}
	var plain func(*yaml.Node)
	plain = func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			n.Style = 0
		}
		for _, child := range n.Content {
			plain(child)
		}
	}
	plain(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return "", err
	}
	return out.String(), encoder.Close()
}

// fromYAML is the Starlark form of a YAML node. Aliases share what they stand for,
// so that a small text can't become a large value.
func fromYAML(n *yaml.Node) (starlark.Value, error) {
	return yamlReader{}.value(n)
}

type yamlReader map[*yaml.Node]starlark.Value

func (r yamlReader) value(n *yaml.Node) (starlark.Value, error) {
	if v, done := r[n]; done {
		if v == nil {
			return nil, fmt.Errorf("yaml.decode: line %d: the anchor %q contains itself", n.Line, n.Anchor)
		}
		return v, nil
	}
	r[n] = nil
	v, err := r.make(n)
	r[n] = v
	return v, err
}

func (r yamlReader) make(n *yaml.Node) (starlark.Value, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return r.value(n.Content[0])
	case yaml.AliasNode:
		return r.value(n.Alias)
	case yaml.SequenceNode:
		all := make([]starlark.Value, len(n.Content))
		for i, child := range n.Content {
			var err error
			if all[i], err = r.value(child); err != nil {
				return nil, err
			}
		}
		return starlark.NewList(all), nil
	case yaml.MappingNode:
		dict := starlark.NewDict(len(n.Content) / 2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("yaml.decode: line %d: a key that is not a string", key.Line)
			}
			v, err := r.value(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			if err := dict.SetKey(starlark.String(key.Value), v); err != nil {
				return nil, err
			}
		}
		return dict, nil
	case yaml.ScalarNode:
		return scalar(n)
	}
	return starlark.None, nil // an empty document
}

func scalar(n *yaml.Node) (starlark.Value, error) {
	switch n.ShortTag() {
	case "!!null":
		return starlark.None, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return starlark.Bool(b), err
	case "!!int":
		var i int64
		err := n.Decode(&i)
		return starlark.MakeInt64(i), err
	case "!!float":
		var f float64
		err := n.Decode(&f)
		return starlark.Float(f), err
	}
	return starlark.String(n.Value), nil
}
