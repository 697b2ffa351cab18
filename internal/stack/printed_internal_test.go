package stack

import (
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/world"
)

// What Compose prints is handed on by lines, however it comes, without what the states of the
// services tell.
func TestFollower(t *testing.T) {
	const printed = ` Network shop-1_default  Creating
 Network shop-1_default  Created
#5 [web 2/3] RUN make VERSION=1
 Container shop-1-web-1  Starting
 Container shop-1-web-1  Started
 Container shop-1-web-1  Healthy
 Container shop-1-db-1  Error
 web Pulling
one without an end`
	const want = `#5 [web 2/3] RUN make VERSION=1
 Container shop-1-db-1  Error
 web Pulling
one without an end`
	for _, size := range []int{1, 5, 17, len(printed)} {
		got := map[world.Stream]string{}
		f := &follower{func(from world.Stream, piece []byte) { got[from] += string(piece) }, map[world.Stream][]byte{}}
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
	(&follower{lines: map[world.Stream][]byte{}}).print(world.Stdout, []byte("nobody follows\n"))
}
