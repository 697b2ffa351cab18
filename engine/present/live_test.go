package present_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ktrdr/kinfra/engine/diag"
	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
	"github.com/ktrdr/kinfra/internal/terminaltest"
	"github.com/ktrdr/kinfra/internal/visible"
)

// show is a run shown on a terminal, at a time that only the test moves.
type show struct {
	*present.Live
	screen        *terminaltest.Terminal
	width, height int
	now           time.Time
	watched       int // how many watches there are
	begun         int // how many there ever were
}

func newShow(width, height int, reflows bool) *show {
	s := &show{screen: terminaltest.New(width, height, reflows), width: width, height: height, now: time.Unix(1e9, 0)}
	s.Live = &present.Live{
		Plain:    present.Plain{Announcements: s.screen, Progress: s.screen},
		Terminal: s.screen,
		Size:     func() (int, int) { return s.width, s.height },
		Watch:    func() func() { s.watched++; s.begun++; return func() { s.watched-- } },
	}
	return s
}

func (s *show) event(e event.Event) {
	e.Time = s.now
	s.Show(&e)
}

func (s *show) resize(width, height int) {
	s.screen.Resize(width, height)
	s.width, s.height = width, height
}

// play carries out words, which are what happens in a run and on its terminal.
func (s *show) play(t *testing.T, script string) {
	t.Helper()
	for line := range strings.Lines(script) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		key, more, _ := strings.Cut(rest, ": ")
		switch verb {
		case "":
		case "run":
			s.event(event.Event{Type: event.RunBegan, Run: &event.Run{}})
		case "begin":
			name, branch, _ := strings.Cut(key, " @")
			s.event(event.Event{Type: event.Began, Key: name, Kind: event.Step, Branch: branch})
		case "ok":
			s.event(event.Event{Type: event.Ended, Key: key, Kind: event.Step, Status: event.Passed, Seconds: 1.5})
		case "before":
			s.event(event.Event{Type: event.Began, Key: key, Kind: event.Step, Replayed: true})
			s.event(event.Event{Type: event.Ended, Key: key, Kind: event.Step, Status: event.Passed, Replayed: true})
		case "fail":
			s.event(event.Event{Type: event.Ended, Key: key, Kind: event.Check, Status: event.Failed, Seconds: 1.5, Problems: problem(more)})
		case "skip":
			s.event(event.Event{Type: event.Ended, Key: key, Kind: event.Check, Status: event.Skipped, Needs: []string{more}})
		case "retry":
			s.event(event.Event{Type: event.Retried, Key: key, Pause: 2, Problems: problem(more)})
		case "undo":
			s.event(event.Event{Type: event.Undid, Key: key, Status: event.Passed})
		case "say":
			s.event(event.Event{Type: event.Said, Text: rest + "\n"})
		case "tell":
			s.event(event.Event{Type: event.Told, Key: key, Text: strings.ReplaceAll(more, `\n`, "\n")})
		case "print": // KEY: TEXT, of which \n ends lines and what is behind the last one goes on
			whole := strings.ReplaceAll(more, `\n`, "\n")
			var pieces []event.Piece
			for _, text := range []string{whole[:strings.LastIndexByte(whole, '\n')+1], whole[strings.LastIndexByte(whole, '\n')+1:]} {
				if text != "" {
					pieces = append(pieces, event.Piece{Stream: "stdout", Text: text})
				}
			}
			s.event(event.Event{Type: event.Printed, Key: key, Output: pieces})
		case "quiet":
			s.event(event.Event{Type: event.Printed, Key: key, Output: []event.Piece{{Stream: "stdout", Text: more + "\n", Quiet: true}}})
		case "warn":
			s.event(event.Event{Type: event.Warned, Text: rest})
		case "log":
			io.WriteString(s.Beside(s.screen), rest+"\n")
		case "end":
			s.event(event.Event{Type: event.RunEnded})
		case "pause":
			s.Pause()
		case "continue":
			s.Continue()
		case "interrupt":
			s.Interrupt()
		case "resize":
			var width, height int
			fmt.Sscan(rest, &width, &height)
			s.resize(width, height)
		case "after":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			s.now = s.now.Add(d)
			s.Frame(s.now)
		default:
			t.Fatalf("what is %q?", line)
		}
	}
}

func problem(message string) []diag.Diagnostic { return []diag.Diagnostic{{Message: message}} }

// A run in which most things happen: two branches of parallel, of which the second begins
// first, with steps inside; a retry; progress; a check that fails.
const busy = `
	run
	begin prepare
	after 100ms
	ok prepare
	begin build
	begin build/web @0.1
	begin build/api @0.0
	begin build/api/compile @0.0
	begin build/web/fetch @0.1
	after 2s
	say half of it
	tell build/web/fetch:   db: starting (0/1)
	fail build/api/compile: no compiler
	begin build/api/link @0.0
	retry build/api/link: busy
	after 10s
`

func TestLive(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		script, want  string
	}{
		{"in the order of the branches", 80, 24, busy, `
  ok    prepare (1.5s)
half of it
  FAIL  build/api/compile (1.5s)
        error: no compiler
  retry build/api/link in 2s: busy

  run   build (12s)
    run   api (12s)
      run   link (10s) try 2
    run   web (12s)
      run   fetch (12s)  db: starting (0/1)
⠙ 1 done, 1 failed, 5 running (12s)
`},
		{"narrow", 20, 24, busy, `
  ok    prepare (1.5
s)
half of it
  FAIL  build/api/co
mpile (1.5s)
        error: no co
mpiler
  retry build/api/li
nk in 2s: busy

  build (12s)
    api (12s)
    link (10s) try…
    web (12s)
    fetch (12s)  d…
⠙ 1 done, 1 failed…
`},
		{"wide", 200, 24, "run\nbegin " + strings.Repeat("long ", 50) + "\nafter 1s", `

  run   ` + strings.Repeat("long ", 36) + `lon… (1.0s)
⠋ 0 done, 1 running (1.0s)
`},
		{"wide characters", 30, 24, "run\nbegin 建設資料庫並啟動所有的服務然後等待\nbegin e\u0301e\u0301e\u0301\nafter 1m5s", `

  建設資料庫並啟動所… (1m05s)
  ` + "e\u0301e\u0301e\u0301" + ` (1m05s)
⠋ 0 done, 2 running (1m05s)
`},
		{"more than the terminal's height", 80, 8, "run\nbegin a\nbegin b\nbegin c\nbegin d\nbegin d/e\nbegin f\nafter 3605s", `

  run   a (1h00m)
  run   b (1h00m)
  run   c (1h00m)
  … and 3 more
⠋ 0 done, 6 running (1h00m)
`},
		{"hardly any height", 80, 4, "run\nbegin a\nafter 1s\nok a\nbegin b\nafter 1s", `
  ok    a (1.5s)

⠋ 1 done, 1 running (2.0s)
`},
		{"no height", 80, 1, "run\nbegin a\nafter 1s\nok a", "\n  ok    a (1.5s)\n"},
		{"between two steps", 80, 24, "run\nbegin a\nafter 1s\nok a", `
  ok    a (1.5s)

⠋ 1 done, 0 running (1.0s)
`},
		{"nothing runs", 80, 24, "run\nbegin a\nafter 1s\nok a\nafter 100ms", "\n  ok    a (1.5s)\n"},
		{"ended", 80, 24, busy + "ok build/api/link\nok build/api\nok build/web/fetch\nfail build/web: no\nok build\nundo build/api/link\nwarn too bad\nend", `
  ok    prepare (1.5s)
half of it
  FAIL  build/api/compile (1.5s)
        error: no compiler
  retry build/api/link in 2s: busy
  ok    build/api/link (1.5s)
  ok    build/api (1.5s)
  ok    build/web/fetch (1.5s)
  FAIL  build/web (1.5s)
        error: no
  ok    build (1.5s)
  undid build/api/link
warning: too bad
`},
		{"what no step tells", 80, 24, "run\nbegin a\nafter 1s\ntell : waiting\ntell gone: too late", `
waiting
too late

  run   a (1.0s)
⠋ 0 done, 1 running (1.0s)
`},
		{"told in lines", 80, 24, "run\nbegin a\ntell a: one\\ntwo\nafter 1s", `

  run   a (1.0s)  one
⠋ 0 done, 1 running (1.0s)
`},
		{"skipped and replayed", 80, 24, "run\nbefore a\nbegin b\nskip b: c\nbegin d\nafter 1s", `
  done  a (before)
  skip  b: needs c

  run   d (1.0s)
⠋ 1 done, 1 skipped, 1 running (1.0s)
`},
		{"a log beside", 80, 24, "run\nbegin a\nafter 1s\nlog [WARN] one", `
[WARN] one

  run   a (1.0s)
⠋ 0 done, 1 running (1.0s)
`},
		{"paused", 80, 24, "run\nbegin a\nafter 1s\npause\nbegin b\nafter 1s\nok b\nsay hello", "\n  ok    b (1.5s)\nhello\n"},
		{"paused twice", 80, 24, "run\nbegin a\npause\npause\ncontinue\nafter 1s", "\n\n"},
		{"continued", 80, 24, "run\nbegin a\nafter 1s\npause\nafter 1s\ncontinue\nafter 1s", `

  run   a (3.0s)
⠋ 0 done, 1 running (3.0s)
`},
		{"interrupted", 80, 24, "run\nbegin a\nbegin a/b\nafter 1s\ninterrupt\nfail a/b: interrupted", "\n  FAIL  a/b (1.5s)\n        error: interrupted\n"},
		{"interrupted in vain", 80, 24, "run\nbegin a\nbegin a/b\nafter 1s\ninterrupt\nafter 100ms\nafter 100ms", "\nWaiting for 2 step(s) to stop; Ctrl-C once more ends the process at once\n"},
		{"made narrower", 60, 24, "run\nbegin a rather long name for a step or two\nafter 1s\nresize 30 24\nafter 1s", `

  a rather long name … (2.0s)
⠋ 0 done, 1 running (2.0s)
`},
		{"made wider", 30, 24, "run\nbegin a rather long name for a step or two\nafter 1s\nresize 60 24\nafter 1s", `

  run   a rather long name for a step or two (2.0s)
⠋ 0 done, 1 running (2.0s)
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShow(c.width, c.height, true)
			s.play(t, c.script)
			if got := "\n" + s.screen.Screen(); got != c.want {
				t.Errorf("the terminal shows\n%s\nwant\n%s", got, c.want)
			}
			s.play(t, "end")
			clean(t, s)
		})
	}
}

// clean sees that a run that is over has left nothing behind.
func clean(t *testing.T, s *show) {
	t.Helper()
	if err := s.screen.Clean(); err != nil {
		t.Errorf("the terminal is not clean: %v; it shows\n%s", err, s.screen.Screen())
	}
	if s.watched != 0 {
		t.Errorf("%d watch(es) go on", s.watched)
	}
}

// What was said for good stays, and nothing else does, whatever becomes of the size in
// between, and whatever the terminal makes of its rows then.
func TestLiveResized(t *testing.T) {
	const want = "one\ntwo\nthree\nfour\n  ok    build/api/link (1.5s)\n"
	sizes := []string{"20 24", "80 24", "200 24", "30 12", "80 5", "21 40"}
	for _, reflows := range []bool{true, false} {
		for _, a := range sizes {
			for _, b := range sizes {
				s := newShow(80, 24, reflows)
				s.play(t, `run
					say one
					begin build
					begin build/the web part @0.1
					begin build/api @0.0
					begin build/api/link @0.0
					after 1s
					say two
					resize `+a+`
					after 100ms
					say three
					after 100ms
					resize `+b+`
					resize 80 24
					say four
					after 100ms
					ok build/api/link
					end`)
				if got := s.screen.Screen(); got != want {
					t.Errorf("at %s and %s, reflowing %v, it shows\n%s", a, b, reflows, got)
				}
				clean(t, s)
			}
		}
	}
}

// A run without steps has nothing drawn, and none that is over soon.
func TestLiveDrawsLate(t *testing.T) {
	s := newShow(80, 24, true)
	s.Terminal = nil // a write would panic
	s.play(t, "run\nsay hello\ntell : waiting\nend")
	if s.begun != 0 {
		t.Errorf("a run without steps was watched")
	}
	s.play(t, "run\nbegin a\nok a\nbegin b\nok b\nend")
	if s.begun != 1 || s.watched != 0 {
		t.Errorf("two steps were watched %d times, %d still", s.begun, s.watched)
	}
	if got := s.screen.Screen(); got != "hello\nwaiting\n  ok    a (1.5s)\n  ok    b (1.5s)\n" {
		t.Errorf("it shows\n%s", got)
	}
}

// What is announced goes to stdout as it is, also when that is no terminal.
func TestLiveAnnounces(t *testing.T) {
	var stdout bytes.Buffer
	s := newShow(80, 24, true)
	s.Announcements = &stdout
	s.play(t, "run\nbegin a\nafter 1s\nsay one\nsay \x1b[32mtwo\x1b[0m")
	if stdout.String() != "one\n\x1b[32mtwo\x1b[0m\n" {
		t.Errorf("announced was %q", stdout.String())
	}
	if got := s.screen.Screen(); got != "\n  run   a (1.0s)\n⠋ 0 done, 1 running (1.0s)\n" {
		t.Errorf("it shows\n%s", got)
	}
}

// A terminal for which characters are wider than they are counted cuts them off.
func TestLiveMiscounted(t *testing.T) {
	s := newShow(20, 24, true)
	s.screen.Wide = true
	s.play(t, "run\nsay one\nbegin "+strings.Repeat("§", 30)+"\nafter 1s\nafter 1s\nsay two\nend")
	if got := s.screen.Screen(); got != "one\ntwo\n" {
		t.Errorf("it shows\n%s", got)
	}
	clean(t, s)
}

func TestLiveColors(t *testing.T) {
	for _, color := range []bool{true, false} {
		s := newShow(80, 24, true)
		if color {
			s.Style.Ink = visible.NewInk(func([]byte) {})
		}
		s.Progress = &colored{s.screen, s.Style.Ink}
		s.play(t, busy+"begin c\nskip c: d\nundo prepare\nwarn careful\nafter 1ms")
		for text, want := range map[string]string{
			"ok ": "32", "FAIL": "31", "skip": "33", "undid": "33", "retry": "33", "warning": "33", "run": "36", "1 failed": "31", "(1.5s)": "2", "db: ": "2", "prepare": "", "1 done": "",
		} {
			if !color {
				want = ""
			}
			if got, found := s.screen.Style(text); got != want || !found {
				t.Errorf("with colours %v, %q has %q (%v), want %q", color, text, got, found, want)
			}
		}
		s.play(t, "end")
		clean(t, s)
	}
}

// colored is a stream to a terminal.
type colored struct {
	out io.Writer
	ink visible.Ink
}

func (c *colored) Write(p []byte) (int, error) {
	io.WriteString(c.out, c.ink.Text(string(p), true))
	return len(p), nil
}

// Whatever a step is called, and whatever it tells, moves nothing on the terminal and
// hides nothing that was said.
func FuzzLive(f *testing.F) {
	f.Add("a\x1b[2Jb", "\x1b]0;title\x07", uint8(40), uint8(10))
	f.Add("\r\x1b[10A漢\u202e字\u009b2J", "a\tb\nc\x00", uint8(3), uint8(3))
	f.Add("e\u0301\u0301", strings.Repeat("漢", 400), uint8(21), uint8(200))
	f.Add("❤\ufe0f👨‍👩‍👧", "\xff\xfe", uint8(12), uint8(24))
	f.Fuzz(func(t *testing.T, name, told string, width, height uint8) {
		if width < 2 || height < 2 || strings.Contains(name, "/") {
			t.Skip()
		}
		s := newShow(int(width), int(height), true)
		s.Progress = io.Discard // what its stream lets through is no matter here
		s.event(event.Event{Type: event.RunBegan})
		s.event(event.Event{Type: event.Said, Text: "+\n"})
		s.event(event.Event{Type: event.Began, Key: name, Kind: event.Step})
		s.event(event.Event{Type: event.Began, Key: name + "/" + name, Kind: event.Step})
		s.event(event.Event{Type: event.Told, Key: name, Text: told})
		for range 2 {
			s.Frame(s.now)
			if used, height := s.screen.Visible(); used >= height && height > 2 {
				t.Errorf("%d of %d rows are used:\n%s", used, height, s.screen.Screen())
			}
		}
		s.event(event.Event{Type: event.Ended, Key: name + "/" + name, Kind: event.Step, Status: event.Passed})
		s.event(event.Event{Type: event.Said, Text: "-\n"})
		s.event(event.Event{Type: event.RunEnded})
		if got := s.screen.Screen(); got != "+\n-\n" {
			t.Errorf("it shows\n%s", got)
		}
		clean(t, s)
	})
}
