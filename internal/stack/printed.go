package stack

import (
	"bytes"
	"regexp"
	"sync"

	"github.com/ktrdr/kinfra/internal/world"
)

// follower hands on the lines that Compose prints while it starts a stack, but for those that
// say what Options.Report tells as well.
type follower struct {
	follow func(from world.Stream, piece []byte)
	lines  map[world.Stream][]byte // that aren't finished
}

// told is a line about what Compose does with a container, a network or a volume, when all
// goes well.
var told = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^ *(Container|Network|Volume) .* (Creat|Start|Restart|Recreat|Wait|Stopp|Remov|Runn)(e|ed|ing) *$|^ *Container .* Healthy *$`)
})

// longestLine is how long a line may be, in bytes. None of Compose's is longer; it isn't handed on.
const longestLine = 1 << 20

func (f *follower) print(from world.Stream, piece []byte) {
	rest := append(f.lines[from], piece...)
	for {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			break
		}
		f.hand(from, rest[:end])
		rest = rest[end:]
	}
	if len(rest) > longestLine {
		rest = nil
	}
	f.lines[from] = bytes.Clone(rest)
}

// end hands on what Compose has ended with.
func (f *follower) end() {
	for _, from := range []world.Stream{world.Stdout, world.Stderr} {
		if line := f.lines[from]; len(line) > 0 {
			f.hand(from, line)
		}
	}
}

func (f *follower) hand(from world.Stream, line []byte) {
	if f.follow != nil && !told().Match(bytes.TrimRight(line, "\r\n")) {
		f.follow(from, line)
	}
}
