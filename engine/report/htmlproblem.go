package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
)

// A page stays one that a browser opens at once: it shows so many bytes of one text, and so
// many of all of them. The JSON report has more.
const (
	textRoom = 64 << 10
	pageRoom = 2 << 20
	mostList = 12 // calls, or other places
)

func pageTexts() room {
	return room{one: textRoom, all: pageRoom, rest: "; --report json=FILE has them"}
}

func (p *page) problems(all []diag.Diagnostic) {
	for _, d := range all {
		p.in("div", attrs{"class", "problem"}, func() {
			p.message(d.Message)
			if d.Place != nil {
				p.place(*d.Place)
			}
			p.also(d.Also)
			p.calls(d.Calls)
			if d.Recorded != nil {
				p.say("p", attrs{"class", "about"}, "On record it is")
				p.place(*d.Recorded)
			}
			if d.Hint != "" {
				p.in("p", attrs{"class", "hint"}, func() {
					p.say("strong", nil, "Hint:")
					p.text(" ")
					p.text(p.texts.cut(d.Hint))
				})
			}
		})
	}
}

// message writes what went wrong: what was expected and what was there below one
// another, or as a diff, where the message has that form.
func (p *page) message(text string) {
	text = p.texts.cut(text)
	if what, diff, ok := splitDiff(text); ok {
		p.say("p", attrs{"class", "message"}, what)
		p.diff(diff)
		return
	}
	what, want, got, ok := splitExpected(text)
	if !ok {
		p.say("p", attrs{"class", "message"}, text)
		return
	}
	if what != "" {
		p.say("p", attrs{"class", "message"}, what)
	}
	p.in("dl", attrs{"class", "compare"}, func() {
		p.say("dt", nil, "Expected")
		p.in("dd", attrs{"class", "expected"}, func() { p.code("expected", want) })
		p.say("dt", nil, "Got")
		p.in("dd", attrs{"class", "got"}, func() { p.code("got", got) })
	})
}

// splitDiff parts a message from the diff that ends it.
func splitDiff(text string) (what, diff string, ok bool) {
	what, diff, ok = strings.Cut(text, "\n--- expected\n+++ got\n")
	return strings.TrimSuffix(what, "\ndiff expected got"), diff, ok
}

// splitExpected parts a message of the form "what: expected this\ngot that".
func splitExpected(text string) (what, want, got string, ok bool) {
	first, got, ok := strings.Cut(text, "\ngot ")
	if !ok {
		return "", "", "", false
	}
	if want, ok = strings.CutPrefix(first, "expected "); ok {
		return "", want, got, true
	}
	what, want, ok = strings.Cut(first, ": expected ")
	return what, want, got, ok && !strings.Contains(what, "\n")
}

func (p *page) diff(text string) {
	p.say("p", attrs{"class", "legend"}, "Lines with − were expected, lines with + are what there was.")
	p.box("the difference", text, func() {
		for line := range strings.Lines(text) {
			switch line[0] {
			case '-':
				p.say("del", nil, line)
			case '+':
				p.say("ins", nil, line)
			case '@':
				p.say("span", attrs{"class", "hunk"}, line)
			default:
				p.text(line)
			}
		}
	})
}

// place writes where in a script something is, with the line and a caret.
func (p *page) place(at diag.Place) {
	p.in("figure", attrs{"class", "place"}, func() {
		p.in("figcaption", nil, func() { p.say("code", nil, at.String()) })
		if at.Source == "" {
			return
		}
		line, caret := at.Excerpt()
		number := fmt.Sprint(at.Line)
		p.box("line "+number+" of "+at.File, line, func() {
			p.say("span", attrs{"class", "number"}, number+" │ ")
			p.text(line + "\n")
			p.in("span", attrs{"aria-hidden", "true"}, func() {
				p.say("span", attrs{"class", "number"}, strings.Repeat(" ", len(number))+" │ ")
				p.say("span", attrs{"class", "caret"}, caret)
			})
		})
	})
}

func (p *page) also(places []diag.Place) {
	if len(places) == 0 {
		return
	}
	p.say("p", attrs{"class", "about"}, "It is also about")
	for _, at := range places[:min(len(places), mostList)] {
		p.place(at)
	}
	p.more(len(places) - mostList)
}

func (p *page) calls(calls []diag.Call) {
	if len(calls) == 0 {
		return
	}
	p.say("p", attrs{"class", "about"}, "Called from")
	p.in("ol", attrs{"class", "calls"}, func() {
		for _, c := range calls[:min(len(calls), mostList)] {
			p.in("li", nil, func() {
				p.say("code", nil, c.Place.String())
				if c.Function != "" {
					p.text(" in ")
					p.say("code", nil, c.Function)
				}
				if c.Place.Source != "" {
					line, _ := c.Place.Excerpt()
					p.say("code", attrs{"class", "source"}, strings.TrimSpace(line))
				}
			})
		}
	})
	p.more(len(calls) - mostList)
}

func (p *page) more(n int) {
	if n > 0 {
		p.say("p", attrs{"class", "about"}, fmt.Sprintf("and %d more", n))
	}
}

// evidence writes what a script put on record, folded.
func (p *page) evidence(all []Evidence) {
	for _, e := range all {
		p.in("details", attrs{"class", "evidence"}, func() {
			p.in("summary", nil, func() {
				p.say("span", attrs{"class", "name"}, e.Name)
				p.text(" ")
				p.say("span", attrs{"class", "times"}, size(e.Value))
			})
			p.code(e.Name, p.texts.cut(readable(e.Value)))
		})
	}
}

// output writes what processes printed, folded, as a terminal shows it.
func (p *page) output(t *event.Tail) {
	if t.Empty() {
		return
	}
	pieces, all, mixed := t.Pieces(), "", false
	for _, piece := range pieces {
		all += piece.Text
		mixed = mixed || piece.Stream != pieces[0].Stream
	}
	p.in("details", attrs{"class", "evidence output"}, func() {
		p.in("summary", nil, func() {
			p.say("span", attrs{"class", "name"}, "Output")
			p.text(" ")
			p.say("span", attrs{"class", "times"}, size(all))
		})
		if mixed {
			p.say("p", attrs{"class", "legend"}, "Lines in italics came on stderr.")
		}
		p.box("output", all, func() {
			if t.Omitted > 0 {
				p.say("span", attrs{"class", "hunk"}, t.Missing())
			}
			for _, piece := range pieces {
				text := p.texts.cut(colors.ReplaceAllString(piece.Text, ""))
				if mixed && piece.Stream == "stderr" {
					p.say("span", attrs{"class", "stderr"}, text)
				} else {
					p.text(text)
				}
			}
		})
	})
}

// changes lists what a dry run would have changed.
func (p *page) changes(c Changes) {
	if len(c.Told) == 0 {
		return
	}
	p.in("ul", attrs{"class", "changes"}, func() {
		for i := range c.Told {
			p.say("li", nil, "would "+c.Told[i].Text())
		}
		if c.More > 0 {
			p.say("li", nil, fmt.Sprintf("… and %s more", number(c.More)))
		}
	})
}

// readable is JSON that stands on one long line on several.
func readable(value string) string {
	var b bytes.Buffer
	if len(value) < 80 || strings.Contains(value, "\n") || json.Indent(&b, []byte(value), "", "  ") != nil {
		return value
	}
	return b.String()
}

// size says how much a text is.
func size(text string) string {
	lines := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		lines++
	}
	bytes := fmt.Sprintf("%d bytes", len(text))
	if len(text) >= 1000 {
		bytes = fmt.Sprintf("%.1f kB", float64(len(text))/1000)
	}
	switch lines {
	case 0:
		return "empty"
	case 1:
		return bytes
	}
	return fmt.Sprintf("%d lines, %s", lines, bytes)
}

// code writes a text as it is.
func (p *page) code(name, text string) { p.box(name, text, func() { p.text(text) }) }

// box writes what keeps its lines and spaces. Where it may be too wide or too high for
// its place it scrolls, and then the keyboard must come to it.
func (p *page) box(name, text string, inside func()) {
	var a attrs
	if overflows(text) {
		a = attrs{"tabindex", "0", "role", "group", "aria-label", name}
	}
	p.in("pre", a, func() { p.in("code", nil, inside) })
}

func overflows(text string) bool {
	const narrow, high = 30, 18
	lines := 0
	for line := range strings.Lines(text) {
		if lines++; lines > high || utf8.RuneCountInString(line) > narrow || strings.Contains(line, "\t") {
			return true
		}
	}
	return false
}
