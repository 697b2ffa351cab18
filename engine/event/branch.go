package event

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// InBranch names the branch of an item in a call of parallel, which is counted from 0
// on the thread of another branch: "0.2", and below that "0.2/1.0". The name of a run's
// own thread is "".
func InBranch(branch string, call, item int) string {
	fork := fmt.Sprintf("%d.%d", call, item)
	if branch == "" {
		return fork
	}
	return branch + "/" + fork
}

// Fork tells through which call and item of a branch one leads to another one; not ok
// if that is not below it.
func Fork(branch, to string) (call, item int, ok bool) {
	rest := to
	if branch != "" {
		if rest, ok = strings.CutPrefix(to, branch+"/"); !ok {
			return 0, 0, false
		}
	}
	if rest == "" {
		return 0, 0, false
	}
	fork, _, _ := strings.Cut(rest, "/")
	first, second, _ := strings.Cut(fork, ".")
	call, callErr := strconv.Atoi(first)
	item, itemErr := strconv.Atoi(second)
	return call, item, callErr == nil && itemErr == nil
}

// Compare orders two branches by the items of the call of parallel at which they part:
// 0 where one is below the other.
func Compare(a, b string) int {
	at := ""
	for {
		callA, itemA, okA := Fork(at, a)
		callB, itemB, okB := Fork(at, b)
		if !okA || !okB {
			return 0
		}
		if callA != callB || itemA != itemB {
			return cmp.Or(cmp.Compare(callA, callB), cmp.Compare(itemA, itemB))
		}
		at = InBranch(at, callA, itemA)
	}
}
