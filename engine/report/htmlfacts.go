package report

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/ktrdr/kinfra/engine/event"
)

// facts are what else is known of the run.
func (p *page) facts() {
	about := p.run.About
	p.in("dl", attrs{"class", "facts"}, func() {
		p.codeFact("Command line", about.Line, "line")
		if !p.run.Started.IsZero() {
			p.fact("Began", "", func() {
				at := p.run.Started.UTC()
				p.say("time", attrs{"datetime", at.Format(time.RFC3339)}, at.Format("2 January 2006, 15:04:05 UTC"))
			})
		}
		if p.run.Took > 0 {
			p.fact("Took", "", func() { p.text(duration(p.run.Took)) })
		}
		if p.run.DryRun {
			p.fact("Dry run", "", func() { p.text("nothing was changed") })
		}
		p.codeFact("Run", p.run.ID, "")
		p.who()
		p.codeFact("Working directory", about.Dir, "")
		p.codeFact("Root", about.Root, "")
		for i, g := range about.Git {
			p.commit([]string{"Commit", "Commit of the scripts"}[min(i, 1)], g)
		}
	})
}

// fact writes what is known under a name. class says how much room it takes: "wide", "line"
// for a whole line, or "".
func (p *page) fact(name, class string, value func()) {
	var a attrs
	if class != "" {
		a = attrs{"class", class}
	}
	p.in("div", a, func() {
		p.say("dt", nil, name)
		p.in("dd", nil, value)
	})
}

// codeFact is a fact that is typed; none if it isn't known.
func (p *page) codeFact(name, value, class string) {
	if value != "" {
		p.fact(name, class, func() { p.say("code", nil, p.texts.cut(value)) })
	}
}

// who says who ran it, and on which machine.
func (p *page) who() {
	user, host := p.run.About.User, p.run.About.Host
	switch {
	case user != "" && host != "":
		p.fact("User and host", "", func() {
			p.say("code", nil, user)
			p.text(" on ")
			p.say("code", nil, host)
		})
	case user != "":
		p.codeFact("User", user, "")
	default:
		p.codeFact("Host", host, "")
	}
}

func (p *page) commit(name string, g event.Git) {
	p.fact(name, "wide", func() {
		p.say("code", nil, g.Commit)
		switch {
		case g.Clean == nil:
		case *g.Clean:
			p.text(", clean")
		default:
			p.text(", ")
			p.say("strong", attrs{"class", "changed"}, "with uncommitted changes")
		}
		p.text(", in ")
		p.say("code", nil, g.Dir)
	})
}

// colors are the escape codes that colour what is printed.
var colors = regexp.MustCompile("\x1b\\[[0-9;]*m")

// printed writes what the run printed, as a terminal shows it, and what processes printed
// outside of steps.
func (p *page) printed() {
	p.output(&p.run.Output)
	lines := p.run.printedLines()
	if len(lines) == 0 {
		return
	}
	var all strings.Builder
	for i := range lines {
		lines[i].Text = p.texts.cut(colors.ReplaceAllString(lines[i].Text, ""))
		all.WriteString(lines[i].Text)
	}
	p.box("what was printed", all.String(), func() {
		for _, line := range lines {
			switch line.Type {
			case event.Said:
				p.text(line.Text)
			case event.Warned:
				p.say("span", attrs{"class", "warned"}, line.Text)
			default:
				p.say("span", attrs{"class", "hunk"}, line.Text)
			}
		}
	})
}

// result writes what the workflow returned.
func (p *page) result() {
	var b bytes.Buffer
	text := string(p.run.Result)
	if json.Indent(&b, p.run.Result, "", "  ") == nil {
		text = b.String()
	}
	p.code("the result", p.texts.cut(text))
}
