package diag

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// A file may have hundreds of thousands of errors, in a line as long as the file: what is
// told of them is bounded, in number and in the text that is kept.
func TestManyErrors(t *testing.T) {
	const n = 260_000
	text := []byte(strings.Repeat("x=1;", n))
	file := "x.star"
	var list resolve.ErrorList
	var joined []error
	for i := range n {
		list = append(list, resolve.Error{Pos: syntax.MakePosition(&file, 1, int32(4*i+1)), Msg: "again"})
		joined = append(joined, errors.New("again"))
	}
	for name, err := range map[string]error{"of a file": list, "joined": errors.Join(joined...), "of branches": branches(joined)} {
		asked := 0
		all := Of(err, func(string) []byte { asked++; return text })
		if len(all) != Most+1 || asked > Most {
			t.Fatalf("%s: %d diagnostics, and the text was asked for %d times", name, len(all), asked)
		}
		if last := all[Most]; last.Message != "259900 more errors are not shown" || last.Place != nil {
			t.Errorf("%s: the last one is %+v", name, last)
		}
		for _, d := range all {
			if d.Place != nil && len(d.Place.Source) > 2*keepsSide {
				t.Fatalf("%s: %d bytes of a line are kept", name, len(d.Place.Source))
			}
		}
	}
	if all := Of(list[:Most], func(string) []byte { return text }); len(all) != Most {
		t.Errorf("%d diagnostics of %d errors", len(all), Most)
	}
}

type branches []error

func (branches) Error() string       { return "branches" }
func (b branches) Branches() []error { return b }

// A line is found in the text itself, not in a copy of it.
func TestLineOf(t *testing.T) {
	text := []byte("one\r\ntwo\rthree\n\nfive")
	for number, want := range map[int]string{-1: "", 0: "", 1: "one", 2: "two", 3: "three", 4: "", 5: "five", 6: ""} {
		line := lineOf(text, number)
		if string(line) != want {
			t.Errorf("line %d is %q, want %q", number, line, want)
		}
		if want != "" && &line[0] != &text[bytes.Index(text, []byte(want))] {
			t.Errorf("line %d is a copy", number)
		}
	}
	if allocations := testing.AllocsPerRun(10, func() { lineOf(text, 5) }); allocations > 0 {
		t.Errorf("finding a line allocates %v times", allocations)
	}
}

// A long line is kept as far as it is shown, and shown like one that is kept whole.
func TestLongLine(t *testing.T) {
	line := strings.Repeat("äöü-\t日", 500)
	file := "x.star"
	for _, column := range []int{1, 2, 99, 100, 101, 102, 103, 1500, 2900, 2901, 2999, 3000, 3001} {
		at := placeOf(syntax.MakePosition(&file, 1, int32(column)), func(string) []byte { return []byte(line) })
		if len([]rune(at.Source)) > 2*keepsSide {
			t.Errorf("column %d: %d characters are kept", column, len([]rune(at.Source)))
		}
		gotLine, gotCaret := at.Excerpt()
		wantLine, wantCaret := Place{Line: 1, Column: column, Source: line}.Excerpt()
		if gotLine != wantLine || gotCaret != wantCaret {
			t.Errorf("column %d:\n%s\n%s\nwant\n%s\n%s", column, gotLine, gotCaret, wantLine, wantCaret)
		}
		if column <= keepsSide && at.From != 0 {
			t.Errorf("column %d: it is kept from column %d on", column, at.From)
		}
	}
}
