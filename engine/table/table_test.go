package table

import (
	"strings"
	"testing"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// call calls builtins from a script, and gives what it prints.
func call(t *testing.T, modules []Module, script string) (string, error) {
	t.Helper()
	var printed strings.Builder
	thread := &starlark.Thread{Print: func(_ *starlark.Thread, msg string) { printed.WriteString(msg) }}
	names := Predeclare(modules)
	names["duration"] = startime.Module.Members["second"]
	names["struct"] = starlark.NewBuiltin("struct", starlarkstruct.Make)
	_, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, thread, "x.star", script, names)
	return printed.String(), err
}

// bound is a module whose one builtin, m.f, returns its arguments as a dict.
func bound(params ...Param) []Module {
	return []Module{{Name: "m", Builtins: []Builtin{{Name: "m.f", Params: params, Run: func(c *Call) (starlark.Value, error) {
		d := starlark.NewDict(0)
		for _, p := range params {
			switch {
			case p.Keywords:
				for _, kv := range c.Keywords() {
					_ = d.SetKey(kv[0], kv[1])
				}
			case c.Has(p.Name):
				_ = d.SetKey(starlark.String(p.Name), c.Value(p.Name))
			}
		}
		return d, nil
	}}}}}
}

func TestBind(t *testing.T) {
	a := Param{Name: "a", Type: Int(), Help: "the first"}
	b := Param{Name: "b", Type: String(), Optional: true, Help: "the second"}
	b5 := Param{Name: "b", Type: Int(), Optional: true, Default: starlark.MakeInt(5)}
	n := Param{Name: "limit", Type: Int(), Named: true, Optional: true}
	need := Param{Name: "need", Type: Bool(), Named: true, Help: "what is needed"}
	rest := Param{Name: "rest", Type: Int(), Rest: true}
	kw := Param{Name: "workers", Type: Int(), Keywords: true}
	anyOpt := Param{Name: "any", Type: Any(), Optional: true}
	for _, c := range []struct {
		params    []Param
		call      string
		want, err string
	}{
		{nil, `()`, `{}`, ""},
		{nil, `(1)`, "", "m.f takes no arguments, got the int 1"},
		{nil, `(x = 1)`, "", `m.f has no parameter "x"`},
		{[]Param{a, b}, `(1)`, `{"a": 1}`, ""},
		{[]Param{a, b}, `(1, "x")`, `{"a": 1, "b": "x"}`, ""},
		{[]Param{a, b}, `(1, b = "x")`, `{"a": 1, "b": "x"}`, ""},
		{[]Param{a, b}, `(b = "x", a = 1)`, `{"a": 1, "b": "x"}`, ""},
		{[]Param{a, b}, `(1, None)`, `{"a": 1}`, ""},
		{[]Param{a, b}, `(1, b = None)`, `{"a": 1}`, ""},
		{[]Param{a, b}, `(*[1], **{"b": "x"})`, `{"a": 1, "b": "x"}`, ""},
		{[]Param{a, b}, `()`, "", `m.f wants "a" (an int): the first`},
		{[]Param{a, b}, `(b = "x")`, "", `m.f wants "a" (an int): the first`},
		{[]Param{a, b}, `(None)`, "", `m.f: "a" wants an int, got None`},
		{[]Param{a, b}, `(1, 2)`, "", `m.f: "b" wants a string, got the int 2`},
		{[]Param{a, b}, `(1, "x", 3)`, "", `m.f takes at most 2 argument(s) without a name, got 3`},
		{[]Param{a, b}, `(1, a = 2)`, "", `m.f: "a" is given twice`},
		{[]Param{a, b}, `(a = 1, **{"a": 2})`, "", `m.f: "a" is given twice`},
		{[]Param{a, b5}, `(1)`, `{"a": 1, "b": 5}`, ""},
		{[]Param{a, b5}, `(1, 6)`, `{"a": 1, "b": 6}`, ""},
		{[]Param{a, b5}, `(1, b = None)`, "", `m.f: "b" wants an int, got None`},
		{[]Param{a, n}, `(1, limit = 2)`, `{"a": 1, "limit": 2}`, ""},
		{[]Param{a, n}, `(1, 2)`, "", `m.f takes at most 1 argument(s) without a name, got 2`},
		{[]Param{a, n}, `(1, limt = 2)`, "", `m.f has no parameter "limt" (did you mean "limit"?)`},
		{[]Param{a, n}, `(1, zzz = 2)`, "", `m.f has no parameter "zzz"`},
		{[]Param{n}, `(2)`, "", `m.f takes its arguments by name, got the int 2`},
		{[]Param{need}, `()`, "", `m.f wants "need" (a bool): what is needed`},
		{[]Param{need}, `(need = None)`, "", `m.f: "need" wants a bool, got None`},
		{[]Param{need}, `(need = 0)`, "", `m.f: "need" wants a bool, got the int 0`},
		{[]Param{rest}, `()`, `{"rest": ()}`, ""},
		{[]Param{rest}, `(1, 2)`, `{"rest": (1, 2)}`, ""},
		{[]Param{a, rest, n}, `(1)`, `{"a": 1, "rest": ()}`, ""},
		{[]Param{a, rest, n}, `(1, 2, 3, limit = 4)`, `{"a": 1, "rest": (2, 3), "limit": 4}`, ""},
		{[]Param{a, rest}, `(1, 2, "x")`, "", `m.f: "rest" wants an int, got the string "x"`},
		{[]Param{a, rest}, `(1, rest = 2)`, "", `m.f takes "rest" without a name`},
		{[]Param{a, rest}, `(1, rst = 2)`, "", `m.f has no parameter "rst"`},
		{[]Param{a, kw}, `(1)`, `{"a": 1}`, ""},
		{[]Param{a, kw}, `(1, x = 2, y = 3)`, `{"a": 1, "x": 2, "y": 3}`, ""},
		{[]Param{a, kw}, `(x = 2, a = 1)`, `{"a": 1, "x": 2}`, ""},
		{[]Param{a, kw}, `(1, workers = 2)`, `{"a": 1, "workers": 2}`, ""},
		{[]Param{a, kw}, `(1, x = "y")`, "", `m.f: "x" wants an int, got the string "y"`},
		{[]Param{a, kw}, `(1, x = 1, **{"x": 2})`, "", `m.f: "x" is given twice`},
		{[]Param{a, kw}, `(1, 2)`, "", `m.f takes at most 1 argument(s) without a name, got 2`},
		{[]Param{anyOpt}, `()`, `{}`, ""},
		{[]Param{anyOpt}, `(None)`, `{"any": None}`, ""},
	} {
		got, err := call(t, bound(c.params...), "print(m.f"+c.call+")")
		message := ""
		if err != nil {
			message = err.Error()
		}
		if got != c.want || message != c.err {
			t.Errorf("m.f%s gives %q, %q; want %q, %q", c.call, got, message, c.want, c.err)
		}
	}
}

func TestTypes(t *testing.T) {
	type accepts map[string]bool
	for name, c := range map[string]struct {
		t      Type
		values accepts
	}{
		"string":   {String(), accepts{`""`: true, `b""`: false, `1`: false, `None`: false}},
		"bool":     {Bool(), accepts{`True`: true, `1`: false, `None`: false}},
		"int":      {Int(), accepts{`1`: true, `-1`: true, `2147483647`: true, `2147483648`: false, `-2147483649`: false, `1 << 80`: false, `1.0`: false, `True`: false, `"1"`: false}},
		"duration": {Duration(), accepts{`"1m30s"`: true, `"0s"`: true, `duration`: true, `"-1s"`: false, `duration * -1`: false, `"90"`: false, `""`: false, `90`: false, `"9999999h"`: false}},
		"function": {Function(), accepts{`lambda: 1`: true, `print`: true, `[].append`: true, `1`: false}},
		"dict":     {Dict(), accepts{`{}`: true, `[]`: false, `struct()`: false}},
		"struct":   {Struct(), accepts{`struct()`: true, `{}`: false}},
		"list":     {List(), accepts{`[]`: true, `(1, "x")`: true, `{}`: false, `"x"`: false, `set([1])`: false, `range(3)`: false}},
		"strings":  {Strings(), accepts{`[]`: true, `["x"]`: true, `("x",)`: true, `["x", 1]`: false, `"x"`: false}},
		"ints":     {Ints(), accepts{`[1, 2]`: true, `[1, "2"]`: false, `[1 << 40]`: false}},
		"either":   {OneOf(Int(), Strings()), accepts{`1`: true, `["x"]`: true, `[1]`: false, `"x"`: false}},
		"own":      {Of[*starlark.Set]("a set"), accepts{`set([1])`: true, `[1]`: false}},
	} {
		for value, want := range c.values {
			_, err := call(t, bound(Param{Name: "v", Type: c.t}), "m.f("+value+")")
			if (err == nil) != want {
				t.Errorf("%s: m.f(%s) gives %v", name, value, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), `m.f: "v" wants `+c.t.Name+", got ") {
				t.Errorf("%s: m.f(%s) gives %v", name, value, err)
			}
		}
	}
}

// What a call's methods give for each way to pass an argument, or none.
func TestCallValues(t *testing.T) {
	params := []Param{
		{Name: "s", Type: String(), Optional: true}, {Name: "b", Type: Bool(), Optional: true}, {Name: "i", Type: Int(), Optional: true},
		{Name: "d", Type: Duration(), Optional: true}, {Name: "f", Type: Function(), Optional: true}, {Name: "strings", Type: Strings(), Optional: true},
		{Name: "ints", Type: Ints(), Optional: true}, {Name: "dict", Type: Dict(), Optional: true},
	}
	var c *Call
	modules := []Module{{Builtins: []Builtin{{Name: "f", Params: params, Run: func(called *Call) (starlark.Value, error) { c = called; return nil, nil }}}}}
	if out, err := call(t, modules, `print(f())`); err != nil || out != "None" {
		t.Fatalf("nothing returned shows as %q, %v", out, err)
	}
	if c.String("s") != "" || c.Bool("b") || c.Int("i") != 0 || c.Duration("d") != 0 || c.Callable("f") != nil || c.Strings("strings") != nil || c.Ints("ints") != nil || c.Dict("dict") != nil || c.Has("s") {
		t.Error("arguments that weren't given have values")
	}
	if _, err := call(t, modules, `f("x", True, 3, "1m", print, ("a", "b"), [1, 2], {"k": 1})`); err != nil {
		t.Fatal(err)
	}
	if c.String("s") != "x" || !c.Bool("b") || c.Int("i") != 3 || c.Duration("d").Seconds() != 60 || c.Callable("f").Name() != "print" ||
		strings.Join(c.Strings("strings"), "") != "ab" || len(c.Ints("ints")) != 2 || c.Ints("ints")[1] != 2 || len(c.Dict("dict").Items()) != 1 || !c.Has("s") {
		t.Error("arguments have other values than those given")
	}
	defer func() {
		if recover() == nil {
			t.Error("a parameter that isn't declared gives no panic")
		}
	}()
	c.Value("none")
}

func TestDescribe(t *testing.T) {
	for value, want := range map[string]string{
		`None`: "None", `True`: "True", `1`: "the int 1", `1.5`: "the float 1.5", `"yes"`: `the string "yes"`, `print`: "builtin_function_or_method print",
		`lambda: 1`: "function lambda", `[1]`: "a list: [1]", `(1,)`: "a tuple: (1,)", `{}`: "a dict: {}", `set([1])`: "a set: set([1])",
		`struct(a = 1)`: "a struct", `"é" * 100`: `the string "` + strings.Repeat("é", 58) + "…", `range(3)`: "a range",
	} {
		_, err := call(t, bound(Param{Name: "v", Type: Of[*noValue]("nothing")}), "m.f("+value+")")
		if got := strings.TrimPrefix(err.Error(), `m.f: "v" wants nothing, got `); got != want {
			t.Errorf("%s is %q, want %q", value, got, want)
		}
	}
}

// noValue is a value that no script has.
type noValue struct{ starlark.Value }

func TestModules(t *testing.T) {
	modules := bound()
	modules[0].Values = []Value{{Name: "m.pi", Value: starlark.MakeInt(3)}}
	modules = append(modules, Module{Name: "hidden", Type: true, Builtins: []Builtin{{Name: "hidden.f"}}})
	for script, want := range map[string]string{
		`print(m, type(m), dir(m), m.pi, m.f)`: `<module m> module ["f", "pi"] 3 <built-in function m.f>`,
		`print(m.g)`:                           `m has no "g" (did you mean "f"?)`,
		`print(hasattr(m, "f"), hasattr(m, "g"), getattr(m, "g", 1))`: "True False 1",
		`print(m.ff)`:   `m has no "ff" (did you mean "f"?)`,
		`print(hidden)`: "undefined: hidden",
		`m.f = 1`:       "can't assign to .f field of module",
	} {
		out, err := call(t, modules, script)
		if err != nil {
			out = err.Error()
		}
		if !strings.Contains(out, want) || strings.Count(out, "did you") > 1 {
			t.Errorf("%s gives %q, want %q", script, out, want)
		}
	}
}

// A method knows its value.
func TestMethod(t *testing.T) {
	method := Builtin{Name: "box.get", Run: func(c *Call) (starlark.Value, error) { return c.Receiver, nil }}
	v, err := starlark.Call(&starlark.Thread{}, method.Method(starlark.String("inside")), nil, nil)
	if err != nil || v != starlark.String("inside") {
		t.Errorf("got %v, %v", v, err)
	}
}
