package engine

import (
	"errors"
	"strings"
	"testing"
)

// What would make a value at once that is larger than the memory is refused before.
func TestTooLargeAtOnce(t *testing.T) {
	for call, large := range map[string]bool{
		"[0] * n":                            true,
		"n * [0]":                            true,
		"(1, 2) * n":                         true,
		"(\"abc\") * n":                      true,
		"[0] * (1 << 100)":                   true,
		"\",\".join([\"x\" * 1000] * 2000)":  true,
		"(\"x\" * 1000).join([\"\"] * 2000)": true,
		"(\"x\" * 1000).replace(\"x\", \"y\" * 2000)": true,
		"(\"x\" * 1000).replace(\"\", \"y\" * 2000)":  true,
		"some * n":                true,
		"n * some":                true,
		"some[0:] * n":            true,
		"[some][0] * n":           true,
		"text * n":                true,
		"more = some; more *= n":  true,
		"pair * (1 << 100)":       true,
		"\"%s%s\" % (half, half)": true,
		"print([len(some * 3)], n * 2, -n * -n, len(text * (n >> 20)), \"%s %d\" % (text, n))": false,
		"print(len([0] * 1000), len(2 * [0]), [1] * -n, 2 * n)":                                false,
		"print(\",\".join([\"a\", \"b\"]), \"aba\".replace(\"a\", \"c\", 1), \"x\" * 3)":       false,
	} {
		m := newMachine(t, "n = 1 << 24\nsome, pair, text, half = [0], (1, 2), \"abc\", \"x\" * 600000\n"+body(call))
		m.config.Memory.Bytes, m.config.Memory.Err = 1<<20, ErrMemory
		err := m.exec()
		if large != errors.Is(err, ErrMemory) || !large && err != nil {
			t.Errorf("%s: the error is %v", call, err)
		}
		if strings.HasPrefix(call, "print(len") {
			m.wantsOut("1000 2 [] 33554432\n")
		}
		if strings.HasPrefix(call, "print(\",\"") {
			m.wantsOut("a,b cba xxx\n")
		}
	}
}

// An error of what is bounded says the same, at the same place, as if it were not.
func TestErrorsOfWhatIsBounded(t *testing.T) {
	for call, want := range map[string]string{
		"\",\".join([1])":     "join: in list, want string, got int",
		"\"a\".replace(1, 2)": "replace: for parameter 1: got int, want string",
		"[1] * \"a\"":         "unknown binary op: list * string",
		"{} * [1][0]":         "unknown binary op: dict * int",
		"{} * n":              "unknown binary op: dict * int",
		"n * none":            "unknown binary op: int * NoneType",
		"\"%d\" % half":       "%d format requires integer: cannot convert string to int",
		"\"%s%s\" % half":     "not enough arguments for format string",
		"[1].join()":          "list has no .join field or method",
	} {
		m := newMachine(t, "n, none, half = 1, None, \"x\"\n"+body(call))
		m.wants(m.exec(), want)
	}
}
