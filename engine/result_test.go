package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strings"
	"testing"

	"go.starlark.net/starlark"
)

// results are values that steps return, as scripts write them.
var results = []string{
	`None`, `True`, `0`, `-1`, `1 << 64`, `-(1 << 400)`, `0.0`, `-0.0`, `1.0`, `1e300`, `-1e-300`, `5e-324`, `1.7976931348623157e308`, `0.1`, `1e15`, `1e16`, `123456789.0`,
	`""`, `"é\u2028\u2029<&>\U0001F600\x00\x7f\"\\\n"`, `"é"[:1] + " a " + "é"[1:]`, `"\u200b"`,
	`[]`, `()`, `[[], [[]], {}]`, `(1, (2, [3]))`,
	`{}`, `{"": 1, "a": None}`, `{"b": 1, "a": 2}`, `{"$struct": {"x": 1}}`, `{"$dict": {}}`, `{"$struct": 1}`, `{"$": {"$": {"$dict": 1}}}`, `{"a": 1, "$struct": {}}`,
	`{"$dict": {"$struct": {"x": {"$struct": {}}}}}`, `{"é"[1:]: 1}`,
	`secret("a")`, `[secret("b"), {"s": secret("c")}]`, `struct(s = secret("d"))`, `{"$secret": "e"}`, `{"$secret": secret("f")}`, `{"$dict": {"$secret": "g"}}`,
	`struct()`, `struct(x = struct(y = [struct()]))`, `struct(a = {"$struct": {}})`, `{"s": struct(x = {"$d": struct()})}`,
	`{"$struct": struct(x = 1)}`, `struct(**{"$dict": 1, "$struct": 2, "": 3})`,
}

// resultOf is a value as a step gives it to its caller.
func resultOf(t testing.TB, text string) starlark.Value {
	t.Helper()
	m := newMachine(&testing.T{}, "")
	var names starlark.StringDict
	err := NewRun(t.Context(), &m.config).With(func(thread *starlark.Thread) (err error) {
		names, err = starlark.ExecFileOptions(dialect(), thread, "v.star", "v = "+text, withSecret(stateOf(thread).run.names))
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	v, err := (&copier{limit: 1 << 20}).recorded(names["v"])
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// A result comes back from the record as the caller had it the first time.
func TestResultsComeBack(t *testing.T) {
	for _, text := range results {
		want := resultOf(t, text)
		data := encodeResult(nil, want)
		if !json.Valid(data) || bytes.ContainsRune(data, '\n') {
			t.Errorf("%s: %s is not a line of JSON", text, data)
		}
		got, err := decodeResult(data, testSecret)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		same(t, text, got, want)
		if again := encodeResult(nil, got); !bytes.Equal(again, data) {
			t.Errorf("%s: recorded again it is %s, before it was %s", text, again, data)
		}
		if list, ok := got.(*starlark.List); ok && list.Append(starlark.None) == nil {
			t.Errorf("%s: it comes back unfrozen", text)
		}
	}
}

// aSecret is a secret in a script: text of which the engine knows nothing.
type aSecret string

func (s aSecret) String() string        { return "***" }
func (s aSecret) Type() string          { return "secret" }
func (s aSecret) Freeze()               {}
func (s aSecret) Truth() starlark.Bool  { return true }
func (s aSecret) Hash() (uint32, error) { return 0, errors.New("a secret is no key") }
func (s aSecret) Reference() string     { return string(s) }

// testSecret makes a secret of its reference.
func testSecret(reference string) (starlark.Value, error) {
	if reference == "" {
		return nil, errors.New("no reference")
	}
	return aSecret(reference), nil
}

// withSecret is names with a function that makes a secret.
func withSecret(names starlark.StringDict) starlark.StringDict {
	names = maps.Clone(names)
	names["secret"] = starlark.NewBuiltin("secret", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return testSecret(string(args[0].(starlark.String)))
	})
	return names
}

// same fails unless two values are of the same types and print the same.
func same(t testing.TB, what string, got, want starlark.Value) {
	t.Helper()
	equal, err := starlark.Equal(got, want)
	if got.Type() != want.Type() || got.String() != want.String() || !equal || err != nil {
		t.Errorf("%s: got %s %s, want %s %s", what, got.Type(), got, want.Type(), want)
	}
	if f, ok := want.(starlark.Float); ok && math.Signbit(float64(f)) != math.Signbit(float64(got.(starlark.Float))) {
		t.Errorf("%s: the sign is lost", what)
	}
}

// Results go through the JSON of an event, too: its encoder may change them only in form.
func TestResultsInEvents(t *testing.T) {
	for _, text := range results {
		want := resultOf(t, text)
		data, err := json.Marshal(map[string]any{"result": json.RawMessage(encodeResult(nil, want))})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var back struct{ Result json.RawMessage }
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := decodeResult(back.Result, testSecret)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		same(t, text, got, want)
	}
}

func TestResultsThatAreDamaged(t *testing.T) {
	for _, text := range []string{
		"", "x", "[1", `{"a"`, `{"a":}`, `{"$struct":1}`, `{"$struct":{}`, `{"$struct":{},"x":1}`, `{"a":1,"$struct":{}}`, `{"$dict":[]}`,
		`{"$secret":1}`, `{"$secret":"a"`, `{"$secret":"a","x":1}`, `{"$secret":{"x":1}}`, `{"a":1,"$secret":"b"}`, `{"$secret":""}`,
		`1e999`, `1 2`, `[] x`, `{"a":1,"a":2}`, `{"$x":1}`, strings.Repeat("[", 200) + strings.Repeat("]", 200),
	} {
		if v, err := decodeResult([]byte(text), testSecret); err == nil {
			t.Errorf("%q is read as %s", text, v)
		}
	}
}

// What is read from a record is what would be written there, and nothing else is read.
func FuzzResult(f *testing.F) {
	for _, text := range results {
		f.Add(encodeResult(nil, resultOf(f, text)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decodeResult(data, testSecret)
		if err != nil {
			return
		}
		kept, err := (&copier{limit: 1 << 30}).recorded(v)
		if err != nil {
			t.Fatalf("%s is read as %s, which is no result: %v", data, v, err)
		}
		again, err := decodeResult(encodeResult(nil, kept), testSecret)
		if err != nil {
			t.Fatalf("%s: written and read again: %v", data, err)
		}
		same(t, string(data), again, v)
	})
}
