package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/ktrdr/kinfra/engine"
)

const (
	// memoryDefault is how much memory kinfra may use unless --memory says otherwise.
	memoryDefault size = 2 << 30

	// deepest is how much memory the stacks of the program may take. A value that nests
	// without end takes more when it is made into text. Go ends a program whose stack
	// has 512 MiB, and nothing can catch that.
	deepest = 96 << 20

	// fastest is how much memory a program takes in a second at most, about. So long as the
	// limit is far, it need not be looked for often.
	fastest = 4 << 30
)

// The least and the longest pause between two looks at the memory.
const (
	leastPause   = 5 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// memoryWatch ends a command that uses too much memory.
type memoryWatch struct {
	allowed size          // that the user has set
	limit   uint64        // bytes, from which on it is too much
	end     func(error)   // has all that runs end, in its own way
	urgent  chan struct{} // closed when that takes too long
}

// watchMemory begins to watch once the process has lived for a while: most have ended by
// then. Below the limit of the system there must be room to come to an end.
func (i *interruption) watchMemory(allowed size) {
	m := &i.memory
	m.allowed, m.limit = allowed, uint64(allowed)
	if i.confined {
		m.limit -= m.limit / 4
	}
	time.AfterFunc(untilAsked, m.watch)
}

func (m *memoryWatch) watch() {
	// The collector works harder when the limit is near, so that what is beyond is in use.
	debug.SetMemoryLimit(int64(m.limit))
	var collected chan struct{} // closed once what nobody uses is gone
	for {
		u := usedMemory()
		switch {
		case u.stacks > deepest:
			m.over(&engine.Error{
				Code: engine.TimedOut, Err: engine.ErrMemory, Message: "a value nests too deep, or contains itself",
				Next: "see which value is made into text, compared or encoded here",
			})
			return
		case u.heap > m.limit+m.limit/4, u.heap > m.limit && isClosed(collected):
			m.over(tooMuchMemory(m.allowed))
			return
		case u.heap <= m.limit:
			collected = nil
		case collected == nil: // the looking goes on meanwhile
			collected = make(chan struct{})
			go func(done chan struct{}) {
				runtime.GC()
				close(done)
			}(collected)
		}
		time.Sleep(m.pause(u))
	}
}

// pause is how long the memory can't run out.
func (m *memoryWatch) pause(u memoryUse) time.Duration {
	left := time.Duration(m.limit-min(u.heap, m.limit)) * time.Second / fastest
	return min(max(left, leastPause), longestPause)
}

// isClosed tells whether a channel is closed; nil is not.
func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// over ends what runs, and makes that urgent when it takes still more memory.
func (m *memoryWatch) over(err error) {
	m.end(err)
	for {
		time.Sleep(leastPause)
		if u := usedMemory(); u.stacks > deepest || u.heap > m.limit+m.limit/2 {
			close(m.urgent)
			return
		}
	}
}

// tooMuchMemory is the error of a command that uses more memory than it may.
func tooMuchMemory(limit size) *engine.Error {
	return &engine.Error{
		Code: engine.TimedOut, Err: engine.ErrMemory, Message: fmt.Sprintf("it uses more than %s of memory", limit),
		Next: "see that what is made here stays small; --memory sets another limit",
	}
}

// memoryUse is how many bytes the program uses.
type memoryUse struct{ heap, stacks uint64 }

func usedMemory() memoryUse {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return memoryUse{samples[0].Value.Uint64(), samples[1].Value.Uint64()}
}
