package engine

import (
	"strings"
	"testing"
)

// What nothing could interrupt, or the interpreter would break at, is refused.
func TestTooManyElements(t *testing.T) {
	const most = "want at most 10000000 at once; a for loop can go through more"
	for call, want := range map[string]string{
		"all(range(1, 1 << 60))":                           "all: range(1, 1152921504606846976) has 1152921504606846975 elements, " + most,
		"max(range(1 << 60))":                              "max: range(1152921504606846976) has 1152921504606846976 elements, " + most,
		"min(range(10000001))":                             "min: range(10000001) has 10000001 elements, " + most,
		"list(range(1 << 60))":                             most,
		"tuple(range(1 << 60))":                            most,
		"set(range(1 << 60))":                              most,
		"bytes(range(1 << 60))":                            most,
		"sorted(iterable = range(1 << 60))":                "sorted: range(1152921504606846976) has",
		"reversed(range(1 << 60))":                         most,
		"enumerate(range(1 << 60))":                        most,
		"zip([1], range(1 << 60))":                         most,
		"dict(range(1 << 60))":                             most,
		"json.encode(range(1 << 60))":                      "json.encode: range(1152921504606846976) has",
		"parallel(range(1 << 60), lambda n: n)":            "parallel: range(1152921504606846976) has",
		"print(max(range(10000000)))":                      "",
		"[n for n in range(1 << 60) if fail(\"at once\")]": "at once",
	} {
		m := newMachine(t, body(call))
		m.wants(m.exec(), want)
		if strings.HasPrefix(call, "print") {
			m.wantsOut("9999999\n")
		}
	}
}
