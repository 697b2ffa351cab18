// Package nearest finds the known name that a misspelt one most likely stands for.
package nearest

import (
	"fmt"
	"strings"
)

// Name is the candidate that is fewest edits away from name, if that is few
// enough for a slip of the hand: a third of its length. Case doesn't count, and of
// equally near ones the first wins.
func Name(name string, candidates []string) (string, bool) {
	most := max(1, len(name)/3)
	best, found := "", false
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= most {
			best, most, found = c, d-1, true
		}
	}
	return best, found
}

// Suggest is the end of a message about an unknown name: ` (did you mean "x"?)`,
// or nothing where no candidate is near.
func Suggest(name string, candidates []string) string {
	if c, ok := Name(name, candidates); ok {
		return fmt.Sprintf(" (did you mean %q?)", c)
	}
	return ""
}

// distance is the number of single-byte insertions, deletions, substitutions and
// swaps of neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			substitute := last[j]
			if a[i] != b[j] {
				substitute++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, substitute)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
