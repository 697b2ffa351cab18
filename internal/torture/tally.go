package main

import "fmt"

// tally is how often something was killed.
type tally struct {
	kills  int
	inside int // of these, in the middle of an operation: it had begun, and had not come to its end
	again  int // of these, while what was killed before went on: a run was resumed, or a command given again
}

func (t tally) String() string {
	return fmt.Sprintf("%d kills, %d of them inside an operation and %d while it went on after a kill", t.kills, t.inside, t.again)
}

// wants wants so many kills: what hasn't been tried doesn't hold.
func (f *finding) wants(what string, got, least tally) {
	for _, c := range []struct {
		kind       string
		got, least int
	}{
		{"kills", got.kills, least.kills},
		{"kills inside an operation", got.inside, least.inside},
		{"kills while it went on after a kill", got.again, least.again},
	} {
		if c.got < c.least {
			f.wrong("%s: %d %s, want at least %d", what, c.got, c.kind, c.least)
		}
	}
}
