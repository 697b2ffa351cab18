package engine

import (
	"errors"
	"runtime"
	"testing"
	"time"
)

func TestWaitUntil(t *testing.T) {
	for _, c := range []struct {
		name, body, want, err string
		code                  Code
		took                  time.Duration
	}{
		{"at once", `print(wait_until(lambda: "yes", timeout = "1s"))`, "yes\n", "", OK, 0},
		{"after some pauses", "asked = []\nprint(wait_until(lambda: asked.append(1) or len(asked) == 4 and asked, timeout = \"1m\", every = \"2s\"))",
			"[1, 1, 1, 1]\n", "", OK, 6 * time.Second},
		{"never", `wait_until(lambda: "" , timeout = "1s", every = "300ms")`, "", `wait_until: not true within 1s; last seen: ""`, TimedOut, time.Second},
		{"asked once more at the end", "start = time.now()\nprint(wait_until(lambda: (time.now() - start).seconds >= 1, timeout = \"1s\", every = \"700ms\"))",
			"True\n", "", OK, time.Second},
		{"fails", `wait_until(lambda: fail("broken"), timeout = "1s")`, "", "broken", Failed, 0},
		{"attempted", "tries = []\ndef ready():\n    tries.append(1)\n    return attempt(lambda: len(tries) > 2 or fail(\"not yet\")).ok\nprint(wait_until(ready, timeout = \"1m\", every = \"1s\"))",
			"True\n", "", OK, 2 * time.Second},
		{"no time", `wait_until(lambda: True, timeout = "0s")`, "", "wait_until: want positive durations, got timeout 0s and every 200ms", Failed, 0},
		{"no pause", `wait_until(lambda: True, timeout = "1s", every = "0s")`, "", "want positive durations", Failed, 0},
		{"caught", `print(attempt(lambda: wait_until(lambda: [], timeout = "1s")).error)`, "wait_until: not true within 1s; last seen: []\n", "", OK, time.Second},
		{"a condition that hangs", `wait_until(probe.block, timeout = "1ms")`, "", "the condition of wait_until timed out after 1ms", TimedOut, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := newMachine(t, body(c.body))
			start := m.fake.Now()
			err := m.exec()
			m.wants(err, c.err)
			m.wantsCode(err, c.code)
			m.wantsOut(c.want)
			if took := m.fake.Now().Sub(start); took != c.took {
				t.Errorf("it took %s, want %s", took, c.took)
			}
			m.run.Close()
			wantsGoroutines(t, before)
		})
	}
}

// A dry run asks once, and leaves the rest to the real one.
func TestWaitUntilInADryRun(t *testing.T) {
	m := newMachine(t, body("print(wait_until(lambda: \"there\", timeout = \"1h\"))\nwait_until(lambda: print(\"asked\"), timeout = \"1h\").name")).planned()
	start := m.fake.Now()
	m.wants(m.exec(), "")
	m.wantsOut("there\nasked\nThe rest is known only when it runs.\n")
	if took := m.fake.Now().Sub(start); took != 0 {
		t.Errorf("a dry run waited for %s", took)
	}
}

// Ctrl-C ends the waiting.
func TestWaitUntilInterrupted(t *testing.T) {
	m := newMachine(t, body(`wait_until(lambda: probe.stop(), timeout = "1h")`))
	if err := m.exec(); !errors.Is(err, ErrInterrupted) {
		t.Errorf("the error is %v", err)
	}
	m.wantsCode(ErrInterrupted, Interrupted)
}
