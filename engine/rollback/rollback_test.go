package rollback

import (
	"strings"
	"testing"
	"time"
)

// Random programs leave what the model says, however their processes end. The torture table
// has more of them, with processes that are killed, and with faults that have to be caught.
func TestPrograms(t *testing.T) {
	const first = 1
	n := 2000
	if testing.Short() {
		n = 200
	}
	found, entries, err := Soak(t.Context(), first, n, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if found != nil {
		t.Fatal(found.Shrink(20 * time.Second))
	}
	t.Logf("%d programs, %d entries", n, entries)
}

// Programs come to all that the model judges.
func TestGenerate(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(300) {
		process := ""
		for _, e := range Run(Generate(seed)) {
			switch e.What {
			case ProcessBegan:
				process = e.Arg
			case ProcessEnded:
				seen[process+" ends "+e.Arg]++
			case Line:
				seen[strings.TrimSpace(process+" has "+e.Event+" "+e.Status)]++
			default:
				seen[process+" "+string(e.What)]++
			}
		}
	}
	for _, want := range []string{
		"start ends well", "start ends failed", "start ends killed", "start ends checks failed", "start ends interrupted",
		"resume ends well", "resume ends failed", "resume ends killed", "resume ends refused", "undo ends well", "undo ends failed",
		"undo ends killed", "start has retry", "start has undo failed", "resume has undo passed", "resume has begin",
		"undo has begin", "undo run", "undo stuck", "resume passed", "resume script",
	} {
		if seen[want] < 3 {
			t.Errorf("%q is seen %d times", want, seen[want])
		}
	}
}

func TestRelate(t *testing.T) {
	step := func(name string, inside ...Statement) Statement {
		return Statement{Kind: Step, Name: name, Blocks: [][]Statement{inside}}
	}
	s := newShape(Program{
		step("a", step("b"), step("c")),
		{Kind: Attempt, Name: "t", Blocks: [][]Statement{{step("d")}}},
		{Kind: Parallel, Name: "p", Blocks: [][]Statement{{step("e"), step("f")}, {step("g", step("h"))}}},
		{Kind: Check, Name: "k", Blocks: [][]Statement{{step("i")}}},
		step("j"),
	})
	for _, c := range []struct {
		a, b string
		want relation
	}{
		{"a", "a", same}, {"a/b", "a/c", before}, {"a/c", "a/b", after}, {"a", "a/b", around}, {"a/b", "a", inside},
		{"a/b", "d", before}, {"d", "e", before}, {"e", "f", before}, {"e", "g", unrelated}, {"f", "g/h", unrelated},
		{"g/h", "g", inside}, {"e", "k/i", before}, {"k", "k/i", around}, {"k/i", "j", before}, {"j", "e", after}, {"a", "x", unrelated},
	} {
		if got := s.relate(c.a, c.b); got != c.want {
			t.Errorf("%s to %s is %d, want %d", c.a, c.b, got, c.want)
		}
	}
	if s.shares("k/i", "j") || !s.shares("a", "k/i") {
		t.Error("checks are taken for steps")
	}
}
