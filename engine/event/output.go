package event

import (
	"fmt"
	"strings"
)

// Piece is a piece of what a process printed: lines with their ends, or a line that is not
// finished yet.
type Piece struct {
	Stream string `json:"stream"` // "stdout" or "stderr"
	Text   string `json:"text"`
	Quiet  bool   `json:"quiet,omitempty"` // it is kept, but not shown as it comes
}

// Unfinished tells whether the piece is a line that goes on. The next event about the
// same step has it again, as far as it has come.
func (p *Piece) Unfinished() bool { return !strings.HasSuffix(p.Text, "\n") }

// Tail is the end of what was printed, of whole lines.
type Tail struct {
	Most    int // bytes
	Omitted int // bytes that were before

	pieces     []Piece
	size       int
	unfinished []Piece
}

// piece is how long a piece grows before the next one is begun, in bytes.
const piece = 4 << 10

// Add adds the pieces of an event. Their unfinished lines take the place of those that
// there were.
func (t *Tail) Add(pieces []Piece) {
	t.unfinished = nil
	for _, p := range pieces {
		if p.Unfinished() {
			t.unfinished = append(t.unfinished, p)
			continue
		}
		t.size += len(p.Text)
		if i := len(t.pieces) - 1; i >= 0 && len(t.pieces[i].Text) < piece && t.pieces[i].sameAs(p) {
			t.pieces[i].Text += p.Text
		} else {
			t.pieces = append(t.pieces, p)
		}
	}
	for t.size > t.Most {
		t.drop()
	}
}

// drop forgets as much of the first piece as is too much, by whole lines.
func (t *Tail) drop() {
	first := &t.pieces[0]
	cut := len(first.Text)
	if over := t.size - t.Most; over < cut {
		cut = over + strings.IndexByte(first.Text[over-1:], '\n')
	}
	t.size, t.Omitted = t.size-cut, t.Omitted+cut
	if first.Text = first.Text[cut:]; first.Text == "" {
		t.pieces = t.pieces[1:]
	}
}

func (p *Piece) sameAs(other Piece) bool { return p.Stream == other.Stream && p.Quiet == other.Quiet }

// Size is how much there is of whole lines, in bytes.
func (t *Tail) Size() int { return t.size }

// Missing says on a line of its own what is left out before the tail; "" if that is nothing.
func (t *Tail) Missing() string {
	if t.Omitted == 0 {
		return ""
	}
	return fmt.Sprintf("… %d bytes are left out here …\n", t.Omitted)
}

// Empty tells whether nothing was printed.
func (t *Tail) Empty() bool { return len(t.pieces) == 0 && len(t.unfinished) == 0 }

// Pieces is what there is, in order, the unfinished lines last.
func (t *Tail) Pieces() []Piece {
	var all []Piece
	var text strings.Builder
	for i, p := range t.pieces {
		text.WriteString(p.Text)
		if i+1 == len(t.pieces) || !p.sameAs(t.pieces[i+1]) {
			p.Text = text.String()
			all = append(all, p)
			text.Reset()
		}
	}
	return append(all, t.unfinished...)
}
