package main

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A trail is memory in which threads note where they are, as they go. It outlives the
// process: another one has it, too. Each thread has a place of its own in it, with the
// number of its goroutine, line, column and the name of the file. A mark is made before the
// next instruction begins, so it may be one behind: the line is right, the column nearly.

const (
	trailSize = 64 << 10
	placeSize = 512
	placeHead = 8 + 4 + 4 + 4 // goroutine, line, column, bytes of the name
)

// trail gives the places of a trail to threads.
type trail struct {
	mu   sync.Mutex
	free [][]byte
}

func newTrail(memory []byte) *trail {
	return &trail{free: slices.Collect(slices.Chunk(memory, placeSize))}
}

// begin gives a place to the thread that begins on this goroutine, until it leaves. Once
// all are taken, further threads leave no trail.
func (t *trail) begin() (told func(*starlark.Thread), leave func()) {
	place := t.take(goroutineID())
	if place == nil {
		return nil, func() {}
	}
	told = func(thread *starlark.Thread) { note(place, thread.CallFrame(0).Pos) }
	return told, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		clear(place[:placeHead])
		t.free = append(t.free, place)
	}
}

// take gives a place to a goroutine; nil if there is none left.
func (t *trail) take(goroutine uint64) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 {
		return nil
	}
	place := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	binary.NativeEndian.PutUint64(place, goroutine)
	return place
}

// note writes a position into a place.
func note(place []byte, pos syntax.Position) {
	if pos.Line == 0 {
		return // a builtin that calls another
	}
	name := pos.Filename()
	n := min(len(name), placeSize-placeHead)
	binary.NativeEndian.PutUint32(place[8:], uint32(pos.Line))
	binary.NativeEndian.PutUint32(place[12:], uint32(pos.Col))
	binary.NativeEndian.PutUint32(place[16:], uint32(n))
	copy(place[placeHead:], name[:n])
}

// mark is where a thread was.
type mark struct {
	goroutine    uint64
	file         string
	line, column int32
}

func (m mark) position() syntax.Position { return syntax.MakePosition(&m.file, m.line, m.column) }

// marks is what a trail says.
func marks(memory []byte) (all []mark) {
	for place := range slices.Chunk(memory, placeSize) {
		m := mark{
			goroutine: binary.NativeEndian.Uint64(place),
			line:      int32(binary.NativeEndian.Uint32(place[8:])),
			column:    int32(binary.NativeEndian.Uint32(place[12:])),
		}
		if n := binary.NativeEndian.Uint32(place[16:]); n <= placeSize-placeHead {
			m.file = string(place[placeHead:][:n])
		}
		if m.line > 0 {
			all = append(all, m)
		}
	}
	return all
}

// whereOf is the marks of a goroutine, or all if it has none. It has several where a thread
// waits for another one that it has begun.
func whereOf(all []mark, goroutine uint64) []mark {
	own := slices.DeleteFunc(slices.Clone(all), func(m mark) bool { return m.goroutine != goroutine })
	if len(own) > 0 {
		return own
	}
	return all
}

// goroutineID is the number of this goroutine, as Go prints it when the process dies.
func goroutineID() uint64 {
	var text [64]byte
	fields := bytes.Fields(text[:runtime.Stack(text[:], false)]) // "goroutine 7 [running]:"
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return n
}
