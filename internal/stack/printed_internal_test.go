package stack

import (
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/secret"
	"github.com/ktrdr/kinfra/internal/world"
	"github.com/ktrdr/kinfra/internal/worldtest"
)

// What Compose prints is handed on by lines: without secrets, however they come, and without
// what the states of the services tell.
func TestFollower(t *testing.T) {
	const printed = ` Network shop-1_default  Creating
 Network shop-1_default  Created
#5 [web 2/3] RUN make TOKEN=canary-one
 Container shop-1-web-1  Starting
 Container shop-1-web-1  Started
 Container shop-1-web-1  Healthy
 Container shop-1-db-1  Error
 web Pulling
canary-one without an end`
	const want = `#5 [web 2/3] RUN make TOKEN=***
 Container shop-1-db-1  Error
 web Pulling
*** without an end`
	machine := world.NewFake()
	machine.Env["TOKEN"] = "canary-one"
	ref, err := secret.Parse("env://TOKEN")
	worldtest.Must(t, err)
	token, err := ref.Resolve(t.Context(), machine.World(), func(secret.Ref, string) error { return nil })
	worldtest.Must(t, err)
	s := Stack{Secrets: map[string]secret.Value{"TOKEN": token}}
	for _, size := range []int{1, 5, 17, len(printed)} {
		got := map[world.Stream]string{}
		f := &follower{s, func(from world.Stream, piece []byte) { got[from] += string(piece) }, map[world.Stream][]byte{}}
		for text := printed; text != ""; {
			n := min(size, len(text))
			f.print(world.Stderr, []byte(text[:n]))
			f.print(world.Stdout, []byte("x")) // of the other stream
			text = text[n:]
		}
		f.print(world.Stdout, []byte(strings.Repeat("y", longestLine)))
		f.print(world.Stdout, []byte("\n"))
		f.end()
		if got[world.Stderr] != want || strings.ContainsAny(got[world.Stdout], "xy") {
			t.Errorf("by %d bytes: got\n%s\nwant\n%s", size, got[world.Stderr], want)
		}
	}
	(&follower{stack: s, lines: map[world.Stream][]byte{}}).print(world.Stdout, []byte("nobody follows\n"))
}
