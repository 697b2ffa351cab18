package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// What a designer works on: the page's style, and its signs as an SVG of symbols, one
// for each status.
var (
	//go:embed page.css
	pageStyle string
	//go:embed signs.svg
	pageSigns string
)

// page is the HTML report in the making.
type page struct {
	markup
	*outline
	rows    map[*outlined]bool // those that the page shows
	trouble []*outlined
	scale   scale
	texts   room // for what scripts put on record
}

// HTML is the report as a page for people: one file that loads nothing and runs nothing.
func HTML(r *Run) ([]byte, error) {
	p := &page{outline: outlineOf(r), texts: pageTexts()}
	p.trouble = p.outline.trouble()
	p.rows = p.choose(mostRows)
	p.trusted("<!DOCTYPE html>\n")
	p.in("html", attrs{"lang", "en"}, func() {
		p.line()
		p.in("head", nil, p.head)
		p.line()
		p.in("body", nil, p.body)
		p.line()
	})
	p.line()
	return p.out.Bytes(), nil
}

func (p *page) head() {
	p.void("meta", attrs{"charset", "utf-8"})
	hash := sha256.Sum256([]byte(pageStyle))
	style := "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	p.void("meta", attrs{
		"http-equiv", "Content-Security-Policy",
		"content", "default-src 'none'; style-src " + style + "; base-uri 'none'; form-action 'none'",
	})
	p.void("meta", attrs{"name", "viewport", "content", "width=device-width, initial-scale=1"})
	p.void("meta", attrs{"name", "color-scheme", "content", "light dark"})
	p.void("meta", attrs{"name", "referrer", "content", "no-referrer"})
	p.say("title", nil, p.outcome()+": "+p.command())
	p.in("style", nil, func() { p.trusted(pageStyle) })
}

func (p *page) body() {
	p.trusted(pageSigns)
	parts := p.parts()
	p.in("header", attrs{"class", "top " + string(p.status())}, func() { p.top(parts) })
	p.line()
	p.in("main", nil, func() {
		for _, part := range parts {
			p.section(part.id, part.title, part.write)
		}
	})
	p.line()
	p.in("footer", nil, func() {
		p.text("Written by kinfra " + p.run.Version)
	})
}

// part is a part of the page.
type part struct {
	id, title string
	write     func()
}

// parts are those of which there is something to be shown.
func (p *page) parts() []part {
	var all []part
	if len(p.trouble) > 0 || len(p.own) > 0 {
		all = append(all, part{"trouble", p.troubleTitle(), p.writeTrouble})
	}
	all = append(all, part{"steps", "Steps and checks", p.steps})
	if len(p.run.Changes.Told) > 0 {
		all = append(all, part{"changes", "What would change outside of steps", func() { p.changes(p.run.Changes) }})
	}
	if len(p.run.Printed) > 0 || p.run.Omitted > 0 || !p.run.Output.Empty() {
		all = append(all, part{"printed", "What was printed", p.printed})
	}
	if len(p.run.Result) > 0 {
		all = append(all, part{"result", "Result", p.result})
	}
	return all
}

// section writes a part of the page under a heading that names it.
func (p *page) section(id, title string, inside func()) {
	p.line()
	p.in("section", attrs{"id", id, "aria-labelledby", id + "-title"}, func() {
		p.say("h2", attrs{"id", id + "-title"}, title)
		inside()
	})
}

func (p *page) command() string { return strings.TrimSpace("kinfra " + p.run.Command) }

// status is how the run ended. One of which nothing is known did not end well.
func (p *page) status() event.Status {
	if p.run.Status == "" {
		return event.Failed
	}
	return p.run.Status
}

// outcome is how the run ended, in a word or two.
func (p *page) outcome() string {
	switch p.status() {
	case event.Undone:
		return "Taken back"
	case event.Running:
		return "Still running"
	case event.Interrupted:
		return "Interrupted"
	case event.Passed:
		return "Passed"
	}
	return "Failed"
}

func (p *page) top(parts []part) {
	p.in("h1", nil, func() {
		p.sign(p.status())
		p.say("span", attrs{"class", "outcome"}, p.outcome())
		p.text(" ")
		p.say("code", nil, p.command())
	})
	p.counts()
	p.facts()
	if p.run.ID != "" && p.run.MayResume() {
		p.in("p", attrs{"class", "next"}, p.next)
	}
	if len(parts) < 2 {
		return
	}
	p.in("nav", attrs{"aria-label", "Parts of this page"}, func() {
		for _, part := range parts {
			p.say("a", attrs{"href", "#" + part.id}, part.title)
		}
	})
}

// next says what can be done with a recorded run that didn't end well.
func (p *page) next() {
	p.say("code", nil, "kinfra resume "+p.run.ID)
	p.text(" resumes it")
	if p.run.MayUndo() {
		p.text(", ")
		p.say("code", nil, "kinfra undo "+p.run.ID)
		p.text(" takes back what it did")
	}
	p.text(".")
}

// counts says how many steps and checks ended in which way, the worst first.
func (p *page) counts() {
	if p.total == 0 {
		return
	}
	p.in("ul", attrs{"class", "counts"}, func() {
		for _, s := range worstFirst() {
			if n := p.count[s]; n > 0 {
				p.in("li", attrs{"class", string(s)}, func() {
					p.sign(s)
					p.text(number(n) + " " + word(s))
				})
			}
		}
	})
}

// sign draws what stands for a status. A text beside it must say the same.
func (p *page) sign(s event.Status) {
	p.in("svg", attrs{"class", "sign " + string(s), "aria-hidden", "true"}, func() { p.void("use", attrs{"href", "#sign-" + string(s)}) })
}

// worstFirst are the ways in which a node can end.
func worstFirst() []event.Status {
	return []event.Status{event.Failed, event.Running, event.Undone, event.Skipped, event.Decided, event.Passed}
}

// word says how a node ended.
func word(s event.Status) string {
	switch s {
	case event.Undone:
		return "taken back"
	case event.Running:
		return "did not end"
	case event.Decided:
		return "decided when it runs"
	}
	return string(s)
}

// duration is a time that is read, not computed with: three digits of it.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0 s"
	case d >= time.Hour:
		return two(d, time.Hour, "h", time.Minute, "min")
	case d >= time.Minute:
		return two(d, time.Minute, "min", time.Second, "s")
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.3g µs", float64(d)/1e3)
}

// two is a time in two units, the smaller one where there is something of it.
func two(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d %s", d/big, bigName)
	if rest := d % big / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}
