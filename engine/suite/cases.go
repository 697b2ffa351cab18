package suite

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ktrdr/kinfra/engine/table"
)

// Module is what tests see beside what all scripts do.
func Module() table.Module {
	return table.Module{
		Name: "test", Testing: true, Doc: "The tests of a file *_test.star, each of which is a function test_* without parameters.",
		Builtins: []table.Builtin{{
			Name: "test.cases",
			Doc:  "Makes several tests of one function: for each case one, of its name, in a run of its own. What it returns is to be a global of the file whose name begins with test_.",
			Params: []table.Param{
				{Name: "cases", Type: table.Dict(), Help: "a value for each case's name"},
				{Name: "run", Type: table.Function(), Help: "is called with the value of a case"},
			},
			Result: "tests",
			Errors: "No cases; a name that is no text, is empty, or has more than one line.",
			Run:    newCases,
			Example: `test_base = test.cases({
    "a file": ("/srv/notes.txt", "notes.txt"),
    "a directory": ("/srv/", "srv"),
}, lambda c: expect.equal(path.base(c[0]), c[1]))`,
		}},
	}
}

// Cases is tests of one function.
type Cases struct {
	names    []string
	values   *starlark.Dict
	run      starlark.Callable
	position syntax.Position
}

func newCases(c *table.Call) (starlark.Value, error) {
	cases := &Cases{values: starlark.NewDict(0), run: c.Callable("run"), position: c.Thread.CallFrame(1).Pos}
	for _, item := range c.Dict("cases").Items() {
		name, ok := starlark.AsString(item[0])
		if !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(name, "\r\n") {
			return nil, fmt.Errorf("test.cases: the name of a case is %s: want a text of one line", item[0])
		}
		if err := cases.values.SetKey(item[0], item[1]); err != nil {
			return nil, err
		}
		cases.names = append(cases.names, name)
	}
	if len(cases.names) == 0 {
		return nil, fmt.Errorf("test.cases: there is no case")
	}
	return cases, nil
}

func (c *Cases) String() string        { return fmt.Sprintf("<%d tests of %s>", len(c.names), c.run.Name()) }
func (c *Cases) Type() string          { return "tests" }
func (c *Cases) Truth() starlark.Bool  { return true }
func (c *Cases) Hash() (uint32, error) { return 0, fmt.Errorf("tests are no key") }

// Freeze freezes the values of the cases, and the function.
func (c *Cases) Freeze() {
	for _, v := range c.Held() {
		v.Freeze()
	}
}

// Held is the values of the cases, and the function.
func (c *Cases) Held() []starlark.Value { return []starlark.Value{c.values, c.run} }
