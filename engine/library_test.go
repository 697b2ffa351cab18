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
