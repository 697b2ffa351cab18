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
		"(\"x\" * 1000).replace(\"x\", \"y\" * 2000)":                                    true,
		"(\"x\" * 1000).replace(\"\", \"y\" * 2000)":                                     true,
		"print(len([0] * 1000), len(2 * [0]), [1] * -n, 2 * n)":                          false,
		"print(\",\".join([\"a\", \"b\"]), \"aba\".replace(\"a\", \"c\", 1), \"x\" * 3)": false,
	} {
		m := newMachine(t, "n = 1 << 24\n"+body(call))
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
		"[1].join()":          "list has no .join field or method",
	} {
		m := newMachine(t, body(call))
		m.wants(m.exec(), want)
	}
}
