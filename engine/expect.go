package engine

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// expectModule is the assertions. Each fails with what was expected and what was
// there.
func expectModule() table.Module {
	what := table.Param{Name: "what", Type: table.String(), Named: true, Optional: true, Help: "what the value is, for the message"}
	got := table.Param{Name: "got", Type: table.Any(), Help: "the value that is there"}
	return table.Module{
		Name: "expect",
		Doc:  "Fails with what was expected and what was there, as a diff where they are long.",
		Builtins: []table.Builtin{
			{
				Name: "expect.equal", Expects: true, Doc: "Fails unless two values are equal.", Run: expectEqual,
				Params: []table.Param{got, {Name: "want", Type: table.Any(), Help: "the value that is expected"}, what},
				Example: `expect.equal(len([1, 2]), 2, what = "how many there are")
expect.equal("a", "b")  # fails: expected "b"`,
			},
			{
				Name: "expect.contains", Expects: true, Doc: "Fails unless a text contains another, a list an element, or a dict a key.", Run: expectContains,
				Params: []table.Param{got, {Name: "want", Type: table.Any(), Help: "what must be in it"}, what},
				Example: `expect.contains("hello world", "world")
expect.contains({"web": 7000}, "web")
expect.contains([1, 2], 3)  # fails: expected 3 in it`,
			},
			{
				Name: "expect.matches", Expects: true, Doc: "Fails unless a text has a match of a regular expression.", Run: expectMatches,
				Params: []table.Param{
					{Name: "got", Type: table.String(), Help: "the text that is there"},
					{Name: "pattern", Type: table.String(), Help: "an expression in RE2 syntax"}, what,
				},
				Example: `expect.matches("slot-12", "^slot-[0-9]+$")`,
			},
			{
				Name: "expect.true", Expects: true, Doc: "Fails unless a value is true.", Params: []table.Param{got, what},
				Run:     func(c *table.Call) (starlark.Value, error) { return expectTruth(c, true) },
				Example: `expect.true(fs.exists("notes.txt"), what = "there are notes")`,
			},
			{
				Name: "expect.false", Expects: true, Doc: "Fails unless a value is false.", Params: []table.Param{got, what},
				Run:     func(c *table.Call) (starlark.Value, error) { return expectTruth(c, false) },
				Example: `expect.false([], what = "anything left")`,
			},
			{
				Name: "expect.fails", Expects: true, Doc: "Fails unless a function fails.", Run: expectFails,
				Params: []table.Param{
					{Name: "run", Type: table.Function(0), Help: "called without arguments"},
					{Name: "message", Type: table.String(), Named: true, Optional: true, Help: "a text that the error's message must contain"},
				},
				Result:  "the error's message",
				Example: `expect.fails(lambda: fs.read("missing.txt"), message = "no such file")`,
			},
		},
	}
}

// mismatch says what was expected and what was there.
func mismatch(c *table.Call, want, got string) error {
	subject := ""
	if c.String("what") != "" {
		subject = c.String("what") + ": "
	}
	return fmt.Errorf("%sexpected %s\ngot %s", subject, want, got)
}

func expectEqual(c *table.Call) (starlark.Value, error) {
	got, want := c.Value("got"), c.Value("want")
	equal, err := starlark.Equal(got, want)
	if err != nil {
		return nil, err
	}
	if equal {
		return starlark.None, nil
	}
	g, w := pretty(got), pretty(want)
	if strings.Contains(w, "\n") || strings.Contains(g, "\n") || len(w)+len(g) > 200 {
		subject := c.String("what")
		if subject == "" {
			subject = "the value"
		}
		return nil, fmt.Errorf("%s is not what was expected:\n%s", subject,
			bytes.TrimSuffix(diff.Diff("expected", []byte(withNewline(w)), "got", []byte(withNewline(g))), []byte("\n")))
	}
	return nil, mismatch(c, w, g)
}

// pretty is a value on lines of its own where it is long, so that a diff shows the
// part that differs. Two texts of several lines are shown as they are.
func pretty(v starlark.Value) string {
	if s, ok := starlark.AsString(v); ok && strings.Contains(s, "\n") {
		return s
	}
	short := v.String()
	if len(short) <= 80 {
		return short
	}
	var b strings.Builder
	switch v := v.(type) {
	case starlark.IterableMapping:
		b.WriteString("{\n")
		for _, kv := range v.Items() {
			fmt.Fprintf(&b, "  %s: %s,\n", kv[0], kv[1])
		}
		b.WriteString("}")
	case *starlark.List, starlark.Tuple, *starlark.Set:
		b.WriteString("[\n")
		for e := range starlark.Elements(v.(starlark.Iterable)) {
			fmt.Fprintf(&b, "  %s,\n", e)
		}
		b.WriteString("]")
	default:
		return short
	}
	return b.String()
}

func withNewline(s string) string { return strings.TrimSuffix(s, "\n") + "\n" }

func expectContains(c *table.Call) (starlark.Value, error) {
	got, want := c.Value("got"), c.Value("want")
	in, err := starlark.Binary(syntax.IN, want, got)
	if err != nil {
		return nil, fmt.Errorf("expect.contains: %w", err)
	}
	if in == starlark.True {
		return starlark.None, nil
	}
	return nil, mismatch(c, want.String()+" in it", pretty(got))
}

func expectMatches(c *table.Call) (starlark.Value, error) {
	pattern, err := regexp.Compile(c.String("pattern"))
	if err != nil {
		return nil, &table.ArgumentError{Err: fmt.Errorf("expect.matches: the pattern %q: %w", c.String("pattern"), err)}
	}
	if pattern.MatchString(c.String("got")) {
		return starlark.None, nil
	}
	return nil, mismatch(c, "a match of "+c.String("pattern"), pretty(c.Value("got")))
}

func expectTruth(c *table.Call, want bool) (starlark.Value, error) {
	if bool(c.Value("got").Truth()) == want {
		return starlark.None, nil
	}
	return nil, mismatch(c, fmt.Sprintf("a value that is %s", map[bool]string{true: "true", false: "false"}[want]), pretty(c.Value("got")))
}

func expectFails(c *table.Call) (starlark.Value, error) {
	v, err := stateOf(c.Thread).call(c.Thread, c.Callable("run"))
	if err == nil {
		return nil, fmt.Errorf("expected %s to fail\ngot %s", c.Callable("run").Name(), pretty(v))
	}
	if !catchable(Context(c.Thread), err) {
		return nil, err
	}
	var inner *starlark.EvalError
	message := err.Error()
	if errors.As(err, &inner) {
		message = inner.Msg
	}
	if want := c.String("message"); !strings.Contains(message, want) {
		return nil, fmt.Errorf("expected an error with %q\ngot %s", want, message)
	}
	return starlark.String(message), nil
}
