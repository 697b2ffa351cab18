package present_test

import (
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/engine/event"
	"github.com/ktrdr/kinfra/engine/present"
)

// What processes print is drawn below its step, the last lines of it, and is gone when the
// step is. What is printed outside of steps stays.
func TestLiveOutput(t *testing.T) {
	s := newShow(50, 24, true)
	for _, phase := range []struct{ script, want string }{
		{`
			run
			print : before
			print : any step\n
			begin build
			begin build/api
			print build: configuring\n
			print build/api: one\ntwo\n\n  \nthree\nfour\n 50%
			quiet build/api: secret
			after 1s
		`, `  | any step

  run   build (1.0s)
    | configuring
    run   api (1.0s)
      | two
      | three
      | four
⠋ 0 done, 2 running (1.0s)
`},
		{`
			print build/api: 75%
			after 100ms
		`, `  | any step

  run   build (1.1s)
    | configuring
    run   api (1.1s)
      | three
      | four
      | 75%
⠙ 0 done, 2 running (1.1s)
`},
		{`
			print build/api: a line that is longer than the terminal is wide, by far\nESC[2Jand one that is oddBEL\n
			retry build: it failed
			after 100ms
		`, `  | any step
  retry build in 2s: it failed

  run   build (1.2s) try 2
    run   api (1.2s)
      | four
      | a line that is longer than the terminal …
      | \x1b[2Jand one that is odd\a
⠹ 0 done, 2 running (1.2s)
`},
		{`
			ok build/api
			ok build
			print : behind\n
			end
		`, `  | any step
  retry build in 2s: it failed
  ok    build/api (1.5s)
  ok    build (1.5s)
  | behind
`},
	} {
		s.play(t, strings.NewReplacer("ESC", "\x1b", "BEL", "\a").Replace(phase.script))
		if got := s.screen.Screen(); strings.TrimRight(got, "\n") != strings.TrimRight(phase.want, "\n") {
			t.Errorf("the terminal shows\n%s\nwant\n%s", got, phase.want)
		}
	}
	if err := s.screen.Clean(); err != nil {
		t.Error(err)
	}
}

// Where there is little room, steps come before what is printed in them.
func TestLiveOutputInLittleRoom(t *testing.T) {
	s := newShow(50, 8, true)
	s.play(t, `
		run
		begin a
		begin b
		print a: 1\n2\n3\n
		print b: 4\n5\n6\n
		after 1s
	`)
	if got := s.screen.Screen(); !strings.Contains(got, "a (1.0s)\n    | 3\n  run   b (1.0s)\n    | 6\n") {
		t.Errorf("in 8 rows the terminal shows\n%s", got)
	}
	s.resize(50, 7)
	s.play(t, "after 1s")
	if got := s.screen.Screen(); !strings.Contains(got, "a (2.0s)\n    | 3\n  run   b (2.0s)\n⠋") {
		t.Errorf("in 7 rows the terminal shows\n%s", got)
	}
	s.resize(50, 6)
	s.play(t, "after 1s")
	if got := s.screen.Screen(); strings.Contains(got, "|") || !strings.Contains(got, "b (3.0s)") {
		t.Errorf("in 6 rows the terminal shows\n%s", got)
	}
}

// Elsewhere whole lines are printed. Those of a branch say the step, and what is in its name
// is seen.
func TestPlainOutput(t *testing.T) {
	var out strings.Builder
	plain := &present.Plain{Announcements: &out, Progress: &out}
	for _, e := range []event.Event{
		{Key: "build/build\tapi", Branch: "0.0", Output: []event.Piece{{Stream: "stdout", Text: "one\ntwo\n"}, {Stream: "stderr", Text: "three\n"}, {Stream: "stdout", Text: "fo"}}},
		{Key: "a", Output: []event.Piece{{Stream: "stdout", Text: "\n"}, {Stream: "stdout", Text: "parsed\n", Quiet: true}}},
	} {
		e.Type = event.Printed
		plain.Show(&e)
	}
	const want = "  build\\tapi | one\n  build\\tapi | two\n  build\\tapi | three\n  | \n"
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}
