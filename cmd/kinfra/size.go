package main

import (
	"fmt"
	"strconv"
	"strings"
)

// size is a flag that takes an amount of memory, in bytes.
type size uint64

// The units, the larger first.
var units = []struct {
	name  string
	bytes uint64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// leastMemory is what kinfra can't do without.
const leastMemory size = 64 << 20

func (s *size) Type() string { return "size" }

// String is the size in the largest unit in which it is a whole number.
func (s size) String() string {
	for _, u := range units {
		if s > 0 && uint64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", uint64(s)/u.bytes, u.name)
		}
	}
	return strconv.FormatUint(uint64(s), 10)
}

// Set takes a number with a unit, such as "512MiB", "1.5GiB" or "2g". All units are powers
// of 1024, as they are for Docker.
func (s *size) Set(text string) error {
	wrong := fmt.Errorf(`want an amount of memory such as "512MiB" or "4GiB", at least %s`, leastMemory)
	number := strings.TrimRight(text, "KMGkmgiIbB")
	factor := uint64(1)
	switch unit := strings.ToLower(text[len(number):]); strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i") {
	case "":
		if unit != "" && unit != "b" {
			return wrong
		}
	case "k":
		factor = 1 << 10
	case "m":
		factor = 1 << 20
	case "g":
		factor = 1 << 30
	default:
		return wrong
	}
	n, err := strconv.ParseFloat(number, 64)
	bytes := n * float64(factor)
	if err != nil || !(bytes >= float64(leastMemory)) || bytes > 1<<50 {
		return wrong
	}
	*s = size(bytes)
	return nil
}
