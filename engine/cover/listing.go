package cover

import (
	"fmt"
	"strings"
)

// Listing is a file with, before each line, how often the statements that begin there
// ran. "!" marks a line with one that never did.
func (f File) Listing() string {
	counts, missed := map[int]int64{}, map[int]bool{}
	for _, s := range f.Statements {
		if n, seen := counts[s.Line]; !seen || s.Count > n {
			counts[s.Line] = s.Count
		}
		missed[s.Line] = missed[s.Line] || s.Count == 0
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", f.Path, Figure(f.Covered(), len(f.Statements)))
	for i, line := range strings.Split(strings.TrimSuffix(string(f.Source), "\n"), "\n") {
		margin := strings.Repeat(" ", 9)
		if n, counts := counts[i+1]; counts {
			mark := ' '
			if missed[i+1] {
				mark = '!'
			}
			margin = fmt.Sprintf("%6d %c ", n, mark)
		}
		b.WriteString(strings.TrimRight(margin+"| "+line, " \r") + "\n")
	}
	return b.String()
}

// Figure is how many of some statements have run: "83.3% (5 of 6)". None are all.
func Figure(covered, statements int) string {
	return fmt.Sprintf("%.1f%% (%d of %d)", Percent(covered, statements), covered, statements)
}

// Percent is how many of a hundred statements have run; of none, all.
func Percent(covered, statements int) float64 {
	if statements == 0 {
		return 100
	}
	return 100 * float64(covered) / float64(statements)
}
