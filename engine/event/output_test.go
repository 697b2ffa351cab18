package event_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
)

func out(text string) event.Piece { return event.Piece{Stream: "stdout", Text: text} }

func errs(text string) event.Piece { return event.Piece{Stream: "stderr", Text: text} }

func TestTail(t *testing.T) {
	for _, c := range []struct {
		name    string
		most    int
		added   [][]event.Piece
		want    []event.Piece
		omitted int
	}{
		{"nothing", 10, nil, nil, 0},
		{"joined in order", 100, [][]event.Piece{{out("a\n")}, {out("b\n"), errs("c\n")}, {errs("d\n")}, {out("e\n")}},
			[]event.Piece{out("a\nb\n"), errs("c\nd\n"), out("e\n")}, 0},
		{"an unfinished line is replaced", 100, [][]event.Piece{{out("a\n"), out("1%")}, {out("2%")}, {out("done\n"), errs("x")}},
			[]event.Piece{out("a\ndone\n"), errs("x")}, 0},
		{"an unfinished line ends", 100, [][]event.Piece{{out("1%")}, {errs("a\n")}}, []event.Piece{errs("a\n")}, 0},
		{"the end is kept, by lines", 7, [][]event.Piece{{out("one\ntwo\n")}, {out("three\n")}}, []event.Piece{out("three\n")}, 8},
		{"to the byte", 10, [][]event.Piece{{out("one\ntwo\n")}, {out("three\n")}}, []event.Piece{out("two\nthree\n")}, 4},
		{"over pieces", 4, [][]event.Piece{{out("1\n"), errs("2\n"), out("3\n"), errs("4\n")}}, []event.Piece{out("3\n"), errs("4\n")}, 4},
		{"a line that is longer", 3, [][]event.Piece{{out("long\n")}}, nil, 5},
		{"quiet is told apart", 9, [][]event.Piece{{out("a\n"), {Stream: "stdout", Text: "b\n", Quiet: true}}}, []event.Piece{out("a\n"), {Stream: "stdout", Text: "b\n", Quiet: true}}, 0},
	} {
		tail := event.Tail{Most: c.most}
		for _, pieces := range c.added {
			tail.Add(pieces)
		}
		if got := tail.Pieces(); !slices.Equal(got, c.want) || tail.Omitted != c.omitted || tail.Empty() != (c.want == nil) {
			t.Errorf("%s: got %+v without %d bytes, want %+v without %d", c.name, got, tail.Omitted, c.want, c.omitted)
		}
	}
}

// However much is added, the end is what is kept.
func TestTailOfMuch(t *testing.T) {
	tail := event.Tail{Most: 10_000}
	var all strings.Builder
	for i := range 20_000 {
		line := fmt.Sprintf("line %d\n", i)
		all.WriteString(line)
		tail.Add([]event.Piece{out(line)})
	}
	pieces := tail.Pieces()
	if len(pieces) != 1 || !strings.HasSuffix(all.String(), "\n"+pieces[0].Text) || len(pieces[0].Text) > 10_000 || len(pieces[0].Text) < 9_980 {
		t.Errorf("%d pieces, of which the first has %d bytes", len(pieces), len(pieces[0].Text))
	}
	if tail.Omitted+len(pieces[0].Text) != all.Len() {
		t.Errorf("%d bytes are omitted of %d", tail.Omitted, all.Len())
	}
}
