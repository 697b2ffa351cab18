package engine

import (
	"strings"
	"testing"
)

// What somebody else has written may nest without end; a stack that overflows would
// end the process, with no way to catch it.
func TestDecodeDepth(t *testing.T) {
	for _, c := range []struct{ name, expr, want string }{
		{"JSON that may be read", `json.decode("[" * 10000 + "]" * 10000)`, ""},
		{"brackets in a JSON string", `json.decode('"' + '\\"[' * 20000 + '"')`, ""},
		{"many in a row", `json.decode("[" + "[]," * 20000 + "0]")`, ""},
		{"lists in JSON", `json.decode("[" * 30000000)`, "nested deeper than 10000 levels"},
		{"objects in JSON", `json.decode('{"a":' * 5000000)`, "nested deeper than 10000 levels"},
		{"with a default", `json.decode("[" * 30000000, None)`, "nested deeper than 10000 levels"},
		{"lists in YAML", `yaml.decode("[" * 30000)`, "exceeded max depth of 10000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newMachine(t, "x = "+c.expr).load()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestOptionalArguments: an optional argument of Starlark's own libraries reaches the
// function, by its place or by its name, also behind one that was left out.
func TestOptionalArguments(t *testing.T) {
	for _, expr := range []string{
		`math.log(8, 2) == 3.0`, `math.log(8, base = 2) == 3.0`, `math.log(1) == 0.0`,
		`json.decode("x", 1) == 1`, `json.decode("x", default = 2) == 2`,
		`json.indent("[1]", indent = " ") == "[\n 1\n]"`, `json.indent("[1]", prefix = "> ") == "[\n> \t1\n> ]"`,
		`time.parse_time("2026-01-02 03:04", "2006-01-02 15:04", "Europe/Berlin").unix == 1767319440`,
		`time.parse_time("2026-01-02T03:04:00Z", location = "Europe/Berlin").unix == 1767323040`,
	} {
		if _, err := newMachine(t, "expect.true("+expr+")").load(); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}
