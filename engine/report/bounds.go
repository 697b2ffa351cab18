package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/engine/event"
)

// A report has an end, whatever a run prints and puts on record. It keeps, in bytes:
const (
	printedRoom  = 256 << 10 // of what was printed, from the beginning, and as much from the end
	evidenceRoom = 32 << 20  // of all evidence; of each piece after that lastRoom
	nodeRoom     = 64 << 10  // of what processes print in a node, the end
	outputRoom   = 32 << 20  // of all that processes print; of each node after that lastRoom
	lastRoom     = 512
)

// printed is the beginning and the end of what a run prints.
type printed struct {
	head, tail           []Printed
	headBytes, tailBytes int
	omitted              int
}

// print keeps what a run prints.
func (b *Builder) print(e *event.Event) {
	text := e.Text
	if e.Type == event.Warned {
		var all strings.Builder
		all.WriteString(text + "\n")
		for _, d := range e.Problems {
			all.WriteString(d.Text())
		}
		text = strings.TrimLeft(all.String(), "\n")
	}
	b.printed.omitted += e.Omitted
	if text == "" && e.Type != event.Resumed {
		return
	}
	b.keep(e, Printed{Type: e.Type, Text: shorten(text, printedRoom, "")})
}

// answer keeps what was asked and answered; what is replayed, the report has.
func (b *Builder) answer(e *event.Event) {
	if e.Replayed {
		return
	}
	b.run.Open = nil
	b.keep(e, Printed{Type: e.Type, Text: shorten(e.Question.Line(e.Answer), printedRoom, "") + "\n", Question: e.Question, Answer: e.Answer})
}

func (b *Builder) keep(e *event.Event, p Printed) {
	if !b.run.Started.IsZero() {
		p.At = e.Time.Sub(b.run.Started)
	}
	b.printed.add(p)
}

func (p *printed) add(one Printed) {
	size := len(one.Text) + 1
	if len(p.tail) == 0 && p.headBytes+size <= printedRoom {
		p.head, p.headBytes = append(p.head, one), p.headBytes+size
		return
	}
	p.tail, p.tailBytes = append(p.tail, one), p.tailBytes+size
	for p.tailBytes > printedRoom && len(p.tail) > 1 {
		first := len(p.tail[0].Text)
		p.omitted += first
		p.tail, p.tailBytes = p.tail[1:], p.tailBytes-first-1
	}
}

// note keeps a piece of evidence.
func (b *Builder) note(past *event.Past, e *event.Event) {
	if past == nil {
		return
	}
	n := b.nodes[past.Number]
	text := shorten(e.Text, max(evidenceRoom-b.evidence, lastRoom), "")
	b.evidence += len(text)
	n.Evidence = append(n.Evidence, Evidence{e.Name, text})
}

// processes keeps what processes print.
func (b *Builder) processes(past *event.Past, e *event.Event) {
	t := &b.run.Output
	if past != nil {
		t = &b.nodes[past.Number].Output
	} else if e.Key != "" {
		return
	}
	before := t.Size()
	t.Most = max(min(nodeRoom, before+outputRoom-b.output), lastRoom)
	t.Omitted += e.Omitted
	t.Add(e.Output)
	b.output += t.Size() - before
}

// room is how many bytes more of the texts of a run a report has. Each text gets at most
// one, and at least lastRoom.
type room struct {
	one, all int
	rest     string // where the rest is; "" if it isn't known
}

// cut leaves out the middle of a text for which there is no room.
func (r *room) cut(text string) string {
	text = shorten(text, max(min(r.one, r.all), lastRoom), r.rest)
	r.all -= len(text)
	return text
}

// shorten leaves out the middle of a text of more than so many bytes, and says so.
func shorten(text string, most int, rest string) string {
	if len(text) <= most {
		return text
	}
	head, tail := most*3/4, len(text)-most/4
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return fmt.Sprintf("%s\n… %d bytes are left out here%s …\n%s", text[:head], tail-head, rest, text[tail:])
}
